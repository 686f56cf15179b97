// `diagnostics_channel`.
'use strict';

const { absent, coded } = require('./errors.js');

const channels = new Map();

class Channel {
  #subscribers = [];

  constructor(name) { this.name = name; }
  get hasSubscribers() { return this.#subscribers.length > 0; }

  subscribe(subscriber) {
    if (typeof subscriber !== 'function') {
      throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "subscription" argument must be of type function.');
    }
    this.#subscribers = [...this.#subscribers, subscriber];
  }

  unsubscribe(subscriber) {
    const at = this.#subscribers.indexOf(subscriber);
    this.#subscribers = this.#subscribers.filter((_, which) => which !== at);
    return at >= 0;
  }

  publish(message) {
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(message, this.name);
      } catch (error) {
        process.nextTick(() => { throw error; });
      }
    }
  }
}

function channel(name) {
  if (!channels.has(name)) channels.set(name, new Channel(name));
  return channels.get(name);
}

// What an operation's five channels have in common.
class TracingChannel {
  constructor(names) {
    for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) {
      this[event] = typeof names === 'string' ? channel(`tracing:${names}:${event}`) : names[event];
    }
  }
  get hasSubscribers() { return ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].some((event) => this[event].hasSubscribers); }
  subscribe(handlers) {
    for (const [event, handler] of Object.entries(handlers)) this[event].subscribe(handler);
  }
  unsubscribe(handlers) {
    return Object.entries(handlers).map(([event, handler]) => this[event].unsubscribe(handler)).every(Boolean);
  }
  traceSync(task, context = {}, self = undefined, ...args) {
    this.start.publish(context);
    try {
      context.result = task.apply(self, args);
      return context.result;
    } catch (error) {
      context.error = error;
      this.error.publish(context);
      throw error;
    } finally {
      this.end.publish(context);
    }
  }
  tracePromise(task, context = {}, self = undefined, ...args) {
    const after = (name) => (value) => {
      context[name] = value;
      if (name === 'error') this.error.publish(context);
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
      if (name === 'error') throw value;
      return value;
    };
    this.start.publish(context);
    try {
      return Promise.resolve(task.apply(self, args)).then(after('result'), after('error'));
    } finally {
      this.end.publish(context);
    }
  }
  traceCallback(task, position = -1, context = {}, self = undefined, ...args) {
    const at = position < 0 ? args.length + position : position;
    const callback = args[at];
    const channels = this;
    args[at] = function (error, result) {
      if (error) {
        context.error = error;
        channels.error.publish(context);
      } else {
        context.result = result;
      }
      channels.asyncStart.publish(context);
      try {
        return callback.apply(this, arguments);
      } finally {
        channels.asyncEnd.publish(context);
      }
    };
    return this.traceSync(task, context, self, ...args);
  }
}

module.exports = absent({
  Channel,
  channel,
  hasSubscribers: (name) => channels.get(name)?.hasSubscribers ?? false,
  subscribe: (name, subscriber) => channel(name).subscribe(subscriber),
  unsubscribe: (name, subscriber) => channel(name).unsubscribe(subscriber),
  tracingChannel: (names) => new TracingChannel(names),
  TracingChannel,
}, 'diagnostics_channel', ['boundedChannel']);
