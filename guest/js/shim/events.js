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
EventEmitter.addAbortListener ??= (signal, listener) => {
  const remove = () => signal.removeEventListener('abort', listener);
  if (signal.aborted) queueMicrotask(() => listener());
  else signal.addEventListener('abort', listener);
  return { [Symbol.dispose ?? Symbol('dispose')]: remove };
};
absent(EventEmitter, 'events', ['on', 'EventEmitterAsyncResource']);

module.exports = EventEmitter;
