// Deep equality, as `assert.deepStrictEqual` and `util.isDeepStrictEqual` have it, and
// the loose one of `assert.deepEqual`.
'use strict';

const keysOf = (value) => Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
const tagOf = (value) => Object.prototype.toString.call(value);

function equal(a, b, strict, seen = new Map()) {
  if (strict ? Object.is(a, b) : a === b || (a !== a && b !== b)) return true;
  const objects = typeof a === 'object' && typeof b === 'object' && a !== null && b !== null;
  if (!objects) {
    if (typeof a === 'object' || typeof b === 'object' || typeof a === 'function' || typeof b === 'function') return false;
    return !strict && a == b;
  }
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (tagOf(a) !== tagOf(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && a.length !== b.length) return false;
  if (a instanceof Date && a.getTime() !== b.getTime()) return false;
  if (a instanceof RegExp && (String(a) !== String(b) || a.lastIndex !== b.lastIndex)) return false;
  if (a instanceof Error && (a.message !== b.message || a.name !== b.name)) return false;
  if (a instanceof Number || a instanceof String || a instanceof Boolean || a instanceof BigInt) {
    if (!Object.is(a.valueOf(), b.valueOf())) return false;
  }
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer) {
    const bytes = (view) => (view instanceof ArrayBuffer
      ? new Uint8Array(view)
      : new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    const [first, second] = [bytes(a), bytes(b)];
    return first.length === second.length && first.every((byte, at) => byte === second[at]);
  }
  // A pair that is being compared is equal as far as is known.
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  const result = sameParts(a, b, strict, seen);
  seen.delete(a);
  return result;
}

function sameParts(a, b, strict, seen) {
  if (a instanceof Set) {
    if (a.size !== b.size) return false;
    const rest = new Set(b);
    for (const value of a) {
      let found = rest.has(value) ? [value] : [...rest].filter((other) => typeof other === 'object' || !strict)
        .filter((other) => equal(value, other, strict, seen));
      if (found.length === 0) return false;
      rest.delete(found[0]);
    }
  }
  if (a instanceof Map) {
    if (a.size !== b.size) return false;
    const rest = new Map(b);
    for (const [key, value] of a) {
      const found = [...(rest.has(key) ? [[key, rest.get(key)]] : rest)]
        .find(([other, its]) => equal(key, other, strict, seen) && equal(value, its, strict, seen));
      if (!found) return false;
      rest.delete(found[0]);
    }
  }
  const keys = keysOf(a);
  return keys.length === keysOf(b).length && keys.every((key) =>
    Object.prototype.propertyIsEnumerable.call(b, key) && equal(a[key], b[key], strict, seen));
}

module.exports = {
  isDeepStrictEqual: (a, b) => equal(a, b, true),
  isDeepEqual: (a, b) => equal(a, b, false),
};
