// How Buffers are made: from text and bytes, of a size, as a part of one, out of several;
// with Node's checks and errors. Of anything else, as of arrays, the npm package makes
// them. Its way with bytes leads through `Symbol.species` and a call of `Buffer`, which
// costs an interpreter five times as much as what is done.
'use strict';

const text = require('./text.js');
const { coded } = require('./errors.js');
const { checkInteger, checkNumber, outOfRange, wrongType } = require('./checks.js');

const MOST = 2 ** 32;
const KINDS = 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object';
const { setPrototypeOf } = Object;
const plainValueOf = Object.prototype.valueOf;

const isBytes = (value) => value instanceof Uint8Array;

// Node's name of an encoding.
function encoding(name) {
  const known = name === null ? undefined : text.encodingName(name);
  if (known === undefined) {
    throw coded(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${name}`);
  }
  return known;
}

// Text in any encoding, as bytes.
function encode(value, how) {
  switch (!how ? 'utf8' : encoding(how)) {
    case 'utf8': return text.encode(value);
    case 'latin1':
    case 'ascii': return text.fromLatin1(value);
    case 'base64':
    case 'base64url': return fromBase64(value);
    case 'hex': return fromHex(value);
    default: return text.encodeUtf16(value);
  }
}

// What is no base64 in it is skipped, and `=` ends it.
function fromBase64(value) {
  const plain = value.replaceAll('-', '+').replaceAll('_', '/');
  try {
    return Uint8Array.fromBase64(plain);
  } catch {
    const known = plain.split('=', 1)[0].replace(/[^A-Za-z0-9+/]/g, '');
    // One character alone is not a whole byte.
    return Uint8Array.fromBase64(known.length % 4 === 1 ? known.slice(0, -1) : known);
  }
}

// Up to the first pair that is none.
function fromHex(value) {
  const even = value.length - value.length % 2;
  try {
    return Uint8Array.fromHex(even === value.length ? value : value.slice(0, even));
  } catch (error) {
    const whole = value.search(/[^\da-f]/i);
    if (whole < 0) throw error;
    return Uint8Array.fromHex(value.slice(0, whole - whole % 2));
  }
}

// Where a part begins or ends: counted from the end if it is negative.
function place(value, length) {
  value = Math.trunc(value);
  if (value < 0) return Math.max(value + length, 0);
  // Neither is what is no number.
  return value > 0 ? Math.min(value, length) : 0;
}

// Put them in place.
module.exports = function install(Buffer) {
  const proto = Buffer.prototype;
  const asBuffer = (bytes) => setPrototypeOf(bytes, proto);
  const packagesFrom = Buffer.from;

  Buffer.from = function (value, how, length) {
    if (typeof value === 'string') return asBuffer(encode(value, typeof how === 'string' ? how : undefined));
    if (isBytes(value) && value.valueOf === plainValueOf) return asBuffer(new Uint8Array(value));
    if (typeof value === 'object' && value !== null) {
      if (value instanceof ArrayBuffer || Object.prototype.toString.call(value) === '[object SharedArrayBuffer]') {
        const offset = how === undefined ? 0 : +how || 0;
        const rest = value.byteLength - offset;
        if (rest < 0) throw coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"offset" is outside of buffer bounds');
        if (length !== undefined && +length > rest) throw coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"length" is outside of buffer bounds');
        return packagesFrom(value, Math.trunc(offset), Math.trunc(length === undefined ? rest : Math.max(+length || 0, 0)));
      }
      const plain = value.valueOf?.();
      if (plain != null && plain !== value && (typeof plain === 'string' || typeof plain === 'object')) return Buffer.from(plain, how, length);
      if (isBytes(value) || Array.isArray(value) || typeof value.length === 'number' || ArrayBuffer.isView(value)) return packagesFrom(value);
      if (value.length !== undefined || value.buffer instanceof ArrayBuffer) return Buffer.alloc(0);
      if (value.type === 'Buffer' && Array.isArray(value.data)) return packagesFrom(value.data);
      const primitive = value[Symbol.toPrimitive]?.('string');
      if (typeof primitive === 'string') return Buffer.from(primitive, how);
    }
    throw wrongType('first argument', KINDS, value);
  };

  Buffer.copyBytesFrom = function (view, offset, length) {
    if (!ArrayBuffer.isView(view) || view instanceof DataView) throw wrongType('view', 'an instance of TypedArray', view);
    if (view.length === 0) return Buffer.alloc(0);
    if (offset !== undefined) checkInteger(offset, 'offset', 0);
    if (length !== undefined) checkInteger(length, 'length', 0);
    const part = view.subarray(offset ?? 0, length === undefined ? undefined : (offset ?? 0) + length);
    return asBuffer(new Uint8Array(part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength)));
  };

  function make(size) {
    checkNumber(size, 'size');
    if (!(size >= 0 && size <= MOST)) throw outOfRange('size', `>= 0 && <= ${MOST}`, size);
    return asBuffer(new Uint8Array(size));
  }
  Buffer.alloc = function (size, fill, how) {
    const bytes = make(size);
    if (fill === undefined || fill === 0) return bytes;
    return size > 0 ? bytes.fill(fill, 0, bytes.length, how) : bytes;
  };
  Buffer.allocUnsafe = function (size) { return make(size); };
  Buffer.allocUnsafeSlow = function (size) { return make(size); };

  Buffer.concat = function (list, length) {
    if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
    if (list.length === 0) return make(0);
    if (length !== undefined) checkInteger(length, 'length', 0, MOST);
    let all = 0;
    for (let at = 0; at < list.length; at++) {
      const bytes = list[at];
      if (!(bytes instanceof Uint8Array)) throw wrongType(`list[${at}]`, 'an instance of Buffer or Uint8Array', bytes);
      all += bytes.length;
    }
    length ??= all;
    const whole = asBuffer(new Uint8Array(length));
    for (let at = 0, done = 0; at < list.length && done < length; at++) {
      const bytes = list[at];
      const rest = length - done;
      whole.set(bytes.length <= rest ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, rest), done);
      done += bytes.length;
    }
    return whole;
  };

  // A view of the same memory, and whatever class it is of, a Buffer.
  proto.subarray = function (start, end) {
    const { length } = this;
    const first = start === undefined ? 0 : place(start, length);
    const last = end === undefined ? length : place(end, length);
    return asBuffer(new Uint8Array(this.buffer, this.byteOffset + first, last > first ? last - first : 0));
  };
  proto.slice = function (start, end) { return this.subarray(start, end); };

  for (const name of ['from', 'copyBytesFrom', 'alloc', 'allocUnsafe', 'allocUnsafeSlow', 'concat']) Object.defineProperty(Buffer[name], 'name', { value: name });
  for (const name of ['subarray', 'slice']) Object.defineProperty(proto[name], 'name', { value: name });
};
Object.assign(module.exports, { encode, encoding });
