// What a script does with `hotsocket:topics`: `socket.hotsocket.join` and the others, and
// the events 'message' and 'lagged' of the socket. Part of a component only if the script
// names it; asked.mjs decides.
//
// What is asked for while the connection callback runs again was done when it first ran,
// and belongs to the connection. After a swap new code may want other subscriptions and
// another will: those take effect; what it publishes is discarded, as what it writes.
'use strict';

const { topics } = require('./topics_host.js');
const { checkObject, checkString, received, wrongType, wrongValue } = require('./checks.js');
const { coded } = require('./errors.js');
const { encode } = require('./text.js');
const lines = require('./console.js');
const { Handover } = require('./handover.js');

const ERRORS = {
  'invalid': ['INVALID', 'is not a topic or pattern: tokens joined by dots'],
  'too-large': ['TOO_LARGE', 'gets a message of more than 64 KiB'],
  'too-much': ['TOO_MUCH', 'is too much: this event has published 1 MiB already, or asked 4,096 times'],
  'no-subscriber': ['NO_SUBSCRIBER', "is joined with delivery 'event', and the script names no listener of 'message'"],
};

function asked(topic, request) {
  try {
    request();
  } catch (error) {
    const [code, words] = ERRORS[error.payload] ?? [];
    if (code === undefined) throw error;
    throw coded(Error, `ERR_HOTSOCKET_TOPIC_${code}`, `"${topic}" ${words}`);
  }
}

function bytesOf(value, name) {
  if (typeof value === 'string') return encode(value);
  if (value instanceof Uint8Array) return value;
  throw wrongType(name, 'of type string or an instance of Buffer or Uint8Array', value);
}

function oneOf(value, choices, name) {
  if (!choices.includes(value)) throw wrongValue(name, value, `must be one of: '${choices.join("', '")}'`);
  return value;
}

// Whether the connection callback runs again, and this was done when it first ran.
const wasDone = () => lines.isMuted();
const wasDoneByThisCode = () => wasDone() && Handover.resumed !== 'migrated';

const methods = {
  join(pattern, options = {}) {
    checkString(pattern, 'pattern');
    checkObject(options, 'options');
    const delivery = oneOf(options.delivery ?? 'event', ['event', 'direct'], 'options.delivery');
    const full = oneOf(options.full ?? 'close', ['close', 'drop-oldest'], 'options.full');
    if (!wasDoneByThisCode()) asked(pattern, () => topics.subscribe(pattern.toWellFormed(), delivery, full));
  },
  leave(pattern) {
    checkString(pattern, 'pattern');
    if (!wasDoneByThisCode()) topics.unsubscribe(pattern.toWellFormed());
  },
  publish(topic, message) {
    checkString(topic, 'topic');
    const bytes = bytesOf(message, 'message');
    if (!wasDone()) asked(topic, () => topics.publish(topic.toWellFormed(), bytes));
  },
  subscribers(topic) {
    checkString(topic, 'topic');
    return Number(topics.subscribers(topic.toWellFormed()));
  },
  // `null` takes it back.
  will(topic, message) {
    checkString(topic, 'topic');
    const bytes = message === null ? null : bytesOf(message, 'message');
    if (!wasDoneByThisCode()) asked(topic, () => topics.setWill(topic.toWellFormed(), bytes));
  },
};
for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Handover.prototype, name, { value, enumerable: false, writable: true, configurable: true });
}

// What the component exports, for main.js to call as events.
module.exports = (socketOf, event) => ({
  message(topic, sender, bytes) {
    event(() => {
      const socket = socketOf();
      if (!socket.destroyed) socket.emit('message', topic, Object.setPrototypeOf(bytes, Buffer.prototype), Number(sender));
    });
  },
  lagged(missed) {
    event(() => {
      const socket = socketOf();
      if (!socket.destroyed) socket.emit('lagged', Number(missed));
    });
  },
});
