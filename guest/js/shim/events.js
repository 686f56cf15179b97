// `events`: the npm package of that name, which is Node's own as it was in Node 10,
// with what is newer: its checks and words, `errorMonitor`, `captureRejections`, `on`.
'use strict';

const EventEmitter = require('events-from-npm');
const { coded } = require('./errors.js');
const { checkFunction, checkInteger, outOfRange, wrongType } = require('./checks.js');
const { Queue } = require('./loop.js');

const proto = EventEmitter.prototype;
const errorMonitor = Symbol('events.errorMonitor');
const captures = Symbol('kCapture');
const captureRejection = Symbol.for('nodejs.rejection');

// ---- listeners

for (const name of ['on', 'once', 'prependListener', 'prependOnceListener', 'removeListener']) {
  const method = proto[name];
  proto[name] = function (type, listener) {
    if (typeof listener !== 'function') checkFunction(listener, 'listener');
    return method.call(this, type, listener);
  };
}
proto.addListener = proto.on;
proto.off = proto.removeListener;
for (const name of ['on', 'addListener', 'removeListener']) {
  const method = proto[name];
  Object.defineProperty(method, 'name', { value: name === 'on' ? 'addListener' : name });
}

const isListener = (listener) => (entry) => entry === listener || entry.listener === listener;

proto.listenerCount = function listenerCount(type, listener) {
  const found = this._events?.[type];
  if (found === undefined) return 0;
  if (typeof found === 'function') return listener === undefined || listener === null || isListener(listener)(found) ? 1 : 0;
  return listener === undefined || listener === null ? found.length : found.filter(isListener(listener)).length;
};

proto.setMaxListeners = function setMaxListeners(count) {
  checkCount(count, 'setMaxListeners');
  this._maxListeners = count;
  return this;
};

function checkCount(count, name) {
  if (typeof count !== 'number') throw wrongType(name, 'of type number', count);
  if (!(count >= 0)) throw outOfRange(name, '>= 0', count);
}

// ---- emit

function noListener(error) {
  if (error instanceof Error) return error;
  const { inspect } = require('node-inspect-extracted');
  let shown;
  try {
    shown = inspect(error);
  } catch {
    shown = error;
  }
  return Object.assign(coded(Error, 'ERR_UNHANDLED_ERROR', `Unhandled error. (${shown})`), { context: error });
}

proto.emit = function emit(type, ...args) {
  const events = this._events;
  if (type === 'error') {
    if (events?.[errorMonitor] !== undefined) this.emit(errorMonitor, ...args);
    if (events?.error === undefined) throw noListener(args[0]);
  }
  const found = events?.[type];
  if (found === undefined) return false;
  if (typeof found === 'function') {
    const result = found.apply(this, args);
    if (result != null && this[captures]) follow(this, result, type, args);
    return true;
  }
  for (const listener of found.slice()) {
    const result = listener.apply(this, args);
    if (result != null && this[captures]) follow(this, result, type, args);
  }
  return true;
};

// An async listener's rejection is the emitter's 'error'.
function follow(emitter, result, type, args) {
  if (typeof result.then !== 'function') return;
  const rejected = (error) => process.nextTick(() => {
    if (typeof emitter[captureRejection] === 'function') {
      emitter[captureRejection](error, type, ...args);
      return;
    }
    emitter[captures] = false;
    try {
      emitter.emit('error', error);
    } finally {
      emitter[captures] = true;
    }
  });
  result.then(undefined, rejected);
}

// Node shows both in each emitter.
const shapeMode = Symbol('shapeMode');
let capturesAll = false;
const { init } = EventEmitter;
EventEmitter.init = function (options) {
  init.call(this);
  const wanted = options?.captureRejections;
  if (wanted !== undefined && typeof wanted !== 'boolean') {
    throw wrongType('options.captureRejections', 'of type boolean', wanted);
  }
  this[shapeMode] = false;
  this[captures] = wanted ?? capturesAll;
};

// The package calls its own `init` without an argument.
function Emitter(options) {
  EventEmitter.init.call(this, options);
}
Emitter.prototype = proto;
Object.defineProperty(proto, 'constructor', { value: Emitter, writable: true, configurable: true, enumerable: true });
Object.defineProperty(Emitter, 'name', { value: 'EventEmitter' });
Object.defineProperty(Emitter, 'defaultMaxListeners', {
  enumerable: true,
  get: () => EventEmitter.defaultMaxListeners,
  set(count) {
    checkCount(count, 'defaultMaxListeners');
    EventEmitter.defaultMaxListeners = count;
  },
});
Object.defineProperty(Emitter, 'captureRejections', {
  get: () => capturesAll,
  set(value) { capturesAll = Boolean(value); },
});

// ---- functions of the module

const isTarget = (emitter) => typeof emitter?.addEventListener === 'function';
const add = (emitter, name, listener, once) => {
  if (typeof emitter.on === 'function') emitter[once ? 'once' : 'on'](name, listener);
  else if (isTarget(emitter)) emitter.addEventListener(name, listener, { once });
  else throw wrongType('emitter', 'an instance of EventEmitter', emitter);
};
const remove = (emitter, name, listener) => {
  if (typeof emitter.removeListener === 'function') emitter.removeListener(name, listener);
  else emitter.removeEventListener(name, listener);
};

function abortError(signal) {
  return Object.assign(new Error('The operation was aborted', { cause: signal?.reason }), { name: 'AbortError', code: 'ABORT_ERR' });
}

function checkSignal(signal, name) {
  if (signal !== undefined && (signal === null || typeof signal !== 'object' || !('aborted' in signal))) {
    throw wrongType(name, 'an instance of AbortSignal', signal);
  }
}

async function once(emitter, name, options) {
  const signal = options?.signal;
  checkSignal(signal, 'options.signal');
  if (signal?.aborted) throw abortError(signal);
  return new Promise((resolve, reject) => {
    const done = () => {
      remove(emitter, name, got);
      if (name !== 'error' && typeof emitter.once === 'function') emitter.removeListener('error', failed);
      signal?.removeEventListener('abort', aborted);
    };
    const got = (...args) => { done(); resolve(args); };
    const failed = (error) => { done(); reject(error); };
    const aborted = () => { done(); reject(abortError(signal)); };
    add(emitter, name, got, true);
    if (name !== 'error' && typeof emitter.once === 'function') emitter.once('error', failed);
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

// An async iterator over the arguments of each event. The emitter is paused while more than
// `highWaterMark` wait, until fewer than `lowWaterMark` do.
function on(emitter, name, options = {}) {
  const signal = options.signal;
  checkSignal(signal, 'options.signal');
  if (signal?.aborted) throw abortError(signal);
  const { highWaterMark = Number.MAX_SAFE_INTEGER, lowWaterMark = 1 } = options;
  checkInteger(highWaterMark, 'options.highWaterMark', 1);
  checkInteger(lowWaterMark, 'options.lowWaterMark', 1);
  const values = new Queue();
  const waiting = [];
  let paused = false;
  let error;
  let over = false;
  const event = (...args) => {
    if (waiting.length > 0) {
      waiting.shift().resolve({ value: args, done: false });
      return;
    }
    values.put(args);
    if (paused || values.length <= highWaterMark) return;
    paused = true;
    emitter.pause();
  };
  const failed = (reason) => {
    if (waiting.length > 0) waiting.shift().reject(reason);
    else error = { reason };
    finish();
  };
  const aborted = () => failed(abortError(signal));
  const ends = options.close ?? [];
  function finish() {
    if (over) return Promise.resolve({ value: undefined, done: true });
    over = true;
    remove(emitter, name, event);
    if (name !== 'error' && !isTarget(emitter)) remove(emitter, 'error', failed);
    for (const end of ends) remove(emitter, end, finish);
    signal?.removeEventListener('abort', aborted);
    for (const { resolve } of waiting.splice(0)) resolve({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  }
  add(emitter, name, event);
  if (name !== 'error' && !isTarget(emitter)) add(emitter, 'error', failed);
  for (const end of ends) add(emitter, end, finish);
  signal?.addEventListener('abort', aborted, { once: true });
  return {
    next() {
      if (values.length > 0) {
        const value = values.take();
        if (paused && values.length < lowWaterMark) {
          paused = false;
          emitter.resume();
        }
        return Promise.resolve({ value, done: false });
      }
      if (error) {
        const { reason } = error;
        error = undefined;
        return Promise.reject(reason);
      }
      if (over) return Promise.resolve({ value: undefined, done: true });
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    return: finish,
    throw(reason) {
      if (!(reason instanceof Error)) throw wrongType('EventEmitter.AsyncIterator', 'an instance of Error', reason);
      failed(reason);
    },
    [Symbol.asyncIterator]() { return this; },
  };
}

Object.assign(Emitter, {
  EventEmitter: Emitter,
  usingDomains: false,
  init: EventEmitter.init,
  errorMonitor,
  captureRejectionSymbol: captureRejection,
  once,
  on,
  listenerCount: (emitter, type) => (typeof emitter.listenerCount === 'function'
    ? emitter.listenerCount(type) : proto.listenerCount.call(emitter, type)),
  getEventListeners(emitter, type) {
    if (typeof emitter?.listeners === 'function') return emitter.listeners(type);
    if (isTarget(emitter)) return require('./event_target.js').listenersOf(emitter, type);
    throw wrongType('emitter', 'an instance of EventEmitter or EventTarget', emitter);
  },
  getMaxListeners(emitter) {
    if (typeof emitter?.getMaxListeners === 'function') return emitter.getMaxListeners();
    if (isTarget(emitter)) return EventEmitter.defaultMaxListeners;
    throw wrongType('emitter', 'an instance of EventEmitter or EventTarget', emitter);
  },
  setMaxListeners(count = EventEmitter.defaultMaxListeners, ...emitters) {
    checkCount(count, 'setMaxListeners');
    if (emitters.length === 0) EventEmitter.defaultMaxListeners = count;
    for (const emitter of emitters) emitter.setMaxListeners?.(count);
  },
  addAbortListener(signal, listener) {
    if (signal === undefined) throw wrongType('signal', 'an instance of AbortSignal', signal);
    checkSignal(signal, 'signal');
    checkFunction(listener, 'listener');
    if (signal.aborted) queueMicrotask(() => listener());
    else signal.addEventListener('abort', listener, { once: true });
    return { [Symbol.dispose ?? Symbol.for('SymbolDispose')]: () => signal.removeEventListener('abort', listener) };
  },
});
class EventEmitterAsyncResource extends Emitter {
  constructor(options) {
    super(options);
    const { AsyncResource } = require('./async_hooks.js');
    Object.defineProperty(this, 'asyncResource', {
      value: new AsyncResource(typeof options === 'string' ? options : options?.name ?? new.target.name),
    });
  }
  emit(...args) { return this.asyncResource.runInAsyncScope(super.emit, this, ...args); }
  emitDestroy() { return this; }
}
Emitter.EventEmitterAsyncResource = EventEmitterAsyncResource;

module.exports = Emitter;
