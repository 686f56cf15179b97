// `timers/promises` and `stream/promises`.
'use strict';

const { timers, goesOn } = require('./timers.js');
const { absent } = require('./errors.js');

const later = (set, clear) => (...args) => {
  const { value, signal } = args.pop();
  return new Promise((resolve, reject) => {
    const timer = set(() => {
      signal?.removeEventListener('abort', aborted);
      goesOn();
      resolve(value);
    }, ...args);
    function aborted() {
      clear(timer);
      reject(Object.assign(new Error('The operation was aborted', { cause: signal.reason }), { name: 'AbortError', code: 'ABORT_ERR' }));
    }
    if (signal?.aborted) aborted();
    else signal?.addEventListener('abort', aborted, { once: true });
  });
};
const setTimer = later(timers.setTimeout, timers.clearTimeout);
const setNow = later(timers.setImmediate, timers.clearImmediate);

const timersPromises = absent({
  setTimeout: (after, value, options) => setTimer(after, { value, ...options }),
  setImmediate: (value, options) => setNow({ value, ...options }),
  async *setInterval(after, value, options) {
    while (true) {
      await timersPromises.setTimeout(after, undefined, options);
      yield value;
    }
  },
  scheduler: { wait: (after, options) => timersPromises.setTimeout(after, undefined, options), yield: () => timersPromises.setImmediate() },
}, 'timers/promises', []);

// `util.promisify(setTimeout)` is the usual way to have a `sleep`.
const promisified = Symbol.for('nodejs.util.promisify.custom');
Object.defineProperty(timers.setTimeout, promisified, { value: timersPromises.setTimeout });
Object.defineProperty(timers.setImmediate, promisified, { value: timersPromises.setImmediate });

module.exports = { timers: timersPromises };
