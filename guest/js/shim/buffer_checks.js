// The checks of `Buffer`'s functions, as Node makes them: the package buffer.js stands
// upon has its own errors, or none. It still does the work. The functions that make
// Buffers are in buffer_making.js.
'use strict';

const { coded } = require('./errors.js');
const { checkInteger, checkNumber, outOfRange, wrongType } = require('./checks.js');

const MOST = 2 ** 32;

function beyond(value, length, name) {
  if (Math.floor(value) !== value) {
    checkNumber(value, name ?? 'offset');
    throw outOfRange(name ?? 'offset', 'an integer', value);
  }
  if (length < 0) throw coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', 'Attempt to access memory outside buffer bounds');
  throw outOfRange(name ?? 'offset', `>= ${name ? 1 : 0} and <= ${length}`, value);
}

// Room for `size` bytes at the offset.
function checkRoom(buffer, offset, size) {
  checkNumber(offset, 'offset');
  if (buffer[offset] === undefined || buffer[offset + size - 1] === undefined) beyond(offset, buffer.length - size);
}

function checkValue(value, bits, signed) {
  const big = typeof value === 'bigint';
  const [one, two] = big ? [1n, 2n] : [1, 2];
  const n = big ? 'n' : '';
  const wide = big ? BigInt(bits) : bits;
  const least = signed ? -(two ** (wide - one)) : one - one;
  const most = two ** (signed ? wide - one : wide) - one;
  if (value <= most && value >= least) return;
  if (value !== value) return;
  let range = `>= ${least}${n} and <= ${most}${n}`;
  if (bits > 32) {
    range = signed ? `>= -(2${n} ** ${bits - 1}${n}) and < 2${n} ** ${bits - 1}${n}` : `>= 0${n} and < 2${n} ** ${bits}${n}`;
  }
  throw outOfRange('value', range, value);
}

const FIXED = [
  ['UInt8', 1, 8], ['UInt16LE', 2, 16], ['UInt16BE', 2, 16], ['UInt32LE', 4, 32], ['UInt32BE', 4, 32],
  ['Int8', 1, 8], ['Int16LE', 2, 16], ['Int16BE', 2, 16], ['Int32LE', 4, 32], ['Int32BE', 4, 32],
  ['FloatLE', 4], ['FloatBE', 4], ['DoubleLE', 8], ['DoubleBE', 8],
  ['BigUInt64LE', 8, 64], ['BigUInt64BE', 8, 64], ['BigInt64LE', 8, 64], ['BigInt64BE', 8, 64],
];

function numbers(proto) {
  for (const [name, size, bits] of FIXED) {
    const read = proto[`read${name}`];
    const write = proto[`write${name}`];
    const signed = !name.includes('U');
    const big = name.startsWith('Big');
    proto[`read${name}`] = function (offset = 0) {
      checkRoom(this, offset, size);
      return read.call(this, offset, true);
    };
    proto[`write${name}`] = function (value, offset = 0) {
      if (big) {
        if (typeof value !== 'bigint') throw new TypeError('Cannot mix BigInt and other types, use explicit conversions');
      } else {
        value = +value;
      }
      if (size === 1) checkNumber(offset, 'offset');
      if (bits !== undefined) checkValue(value, bits, signed);
      checkRoom(this, offset, size);
      return write.call(this, value, offset, true);
    };
  }
  for (const name of ['UIntLE', 'UIntBE', 'IntLE', 'IntBE']) {
    const read = proto[`read${name}`];
    const write = proto[`write${name}`];
    const size = (bytes) => {
      if (bytes === undefined) throw wrongType('byteLength', 'of type number', bytes);
      if (!(bytes >= 1 && bytes <= 6) || !Number.isInteger(bytes)) beyond(bytes, 6, 'byteLength');
    };
    proto[`read${name}`] = function (offset, bytes) {
      if (offset === undefined) throw wrongType('offset', 'of type number', offset);
      size(bytes);
      checkRoom(this, offset, bytes);
      return read.call(this, offset, bytes, true);
    };
    proto[`write${name}`] = function (value, offset, bytes) {
      size(bytes);
      value = +value;
      checkValue(value, bytes * 8, !name.startsWith('U'));
      checkRoom(this, offset, bytes);
      return write.call(this, value, offset, bytes, true);
    };
  }
  for (const name of Object.getOwnPropertyNames(proto)) {
    if (/^(read|write)(Big)?UInt/.test(name)) proto[name.replace('UInt', 'Uint')] = proto[name];
  }
}

const isBytes = (value) => value instanceof Uint8Array;
const checkBytes = (value, name) => {
  if (!isBytes(value)) throw wrongType(name, 'an instance of Buffer or Uint8Array', value);
};

function methods(proto) {
  const { copy, compare } = proto;
  for (const bits of [16, 32, 64]) {
    const swap = proto[`swap${bits}`];
    proto[`swap${bits}`] = function () {
      if (this.length % (bits / 8) !== 0) {
        throw coded(RangeError, 'ERR_INVALID_BUFFER_SIZE', `Buffer size must be a multiple of ${bits}-bits`);
      }
      return swap.call(this);
    };
  }
  proto.copy = function (target, targetStart, start, end) {
    checkBytes(target, 'target');
    const to = targetStart === undefined ? 0 : Math.trunc(Number(targetStart)) || 0;
    if (to < 0) throw outOfRange('targetStart', '>= 0', to);
    const first = start === undefined ? 0 : Math.trunc(Number(start)) || 0;
    if (first < 0 || first > this.length) throw outOfRange('sourceStart', `>= 0 && <= ${this.length}`, first);
    const last = end === undefined ? this.length : Math.trunc(Number(end)) || 0;
    if (last < 0) throw outOfRange('sourceEnd', '>= 0', last);
    if (to >= target.length || first >= last) return 0;
    return copy.call(this, target, to, first, Math.min(last, this.length));
  };
  proto.compare = function (target, ...bounds) {
    checkBytes(target, 'target');
    if (bounds.length === 0) return compare.call(this, target);
    const names = ['targetStart', 'targetEnd', 'sourceStart', 'sourceEnd'];
    const most = [MOST - 1, target.length, MOST - 1, this.length];
    const missing = [0, target.length, 0, this.length];
    const [from, to, first, last] = names.map((name, at) => {
      if (bounds[at] === undefined) return missing[at];
      checkInteger(bounds[at], name, 0, most[at]);
      return bounds[at];
    });
    if (first >= last) return from >= to ? 0 : -1;
    if (from >= to) return 1;
    return compare.call(this, target, from, to, first, last);
  };
}

function functions(Buffer) {
  const { byteLength, compare } = Buffer;
  Buffer.compare = function (first, second) {
    checkBytes(first, 'buf1');
    checkBytes(second, 'buf2');
    return compare(first, second);
  };
  Buffer.byteLength = function (value, how) {
    if (typeof value !== 'string' && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
      throw wrongType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
    }
    return typeof value === 'string' ? byteLength(value, Buffer.isEncoding(how) ? how : 'utf8') : byteLength(value);
  };
  for (const name of ['compare', 'byteLength']) Object.defineProperty(Buffer[name], 'name', { value: name });
}

// Put them in place.
module.exports = function install(Buffer) {
  numbers(Buffer.prototype);
  methods(Buffer.prototype);
  functions(Buffer);
};
