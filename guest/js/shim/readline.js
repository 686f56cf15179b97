// `readline` on streams: lines of an input, an async iterator, questions. There is no
// terminal.
'use strict';

const { EventEmitter } = require('./events.js');
const { StringDecoder } = require('./string_decoder.js');
const { absent, coded } = require('./errors.js');
const { wrongValue } = require('./checks.js');

// Node's: the input is paused while more lines wait for who iterates over them.
const MOST_LINES = 1024;

function Interface(input, output, completer, terminal) {
  if (!(this instanceof Interface)) return new Interface(input, output, completer, terminal);
  EventEmitter.call(this);
  let options = { input, output };
  if (input?.input) options = input;
  const { crlfDelay = 100, prompt = '> ', signal } = options;
  this.input = options.input;
  this.output = options.output;
  this.terminal = false;
  this.line = '';
  this.cursor = 0;
  this.closed = false;
  this.paused = false;
  this.history = options.history ?? [];
  this.crlfDelay = Math.max(100, crlfDelay);
  if (this.input === undefined || this.input === null) throw wrongValue('input', this.input);
  hide(this, { decoder: new StringDecoder('utf8'), rest: [], sawReturn: 0, asked: undefined, promptText: prompt });
  const data = (chunk) => this.write_(typeof chunk === 'string' ? chunk : this.decoder.write(chunk));
  const end = () => {
    const rest = this.rest.splice(0).join('') + this.decoder.end();
    if (rest.length > 0) line(this, rest);
    this.close();
  };
  const error = (reason) => this.emit('error', reason);
  hide(this, { leave: () => {
    this.input.removeListener('data', data);
    this.input.removeListener('end', end);
    this.input.removeListener('error', error);
  } });
  this.input.on('error', error);
  this.input.on('data', data);
  this.input.on('end', end);
  if (signal?.aborted) process.nextTick(() => this.close());
  else signal?.addEventListener('abort', () => this.close(), { once: true });
  this.input.resume();
}
Object.setPrototypeOf(Interface.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Interface, EventEmitter);

function hide(object, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

// A question gets the line that comes next.
function line(it, text) {
  if (it.asked !== undefined) {
    const { asked } = it;
    it.asked = undefined;
    asked(text);
  } else {
    it.emit('line', text);
  }
}

// As `split(/\r\n|\n|\r/)`, which the engine tries at each character.
function linesOf(text) {
  const lines = [];
  let from = 0;
  let feed = text.indexOf('\n');
  let back = text.indexOf('\r');
  while (feed >= 0 || back >= 0) {
    const isBack = back >= 0 && (feed < 0 || back < feed);
    const at = isBack ? back : feed;
    lines.push(text.slice(from, at));
    from = at + (isBack && feed === at + 1 ? 2 : 1);
    if (feed >= 0 && feed < from) feed = text.indexOf('\n', from);
    if (isBack) back = text.indexOf('\r', from);
  }
  lines.push(text.slice(from));
  return lines;
}

const methods = {
  write_(text) {
    // The line feed of a pair whose other half came before.
    if (this.sawReturn > 0 && performance.now() - this.sawReturn <= this.crlfDelay) {
      if (text.startsWith('\n')) text = text.slice(1);
      this.sawReturn = 0;
    }
    // Only what is new is searched, and what there was is not copied for it: a line may
    // come byte by byte.
    if (text !== '') this.rest.push(text);
    if (!text.includes('\n') && !text.includes('\r')) return;
    this.sawReturn = text.endsWith('\r') ? performance.now() : 0;
    const lines = linesOf(this.rest.splice(0).join(''));
    const begun = lines.pop();
    if (begun !== '') this.rest.push(begun);
    for (const each of lines) line(this, each);
  },
  getPrompt() { return this.promptText; },
  setPrompt(text) { this.promptText = text; },
  prompt() {
    if (this.paused) this.resume();
    this.output?.write(this.promptText);
  },
  question(query, options, answered) {
    if (typeof options === 'function') [options, answered] = [{}, options];
    if (this.closed) throw coded(Error, 'ERR_USE_AFTER_CLOSE', 'readline was closed');
    if (typeof answered !== 'function') return;
    if (this.asked !== undefined) {
      this.prompt();
      return;
    }
    this.output?.write(query);
    this.asked = answered;
    options?.signal?.addEventListener('abort', () => { this.asked = undefined; }, { once: true });
  },
  write(text) {
    if (this.closed) throw coded(Error, 'ERR_USE_AFTER_CLOSE', 'readline was closed');
    if (this.paused) this.resume();
    if (text !== undefined && text !== null) this.write_(String(text));
  },
  close() {
    if (this.closed) return;
    this.pause();
    this.leave();
    this.closed = true;
    this.emit('close');
  },
  pause() {
    if (this.paused) return this;
    this.input.pause();
    this.paused = true;
    this.emit('pause');
    return this;
  },
  resume() {
    if (!this.paused) return this;
    this.input.resume();
    this.paused = false;
    this.emit('resume');
    return this;
  },
  getCursorPos: () => ({ rows: 0, cols: 0 }),
  [Symbol.asyncIterator]() {
    const lines = EventEmitter.on(this, 'line', { close: ['close'], highWaterMark: MOST_LINES });
    const closes = this;
    return {
      async next() {
        const { value, done } = await lines.next();
        return done ? { value: undefined, done } : { value: value[0], done };
      },
      async return() {
        closes.close();
        await lines.return();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]() { return this; },
    };
  },
  [Symbol.dispose ?? Symbol.for('SymbolDispose')]() { this.close(); },
};
for (const name of Reflect.ownKeys(methods)) {
  Object.defineProperty(Interface.prototype, name, { value: methods[name], writable: true, configurable: true, enumerable: name !== 'write_' });
}
Interface.prototype.question[Symbol.for('nodejs.util.promisify.custom')] = function (query, options) {
  return new Promise((resolve) => this.question(query, options ?? {}, resolve));
};

const promisesInterface = (...args) => {
  const made = new Interface(...args);
  hide(made, { question: (query, options) => new Promise((resolve, reject) => {
    const aborted = () => reject(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }));
    if (options?.signal?.aborted) return aborted();
    options?.signal?.addEventListener('abort', aborted, { once: true });
    Interface.prototype.question.call(made, query, options ?? {}, resolve);
  }) });
  return made;
};

// A terminal's sequences, for streams that are one.
const sequence = (make) => (stream, ...args) => {
  const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
  if (stream === null || stream === undefined) {
    if (callback) process.nextTick(callback, null);
    return true;
  }
  const text = make(...args);
  if (text === '') {
    if (callback) process.nextTick(callback, null);
    return true;
  }
  return stream.write(text, callback);
};

module.exports = absent({
  Interface,
  createInterface: (...args) => new Interface(...args),
  clearLine: sequence((direction) => (direction < 0 ? '\u001b[1K' : direction > 0 ? '\u001b[0K' : '\u001b[2K')),
  clearScreenDown: sequence(() => '\u001b[0J'),
  cursorTo: sequence((x, y) => (typeof y === 'number' ? `\u001b[${y + 1};${x + 1}H` : `\u001b[${x + 1}G`)),
  moveCursor: sequence((x, y) => (x < 0 ? `\u001b[${-x}D` : x > 0 ? `\u001b[${x}C` : '') + (y < 0 ? `\u001b[${-y}A` : y > 0 ? `\u001b[${y}B` : '')),
  promises: { Interface, createInterface: promisesInterface },
}, 'readline', ['emitKeypressEvents']);
