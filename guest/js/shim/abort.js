// `AbortController` and `AbortSignal`, which streams and timers take.
'use strict';

const { timers } = require('./timers.js');

const aborted = () => Object.assign(new Error('This operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' });

class AbortSignal {
  #listeners = new Set();
  aborted = false;
  reason = undefined;
  onabort = null;

  // By AbortController, and by the functions below.
  static trip(signal, reason = aborted()) {
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason;
    const event = { type: 'abort', target: signal };
    signal.onabort?.(event);
    for (const listener of signal.#listeners) {
      if (typeof listener === 'function') listener.call(signal, event);
      else listener.handleEvent(event);
    }
    signal.#listeners.clear();
  }

  addEventListener(type, listener) { if (type === 'abort') this.#listeners.add(listener); }
  removeEventListener(type, listener) { if (type === 'abort') this.#listeners.delete(listener); }
  throwIfAborted() { if (this.aborted) throw this.reason; }

  static abort(reason) {
    const signal = new AbortSignal();
    AbortSignal.trip(signal, reason);
    return signal;
  }

  static timeout(after) {
    const signal = new AbortSignal();
    timers.setTimeout(() => AbortSignal.trip(signal,
      Object.assign(new Error('The operation was aborted due to timeout'), { name: 'TimeoutError' })), after);
    return signal;
  }

  static any(signals) {
    const both = new AbortSignal();
    for (const signal of signals) {
      if (signal.aborted) AbortSignal.trip(both, signal.reason);
      else signal.addEventListener('abort', () => AbortSignal.trip(both, signal.reason));
    }
    return both;
  }
}

class AbortController {
  signal = new AbortSignal();
  abort(reason) { AbortSignal.trip(this.signal, reason); }
}

module.exports = { AbortController, AbortSignal };
