// `buffer`: the npm package of that name, with what is newer in Node 20, with
// its text as Node decodes it, and shown by `console.log` as Node shows it.
'use strict';

const base = require('buffer-from-npm');
const text = require('./text.js');
const { absent, coded } = require('./errors.js');
const installChecks = require('./buffer_checks.js');
const installMaking = require('./buffer_making.js');
const installSearch = require('./buffer_search.js');
const { encode, encoding } = installMaking;
const { checkInteger, wrongType, wrongValue } = require('./checks.js');

const { Buffer } = base;
const proto = Buffer.prototype;

installMaking(Buffer);
installSearch(Buffer);

Object.defineProperty(Buffer, 'name', { value: 'Buffer' });

const byteLength = Buffer.byteLength;
Buffer.byteLength = function (value, how) {
  if (typeof value !== 'string') return byteLength(value, how);
  // As many as there are at most, whatever is in it.
  switch (text.encodingName(how)) {
    case 'hex': return value.length >>> 1;
    case 'base64':
    case 'base64url': return (value.length - (value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0)) * 3 >>> 2;
    case 'latin1':
    case 'ascii': return value.length;
    case 'utf16le': return value.length * 2;
    default: return encode(value, how).length;
  }
};

Buffer.isEncoding = (name) => typeof name === 'string' && text.encodingName(name) !== undefined;

const bound = (value, missing, length) =>
  value === undefined ? missing : Math.min(Math.max(Math.trunc(Number(value)) || 0, 0), length);

proto.toString = function (how, start, end) {
  if (how === undefined && start === undefined && end === undefined) return text.decode(this);
  const first = bound(start, 0, this.length);
  const last = bound(end, this.length, this.length);
  if (last <= first) return '';
  const bytes = first === 0 && last === this.length
    ? this
    : new Uint8Array(this.buffer, this.byteOffset + first, last - first);
  switch (encoding(how)) {
    case 'utf8': return text.decode(bytes);
    case 'latin1': return text.latin1(bytes);
    case 'ascii': {
      const all = text.latin1(bytes);
      return /[\x80-\xff]/.test(all) ? text.latin1(Uint8Array.prototype.map.call(bytes, (byte) => byte & 0x7f)) : all;
    }
    case 'hex': return Uint8Array.prototype.toHex.call(bytes);
    case 'base64': return Uint8Array.prototype.toBase64.call(bytes);
    case 'base64url':
      return Uint8Array.prototype.toBase64.call(bytes, { alphabet: 'base64url', omitPadding: true });
    default: {
      // Aligned, for a view of two bytes each.
      const even = Uint8Array.prototype.slice.call(bytes, 0, bytes.length - bytes.length % 2);
      return text.units(new Uint16Array(even.buffer, even.byteOffset, even.length / 2));
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

proto.equals = function (other) {
  if (!(other instanceof Uint8Array)) throw wrongType('otherBuffer', 'an instance of Buffer or Uint8Array', other);
  return this === other || (this.length === other.length && Buffer.compare(this, other) === 0);
};

const { fill, copyWithin } = Uint8Array.prototype;
proto.fill = function (value, start, end, how) {
  if (typeof value === 'string') {
    if (typeof start === 'string') [how, start] = [start, undefined];
    else if (typeof end === 'string') [how, end] = [end, undefined];
    if (how != null && how !== '') {
      if (typeof how !== 'string') throw wrongType('encoding', 'of type string', how);
      encoding(how);
    }
  }
  let [first, last] = [0, this.length];
  // An end without a start means nothing.
  if (start !== undefined) {
    checkInteger(start, 'offset', 0, 2 ** 32);
    first = start;
    if (end !== undefined) {
      checkInteger(end, 'end', 0, this.length);
      last = end;
    }
  }
  if (first >= last) return this;
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return fill.call(this, value & 255, first, last);
  const pattern = typeof value === 'string' ? Buffer.from(value, how) : value;
  if (pattern.length === 0) {
    if (value.length > 0 || typeof value !== 'string') {
      throw wrongValue('value', value);
    }
    return fill.call(this, 0, first, last);
  }
  // Once, and then what is there once more, as often as it takes.
  this.set(pattern.subarray(0, last - first), first);
  for (let done = pattern.length; done < last - first; done *= 2) {
    copyWithin.call(this, first + done, first, first + Math.min(done, last - first - done));
  }
  return this;
};

proto.write = function (string, offset, length, how) {
  if (typeof string !== 'string') throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'argument must be a string');
  // Without an offset the rest means nothing.
  if (offset === undefined) [offset, length, how] = [0, undefined, undefined];
  else if (length === undefined && typeof offset === 'string') [how, offset] = [offset, 0];
  else checkInteger(offset, 'offset', 0, this.length);
  if (typeof length === 'string') [how, length] = [length, undefined];
  let room = this.length - offset;
  if (length !== undefined) {
    checkInteger(length, 'length', 0, this.length);
    room = Math.min(length, room);
  }
  const name = how ? encoding(how) : 'utf8';
  // Each of its units takes a byte at least.
  let bytes = encode(name === 'utf8' ? string.slice(0, room) : string, name);
  if (bytes.length > room) {
    // No part of a character is written.
    bytes = bytes.subarray(0, room);
    if (name === 'utf8') bytes = bytes.subarray(0, room - text.unfinished(bytes));
    if (name === 'utf16le') bytes = bytes.subarray(0, room - room % 2);
  }
  this.set(bytes, offset);
  return bytes.length;
};

installChecks(Buffer);

// Its own properties come after a key for each byte: longer ones are shown without.
const MOST_KEYS = 1 << 16;
const custom = Symbol.for('nodejs.util.inspect.custom');
proto[custom] = function (depth, options, inspect) {
  const most = module.exports.INSPECT_MAX_BYTES;
  const rest = this.length - most;
  let shown = this.toString('hex', 0, Math.min(most, this.length)).replace(/(.{2})/g, '$1 ').trim();
  if (rest > 0) shown += ` ... ${rest} more byte${rest > 1 ? 's' : ''}`;
  const own = this.length > MOST_KEYS ? [] : Object.keys(this).slice(this.length);
  if (own.length > 0 && inspect !== undefined) {
    // Its own properties, as those of an object.
    const others = inspect(Object.assign(Object.create(null), Object.fromEntries(own.map((key) => [key, this[key]]))),
      { ...options, breakLength: Infinity, compact: true });
    shown += `${shown === '' ? '' : ', '}${others.slice(others.indexOf('{') + 2, -2)}`;
  }
  return `<${this.constructor?.name ?? 'Buffer'}${shown === '' ? ' ' : ` ${shown}`}>`;
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
}, 'buffer', ['transcode', 'resolveObjectURL']);
// Only a script that asks for it has it in its component.
for (const name of ['Blob', 'File']) {
  Object.defineProperty(module.exports, name, { enumerable: true, get: () => globalThis[name] });
}
