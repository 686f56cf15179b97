// `perf_hooks`: the clock.
'use strict';

const { performance } = require('./clock.js');
const { absent } = require('./errors.js');

module.exports = absent({ performance, constants: {} }, 'perf_hooks', [
  'PerformanceObserver', 'monitorEventLoopDelay', 'createHistogram', 'PerformanceEntry',
]);
