// What `AsyncLocalStorage` and `AsyncResource` carry from where a callback is made to
// where it runs. loop.js and timers.js take it along.
'use strict';

// From a storage to its value.
let current = new Map();

module.exports = {
  get: () => current,
  // Run with this context, and return to the one before.
  within(context, task) {
    const before = current;
    current = context;
    try {
      return task();
    } finally {
      current = before;
    }
  },
  set(context) { current = context; },
  // The task, for later.
  bound(task) {
    const context = current;
    return context.size === 0 ? task : () => module.exports.within(context, task);
  },
};
