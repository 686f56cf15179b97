// `process`, as far as there is one: a guest is no process, but scripts look at
// the environment, write to standard output, and listen for signals.
'use strict';

const { monotonicClock } = require('./host.js');
const environment = require('./environment.js');
const { absent, die, onHandled } = require('./errors.js');
const events = require('./events.js');
const { checkFunction } = require('./checks.js');
const clock = require('./clock.js');
const loop = require('./loop.js');
const Promise = require('./promise.js');
const { StringDecoder } = require('./string_decoder.js');
const lines = require('./console.js');

class Process extends events.EventEmitter {}
const process = new Process();

let env;

function stream(fd, name) {
  const it = new events.EventEmitter();
  // A character may come in two pieces.
  const decoder = new StringDecoder('utf8');
  return Object.assign(it, {
    fd,
    isTTY: false,
    writable: true,
    columns: undefined,
    write(chunk, encoding, callback) {
      if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
      const isText = typeof chunk === 'string' && (encoding ?? 'utf8') === 'utf8' && decoder.rest.length === 0;
      lines.write(name, isText ? chunk : decoder.write(Buffer.from(chunk, encoding)));
      if (typeof callback === 'function') process.nextTick(callback);
      return true;
    },
    end() {},
    hasColors: () => false,
    getColorDepth: () => 1,
  });
}

Object.defineProperties(process, {
  env: {
    enumerable: true,
    get() {
      env ??= environment.variables();
      return env;
    },
    set(value) { env = value; },
  },
});

function hrtime(since) {
  const now = clock.now();
  let seconds = Math.floor(now / 1000);
  let nanos = Math.floor((now % 1000) * 1e6);
  if (since) {
    seconds -= since[0];
    nanos -= since[1];
    if (nanos < 0) [seconds, nanos] = [seconds - 1, nanos + 1e9];
  }
  return [seconds, nanos];
}
hrtime.bigint = () => BigInt(monotonicClock.now());

const exit = (code = process.exitCode ?? 0) =>
  die(`process.exit(${code}) was called: it ends this connection, not the server`);

Object.assign(process, {
  title: 'hotsocket',
  // The build puts the script's name in.
  argv: ['hotsocket'],
  execArgv: [],
  execPath: 'hotsocket',
  pid: 1,
  ppid: 0,
  arch: 'wasm32',
  platform: 'wasi',
  version: 'v20.0.0',
  versions: { node: '20.0.0' },
  release: { name: 'hotsocket' },
  exitCode: undefined,
  stdout: stream(1, 'print'),
  stderr: stream(2, 'error'),
  cwd: () => '/',
  uptime: () => clock.now() / 1000,
  hrtime,
  memoryUsage() {
    const used = globalThis.__cqjs?.getMemoryUsage?.() ?? {};
    const bytes = Number(used.mallocSize ?? used.malloc_size ?? 0);
    return { rss: bytes, heapTotal: bytes, heapUsed: bytes, external: 0, arrayBuffers: 0 };
  },
  nextTick(callback, ...args) {
    checkFunction(callback, 'callback');
    loop.tick(args.length === 0 ? callback : () => callback(...args));
  },
  emitWarning(warning, type = 'Warning') {
    const name = typeof type === 'object' ? type.type ?? 'Warning' : type;
    lines.console.error(`(hotsocket) ${name}: ${warning?.message ?? warning}`);
  },
  exit,
  reallyExit: exit,
});
absent(process, 'process', [
  'abort', 'binding', 'chdir', 'cpuUsage', 'dlopen', 'getegid', 'geteuid', 'getgid', 'getgroups',
  'getuid', 'kill', 'resourceUsage', 'send', 'setgid', 'setuid', 'umask',
]);

// A script that catches what nobody else caught goes on, as under Node.
onHandled((error, origin) => {
  const event = origin === 'unhandledRejection' ? origin : 'uncaughtException';
  if (process.listenerCount(event) > 0) return process.emit(event, error, origin);
  if (process.listenerCount('uncaughtException') > 0) {
    return process.emit('uncaughtException', error, origin);
  }
  return false;
});
loop.onUnhandled((promise) => {
  const reason = Promise.reason(promise);
  if (process.listenerCount('unhandledRejection') > 0) {
    process.emit('unhandledRejection', reason, promise);
  } else {
    loop.uncaught(reason, 'unhandledRejection');
  }
});

module.exports = process;
