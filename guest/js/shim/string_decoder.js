// `string_decoder`: text in any of Node's encodings from chunks that end
// anywhere. Streams use it for `setEncoding`.
'use strict';

const { encodingName, join, unfinished } = require('./text.js');
const { coded } = require('./errors.js');
const { wrongType } = require('./checks.js');

// Not a class: old code extends it by `StringDecoder.call(this)`.
function StringDecoder(encoding) {
  const name = encodingName(encoding);
  if (name === undefined) throw coded(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);
  this.encoding = name;
  // Bytes of which there is no text yet.
  Object.defineProperty(this, 'rest', { value: Buffer.alloc(0), writable: true, enumerable: false });
}

const methods = {
  write(chunk) {
    if (typeof chunk === 'string') return chunk;
    if (!ArrayBuffer.isView(chunk)) throw wrongType('buf', 'an instance of Buffer, TypedArray, or DataView', chunk);
    const bytes = join(this.rest, new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const keep = unfinishedIn(this.encoding, bytes);
    const whole = bytes.length - keep;
    this.rest = keep === 0 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(whole));
    return Buffer.from(bytes.buffer, bytes.byteOffset, whole).toString(this.encoding);
  },

  end(chunk) {
    let text = chunk === undefined ? '' : this.write(chunk);
    if (this.rest.length > 0) {
      text += this.encoding === 'utf8' ? '\ufffd' : this.rest.toString(this.encoding);
      this.rest = Buffer.alloc(0);
    }
    return text;
  },

  // What readers of its buffers look at.
  get lastNeed() { return this.lastTotal === 0 ? 0 : this.lastTotal - this.rest.length; },
  get lastTotal() {
    const [first] = this.rest;
    if (first === undefined) return 0;
    if (this.encoding === 'utf8') return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    return this.encoding === 'utf16le' ? (this.rest.length > 1 ? 4 : 2) : 3;
  },
  get lastChar() { return this.rest; },

  text(chunk, from) { return this.write(chunk.subarray(from)); },
};
for (const name of Object.getOwnPropertyNames(methods)) {
  Object.defineProperty(StringDecoder.prototype, name, { ...Object.getOwnPropertyDescriptor(methods, name), enumerable: name === 'write' || name === 'end' });
}

// How many bytes at the end must wait for more.
function unfinishedIn(encoding, bytes) {
  switch (encoding) {
    case 'utf8': return unfinished(bytes);
    case 'base64':
    case 'base64url': return bytes.length % 3;
    case 'utf16le': {
      const odd = bytes.length % 2;
      const high = bytes[bytes.length - odd - 1];
      return odd + (high >= 0xd8 && high <= 0xdb ? 2 : 0);
    }
    default: return 0;
  }
}

module.exports = { StringDecoder };
