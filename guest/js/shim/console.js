// `console`: lines for the host's standard output and error, formatted as Node
// formats them.
'use strict';

const { output } = require('./host.js');
const { coded } = require('./errors.js');
const { consoleOn } = require('./console_methods.js');

// While this is more than zero nothing is printed: what a successor's
// connection callback prints was printed when the connection opened.
let muted = 0;
// Lines begun with `process.stdout.write`, by stream.
const begun = { print: '', error: '' };

function line(stream, text) {
  if (muted > 0) return;
  if (begun[stream] !== '') {
    text = begun[stream] + text;
    begun[stream] = '';
  }
  output[stream](text);
}

// The host has lines; a part of one waits for its end.
function write(stream, text) {
  if (muted > 0) return;
  const end = text.lastIndexOf('\n');
  if (end >= 0) {
    line(stream, text.slice(0, end));
    text = text.slice(end + 1);
  }
  begun[stream] += text;
}

function flush() {
  for (const stream of ['print', 'error']) {
    if (begun[stream] !== '') line(stream, '');
  }
}

// For an instance that is woken.
function resume({ print, error }) {
  Object.assign(begun, { print, error });
}

const streams = {
  print: (text) => line('print', text),
  error: (text) => line('error', text),
};
const console = consoleOn(streams.print, streams.error);
Object.defineProperty(console, 'Console', { value: Console, writable: true, configurable: true, enumerable: true });

// `new console.Console(stdout, stderr)`.
function Console(options, stderr, ignoreErrors) {
  if (typeof options?.write === 'function') options = { stdout: options, stderr, ignoreErrors };
  const out = options?.stdout;
  if (typeof out?.write !== 'function') {
    throw coded(TypeError, 'ERR_CONSOLE_WRITABLE_STREAM', 'Console expects a writable stream instance for stdout');
  }
  const err = options.stderr ?? out;
  if (typeof err.write !== 'function') {
    throw coded(TypeError, 'ERR_CONSOLE_WRITABLE_STREAM', 'Console expects a writable stream instance for stderr');
  }
  const made = consoleOn((text) => out.write(`${text}\n`), (text) => err.write(`${text}\n`), options);
  return Object.setPrototypeOf(made, new.target ? new.target.prototype : Console.prototype);
}
Object.defineProperty(Console, Symbol.hasInstance, { value: (object) => object === console || Console.prototype.isPrototypeOf(object) });

module.exports = {
  console,
  flush,
  resume,
  unfinished: () => ({ ...begun }),
  write,
  isMuted: () => muted > 0,
  mute() { muted++; },
  unmute() { muted--; },
};
