// `buffer`: the npm package of that name, with what is newer in Node 20, with
// its text as Node decodes it, and shown by `console.log` as Node shows it.
'use strict';

const base = require('buffer-from-npm');
const text = require('./text.js');
const { absent, coded } = require('./errors.js');

const { Buffer } = base;
const proto = Buffer.prototype;

const asBuffer = (bytes) => Object.setPrototypeOf(bytes, proto);

function encoding(name) {
  const known = text.encodingName(name);
  if (known === undefined) {
    throw coded(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${name}`);
  }
  return known;
}

const from = Buffer.from;
Buffer.from = function (value, how, length) {
  if (typeof value !== 'string') return from(value, how, length);
  switch (encoding(how)) {
    case 'utf8': return asBuffer(text.encode(value));
    case 'latin1':
    case 'ascii': return asBuffer(text.fromLatin1(value));
    case 'base64':
    case 'base64url': return from(value.replaceAll('-', '+').replaceAll('_', '/'), 'base64');
    default: return from(value, encoding(how));
  }
};
Object.defineProperty(Buffer, 'name', { value: 'Buffer' });

const byteLength = Buffer.byteLength;
Buffer.byteLength = function (value, how) {
  return typeof value === 'string' ? Buffer.from(value, how).length : byteLength(value, how);
};

Buffer.isEncoding = (name) => typeof name === 'string' && text.encodingName(name) !== undefined;

const bound = (value, missing, length) =>
  value === undefined ? missing : Math.min(Math.max(Math.trunc(Number(value)) || 0, 0), length);

proto.toString = function (how, start, end) {
  const first = bound(start, 0, this.length);
  const last = bound(end, this.length, this.length);
  if (last <= first) return '';
  const bytes = first === 0 && last === this.length
    ? this
    : new Uint8Array(this.buffer, this.byteOffset + first, last - first);
  switch (encoding(how)) {
    case 'utf8': return text.decode(bytes);
    case 'latin1': return text.latin1(bytes);
    case 'ascii': return text.latin1(Uint8Array.prototype.map.call(bytes, (byte) => byte & 0x7f));
    case 'hex': return Uint8Array.prototype.toHex.call(bytes);
    case 'base64': return Uint8Array.prototype.toBase64.call(bytes);
    case 'base64url':
      return Uint8Array.prototype.toBase64.call(bytes, { alphabet: 'base64url', omitPadding: true });
    default: {
      let units = '';
      for (let at = 0; at + 1 < bytes.length; at += 2) {
        units += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
      }
      return units;
    }
  }
};
proto.toLocaleString = proto.toString;
for (const [name, how] of [
  ['utf8Slice', 'utf8'], ['latin1Slice', 'latin1'], ['asciiSlice', 'ascii'],
  ['hexSlice', 'hex'], ['base64Slice', 'base64'], ['ucs2Slice', 'utf16le'],
]) {
  proto[name] = function (start, end) { return this.toString(how, start, end); };
}

const write = proto.write;
proto.write = function (string, offset, length, how) {
  if (typeof offset === 'string') [how, offset] = [offset, undefined];
  else if (typeof length === 'string') [how, length] = [length, undefined];
  if (encoding(how) !== 'utf8') return write.call(this, string, offset ?? 0, length ?? this.length - (offset ?? 0), how);
  const room = Math.min(this.length - (offset ?? 0), length ?? Infinity);
  let bytes = text.encode(string);
  if (bytes.length > room) {
    // No part of a character is written.
    bytes = bytes.subarray(0, room);
    bytes = bytes.subarray(0, room - text.unfinished(bytes));
  }
  this.set(bytes, offset ?? 0);
  return bytes.length;
};

const custom = Symbol.for('nodejs.util.inspect.custom');
proto[custom] = function () {
  const most = module.exports.INSPECT_MAX_BYTES;
  const rest = this.length - most;
  let shown = this.toString('hex', 0, Math.min(most, this.length)).replace(/(.{2})/g, '$1 ').trim();
  if (rest > 0) shown += ` ... ${rest} more byte${rest > 1 ? 's' : ''}`;
  return `<Buffer${shown === '' ? ' ' : ` ${shown}`}>`;
};
proto.inspect = proto[custom];
for (const name of Object.keys(proto)) {
  if (Object.getOwnPropertyDescriptor(proto, name).configurable) {
    Object.defineProperty(proto, name, { enumerable: false });
  }
}

module.exports = absent({
  Buffer,
  SlowBuffer: base.SlowBuffer,
  INSPECT_MAX_BYTES: 50,
  kMaxLength: base.kMaxLength,
  kStringMaxLength: 2 ** 29 - 24,
  constants: { MAX_LENGTH: base.kMaxLength, MAX_STRING_LENGTH: 2 ** 29 - 24 },
  atob: globalThis.atob,
  btoa: globalThis.btoa,
  isAscii: (input) => !Buffer.from(input).some((byte) => byte > 0x7f),
  isUtf8(input) {
    try {
      new text.TextDecoder('utf-8', { fatal: true }).decode(input);
      return true;
    } catch {
      return false;
    }
  },
}, 'buffer', ['Blob', 'File', 'transcode', 'resolveObjectURL']);
