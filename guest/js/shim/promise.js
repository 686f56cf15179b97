// `Promise` on the loop's own microtasks: the engine's cannot be used, since
// nothing runs its job queue. Follows the language's specification step by
// step, so that things happen in the order in which Node has them. `async`
// functions are turned into generators by the build, and land here, too.
'use strict';

const context = require('./context.js');
const loop = require('./loop.js');

// The engine's, which async functions give that the build has not seen.
const Native = globalThis.Promise;
const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;
const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

class Promise {
  #state = PENDING;
  #value;
  #reactions = [];
  #handled = false;

  constructor(executor) {
    if (typeof executor !== 'function') {
      throw new TypeError(`Promise resolver ${String(executor)} is not a function`);
    }
    const { resolve, reject } = this.#functions();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  // A pair of functions of which the first call counts.
  #functions() {
    let done = false;
    const once = (act) => (value) => {
      if (!done) {
        done = true;
        act(value);
      }
    };
    return {
      resolve: once((value) => this.#resolve(value)),
      reject: once((reason) => this.#settle(REJECTED, reason)),
    };
  }

  #resolve(value) {
    if (value === this) {
      return this.#settle(REJECTED, new TypeError('Chaining cycle detected for promise #<Promise>'));
    }
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
      return this.#settle(FULFILLED, value);
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#settle(REJECTED, error);
    }
    if (typeof then !== 'function') return this.#settle(FULFILLED, value);
    if (value instanceof Native) {
      return this.#settle(REJECTED, new Error('a promise of the engine\'s own never settles in a hotsocket guest: async code in eval or new Function is not available'));
    }
    loop.microtask(() => {
      const { resolve, reject } = this.#functions();
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    const reactions = this.#reactions;
    this.#reactions = undefined;
    if (state === REJECTED && !this.#handled) loop.orphans.add(this);
    for (const reaction of reactions) this.#react(reaction);
  }

  #react({ onFulfilled, onRejected, resolve, reject, within }) {
    const handler = this.#state === FULFILLED ? onFulfilled : onRejected;
    const value = this.#value;
    const pass = this.#state === FULFILLED ? resolve : reject;
    const job = () => {
      if (typeof handler !== 'function') return pass(value);
      let result;
      try {
        result = handler(value);
      } catch (error) {
        return reject(error);
      }
      resolve(result);
    };
    loop.microtask(within.size === 0 ? job : () => context.within(within, job));
  }

  then(onFulfilled, onRejected) {
    const Derived = this.constructor?.[Symbol.species] ?? Promise;
    const { promise, resolve, reject } = capability(Derived);
    const reaction = { onFulfilled, onRejected, resolve, reject, within: context.get() };
    if (this.#state === PENDING) {
      this.#reactions.push(reaction);
    } else {
      if (this.#state === REJECTED && !this.#handled) loop.orphans.delete(this);
      this.#react(reaction);
    }
    this.#handled = true;
    return promise;
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(act) {
    if (typeof act !== 'function') return this.then(act, act);
    const Derived = this.constructor?.[Symbol.species] ?? Promise;
    return this.then(
      (value) => Derived.resolve(act()).then(() => value),
      (reason) => Derived.resolve(act()).then(() => { throw reason; }),
    );
  }

  // For the loop: the reason of a rejected promise.
  static reason(promise) { return promise.#value; }

  [inspectCustom](depth, options, inspect) {
    if (this.#state === PENDING) return 'Promise { <pending> }';
    const value = depth < 0 ? '[Object]' : inspect(this.#value, { ...options, depth });
    return this.#state === FULFILLED ? `Promise { ${value} }` : `Promise { <rejected> ${value} }`;
  }

  static get [Symbol.species]() { return this; }

  static resolve(value) {
    if (value instanceof Promise && value.constructor === this) return value;
    const { promise, resolve } = capability(this);
    resolve(value);
    return promise;
  }

  static reject(reason) {
    const { promise, reject } = capability(this);
    reject(reason);
    return promise;
  }

  static withResolvers() {
    return capability(this);
  }

  static try(act, ...args) {
    return new this((resolve) => resolve(act(...args)));
  }

  static all(items) {
    return gather(this, items, (values, resolve, reject) => ({
      fulfilled: (at) => (value) => { values[at] = value; return true; },
      rejected: () => reject,
      end: () => resolve(values),
    }));
  }

  static allSettled(items) {
    return gather(this, items, (values, resolve) => ({
      fulfilled: (at) => (value) => { values[at] = { status: 'fulfilled', value }; return true; },
      rejected: (at) => (reason) => { values[at] = { status: 'rejected', reason }; return true; },
      end: () => resolve(values),
    }));
  }

  static any(items) {
    return gather(this, items, (errors, resolve, reject) => ({
      fulfilled: () => resolve,
      rejected: (at) => (reason) => { errors[at] = reason; return true; },
      end: () => reject(new AggregateError(errors, 'All promises were rejected')),
    }));
  }

  static race(items) {
    const { promise, resolve, reject } = capability(this);
    try {
      for (const item of items) this.resolve(item).then(resolve, reject);
    } catch (error) {
      reject(error);
    }
    return promise;
  }
}

Object.defineProperty(Promise.prototype, Symbol.toStringTag, { value: 'Promise', configurable: true });
Object.defineProperty(Promise.prototype, inspectCustom, { enumerable: false });

function capability(Derived) {
  let resolve;
  let reject;
  const promise = new Derived((first, second) => {
    resolve = first;
    reject = second;
  });
  return { promise, resolve, reject };
}

// What `all`, `allSettled` and `any` have in common: collect one value for each
// item, and end when none is missing. A reaction that gives true has collected.
function gather(Derived, items, how) {
  const { promise, resolve, reject } = capability(Derived);
  const values = [];
  const { fulfilled, rejected, end } = how(values, resolve, reject);
  let missing = 1;
  const counted = (reaction) => {
    let called = false;
    return (value) => {
      if (called) return;
      called = true;
      if (reaction(value) === true && --missing === 0) end();
    };
  };
  try {
    let at = 0;
    for (const item of items) {
      values.push(undefined);
      missing++;
      Derived.resolve(item).then(counted(fulfilled(at)), counted(rejected(at)));
      at++;
    }
    if (--missing === 0) end();
  } catch (error) {
    reject(error);
  }
  return promise;
}

module.exports = Promise;
