// `events`: the npm package of that name, with what is newer in Node.
'use strict';

const EventEmitter = require('events-from-npm');
const { absent } = require('./errors.js');

EventEmitter.EventEmitter = EventEmitter;
EventEmitter.getEventListeners ??= (emitter, name) => emitter.listeners(name);
EventEmitter.setMaxListeners ??= (count, ...emitters) => {
  if (emitters.length === 0) EventEmitter.defaultMaxListeners = count;
  for (const emitter of emitters) emitter.setMaxListeners(count);
};
absent(EventEmitter, 'events', ['on', 'addAbortListener', 'EventEmitterAsyncResource']);

module.exports = EventEmitter;
