// `assert`. Its messages name both values, without the coloured difference of Node's.
'use strict';

const { isDeepEqual, isDeepStrictEqual } = require('./equal.js');
const { absent } = require('./errors.js');
const { inspect } = require('node-inspect-extracted');

class AssertionError extends Error {
  constructor({ message, actual, expected, operator, stackStartFn } = {}) {
    super(message ?? `${inspect(actual)} ${operator} ${inspect(expected)}`);
    this.generatedMessage = message === undefined;
    this.code = 'ERR_ASSERTION';
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    Error.captureStackTrace?.(this, stackStartFn);
  }
}
Object.defineProperty(AssertionError.prototype, 'name', { value: 'AssertionError', configurable: true, writable: true });

function fail(given, actual, expected, operator, generated) {
  if (given instanceof Error) throw given;
  const error = new AssertionError({ message: given ?? generated, actual, expected, operator });
  error.generatedMessage = given === undefined;
  throw error;
}

const compared = (operator, holds, words) => (actual, expected, message) => {
  if (!holds(actual, expected)) fail(message, actual, expected, operator, words(inspect(actual), inspect(expected)));
};

function assert(value, message) {
  if (!value) {
    fail(message, value, true, '==', value === undefined && message === undefined
      ? 'The expression evaluated to a falsy value' : `The expression evaluated to a falsy value: ${inspect(value)}`);
  }
}
const ok = (value, message) => assert(value, message);

// Whether an error is as it should be.
function matches(error, expected, message) {
  if (expected === undefined) return;
  if (expected instanceof RegExp) {
    if (!expected.test(String(error))) {
      fail(message, error, expected, 'throws', `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(String(error))}\n`);
    }
  } else if (typeof expected === 'function') {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Object.prototype.isPrototypeOf.call(Error, expected)) throw error;
    if (expected.call({}, error) !== true) fail(message, error, expected, 'throws', 'The validation function is expected to return "true".');
  } else {
    for (const key of [...Object.keys(expected), ...(expected instanceof Error ? ['name', 'message'] : [])]) {
      const isText = typeof error?.[key] === 'string' && expected[key] instanceof RegExp;
      if (isText ? !expected[key].test(error[key]) : !isDeepStrictEqual(error?.[key], expected[key])) {
        fail(message, error, expected, 'throws',
          `Expected values to be strictly deep-equal: ${key} is ${inspect(error?.[key])} and not ${inspect(expected[key])}`);
      }
    }
  }
}

const missing = (message) => `Missing expected ${message ? `exception: ${message}` : 'exception.'}`;

function throws(task, expected, message) {
  if (typeof expected === 'string') [expected, message] = [undefined, expected];
  let error;
  try {
    task();
  } catch (thrown) {
    error = { thrown };
  }
  if (!error) fail(undefined, undefined, expected, 'throws', missing(message));
  matches(error.thrown, expected, message);
}

async function rejects(task, expected, message) {
  if (typeof expected === 'string') [expected, message] = [undefined, expected];
  let error;
  try {
    await (typeof task === 'function' ? task() : task);
  } catch (thrown) {
    error = { thrown };
  }
  if (!error) fail(undefined, undefined, expected, 'rejects', missing(message).replace('exception', 'rejection'));
  matches(error.thrown, expected, message);
}

Object.assign(assert, {
  AssertionError,
  ok,
  equal: compared('==', (a, b) => a == b || (a !== a && b !== b), (a, b) => `${a} == ${b}`),
  notEqual: compared('!=', (a, b) => !(a == b || (a !== a && b !== b)), (a, b) => `${a} != ${b}`),
  strictEqual: compared('strictEqual', Object.is, (a, b) => `Expected values to be strictly equal:\n\n${a} !== ${b}\n`),
  notStrictEqual: compared('notStrictEqual', (a, b) => !Object.is(a, b), (a) => `Expected "actual" to be strictly unequal to: ${a}`),
  deepEqual: compared('deepEqual', isDeepEqual, (a, b) => `Expected values to be loosely deep-equal:\n\n${a}\n\nshould loosely deep-equal\n\n${b}`),
  notDeepEqual: compared('notDeepEqual', (a, b) => !isDeepEqual(a, b), (a) => `Expected "actual" not to be loosely deep-equal to: ${a}`),
  deepStrictEqual: compared('deepStrictEqual', isDeepStrictEqual, (a, b) => `Expected values to be strictly deep-equal:\n${a}\n\nshould equal\n\n${b}`),
  notDeepStrictEqual: compared('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b), (a) => `Expected "actual" not to be strictly deep-equal to: ${a}`),
  match: compared('match', (text, pattern) => pattern.test(text), (a, b) => `The input did not match the regular expression ${b}. Input:\n\n${a}\n`),
  doesNotMatch: compared('doesNotMatch', (text, pattern) => !pattern.test(text), (a, b) => `The input was expected to not match the regular expression ${b}. Input:\n\n${a}\n`),
  fail(message = 'Failed') { fail(message, undefined, undefined, 'fail'); },
  ifError(error) {
    if (error !== null && error !== undefined) fail(undefined, error, null, 'ifError', `ifError got unwanted exception: ${error?.message ?? inspect(error)}`);
  },
  throws,
  rejects,
  doesNotThrow(task, expected, message) {
    try {
      task();
    } catch (error) {
      fail(typeof expected === 'string' ? expected : message, error, expected, 'doesNotThrow', `Got unwanted exception.\nActual message: "${error?.message}"`);
    }
  },
  async doesNotReject(task) { await (typeof task === 'function' ? task() : task); },
});
assert.strict = Object.assign((value, message) => assert(value, message), assert, {
  equal: assert.strictEqual, notEqual: assert.notStrictEqual,
  deepEqual: assert.deepStrictEqual, notDeepEqual: assert.notDeepStrictEqual,
});
assert.strict.strict = assert.strict;

module.exports = absent(assert, 'assert', ['CallTracker', 'partialDeepStrictEqual']);
