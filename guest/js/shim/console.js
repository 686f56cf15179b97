// `console`: lines for the host's standard output and error, formatted as Node
// formats them.
'use strict';

const { output } = require('./host.js');
const { absent } = require('./errors.js');
const { formatWithOptions, inspect } = require('./util.js');

// While this is more than zero nothing is printed: what a successor's
// connection callback prints was printed when the connection opened.
let muted = 0;
let indent = '';
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

function put(stream, args) {
  let text = formatWithOptions({}, ...args);
  if (indent !== '') text = indent + text.replaceAll('\n', `\n${indent}`);
  line(stream, text);
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

const counts = new Map();
const times = new Map();
const elapsed = (label) => {
  const time = performance.now() - (times.get(label) ?? performance.now());
  return time >= 1000 ? `${(time / 1000).toFixed(3)}s` : `${Number(time.toFixed(3))}ms`;
};

const console = {
  log: (...args) => put('print', args),
  info: (...args) => put('print', args),
  debug: (...args) => put('print', args),
  error: (...args) => put('error', args),
  warn: (...args) => put('error', args),
  trace(...args) {
    const stack = new Error().stack.split('\n').slice(1).join('\n');
    put('error', [`Trace${args.length > 0 ? ': ' : ''}${formatWithOptions({}, ...args)}\n${stack}`]);
  },
  dir: (value, options) => put('print', [inspect(value, { customInspect: false, ...options })]),
  dirxml: (...args) => put('print', args),
  assert(condition, ...args) {
    if (condition) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args.unshift('Assertion failed');
    put('error', args);
  },
  group(...args) {
    if (args.length > 0) put('print', args);
    indent += '  ';
  },
  groupEnd() { indent = indent.slice(2); },
  count(label = 'default') {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    put('print', [`${label}: ${counts.get(label)}`]);
  },
  countReset(label = 'default') { counts.delete(label); },
  time(label = 'default') { times.set(label, performance.now()); },
  timeLog(label = 'default', ...args) { put('print', [`${label}: ${elapsed(label)}`, ...args]); },
  timeEnd(label = 'default') {
    put('print', [`${label}: ${elapsed(label)}`]);
    times.delete(label);
  },
};
console.groupCollapsed = console.group;
absent(console, 'console', ['table', 'profile', 'profileEnd', 'timeStamp', 'Console']);

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
