// `Event`, `EventTarget` and `DOMException`, as the web has them.
'use strict';

const { coded } = require('./errors.js');

const CODES = { IndexSizeError: 1, NotFoundError: 8, NotSupportedError: 9, InvalidStateError: 11, SyntaxError: 12, InvalidAccessError: 15, AbortError: 20, URLMismatchError: 21, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25 };

class DOMException extends Error {
  #name;
  constructor(message = '', options = 'Error') {
    super(message);
    this.#name = typeof options === 'object' ? options?.name ?? 'Error' : String(options);
    if (options?.cause !== undefined) Object.defineProperty(this, 'cause', { value: options.cause, configurable: true, writable: true });
    // The stack's first line has the name.
    Object.defineProperty(this, 'name', { value: this.#name, configurable: true, writable: true });
    this.stack;
    delete this.name;
  }
  get name() { return this.#name; }
  get code() { return CODES[this.#name] ?? 0; }
}
for (const name of ['name', 'code']) {
  const { get } = Object.getOwnPropertyDescriptor(DOMException.prototype, name);
  Object.defineProperty(DOMException.prototype, name, { get, enumerable: true, configurable: true });
}
Object.defineProperty(DOMException.prototype, Symbol.toStringTag, { value: 'DOMException', configurable: true });

let stopped;
let dispatching;

class Event {
  #type;
  #options;
  #target = null;
  #stopped = false;
  #prevented = false;
  #running = false;
  #at = performance.now();

  constructor(type, options = null) {
    if (arguments.length === 0) throw coded(TypeError, 'ERR_MISSING_ARGS', 'The "type" argument must be specified');
    this.#type = String(type);
    this.#options = options ?? {};
  }

  static {
    stopped = (event) => event.#stopped;
    dispatching = (event, target) => {
      event.#running = target !== null;
      if (target !== null) event.#target = target;
    };
  }

  get type() { return this.#type; }
  get target() { return this.#target; }
  get srcElement() { return this.#target; }
  get currentTarget() { return this.#running ? this.#target : null; }
  get bubbles() { return Boolean(this.#options.bubbles); }
  get cancelable() { return Boolean(this.#options.cancelable); }
  get composed() { return Boolean(this.#options.composed); }
  get defaultPrevented() { return this.#prevented; }
  get returnValue() { return !this.#prevented; }
  get timeStamp() { return this.#at; }
  get eventPhase() { return this.#running ? 2 : 0; }
  get isTrusted() { return false; }
  composedPath() { return this.#running ? [this.#target] : []; }
  preventDefault() { if (this.cancelable) this.#prevented = true; }
  stopPropagation() {}
  stopImmediatePropagation() { this.#stopped = true; }
  static NONE = 0;
  static CAPTURING_PHASE = 1;
  static AT_TARGET = 2;
  static BUBBLING_PHASE = 3;
}
Object.defineProperty(Event.prototype, Symbol.toStringTag, { value: 'Event', configurable: true });

let listenersOf;

class EventTarget {
  #listeners = new Map();

  static {
    listenersOf = (target, type) => (target.#listeners.get(String(type)) ?? []).map(({ listener }) => listener);
  }

  addEventListener(type, listener, options) {
    if (listener === null || listener === undefined) return;
    if (typeof listener !== 'function' && typeof listener !== 'object') {
      throw require('./checks.js').wrongType('listener', 'an instance of EventListener', listener);
    }
    const { once = false, capture = false, signal } = typeof options === 'object' && options !== null ? options : { capture: Boolean(options) };
    if (signal?.aborted) return;
    type = String(type);
    const found = this.#listeners.get(type) ?? [];
    if (found.some((entry) => entry.listener === listener && entry.capture === capture)) return;
    this.#listeners.set(type, [...found, { listener, once, capture }]);
    signal?.addEventListener('abort', () => this.removeEventListener(type, listener, options), { once: true });
  }

  removeEventListener(type, listener, options) {
    const capture = Boolean(typeof options === 'object' && options !== null ? options.capture : options);
    const found = this.#listeners.get(String(type));
    if (found === undefined) return;
    this.#listeners.set(String(type), found.filter((entry) => entry.listener !== listener || entry.capture !== capture));
  }

  dispatchEvent(event) {
    if (!(event instanceof Event)) throw require('./checks.js').wrongType('event', 'an instance of Event', event);
    if (event.currentTarget !== null) throw coded(Error, 'ERR_EVENT_RECURSION', `The event "${event.type}" is already being dispatched`);
    dispatching(event, this);
    for (const entry of this.#listeners.get(event.type) ?? []) {
      if (!this.#listeners.get(event.type).includes(entry)) continue;
      if (entry.once) this.removeEventListener(event.type, entry.listener, entry.capture);
      const failed = (error) => process.nextTick(() => { throw error; });
      try {
        const result = typeof entry.listener === 'function'
          ? entry.listener.call(this, event)
          : entry.listener.handleEvent?.(event);
        if (typeof result?.then === 'function') result.then(undefined, failed);
      } catch (error) {
        failed(error);
      }
      if (stopped(event)) break;
    }
    dispatching(event, null);
    return !event.defaultPrevented;
  }
}
Object.defineProperty(EventTarget.prototype, Symbol.toStringTag, { value: 'EventTarget', configurable: true });

class CustomEvent extends Event {
  #detail;
  constructor(type, options) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() { return this.#detail; }
}

// Node shows its accessors by name.
const custom = Symbol.for('nodejs.util.inspect.custom');
Object.defineProperty(EventTarget.prototype, custom, {
  value(depth, options, inspect) {
    const { name } = this.constructor;
    return depth < 0 ? name : `${name} {}`;
  },
});

module.exports = { CustomEvent, DOMException, Event, EventTarget, listenersOf };
