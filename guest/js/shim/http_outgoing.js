// `http.OutgoingMessage`: headers and a body, framed as Node frames them.
'use strict';

const { Stream } = require('./stream.js');
const { coded } = require('./errors.js');
const { wrongType } = require('./checks.js');

const CRLF = '\r\n';

function validateHeaderName(name, label = 'Header name') {
  if (typeof name !== 'string' || !/^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/.test(name)) {
    throw coded(TypeError, 'ERR_INVALID_HTTP_TOKEN', `${label} must be a valid HTTP token ["${name}"]`);
  }
}

function validateHeaderValue(name, value) {
  if (value === undefined) throw coded(TypeError, 'ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "undefined" for header "${name}"`);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw coded(TypeError, 'ERR_INVALID_CHAR', `Invalid character in header content ["${name}"]`);
}

const sent = (what) => coded(Error, 'ERR_HTTP_HEADERS_SENT', `Cannot ${what} headers after they are sent to the client`);

function OutgoingMessage() {
  if (!(this instanceof OutgoingMessage)) return new OutgoingMessage();
  Stream.call(this);
  this.destroyed = false;
  this.finished = false;
  this.writable = true;
  this.shouldKeepAlive = true;
  this.useChunkedEncodingByDefault = true;
  this.sendDate = false;
  this.chunkedEncoding = false;
  this.socket = null;
  this.strictContentLength = false;
  hide(this, {
    headers_: new Map(), removed: new Set(), header_: null, hasBody: true, waiting: [], trailers_: '', last: false,
    keepAliveTimeout: 0, isOver: false, corked: 0, length_: undefined, written: 0, owesDrain: false,
  });
}
Object.setPrototypeOf(OutgoingMessage.prototype, Stream.prototype);
Object.setPrototypeOf(OutgoingMessage, Stream);

function hide(object, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

const methods = {
  get connection() { return this.socket; },
  get headersSent() { return this.header_ !== null; },
  get _header() { return this.header_; },
  get writableEnded() { return this.finished; },
  get writableFinished() { return this.isOver; },
  get writableObjectMode() { return false; },
  get writableHighWaterMark() { return this.socket ? this.socket.writableHighWaterMark : 16 * 1024; },
  get writableLength() { return this.waiting.reduce((sum, [bytes]) => sum + bytes.length, 0) + (this.socket?.writableLength ?? 0); },
  get writableNeedDrain() { return !this.destroyed && !this.finished && this.owesDrain; },
  get writableCorked() { return this.corked; },

  setHeader(name, value) {
    if (this.header_ !== null) throw sent('set');
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this.headers_.set(name.toLowerCase(), [name, value]);
    return this;
  },
  setHeaders(headers) {
    if (this.header_ !== null) throw sent('set');
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  },
  appendHeader(name, value) {
    if (this.header_ !== null) throw sent('append');
    const before = this.getHeader(name);
    return this.setHeader(name, before === undefined ? value : [].concat(before, value));
  },
  getHeader(name) { return this.headers_.get(String(name).toLowerCase())?.[1]; },
  hasHeader(name) { return this.headers_.has(String(name).toLowerCase()); },
  getHeaderNames() { return [...this.headers_.keys()]; },
  getRawHeaderNames() { return [...this.headers_.values()].map(([name]) => name); },
  getHeaders() {
    const headers = Object.create(null);
    for (const [key, [, value]] of this.headers_) headers[key] = value;
    return headers;
  },
  removeHeader(name) {
    if (this.header_ !== null) throw sent('remove');
    const key = String(name).toLowerCase();
    this.headers_.delete(key);
    this.removed.add(key);
    if (key === 'date') this.sendDate = false;
  },
  addTrailers(trailers) {
    for (const [name, value] of Array.isArray(trailers) ? trailers : Object.entries(trailers)) {
      validateHeaderName(name, 'Trailer name');
      if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw coded(TypeError, 'ERR_INVALID_CHAR', `Invalid character in trailer content ["${name}"]`);
      this.trailers_ += `${name}: ${value}${CRLF}`;
    }
  },

  // The head as text, once all headers are known.
  store(line, headers) {
    let text = line;
    const seen = new Set();
    const put = (name, value) => {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      const key = name.toLowerCase();
      seen.add(key);
      if (key === 'connection') {
        if (/(?:^|\W)close(?:$|\W)/i.test(value)) this.last = true;
        else this.shouldKeepAlive = true;
      }
      if (key === 'transfer-encoding' && /(?:^|\W)chunked(?:$|\W)/i.test(value)) this.chunkedEncoding = true;
      if (key === 'content-length') this.length_ = Number(value);
      text += `${name}: ${value}${CRLF}`;
    };
    for (const [name, value] of headers) {
      if (Array.isArray(value) && name.toLowerCase() === 'cookie') put(name, value.join('; '));
      else if (Array.isArray(value)) value.forEach((each) => put(name, each));
      else put(name, value);
    }
    if (this.sendDate && !seen.has('date')) text += `Date: ${new Date().toUTCString()}${CRLF}`;
    if (this.chunkedEncoding && (this.statusCode === 204 || this.statusCode === 304)) {
      this.chunkedEncoding = false;
      this.shouldKeepAlive = false;
    }
    if (this.removed.has('connection')) {
      this.last = !this.shouldKeepAlive;
    } else if (!seen.has('connection')) {
      if (this.shouldKeepAlive && (seen.has('content-length') || this.useChunkedEncodingByDefault)) {
        text += `Connection: keep-alive${CRLF}`;
        if (this.keepAliveTimeout > 0 && !seen.has('keep-alive')) text += `Keep-Alive: timeout=${Math.floor(this.keepAliveTimeout / 1000)}${CRLF}`;
      } else {
        this.last = true;
        text += `Connection: close${CRLF}`;
      }
    }
    if (!seen.has('content-length') && !seen.has('transfer-encoding')) {
      if (!this.hasBody) this.chunkedEncoding = false;
      else if (!this.useChunkedEncodingByDefault) this.last = true;
      else if (!seen.has('trailer') && !this.removed.has('content-length') && this.length_ !== undefined) text += `Content-Length: ${this.length_}${CRLF}`;
      else if (!this.removed.has('transfer-encoding')) {
        text += `Transfer-Encoding: chunked${CRLF}`;
        this.chunkedEncoding = true;
      } else {
        this.last = true;
      }
    }
    this.header_ = text + CRLF;
    hide(this, { unsent: this.header_ });
  },

  // To the socket, or to wait until it is this response's turn.
  raw(data, encoding, callback) {
    if (this.unsent !== undefined) {
      const head = Buffer.from(this.unsent, 'latin1');
      this.unsent = undefined;
      if (data === '' || data.length === 0) data = head;
      else data = Buffer.concat([head, typeof data === 'string' ? Buffer.from(data, encoding) : data]);
    }
    if (data.length === 0) {
      if (typeof callback === 'function') process.nextTick(callback);
      return true;
    }
    const bytes = typeof data === 'string' ? Buffer.from(data, encoding) : data;
    if (this.socket === null) {
      if (!this.destroyed) this.waiting.push([bytes, callback]);
      return false;
    }
    if (this.socket.destroyed || !this.socket.writable) {
      if (typeof callback === 'function') process.nextTick(callback);
      return false;
    }
    return this.socket.write(bytes, callback);
  },

  frame(chunk, encoding) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    if (!this.chunkedEncoding) return bytes;
    return Buffer.concat([Buffer.from(bytes.length.toString(16) + CRLF), bytes, Buffer.from(CRLF)]);
  },

  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    if (chunk === null) throw coded(TypeError, 'ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      throw wrongType('chunk', 'of type string or an instance of Buffer or Uint8Array', chunk);
    }
    let error;
    if (this.finished) error = coded(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');
    else if (this.destroyed) error = coded(Error, 'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed');
    if (error) {
      if (!this.destroyed) process.nextTick(() => { callback?.(error); this.destroy(error); });
      else process.nextTick(() => callback?.(error));
      return false;
    }
    if (this.header_ === null) this._implicitHeader();
    if (!this.hasBody) {
      process.nextTick(() => callback?.());
      return true;
    }
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    this.count(length, false);
    if (length === 0) {
      if (typeof callback === 'function') process.nextTick(callback);
      return this.raw('');
    }
    const goOn = this.raw(this.frame(chunk, encoding), undefined, callback);
    if (!goOn) this.owesDrain = true;
    return goOn;
  },

  // With `strictContentLength`, a body of another length is an error.
  count(length, isLast) {
    this.written += length;
    if (!this.strictContentLength || this.length_ === undefined || this.chunkedEncoding || !this.hasBody) return;
    if (this.written > this.length_ || (isLast && this.written !== this.length_)) {
      throw coded(Error, 'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
        `Response body's content-length of ${this.written} byte(s) does not match the content-length of ${this.length_} byte(s) set in header`);
    }
  },

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') [callback, chunk] = [chunk, undefined];
    else if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    if (this.finished) {
      const error = chunk === undefined || chunk === null
        ? coded(Error, 'ERR_STREAM_ALREADY_FINISHED', 'Cannot call end after a stream was finished')
        : coded(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');
      if (typeof callback === 'function') process.nextTick(callback, error);
      return this;
    }
    if (chunk !== undefined && chunk !== null) {
      if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
        throw wrongType('chunk', 'of type string or an instance of Buffer or Uint8Array', chunk);
      }
      if (this.header_ === null) {
        this.length_ = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
      }
    } else if (this.header_ === null) {
      this.length_ = 0;
    }
    if (typeof callback === 'function') this.once('finish', callback);
    if (this.header_ === null) this._implicitHeader();
    let rest = '';
    if (this.hasBody) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk ?? Buffer.alloc(0);
      this.count(bytes.length, true);
      rest = bytes.length > 0 ? this.frame(bytes) : bytes;
      if (this.chunkedEncoding) rest = Buffer.concat([rest, Buffer.from(`0${CRLF}${this.trailers_}${CRLF}`, 'latin1')]);
    }
    this.raw(rest);
    while (this.corked > 0) this.uncork();
    this.finished = true;
    if (this.waiting.length === 0 && this.socket !== null) this.finish();
    return this;
  },

  finish() {
    this.emit('prefinish');
    process.nextTick(() => {
      if (this.isOver || this.destroyed) return;
      this.isOver = true;
      this.emit('finish');
    });
  },

  // A head of its own before the response's. It may have to wait for the turn.
  interim(text, callback) {
    const bytes = Buffer.from(text + CRLF, 'latin1');
    if (this.socket !== null) this.socket.write(bytes, callback);
    else if (!this.finished && !this.destroyed) this.waiting.push([bytes, callback]);
  },

  // It is this response's turn.
  assignSocket(socket) {
    this.socket = socket;
    this.emit('socket', socket);
    for (const [bytes, callback] of this.waiting.splice(0)) socket.write(bytes, callback);
    if (this.finished) this.finish();
    else if (this.owesDrain) this.drained();
  },
  detachSocket() { this.socket = null; },
  drained() {
    if (!this.owesDrain) return;
    this.owesDrain = false;
    process.nextTick(() => this.emit('drain'));
  },

  flushHeaders() {
    if (this.header_ === null) this._implicitHeader();
    this.raw('');
  },
  cork() {
    this.corked++;
    this.socket?.cork();
  },
  uncork() {
    this.corked = Math.max(0, this.corked - 1);
    this.socket?.uncork();
  },
  setTimeout(after, callback) {
    if (callback) this.on('timeout', callback);
    this.socket?.setTimeout(after);
    return this;
  },
  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.errored = error;
    if (this.socket) this.socket.destroy(error);
    return this;
  },
  pipe() { this.emit('error', coded(Error, 'ERR_STREAM_CANNOT_PIPE', 'Cannot pipe, not readable')); },
  _implicitHeader() { throw coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'The _implicitHeader() method is not implemented'); },
};
for (const name of Object.getOwnPropertyNames(methods)) {
  Object.defineProperty(OutgoingMessage.prototype, name, { ...Object.getOwnPropertyDescriptor(methods, name), enumerable: false });
}

module.exports = { CRLF, OutgoingMessage, hide, sent, validateHeaderName, validateHeaderValue };
