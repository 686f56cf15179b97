// Puts in place what scripts expect to be there. Must run before anything that
// looks for it, so it is the first that main.js asks for.
'use strict';

// Before there is more than the language has: what is there now counts as built in,
// for `%s`.
require('node-inspect-extracted');
const { random } = require('./host.js');
const image = require('./image.js');

globalThis.global = globalThis;
globalThis.Date = require('./date.js');
globalThis.performance = require('./clock.js').performance;
globalThis.Promise = require('./promise.js');
const loop = require('./loop.js');
const context = require('./context.js');
globalThis.queueMicrotask = function queueMicrotask(callback) {
  require('./checks.js').checkFunction(callback, 'callback');
  loop.microtask(context.bound(callback));
};

const { TextDecoder, TextEncoder } = require('./text.js');
Object.assign(globalThis, { TextDecoder, TextEncoder });
require('./errors.js');
globalThis.Buffer = require('./buffer.js').Buffer;
const { timers } = require('./timers.js');
Object.assign(globalThis, timers);
globalThis.process = require('./process.js');
globalThis.console = require('./console.js').console;
Object.assign(globalThis, require('./abort.js'));
const { CustomEvent, DOMException, Event, EventTarget } = require('./event_target.js');
Object.assign(globalThis, { CustomEvent, DOMException, Event, EventTarget });
require('./promises.js');

// The engine's generator is part of the image that all connections start from,
// and would give each of them the same numbers. xorshift128+, seeded anew in
// each instance, when it is first asked.
let state;
const mask = (1n << 64n) - 1n;
Math.random = function random_() {
  image.reads('Math.random()');
  if (state === undefined) {
    const bytes = random.getRandomBytes(16);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    state = [view.getBigUint64(0) | 1n, view.getBigUint64(8)];
  }
  let [first, second] = state;
  first ^= (first << 23n) & mask;
  first ^= first >> 17n;
  first ^= second ^ (second >> 26n);
  state = [second, first];
  return Number(((first + second) & mask) >> 11n) / 2 ** 53;
};
