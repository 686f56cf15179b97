// `util`: inspection and formatting are Node's own code, in the npm package
// node-inspect-extracted; the rest is small.
'use strict';

const { format, formatWithOptions, inspect } = require('node-inspect-extracted');
const { absent, coded } = require('./errors.js');
const { isDeepStrictEqual } = require('./equal.js');
const { TextDecoder, TextEncoder } = require('./text.js');

const promisified = Symbol.for('nodejs.util.promisify.custom');

function promisify(original) {
  if (typeof original !== 'function') {
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "original" argument must be of type function. Received ${inspect(original)}`);
  }
  if (original[promisified]) return original[promisified];
  return function (...args) {
    return new Promise((resolve, reject) => {
      original.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value)));
    });
  };
}
promisify.custom = promisified;

function callbackify(original) {
  return function (...args) {
    const callback = args.pop();
    original.apply(this, args).then(
      (value) => process.nextTick(callback, null, value),
      (reason) => process.nextTick(callback, reason ?? new Error('Promise was rejected with a falsy value')),
    );
  };
}

function inherits(constructor, parent) {
  Object.defineProperty(constructor, 'super_', { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

function deprecate(original, message, code) {
  let told = false;
  return function (...args) {
    if (!told) {
      told = true;
      process.emitWarning(message, 'DeprecationWarning', code);
    }
    return new.target ? Reflect.construct(original, args, new.target) : original.apply(this, args);
  };
}

const tag = (name) => (value) => Object.prototype.toString.call(value) === `[object ${name}]`;
const types = absent({
  isDate: tag('Date'),
  isRegExp: tag('RegExp'),
  isMap: (value) => value instanceof Map,
  isSet: (value) => value instanceof Set,
  isWeakMap: (value) => value instanceof WeakMap,
  isWeakSet: (value) => value instanceof WeakSet,
  isPromise: (value) => value instanceof Promise,
  isNativeError: (value) => value instanceof Error,
  isArrayBuffer: (value) => value instanceof ArrayBuffer,
  isAnyArrayBuffer: (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer,
  isArrayBufferView: (value) => ArrayBuffer.isView(value),
  isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
  isUint8Array: (value) => value instanceof Uint8Array,
  isDataView: (value) => value instanceof DataView,
  isGeneratorFunction: tag('GeneratorFunction'),
}, 'util.types', ['isProxy', 'isExternal', 'isModuleNamespaceObject', 'isBoxedPrimitive', 'isAsyncFunction']);

module.exports = absent({
  format,
  formatWithOptions,
  inspect,
  isDeepStrictEqual,
  promisify,
  callbackify,
  inherits,
  deprecate,
  types,
  debuglog: () => Object.assign(() => {}, { enabled: false }),
  debug: () => Object.assign(() => {}, { enabled: false }),
  isArray: Array.isArray,
  stripVTControlCharacters: (text) => String(text).replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, ''),
  toUSVString: (text) => String(text).toWellFormed(),
  TextDecoder,
  TextEncoder,
}, 'util', [
  'parseArgs', 'styleText', 'getSystemErrorName', 'getSystemErrorMap',
  'aborted', 'MIMEType', 'MIMEParams', 'transferableAbortController', 'transferableAbortSignal',
]);
