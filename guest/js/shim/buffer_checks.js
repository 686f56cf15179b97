// The checks of `Buffer`'s functions, as Node makes them: the package buffer.js stands
// upon has its own errors, or none. It still does the work.
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
// As Node makes whole numbers of what isn't one.
const whole = (value, missing, name, most) => {
  if (value === undefined) return missing;
  value = Math.trunc(Number(value));
  if (value !== value) return missing;
  if (value < 0 || value > most) throw outOfRange(name, `>= 0 && <= ${most}`, value);
  return value;
};

function methods(proto) {
  const { copy, compare, includes, indexOf, lastIndexOf } = proto;
  const write = proto.write;
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
  const searched = (search) => function (value, from, how) {
    if (typeof value !== 'string' && typeof value !== 'number' && !isBytes(value)) {
      throw wrongType('value', 'one of type number or string or an instance of Buffer or Uint8Array', value);
    }
    return search.call(this, value, from, how);
  };
  Object.assign(proto, { includes: searched(includes), indexOf: searched(indexOf), lastIndexOf: searched(lastIndexOf) });
  proto.write = function (string, offset, length, how) {
    if (typeof string !== 'string') throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'argument must be a string');
    if (typeof offset === 'string') [how, offset, length] = [offset, undefined, undefined];
    else if (typeof length === 'string') [how, length] = [length, undefined];
    if (offset !== undefined) checkInteger(offset, 'offset', 0, this.length);
    const room = this.length - (offset ?? 0);
    if (length !== undefined) {
      checkInteger(length, 'length', 0, this.length);
      length = Math.min(length, room);
    }
    return write.call(this, string, offset, length, how);
  };
}

function functions(Buffer) {
  const { concat, compare, from } = Buffer;
  const alloc = { alloc: Buffer.alloc, allocUnsafe: Buffer.allocUnsafe, allocUnsafeSlow: Buffer.allocUnsafeSlow };
  for (const [name, make] of Object.entries(alloc)) {
    Buffer[name] = function (size, fill, how) {
      checkNumber(size, 'size');
      if (!(size >= 0 && size <= MOST)) throw outOfRange('size', `>= 0 && <= ${MOST}`, size);
      if (name !== 'alloc' || fill === undefined || fill === 0) return make(size);
      if (how !== undefined && typeof how !== 'string') throw wrongType('encoding', 'of type string', how);
      return make(size).fill(fill, how);
    };
    Object.defineProperty(Buffer[name], 'name', { value: name });
  }
  Buffer.concat = function (list, length) {
    if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
    list.forEach((bytes, at) => checkBytes(bytes, `list[${at}]`));
    if (list.length === 0) return Buffer.alloc(0);
    if (length === undefined) return concat(list);
    checkInteger(length, 'length', 0, MOST);
    return concat(list, length);
  };
  Buffer.compare = function (first, second) {
    checkBytes(first, 'buf1');
    checkBytes(second, 'buf2');
    return compare(first, second);
  };
  const KINDS = 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object';
  Buffer.from = function (value, how, length) {
    if (typeof value === 'string') return from(value, how);
    if (typeof value === 'object' && value !== null) {
      if (value instanceof ArrayBuffer || Object.prototype.toString.call(value) === '[object SharedArrayBuffer]') {
        const offset = how === undefined ? 0 : +how || 0;
        const rest = value.byteLength - offset;
        if (rest < 0) throw coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"offset" is outside of buffer bounds');
        if (length !== undefined && +length > rest) throw coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"length" is outside of buffer bounds');
        return from(value, offset, length === undefined ? rest : Math.max(+length || 0, 0));
      }
      const plain = value.valueOf?.();
      if (plain != null && plain !== value && (typeof plain === 'string' || typeof plain === 'object')) return Buffer.from(plain, how, length);
      if (isBytes(value) || Array.isArray(value) || typeof value.length === 'number' || ArrayBuffer.isView(value)) return from(value);
      if (value.length !== undefined || value.buffer instanceof ArrayBuffer) return Buffer.alloc(0);
      if (value.type === 'Buffer' && Array.isArray(value.data)) return from(value.data);
      const primitive = value[Symbol.toPrimitive]?.('string');
      if (typeof primitive === 'string') return from(primitive, how);
    }
    throw wrongType('first argument', KINDS, value);
  };
  Buffer.copyBytesFrom = function (view, offset, length) {
    if (!ArrayBuffer.isView(view) || view instanceof DataView) throw wrongType('view', 'an instance of TypedArray', view);
    if (view.length === 0) return Buffer.alloc(0);
    if (offset !== undefined) checkInteger(offset, 'offset', 0);
    if (length !== undefined) checkInteger(length, 'length', 0);
    const part = view.slice(offset ?? 0, length === undefined ? undefined : (offset ?? 0) + length);
    return from(part.buffer, part.byteOffset, part.byteLength);
  };
  const { byteLength } = Buffer;
  Buffer.byteLength = function (value, how) {
    if (typeof value !== 'string' && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
      throw wrongType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
    }
    return typeof value === 'string' ? byteLength(value, Buffer.isEncoding(how) ? how : 'utf8') : byteLength(value);
  };
  for (const name of ['concat', 'compare', 'from', 'byteLength']) Object.defineProperty(Buffer[name], 'name', { value: name });
}

// Put them in place.
module.exports = function install(Buffer) {
  numbers(Buffer.prototype);
  methods(Buffer.prototype);
  functions(Buffer);
};
