// The time since the server started, in milliseconds, as `performance.now()`.
//
// The engine's own counts from when its image was made, which is before the
// server started: it would be negative here. This is the host's clock, the same
// for all instances, so that a time that one of them noted means the same to the
// next.
'use strict';

const { monotonicClock } = require('./host.js');

const now = () => Number(monotonicClock.now()) / 1e6;

const performance = {
  now,
  get timeOrigin() { return Date.now() - now(); },
  toJSON() { return { timeOrigin: this.timeOrigin }; },
};

module.exports = { now, performance };
