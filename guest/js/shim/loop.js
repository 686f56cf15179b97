// The event loop between two calls of the host: ticks, microtasks, immediates.
//
// The engine's own job queue is never run in a component without async exports,
// so promises (see promise.js) and `queueMicrotask` have theirs here. What
// nobody catches ends up in `uncaught`, which kills the instance unless the
// script has a handler for it. Timers are in timers.js.
'use strict';

const context = require('./context.js');

// A queue that doesn't move its elements at each `take`.
class Queue {
  constructor() { this.items = []; this.at = 0; }
  get length() { return this.items.length - this.at; }
  put(item) { this.items.push(item); }
  take() {
    const item = this.items[this.at];
    this.items[this.at++] = undefined;
    if (this.at === this.items.length) { this.items.length = 0; this.at = 0; }
    // For one that never gets empty.
    else if (this.at > 1024 && 2 * this.at > this.items.length) { this.items.splice(0, this.at); this.at = 0; }
    return item;
  }
}

const ticks = new Queue();
const microtasks = new Queue();
// What the system tells in the same turn: after all ticks, before immediates.
const pending = new Queue();
// What comes when a handle is closed: after immediates.
const closing = new Queue();
let immediates = [];
// Rejected promises that nobody has handled yet.
const orphans = new Set();

// Set by errors.js: an instance that goes on after it has been told so.
let uncaught = (error) => { throw error; };
// Set by promise.js and process.js: what to do about an orphan.
let unhandled = () => {};

function guarded(task) {
  try {
    task();
  } catch (error) {
    uncaught(error, 'uncaughtException');
  }
}

// Until nothing is left that would run before the next event.
function drain() {
  do {
    while (ticks.length > 0) guarded(ticks.take());
    while (microtasks.length > 0) guarded(microtasks.take());
    if (ticks.length === 0 && orphans.size > 0) {
      const [promise] = orphans;
      orphans.delete(promise);
      guarded(() => unhandled(promise));
    }
  } while (ticks.length > 0 || microtasks.length > 0 || orphans.size > 0);
}

// Run what an event does, and all that follows from it at once.
function run(task) {
  guarded(task);
  drain();
}

// The immediates that were set before; those that they set wait for another
// turn, so that no script can fill an event with them.
function runImmediates() {
  while (pending.length > 0) run(pending.take());
  if (immediates.length > 0) {
    const batch = immediates;
    immediates = [];
    for (const immediate of batch) {
      if (!immediate.cleared) run(immediate.task);
    }
  }
  while (closing.length > 0) run(closing.take());
}

module.exports = {
  Queue,
  drain,
  run,
  runImmediates,
  orphans,
  // Nothing has been asked for.
  forget() { immediates = []; },
  immediate(task) {
    const entry = { task: context.bound(task), cleared: false };
    immediates.push(entry);
    return entry;
  },
  hasImmediates: () => immediates.length > 0,
  pending: (task) => pending.put(task),
  closing: (task) => closing.put(task),
  tick: (task) => ticks.put(context.bound(task)),
  microtask: (task) => microtasks.put(task),
  onUncaught(handler) { uncaught = handler; },
  onUnhandled(handler) { unhandled = handler; },
  uncaught: (error, origin) => uncaught(error, origin),
};
