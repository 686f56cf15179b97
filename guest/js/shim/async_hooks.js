// `async_hooks`: `AsyncLocalStorage` and `AsyncResource`. The hooks themselves see
// nothing.
'use strict';

const context = require('./context.js');
const { absent } = require('./errors.js');

class AsyncLocalStorage {
  getStore() { return context.get().get(this); }

  run(store, task, ...args) {
    return context.within(new Map(context.get()).set(this, store), () => task(...args));
  }

  exit(task, ...args) {
    const without = new Map(context.get());
    without.delete(this);
    return context.within(without, () => task(...args));
  }

  enterWith(store) { context.set(new Map(context.get()).set(this, store)); }

  disable() {
    const without = new Map(context.get());
    without.delete(this);
    context.set(without);
  }

  static bind(task) { return new AsyncResource('bound').bind(task); }

  static snapshot() {
    const then = context.get();
    return (task, ...args) => context.within(then, () => task(...args));
  }
}

let lastId = 1;

class AsyncResource {
  #context = context.get();
  #id = ++lastId;

  constructor(type) { this.type = type; }
  runInAsyncScope(task, self, ...args) { return context.within(this.#context, () => task.apply(self, args)); }
  bind(task) {
    const resource = this;
    return function (...args) { return resource.runInAsyncScope(task, this, ...args); };
  }
  emitDestroy() { return this; }
  asyncId() { return this.#id; }
  triggerAsyncId() { return 1; }
  static bind(task, type) { return new AsyncResource(type ?? 'bound').bind(task); }
}

const hook = { enable: () => hook, disable: () => hook };

module.exports = absent({
  AsyncLocalStorage,
  AsyncResource,
  createHook: () => hook,
  executionAsyncId: () => 1,
  triggerAsyncId: () => 0,
  executionAsyncResource: () => ({}),
}, 'async_hooks', []);
