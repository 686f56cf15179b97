// `http.IncomingMessage`: a request as a stream, with its headers as Node has them.
'use strict';

const { Readable } = require('./stream.js');

// Of these the first counts; of others, all, joined by commas.
const ONCE = new Set(['age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host',
  'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization',
  'referer', 'retry-after', 'server', 'user-agent']);

function joined(raw, join) {
  const headers = {};
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at].toLowerCase();
    const value = raw[at + 1];
    if (name === 'set-cookie') (headers[name] ??= []).push(value);
    else if (!Object.hasOwn(headers, name)) headers[name] = value;
    else if (name === 'cookie') headers[name] += `; ${value}`;
    else if (join || !ONCE.has(name)) headers[name] += `, ${value}`;
  }
  return headers;
}

function distinct(raw) {
  const headers = Object.create(null);
  for (let at = 0; at < raw.length; at += 2) (headers[raw[at].toLowerCase()] ??= []).push(raw[at + 1]);
  return headers;
}

function IncomingMessage(socket, join) {
  if (!(this instanceof IncomingMessage)) return new IncomingMessage(socket, join);
  Readable.call(this, { autoDestroy: true, highWaterMark: socket?.readableHighWaterMark });
  this.httpVersionMajor = null;
  this.httpVersionMinor = null;
  this.httpVersion = null;
  this.complete = false;
  this.rawHeaders = [];
  this.rawTrailers = [];
  this.joinDuplicateHeaders = join;
  this.aborted = false;
  this.upgrade = null;
  this.url = '';
  this.method = null;
  this.statusCode = null;
  this.statusMessage = null;
  this.client = socket;
  this.socket = socket;
  Object.defineProperty(this, 'waits', { value: false, writable: true, enumerable: false });
}
Object.setPrototypeOf(IncomingMessage.prototype, Readable.prototype);
Object.setPrototypeOf(IncomingMessage, Readable);

// Made when they are asked for.
for (const [name, raw, make] of [
  ['headers', 'rawHeaders', joined], ['trailers', 'rawTrailers', joined],
  ['headersDistinct', 'rawHeaders', distinct], ['trailersDistinct', 'rawTrailers', distinct],
]) {
  const put = (message, value) => Object.defineProperty(message, name, { value, writable: true, configurable: true, enumerable: false });
  Object.defineProperty(IncomingMessage.prototype, name, {
    configurable: true,
    get() {
      const value = make(this[raw], this.joinDuplicateHeaders);
      put(this, value);
      return value;
    },
    set(value) { put(this, value); },
  });
}

Object.defineProperties(IncomingMessage.prototype, {
  connection: {
    configurable: true,
    get() { return this.socket; },
    set(socket) { this.socket = socket; },
  },
});

IncomingMessage.prototype.setTimeout = function setTimeout(after, callback) {
  if (callback) this.on('timeout', callback);
  this.socket?.setTimeout(after, () => this.emit('timeout', this.socket));
  return this;
};
IncomingMessage.prototype._read = function _read() {
  if (!this.waits) return;
  this.waits = false;
  this.socket?.resume();
};
IncomingMessage.prototype._destroy = function _destroy(error, done) {
  if (!this.readableEnded || !this.complete) {
    this.aborted = true;
    this.emit('aborted');
  }
  if (this.socket && !this.socket.destroyed && this.aborted) this.socket.destroy(error);
  if (error && this.listenerCount('error') === 0) error = null;
  process.nextTick(done, error);
};

module.exports = { IncomingMessage };
