// `os`: there is no machine to tell of, but scripts ask for `EOL` and the like.
'use strict';

const { absent } = require('./errors.js');

module.exports = absent({
  EOL: '\n',
  devNull: '/dev/null',
  arch: () => 'wasm32',
  platform: () => 'wasi',
  type: () => 'WASI',
  machine: () => 'wasm32',
  release: () => '0.2',
  version: () => 'WASI 0.2',
  hostname: () => 'hotsocket',
  homedir: () => '/',
  tmpdir: () => '/tmp',
  endianness: () => 'LE',
  cpus: () => [],
  availableParallelism: () => 1,
  loadavg: () => [0, 0, 0],
  networkInterfaces: () => ({}),
  freemem: () => 0,
  totalmem: () => 0,
  uptime: () => process.uptime(),
  constants: {
    signals: { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGUSR1: 10, SIGUSR2: 12, SIGPIPE: 13, SIGTERM: 15 },
    errno: { EPIPE: 32, ECONNRESET: 104, ETIMEDOUT: 110, ECONNREFUSED: 111, EADDRINUSE: 98 },
    priority: {},
  },
}, 'os', ['userInfo', 'getPriority', 'setPriority']);
