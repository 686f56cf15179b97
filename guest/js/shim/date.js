// `Date`: the engine's, with the host's time of day. The engine's own clock stands
// still, so that two builds of a script give the same bytes (see engine.mjs).
'use strict';

const { wallClock } = require('./host.js');

const Engine = globalThis.Date;

function Date(...parts) {
  if (new.target === undefined) return new Engine(wallClock('Date()')).toString();
  if (parts.length === 0) parts = [wallClock('new Date()')];
  return Reflect.construct(Engine, parts, new.target);
}

const own = Object.getOwnPropertyDescriptors(Engine);
own.now.value = { now: () => wallClock('Date.now()') }.now;
Object.defineProperties(Date, own);
Object.defineProperty(Engine.prototype, 'constructor', { value: Date, writable: true, configurable: true, enumerable: false });

module.exports = Date;
