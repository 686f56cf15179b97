// `structuredClone`, as the web's standard has it, for what the engine has.
'use strict';

const { DOMException } = require('./event_target.js');

const shown = (value) => {
  if (typeof value === 'function') return String(value);
  return typeof value === 'symbol' ? String(value) : '#<Object>';
};
const refuse = (value) => { throw new DOMException(`${shown(value)} could not be cloned.`, 'DataCloneError'); };
const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function copy(value, seen) {
  if (typeof value === 'function' || typeof value === 'symbol') return refuse(value);
  if (value === null || typeof value !== 'object') return value;
  if (seen.has(value)) return seen.get(value);
  const keep = (made) => {
    seen.set(value, made);
    return made;
  };
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  for (const Kind of [Boolean, Number, String, BigInt]) {
    if (value instanceof Kind) return keep(Object(value.valueOf()));
  }
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (ArrayBuffer.isView(value)) {
    const buffer = copy(value.buffer, seen);
    const Kind = value instanceof Uint8Array ? Uint8Array : value.constructor;
    return keep(new Kind(buffer, value.byteOffset, value instanceof DataView ? value.byteLength : value.length));
  }
  if (value instanceof Map) {
    const made = keep(new Map());
    for (const [key, entry] of [...value]) made.set(copy(key, seen), copy(entry, seen));
    return made;
  }
  if (value instanceof Set) {
    const made = keep(new Set());
    for (const entry of [...value]) made.add(copy(entry, seen));
    return made;
  }
  if (value instanceof Error) {
    const made = keep(Object.create((ERRORS[value.name] ?? Error).prototype));
    const fresh = Reflect.construct(Error, [], made.constructor);
    seen.set(value, fresh);
    for (const name of ['stack', 'message', 'cause']) {
      if (Object.prototype.hasOwnProperty.call(value, name)) {
        Object.defineProperty(fresh, name, { value: name === 'cause' ? copy(value.cause, seen) : String(value[name]), writable: true, configurable: true, enumerable: false });
      }
    }
    return fresh;
  }
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return refuse(value);
  const made = keep(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
  return made;
}

module.exports = function structuredClone(value, options) {
  if (arguments.length === 0) throw require('./errors.js').coded(TypeError, 'ERR_MISSING_ARGS', 'The value argument must be specified');
  return copy(value, new Map());
};
