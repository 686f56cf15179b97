// `setTimeout`, `setInterval`, `setImmediate`: all of a script's timers on one
// timer of the host, so that the host's limit doesn't count them one by one.
'use strict';

const { connection } = require('./host.js');
const clock = require('./clock.js');
const context = require('./context.js');
const image = require('./image.js');
const loop = require('./loop.js');
const { checkFunction } = require('./checks.js');

// The id under which the host knows it.
const HOST_TIMER = 1;
const LONGEST = 2 ** 31 - 1;

// By the time at which they are due; those of one time in the order set.
const waiting = [];
// What the host's timer is set to, if it is.
let armed;
let lastId = 0;
// Those that the script and its connection callback have set, in order: the
// callback of an instance that is woken sets them again (see sleep.js).
const first = [];
let isFirst = false;
// A promise of one of them was fulfilled: the callback has gone on.
let wentOn = false;
// Timers in use, for `clearTimeout(number)`.
const byId = new Map();

// What the image brings counts from 0, until `startFrom` says when that is.
const startsAt = () => (image.isMaking() ? 0 : clock.now());

// This instance begins: the timers of the image count from now.
function startFrom(now) {
  for (const timer of [...waiting]) inner.setDue(timer, timer.due + now);
}

function insert(timer) {
  let low = 0;
  let high = waiting.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (waiting[middle].due <= timer.due) low = middle + 1;
    else high = middle;
  }
  waiting.splice(low, 0, timer);
}

function remove(timer) {
  const at = waiting.indexOf(timer);
  if (at >= 0) waiting.splice(at, 1);
}

// FNV-1a, of 32 bits.
function checksum(text) {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return sum >>> 0;
}

let inner;

class Timeout {
  #after;
  #repeats;
  #call;
  #id;
  #active = false;
  // Cleared, and not just due: `refresh` does nothing then.
  #isCleared = false;
  #ref = true;
  // For those of the connection callback: what tells it from others.
  #source;

  constructor(callback, after, args, repeats) {
    checkFunction(callback, 'callback');
    after = Number(after);
    if (after > LONGEST) {
      process.emitWarning(`${after} does not fit into a 32-bit signed integer.\nTimeout duration was set to 1.`, 'TimeoutOverflowWarning');
    }
    this.#after = after >= 1 && after <= LONGEST ? Math.trunc(after) : 1;
    this.#repeats = repeats;
    this.#call = context.bound(() => callback.apply(this, args));
    this.#id = ++lastId;
    if (isFirst) {
      this.#source = `${repeats ? 'interval' : 'timeout'} ${Function.prototype.toString.call(callback)}`;
      first.push(this);
    }
    this.#start();
  }

  // For this file and its like. Not methods: scripts see those.
  static {
    inner = {
      isFirst: (timer) => timer.#source !== undefined,
      left: (timer) => [checksum(timer.#source), timer.#active ? timer.due : null],
      source: (timer) => checksum(timer.#source),
      setDue(timer, due) {
        timer.#stop();
        if (due !== null) timer.#start(due);
      },
      restart(timer, after) {
        timer.#after = after;
        timer.#isCleared = false;
        timer.refresh();
      },
    };
  }

  #start(due = startsAt() + this.#after) {
    this.#active = true;
    byId.set(this.#id, this);
    Object.defineProperty(this, 'due', { value: due, configurable: true, enumerable: false });
    insert(this);
  }

  // It is due: run it. An interval starts anew before it is called, so that
  // the call may clear it.
  ring() {
    if (this.#repeats) {
      this.#start();
    } else {
      this.#active = false;
      byId.delete(this.#id);
    }
    loop.run(this.#call);
  }

  #stop() {
    if (this.#active) remove(this);
    this.#active = false;
    byId.delete(this.#id);
  }

  close() {
    this.#stop();
    this.#isCleared = true;
    return this;
  }

  refresh() {
    if (this.#isCleared) return this;
    if (this.#active) remove(this);
    this.#start();
    return this;
  }

  // There is no process that a timer could keep alive.
  ref() { this.#ref = true; return this; }
  unref() { this.#ref = false; return this; }
  hasRef() { return this.#ref; }
  [Symbol.toPrimitive]() { return this.#id; }
  [Symbol.dispose ?? Symbol('dispose')]() { this.close(); }
}

class Immediate {
  #ref = true;
  constructor(callback, args) {
    checkFunction(callback, 'callback');
    Object.defineProperty(this, 'entry', {
      value: loop.immediate(() => callback.apply(this, args)),
      enumerable: false,
    });
  }
  ref() { this.#ref = true; return this; }
  unref() { this.#ref = false; return this; }
  hasRef() { return this.#ref && !this.entry.done && !this.entry.cleared; }
  [Symbol.dispose ?? Symbol.for('SymbolDispose')]() { this.entry.cleared = true; }
}

// All that is due now.
function ring() {
  armed = undefined;
  loop.runImmediates();
  // The host counts whole milliseconds.
  const now = clock.now() + 0.5;
  while (waiting.length > 0 && waiting[0].due <= now) waiting.shift().ring();
}

// Have the host wake us when the next one is due. Called at the end of each
// event.
function arm() {
  const due = loop.hasImmediates() ? -Infinity : waiting[0]?.due;
  if (due === armed) return;
  armed = due;
  if (due === undefined) connection.clearTimer(HOST_TIMER);
  else connection.setTimer(HOST_TIMER, Math.max(0, Math.ceil(due - clock.now())));
}

// A successor starts with what its predecessor left set: no timer of this
// script's.
function disown() {
  connection.clearTimer(HOST_TIMER);
}

function clear(timer) {
  if (timer instanceof Timeout) timer.close();
  else if (typeof timer === 'number' || typeof timer === 'string') byId.get(Number(timer))?.close();
}

const timers = {
  setTimeout: (callback, after, ...args) => new Timeout(callback, after, args, false),
  setInterval: (callback, after, ...args) => new Timeout(callback, after, args, true),
  setImmediate: (callback, ...args) => new Immediate(callback, args),
  clearTimeout: clear,
  clearInterval: clear,
  clearImmediate(immediate) {
    if (immediate instanceof Immediate) immediate.entry.cleared = true;
  },
};

// Why these timers can't be set again by another instance; undefined if they can.
function whyAwake() {
  if (wentOn) return 'the connection callback has gone on after a timer';
  return waiting.every(inner.isFirst)
    ? undefined
    : 'a timer runs that the connection callback has not set';
}

// Put the timers that the connection callback has set again to where the
// predecessor's were, and tell how many of those that ran are missing.
function resume(left) {
  const old = [...left];
  for (const timer of first) {
    const at = old.findIndex(([source]) => source === inner.source(timer));
    if (at >= 0) inner.setDue(timer, old.splice(at, 1)[0][1]);
  }
  return old.filter(([, due]) => due !== null).length;
}

module.exports = {
  timers,
  HOST_TIMER,
  ring,
  arm,
  disown,
  forget() {
    for (const timer of [...waiting]) timer.close();
    first.length = 0;
  },
  startFrom,
  isEmpty: () => waiting.length === 0,
  whyAwake,
  resume,
  left: () => first.map(inner.left),
  begin() { isFirst = true; },
  settled() { isFirst = false; },
  restart: (timer, after) => inner.restart(timer, after),
  // A promise of a timer's was fulfilled after the callback.
  goesOn() { if (!isFirst) wentOn = true; },
};
