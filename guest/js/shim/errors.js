// Errors as the person at the terminal sees them: stacks with the lines of the
// script's own files, and the last words of an instance that dies of one.
'use strict';

const { output } = require('./host.js');
const loop = require('./loop.js');

// Where the script's lines ended up in the bundle: runs of [first line in the
// bundle, how many, number of the file, first line in the file].
let places = { files: [], runs: [] };
// The bundle is the body of a function made from text, whose head has lines.
const HEAD = 2;
// What the engine calls the file that such a function is in; found out below.
let bundleFile;

function place(frame) {
  if (bundleFile === undefined || fileOf(frame) !== bundleFile) return undefined;
  const line = frame.getLineNumber() - HEAD;
  for (const [first, count, file, original] of places.runs) {
    if (line >= first && line < first + count) {
      return `${places.files[file]}:${original + line - first}`;
    }
  }
  return undefined;
}

function line(frame, where) {
  const name = frame.getFunctionName();
  return name && name !== 'eval' ? `    at ${name} (${where})` : `    at ${where}`;
}

// As V8 writes it, with the script's frames only: those of the shim and of what
// it is made with say nothing to the script's author, unless there are no others.
function stackOf(error, frames) {
  let lines = [];
  for (const frame of frames) {
    const where = place(frame);
    if (where !== undefined) lines.push(line(frame, where));
  }
  if (lines.length === 0) {
    lines = frames.slice(0, 6).map((frame) => line(frame, `hotsocket:${frame.getLineNumber()}:${frame.getColumnNumber()}`));
  }
  let head;
  try {
    head = Error.prototype.toString.call(error);
  } catch {
    head = 'Error';
  }
  return [head, ...lines].join('\n');
}

const fileOf = (frame) => String(frame.getFileName());
// What V8's call sites have besides: packages ask them where they were called from.
function completeSites(site) {
  const proto = Object.getPrototypeOf(site);
  const answers = {
    getThis: undefined, getTypeName: 'Object', getMethodName: null, getEvalOrigin: undefined, getFunction: undefined,
    getScriptNameOrSourceURL: '', getPromiseIndex: null, isEval: false, isNative: false, isConstructor: false,
    isToplevel: true, isAsync: false, isPromiseAll: false, getFunctionName: null, getColumnNumber: 1,
  };
  for (const [name, answer] of Object.entries(answers)) proto[name] ??= () => answer;
  if (!Object.prototype.hasOwnProperty.call(proto, 'toString')) proto.toString = function () { return line(this, place(this) ?? `hotsocket:${this.getLineNumber()}`).trim().slice(3); };
}
Error.prepareStackTrace = (error, frames) => {
  completeSites(frames[0]);
  return fileOf(frames[0]);
};
bundleFile = new Function('return new Error("probe").stack')();
Error.prepareStackTrace = stackOf;
Error.stackTraceLimit = 30;

// The trap takes the instance with it, and the host's log quotes the words.
class Died extends Error {}
let last;

function die(words) {
  // A script that catches what is thrown here doesn't come far: see `isDead`.
  if (last === undefined) output.panic(words);
  last ??= words;
  throw new Died('the instance ends here');
}

// Handlers of `process.on('uncaughtException')` and the like, set by process.js.
let handled = () => false;

// What Node prints before it exits.
function told(error, origin) {
  const { inspect } = require('node-inspect-extracted');
  if (error instanceof Error) return inspect(error);
  const value = inspect(error);
  return origin === 'unhandledRejection'
    ? `Unhandled rejection of a promise, with ${value}`
    : `Uncaught ${value}`;
}

loop.onUncaught((error, origin) => {
  if (error instanceof Died) throw error;
  if (!handled(error, origin)) die(told(error, origin));
});

module.exports = {
  die,
  isDead: () => last !== undefined,
  lastWords: () => last,
  setPlaces(found) { places = found; },
  onHandled(handler) { handled = handler; },

  // An error with a code, as Node's own have.
  coded(Kind, code, message) {
    const error = new Kind(message);
    error.code = code;
    Object.defineProperty(error, 'name', { value: `${error.name} [${code}]`, configurable: true, enumerable: false, writable: true });
    error.stack; // has the name without its code, as Node shows it
    Object.defineProperty(error, 'name', { value: Kind.name, configurable: true, enumerable: false, writable: true });
    return error;
  },

  // An error of the system, as a socket has it.
  system(code, errno, syscall) {
    const error = new Error(`${syscall} ${code}`);
    error.errno = errno;
    error.code = code;
    error.syscall = syscall;
    return error;
  },

  // What Node has and a guest hasn't: calling it tells so.
  absent(object, module, names, why = 'is not available in a hotsocket guest') {
    for (const name of names) {
      if (name in object) continue;
      const message = `${module}.${name} ${why}`;
      object[name] = function absent() { throw new Error(message); };
    }
    return object;
  },
};
