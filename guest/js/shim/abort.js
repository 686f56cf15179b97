// `AbortController` and `AbortSignal`, which streams and timers take.
'use strict';

const { timers } = require('./timers.js');
const { DOMException, Event, EventTarget } = require('./event_target.js');
const { coded } = require('./errors.js');
const { checkInteger, wrongType } = require('./checks.js');

const ours = Symbol('ours');
const custom = Symbol.for('nodejs.util.inspect.custom');
let trip;

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason;
  #onabort = null;

  constructor(who) {
    if (who !== ours) throw coded(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
    super();
  }

  static {
    trip = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
      signal.dispatchEvent(new Event('abort'));
    };
  }

  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  get onabort() { return this.#onabort; }
  set onabort(listener) {
    if (this.#onabort !== null) this.removeEventListener('abort', this.#onabort);
    this.#onabort = typeof listener === 'function' ? listener : null;
    if (this.#onabort !== null) this.addEventListener('abort', this.#onabort);
  }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }

  static abort(reason) {
    const signal = new AbortSignal(ours);
    trip(signal, reason);
    return signal;
  }

  static timeout(after) {
    checkInteger(after, 'delay', 0, 2 ** 32 - 1);
    const signal = new AbortSignal(ours);
    timers.setTimeout(() => trip(signal,
      new DOMException('The operation was aborted due to timeout', 'TimeoutError')), after);
    return signal;
  }

  static any(signals) {
    const both = new AbortSignal(ours);
    const all = [...signals];
    all.forEach((signal, at) => {
      if (!(signal instanceof AbortSignal)) throw wrongType(`signals[${at}]`, 'an instance of AbortSignal', signal);
    });
    const first = all.find(({ aborted }) => aborted);
    if (first) trip(both, first.reason);
    else for (const signal of all) signal.addEventListener('abort', () => trip(both, signal.reason), { once: true });
    return both;
  }

  [custom](depth, options, inspect) {
    return depth < 0 ? 'AbortSignal' : `AbortSignal { aborted: ${this.#aborted} }`;
  }
}
Object.defineProperty(AbortSignal.prototype, custom, { enumerable: false });
Object.defineProperty(AbortSignal.prototype, Symbol.toStringTag, { value: 'AbortSignal', configurable: true });

class AbortController {
  #signal = new AbortSignal(ours);
  get signal() { return this.#signal; }
  abort(reason) { trip(this.#signal, reason); }
  [custom](depth, options, inspect) {
    return depth < 0 ? 'AbortController' : `AbortController { signal: ${inspect(this.#signal, options)} }`;
  }
}
Object.defineProperty(AbortController.prototype, custom, { enumerable: false });
Object.defineProperty(AbortController.prototype, Symbol.toStringTag, { value: 'AbortController', configurable: true });

module.exports = { AbortController, AbortSignal };
