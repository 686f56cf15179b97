// Globals and properties that are in a component only if its script's text names them:
// `asked.mjs` sees to that. Evaluated when they are first asked for.
'use strict';

module.exports = function lazily(object, name, make) {
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: false,
    get() {
      const value = make();
      Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: object !== globalThis });
      return value;
    },
    set(value) { Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false }); },
  });
};
