// `string_decoder`: text in any of Node's encodings from chunks that end
// anywhere. Streams use it for `setEncoding`.
'use strict';

const { encodingName, join, unfinished } = require('./text.js');
const { coded } = require('./errors.js');

class StringDecoder {
  constructor(encoding) {
    const name = encodingName(encoding);
    if (name === undefined) {
      throw coded(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);
    }
    this.encoding = name;
    // Bytes of which there is no text yet.
    Object.defineProperty(this, 'rest', { value: Buffer.alloc(0), writable: true, enumerable: false });
  }

  write(chunk) {
    if (typeof chunk === 'string') return chunk;
    const bytes = join(this.rest, chunk);
    const keep = this.#unfinished(bytes);
    const whole = bytes.length - keep;
    this.rest = keep === 0 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(whole));
    return Buffer.from(bytes.buffer, bytes.byteOffset, whole).toString(this.encoding);
  }

  end(chunk) {
    let text = chunk === undefined ? '' : this.write(chunk);
    if (this.rest.length > 0) {
      text += this.encoding === 'utf8' ? '\ufffd' : this.rest.toString(this.encoding);
      this.rest = Buffer.alloc(0);
    }
    return text;
  }

  #unfinished(bytes) {
    switch (this.encoding) {
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
}

module.exports = { StringDecoder };
