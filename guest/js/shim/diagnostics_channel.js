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

module.exports = absent({
  Channel,
  channel,
  hasSubscribers: (name) => channels.get(name)?.hasSubscribers ?? false,
  subscribe: (name, subscriber) => channel(name).subscribe(subscriber),
  unsubscribe: (name, subscriber) => channel(name).unsubscribe(subscriber),
}, 'diagnostics_channel', ['tracingChannel']);
