// `URL` and `URLSearchParams`: the reference implementation, in npm's whatwg-url. Its
// tables for names in other scripts are left out (see tr46.js).
'use strict';

const { URL, URLSearchParams } = require('whatwg-url');
const { coded } = require('./errors.js');

const custom = Symbol.for('nodejs.util.inspect.custom');

function invalid(input, base) {
  const error = coded(TypeError, 'ERR_INVALID_URL', 'Invalid URL');
  error.input = String(input);
  if (base !== undefined) error.base = String(base);
  return error;
}

// With Node's errors.
const URL_ = new Proxy(URL, {
  construct(target, args, made) {
    if (args.length === 0) throw coded(TypeError, 'ERR_MISSING_ARGS', 'The "url" argument must be specified');
    try {
      return Reflect.construct(target, args, made);
    } catch (error) {
      throw error instanceof TypeError && error.code === undefined ? invalid(...args) : error;
    }
  },
});
Object.defineProperty(URL.prototype, 'constructor', { value: URL_, writable: true, configurable: true });
URL.canParse ??= (input, base) => {
  try {
    new URL(input, base);
    return true;
  } catch {
    return false;
  }
};
const PARTS = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'searchParams', 'hash'];
Object.defineProperty(URL.prototype, custom, {
  value(depth, options, inspect) {
    if (typeof depth === 'number' && depth < 0) return '[URL]';
    const parts = Object.fromEntries(PARTS.map((name) => [name, this[name]]));
    return `URL ${inspect(parts, options)}`;
  },
});
Object.defineProperty(URLSearchParams.prototype, custom, {
  value(depth, options, inspect) {
    if (typeof depth === 'number' && depth < 0) return '[Object]';
    const pairs = [...this].map(([key, value]) => `${inspect(key, options)} => ${inspect(value, options)}`);
    return pairs.length === 0 ? 'URLSearchParams {}' : `URLSearchParams { ${pairs.join(', ')} }`;
  },
});

module.exports = { URL: URL_, URLSearchParams };
