// `util`: inspection and formatting are Node's own code, in the npm package
// node-inspect-extracted; the rest is small.
'use strict';

const { format, formatWithOptions, inspect } = require('node-inspect-extracted');
const { absent, coded } = require('./errors.js');
const { checkFunction, checkString, wrongType } = require('./checks.js');
const { isDeepStrictEqual } = require('./equal.js');
const { TextDecoder, TextEncoder } = require('./text.js');

const promisified = Symbol.for('nodejs.util.promisify.custom');

function promisify(original) {
  checkFunction(original, 'original');
  const own = original[promisified];
  if (own) {
    checkFunction(own, 'util.promisify.custom');
    return Object.defineProperty(own, promisified, { value: own, enumerable: false, writable: false, configurable: true });
  }
  function promised(...args) {
    return new Promise((resolve, reject) => {
      original.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value)));
    });
  }
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original));
  Object.defineProperty(promised, promisified, { value: promised, enumerable: false, writable: false, configurable: true });
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
}
promisify.custom = promisified;

function callbackify(original) {
  checkFunction(original, 'original');
  function called(...args) {
    const callback = args.pop();
    checkFunction(callback, 'last argument');
    original.apply(this, args).then(
      (value) => process.nextTick(callback, null, value),
      (reason) => process.nextTick(callback, reason || Object.assign(
        coded(Error, 'ERR_FALSY_VALUE_REJECTION', 'Promise was rejected with falsy value'), { reason })),
    );
  }
  const described = Object.getOwnPropertyDescriptors(original);
  described.length.value++;
  described.name.value += 'Callbackified';
  return Object.defineProperties(called, described);
}

function inherits(constructor, parent) {
  checkFunction(constructor, 'ctor');
  checkFunction(parent, 'superCtor');
  if (parent.prototype === undefined) throw wrongType('superCtor.prototype', 'of type object', undefined);
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
const boxed = (Kind) => (value) => typeof value === 'object' && value !== null && value instanceof Kind && typeof value.valueOf() !== 'object';
const typedArray = (name) => (value) => ArrayBuffer.isView(value) && value[Symbol.toStringTag] === name;
const types = absent({
  isDate: (value) => value instanceof Date,
  isRegExp: (value) => value instanceof RegExp,
  isArgumentsObject: tag('Arguments'),
  isMap: (value) => value instanceof Map,
  isSet: (value) => value instanceof Set,
  isMapIterator: tag('Map Iterator'),
  isSetIterator: tag('Set Iterator'),
  isWeakMap: (value) => value instanceof WeakMap,
  isWeakSet: (value) => value instanceof WeakSet,
  isPromise: (value) => value instanceof Promise,
  isNativeError: (value) => value instanceof Error,
  isArrayBuffer: (value) => value instanceof ArrayBuffer,
  isSharedArrayBuffer: tag('SharedArrayBuffer'),
  isAnyArrayBuffer: (value) => value instanceof ArrayBuffer || types.isSharedArrayBuffer(value),
  isArrayBufferView: (value) => ArrayBuffer.isView(value),
  isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
  isDataView: (value) => value instanceof DataView,
  isGeneratorFunction: tag('GeneratorFunction'),
  isGeneratorObject: tag('Generator'),
  // The build makes generators of them.
  isAsyncFunction: tag('AsyncFunction'),
  isNumberObject: boxed(Number),
  isStringObject: boxed(String),
  isBooleanObject: boxed(Boolean),
  isBigIntObject: boxed(BigInt),
  isSymbolObject: boxed(Symbol),
  isBoxedPrimitive: (value) => [Number, String, Boolean, BigInt, Symbol].some((Kind) => boxed(Kind)(value)),
  isModuleNamespaceObject: tag('Module'),
  isExternal: () => false,
  isKeyObject: () => false,
  isCryptoKey: () => false,
}, 'util.types', ['isProxy']);
for (const name of ['Uint8Array', 'Uint8ClampedArray', 'Uint16Array', 'Uint32Array', 'Int8Array', 'Int16Array',
  'Int32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array']) {
  types[`is${name}`] = typedArray(name);
}

// What `NODE_DEBUG` names is printed, as Node does it.
function debuglog(set) {
  checkString(set, 'set');
  const name = set.toUpperCase();
  let enabled;
  const on = () => enabled ??= (process.env.NODE_DEBUG ?? '').toUpperCase().split(/[\s,]+/)
    .some((pattern) => pattern !== '' && new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`).test(name));
  const log = (...args) => {
    if (on()) process.stderr.write(formatWithOptions({}, `${name} ${process.pid}: ${format(...args)}\n`));
  };
  return Object.defineProperty(log, 'enabled', { get: on, enumerable: true, configurable: true });
}

const colours = { reset: [0, 0], ...inspect.colors };
function styleText(style, text, { validateStream = true } = {}) {
  checkString(text, 'text');
  const styles = Array.isArray(style) ? style : [style];
  let [before, after] = ['', ''];
  for (const name of styles) {
    if (!(name in colours)) {
      const known = Object.keys(inspect.colors).map((one) => `'${one}'`).join(', ');
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'format' must be one of: ${known}. Received ${inspect(name)}`);
    }
    before += `\u001b[${colours[name][0]}m`;
    after = `\u001b[${colours[name][1]}m${after}`;
  }
  // Standard output is no terminal; Node looks at that where there is one style.
  return validateStream && !Array.isArray(style) ? text : before + text + after;
}

// Those of Linux that a socket or a file may meet.
const SYSTEM = [
  [-1, 'EPERM', 'operation not permitted'], [-2, 'ENOENT', 'no such file or directory'],
  [-5, 'EIO', 'i/o error'], [-9, 'EBADF', 'bad file descriptor'], [-11, 'EAGAIN', 'resource temporarily unavailable'],
  [-12, 'ENOMEM', 'not enough memory'], [-13, 'EACCES', 'permission denied'], [-17, 'EEXIST', 'file already exists'],
  [-20, 'ENOTDIR', 'not a directory'], [-21, 'EISDIR', 'illegal operation on a directory'],
  [-22, 'EINVAL', 'invalid argument'], [-24, 'EMFILE', 'too many open files'], [-28, 'ENOSPC', 'no space left on device'],
  [-32, 'EPIPE', 'broken pipe'], [-98, 'EADDRINUSE', 'address already in use'],
  [-99, 'EADDRNOTAVAIL', 'address not available'], [-103, 'ECONNABORTED', 'software caused connection abort'],
  [-104, 'ECONNRESET', 'connection reset by peer'], [-110, 'ETIMEDOUT', 'connection timed out'],
  [-111, 'ECONNREFUSED', 'connection refused'], [-113, 'EHOSTUNREACH', 'host is unreachable'], [-4095, 'EOF', 'end of file'],
];
const getSystemErrorName = (number) => SYSTEM.find(([known]) => known === number)?.[1] ?? `Unknown system error ${number}`;

const is = (type) => (value) => typeof value === type;
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
  debuglog,
  debug: debuglog,
  styleText,
  getSystemErrorName,
  getSystemErrorMap: () => new Map(SYSTEM.map(([number, name, words]) => [number, [name, words]])),
  aborted: (signal) => new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  }),
  isArray: Array.isArray,
  isBoolean: is('boolean'),
  isBuffer: (value) => Buffer.isBuffer(value),
  isNull: (value) => value === null,
  isNullOrUndefined: (value) => value === null || value === undefined,
  isNumber: is('number'),
  isString: is('string'),
  isSymbol: is('symbol'),
  isUndefined: is('undefined'),
  isRegExp: types.isRegExp,
  isObject: (value) => value !== null && typeof value === 'object',
  isDate: types.isDate,
  isError: (value) => value instanceof Error,
  isFunction: is('function'),
  isPrimitive: (value) => value === null || (typeof value !== 'object' && typeof value !== 'function'),
  _extend: (target, source) => (source === null || typeof source !== 'object' ? target : Object.assign(target, source)),
  log: (...args) => console.log('%s - %s', new Date().toLocaleTimeString(), format(...args)),
  stripVTControlCharacters(text) {
    checkString(text, 'str');
    return text.replace(/\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-9;?]*[ -/]*[@-~])/g, '');
  },
  toUSVString: (text) => String(text).toWellFormed(),
  TextDecoder,
  TextEncoder,
}, 'util', ['parseEnv', 'MIMEType', 'MIMEParams', 'transferableAbortController', 'transferableAbortSignal']);
