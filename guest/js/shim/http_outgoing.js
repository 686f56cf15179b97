// `http.ServerResponse`: status line, headers and body, framed as Node frames them.
'use strict';

const { Stream } = require('./stream.js');
const { coded } = require('./errors.js');
const { wrongType } = require('./checks.js');

const CRLF = '\r\n';
const STATUS_CODES = {
  100: 'Continue', 101: 'Switching Protocols', 102: 'Processing', 103: 'Early Hints', 200: 'OK', 201: 'Created',
  202: 'Accepted', 203: 'Non-Authoritative Information', 204: 'No Content', 205: 'Reset Content', 206: 'Partial Content',
  207: 'Multi-Status', 208: 'Already Reported', 226: 'IM Used', 300: 'Multiple Choices', 301: 'Moved Permanently',
  302: 'Found', 303: 'See Other', 304: 'Not Modified', 305: 'Use Proxy', 307: 'Temporary Redirect',
  308: 'Permanent Redirect', 400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden',
  404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 407: 'Proxy Authentication Required',
  408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed',
  413: 'Payload Too Large', 414: 'URI Too Long', 415: 'Unsupported Media Type', 416: 'Range Not Satisfiable',
  417: 'Expectation Failed', 418: 'I\'m a Teapot', 421: 'Misdirected Request', 422: 'Unprocessable Entity',
  423: 'Locked', 424: 'Failed Dependency', 425: 'Too Early', 426: 'Upgrade Required', 428: 'Precondition Required',
  429: 'Too Many Requests', 431: 'Request Header Fields Too Large', 451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable',
  504: 'Gateway Timeout', 505: 'HTTP Version Not Supported', 506: 'Variant Also Negotiates',
  507: 'Insufficient Storage', 508: 'Loop Detected', 509: 'Bandwidth Limit Exceeded', 510: 'Not Extended',
  511: 'Network Authentication Required',
};

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

function ServerResponse(request, options) {
  if (!(this instanceof ServerResponse)) return new ServerResponse(request, options);
  OutgoingMessage.call(this);
  if (request.method === 'HEAD') this.hasBody = false;
  this.req = request;
  this.sendDate = true;
  if (request.httpVersionMajor < 1 || request.httpVersionMinor < 1) {
    this.useChunkedEncodingByDefault = /(?:^|\W)chunked(?:$|\W)/i.test(request.headers.te ?? '');
    this.shouldKeepAlive = false;
  }
}
Object.setPrototypeOf(ServerResponse.prototype, OutgoingMessage.prototype);
Object.setPrototypeOf(ServerResponse, OutgoingMessage);
ServerResponse.prototype.statusCode = 200;
ServerResponse.prototype.statusMessage = undefined;

const pairs = (headers) => {
  if (!Array.isArray(headers)) return Object.entries(headers);
  if (Array.isArray(headers[0])) return headers;
  return Array.from({ length: headers.length / 2 }, (_, at) => [headers[2 * at], headers[2 * at + 1]]);
};

ServerResponse.prototype.writeHead = function writeHead(status, reason, headers) {
  if (this.header_ !== null) throw sent('write');
  const given = status;
  status |= 0;
  if (status < 100 || status > 999) throw coded(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', `Invalid status code: ${given}`);
  if (typeof reason === 'string') {
    this.statusMessage = reason;
  } else {
    this.statusMessage ||= STATUS_CODES[status] ?? 'unknown';
    headers ??= reason;
  }
  this.statusCode = status;
  if (/[^\t\x20-\x7e\x80-\xff]/.test(this.statusMessage)) throw coded(TypeError, 'ERR_INVALID_CHAR', 'Invalid character in statusMessage');
  let all;
  if (this.headers_.size > 0) {
    if (Array.isArray(headers)) for (const [name] of pairs(headers)) this.removeHeader(name);
    for (const [name, value] of pairs(headers ?? {})) {
      if (name === '' ) continue;
      if (Array.isArray(headers)) this.appendHeader(name, value);
      else this.setHeader(name, value);
    }
    all = [...this.headers_.values()];
  } else {
    all = pairs(headers ?? {});
  }
  if (status === 204 || status === 304 || (status >= 100 && status < 200)) this.hasBody = false;
  // After a request of which the rest will not be read.
  if (this.expectsContinue && !this.saidContinue) this.shouldKeepAlive = false;
  this.store(`HTTP/1.1 ${status} ${this.statusMessage}${CRLF}`, all);
  return this;
};
ServerResponse.prototype.writeHeader = ServerResponse.prototype.writeHead;
ServerResponse.prototype._implicitHeader = function _implicitHeader() { this.writeHead(this.statusCode); };
ServerResponse.prototype.writeContinue = function writeContinue(callback) {
  this.socket?.write(`HTTP/1.1 100 Continue${CRLF}${CRLF}`, callback);
  hide(this, { saidContinue: true });
};
ServerResponse.prototype.writeProcessing = function writeProcessing(callback) {
  this.socket?.write(`HTTP/1.1 102 Processing${CRLF}${CRLF}`, callback);
};
ServerResponse.prototype.writeEarlyHints = function writeEarlyHints(hints, callback) {
  let text = `HTTP/1.1 103 Early Hints${CRLF}`;
  for (const [name, value] of Object.entries(hints)) text += `${name === 'link' ? 'Link' : name}: ${[].concat(value).join(', ')}${CRLF}`;
  this.socket?.write(text + CRLF, callback);
};

module.exports = { OutgoingMessage, ServerResponse, STATUS_CODES, hide, validateHeaderName, validateHeaderValue };
