// A module of Node's that there is not: loading it does no harm, and using it throws.
'use strict';

function missing(name) {
  const refuse = () => { throw new Error(`${name} is not available in a hotsocket guest`); };
  const parts = new Map();
  // A function, so that it can be called, and extended.
  return new Proxy(function absent() { refuse(); }, {
    get(target, key) {
      if (key === 'prototype') return target.prototype;
      // No promise, no module of esbuild's.
      if (typeof key === 'symbol' || key === 'then' || key === '__esModule') return undefined;
      if (key === 'default') return this.itself ??= missing(name);
      if (!parts.has(key)) parts.set(key, missing(`${name}.${key}`));
      return parts.get(key);
    },
    set(target, key, value) {
      parts.set(key, value);
      return true;
    },
    apply: refuse,
    construct: refuse,
  });
}

module.exports = missing;
