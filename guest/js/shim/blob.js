// `Blob` and `File`, without streams.
'use strict';

const { absent } = require('./errors.js');
const { wrongType } = require('./checks.js');
const text = require('./text.js');

const bytesOf = (part) => {
  if (part instanceof Blob) return Blob.bytes(part);
  if (part instanceof ArrayBuffer) return new Uint8Array(part);
  if (ArrayBuffer.isView(part)) return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  return text.encode(String(part));
};
const typeOf = (type) => (/[^\x20-\x7e]/.test(type) ? '' : String(type).toLowerCase());

class Blob {
  #bytes;
  #type;
  constructor(parts = [], options = {}) {
    if (parts === null || typeof parts !== 'object' || typeof parts[Symbol.iterator] !== 'function') {
      throw wrongType('sources', 'a sequence', parts);
    }
    this.#bytes = new Uint8Array(Buffer.concat([...parts].map(bytesOf)));
    this.#type = typeOf(options?.type ?? '');
  }
  // For this file: a script has no use for it.
  static bytes(blob) { return blob.#bytes; }
  get size() { return this.#bytes.length; }
  get type() { return this.#type; }
  async arrayBuffer() { return this.#bytes.slice().buffer; }
  async bytes() { return this.#bytes.slice(); }
  async text() { return text.decode(this.#bytes); }
  slice(start = 0, end = this.size, type = '') { return new Blob([this.#bytes.slice(start, end)], { type }); }
  [Symbol.for('nodejs.util.inspect.custom')]() { return `${this.constructor.name} { size: ${this.size}, type: '${this.type}' }`; }
}
Object.defineProperty(Blob.prototype, Symbol.for('nodejs.util.inspect.custom'), { enumerable: false });
Object.defineProperty(Blob, 'bytes', { enumerable: false });
Object.defineProperty(Blob.prototype, Symbol.toStringTag, { value: 'Blob', configurable: true });
absent(Blob.prototype, 'blob', ['stream']);

class File extends Blob {
  #name;
  #modified;
  constructor(parts, name, options = {}) {
    super(parts, options);
    this.#name = String(name);
    this.#modified = options.lastModified ?? Date.now();
  }
  get name() { return this.#name; }
  get lastModified() { return this.#modified; }
}
Object.defineProperty(File.prototype, Symbol.toStringTag, { value: 'File', configurable: true });

module.exports = { Blob, File };
