// Checks of arguments, with the codes and the words of Node's errors. What a value
// must be is said by the caller.
'use strict';

const { coded } = require('./errors.js');

const inspect = (value, options) => require('node-inspect-extracted').inspect(value, options);

// What was there in place of what was wanted.
function received(value) {
  if (value == null) return String(value);
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'function ';
  if (typeof value === 'object') {
    return value.constructor?.name ? `an instance of ${value.constructor.name}` : inspect(value, { depth: -1 });
  }
  let shown = inspect(value, { colors: false });
  if (shown.length > 28) shown = `${shown.slice(0, 25)}...`;
  return `type ${typeof value} (${shown})`;
}

// `wanted` goes on after "must be": `of type string`, `an instance of Buffer`.
function wrongType(name, wanted, value) {
  const what = / argument$/.test(name) ? name : `"${name}" ${name.includes('.') ? 'property' : 'argument'}`;
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The ${what} must be ${wanted}. Received ${received(value)}`);
}

function wrongValue(name, value, reason = 'is invalid') {
  let shown = inspect(value);
  if (shown.length > 128) shown = `${shown.slice(0, 128)}...`;
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE',
    `The ${name.includes('.') ? 'property' : 'argument'} '${name}' ${reason}. Received ${shown}`);
}

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, '_');

function outOfRange(name, range, value) {
  let shown;
  if (typeof value === 'bigint') shown = `${value > 2n ** 32n || value < -(2n ** 32n) ? grouped(String(value)) : value}n`;
  else if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) shown = grouped(String(value));
  else shown = inspect(value);
  return coded(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`);
}

const typed = (type, wanted = `of type ${type}`) => (value, name) => {
  if (typeof value !== type) throw wrongType(name, wanted, value);
};
const checkNumber = typed('number');

// A whole number within bounds.
function checkInteger(value, name, least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER) {
  checkNumber(value, name);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
}

function checkObject(value, name) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw wrongType(name, 'of type object', value);
}

module.exports = {
  received,
  wrongType,
  wrongValue,
  outOfRange,
  checkString: typed('string'),
  checkNumber,
  checkInteger,
  checkFunction: typed('function'),
  checkBoolean: typed('boolean'),
  checkObject,
};
