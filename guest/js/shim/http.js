// `http`: servers on `net`. Requests are parsed by npm's http-parser-js; http_incoming.js
// has requests, http_outgoing.js responses. There are no clients.
'use strict';

const { HTTPParser } = require('http-parser-from-npm');
const { net } = require('./net.js');
const { absent } = require('./errors.js');
const { IncomingMessage } = require('./http_incoming.js');
const { OutgoingMessage, ServerResponse, STATUS_CODES, hide, validateHeaderName, validateHeaderValue } = require('./http_outgoing.js');

// Node's.
const MOST_HEAD = 16 * 1024;
const MOST_HEADERS = 2000;
HTTPParser.encoding = 'latin1';
// Heads are counted below: the package adds bodies to them, and forgets the limit of a
// parser after its first request.
HTTPParser.maxHeaderSize = Infinity;
const { consumeLine, parseHeader } = HTTPParser.prototype;

function Server(options, onRequest) {
  if (!(this instanceof Server)) return new Server(options, onRequest);
  if (typeof options === 'function') [options, onRequest] = [{}, options];
  options ??= {};
  net.Server.call(this, { allowHalfOpen: true, highWaterMark: options.highWaterMark });
  if (onRequest) this.on('request', onRequest);
  this.on('connection', connected);
  this.httpAllowHalfOpen = false;
  this.timeout = 0;
  this.keepAliveTimeout = options.keepAliveTimeout ?? 5000;
  this.maxHeadersCount = null;
  this.maxRequestsPerSocket = 0;
  this.headersTimeout = options.headersTimeout ?? 60000;
  this.requestTimeout = options.requestTimeout ?? 300000;
  hide(this, { options_: options });
}
Object.setPrototypeOf(Server.prototype, net.Server.prototype);
Object.setPrototypeOf(Server, net.Server);
Server.prototype.setTimeout = function setTimeout(after, callback) {
  this.timeout = after;
  if (callback) this.on('timeout', callback);
  return this;
};
Server.prototype.closeAllConnections = function closeAllConnections() {};
Server.prototype.closeIdleConnections = function closeIdleConnections() {};

function connected(socket) {
  const server = this;
  const { IncomingMessage: Request = IncomingMessage, ServerResponse: Response = ServerResponse } = server.options_;
  const parser = new HTTPParser(HTTPParser.REQUEST);
  const mostHead = server.options_.maxHeaderSize || MOST_HEAD;
  // The bytes of the head, the trailers or the size of a chunk that is being read, with
  // those of a line that has not ended.
  let size = 0;
  // Responses whose turn has not come, in order of their requests; the first is being sent.
  const turns = [];
  let request = null;
  let upgraded = false;
  let served = 0;
  let idle;
  hide(socket, { parser, _httpMessage: null });
  if (server.timeout > 0) socket.setTimeout(server.timeout);
  socket.on('timeout', () => {
    const heard = [request && !request.complete && request.emit('timeout', socket),
      turns[0]?.emit('timeout', socket), server.emit('timeout', socket)].some(Boolean);
    if (!heard) socket.destroy();
  });

  parser.consumeLine = function () {
    const start = this.offset;
    const line = consumeLine.call(this);
    size += this.offset - start;
    const ofChunk = this.state === 'BODY_CHUNKHEAD';
    if (ofChunk && size > MOST_HEAD) wrong(this, 'HPE_CHUNK_EXTENSIONS_OVERFLOW', 'Chunk extensions overflow');
    if (!ofChunk && size > mostHead) wrong(this, 'HPE_HEADER_OVERFLOW', 'Header overflow');
    // An empty line ends a head and trailers, or is no part of them.
    if (line === '' || (ofChunk && line !== undefined)) size = 0;
    return line;
  };
  parser.parseHeader = header;
  parser.BODY_CHUNKHEAD = chunkHead;
  parser[HTTPParser.kOnHeaders] = (trailers) => { request?.rawTrailers.push(...trailers); };
  parser[HTTPParser.kOnHeadersComplete] = function (info) {
    check(this, info);
    clearTimeout(idle);
    request = new Request(socket, server.options_.joinDuplicateHeaders);
    request.httpVersionMajor = info.versionMajor;
    request.httpVersionMinor = info.versionMinor;
    request.httpVersion = `${info.versionMajor}.${info.versionMinor}`;
    request.rawHeaders = info.headers.slice(0, 2 * (server.maxHeadersCount || MOST_HEADERS));
    request.method = HTTPParser.methods[info.method];
    request.url = info.url;
    request.upgrade = info.upgrade;
    if (request.upgrade) {
      upgraded = server.listenerCount(request.method === 'CONNECT' ? 'connect' : 'upgrade') > 0 || request.method === 'CONNECT';
      if (upgraded) return 2;
      request.upgrade = false;
    }
    answer(request, info.shouldKeepAlive);
    return 0;
  };
  parser[HTTPParser.kOnBody] = (chunk, start, length) => {
    if (request.destroyed) return;
    if (!request.push(chunk.subarray(start, start + length))) {
      request.waits = true;
      socket.pause();
    }
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (request === null || upgraded) return;
    request.complete = true;
    if (!request.destroyed) request.push(null);
  };

  function answer(request, keepAlive) {
    const response = new Response(request, server.options_);
    response.shouldKeepAlive = keepAlive;
    response.keepAliveTimeout = server.keepAliveTimeout;
    served++;
    if (server.maxRequestsPerSocket > 0 && served >= server.maxRequestsPerSocket) response.shouldKeepAlive = false;
    turns.push(response);
    if (turns.length === 1) turn();
    response.on('finish', () => finished(request, response));
    if (server.maxRequestsPerSocket > 0 && served > server.maxRequestsPerSocket) {
      if (!server.emit('dropRequest', request, socket)) {
        response.writeHead(503);
        response.end();
      }
      return;
    }
    const isNew = request.httpVersionMajor === 1 && request.httpVersionMinor === 1;
    if (isNew && request.headers.host === undefined && server.options_.requireHostHeader !== false) {
      response.writeHead(400, ['Connection', 'close']);
      response.end();
      return;
    }
    const { expect } = request.headers;
    if (isNew && expect !== undefined) {
      if (/(?:^|\W)100-continue(?:$|\W)/i.test(expect)) {
        hide(response, { expectsContinue: true });
        if (server.listenerCount('checkContinue') > 0) {
          server.emit('checkContinue', request, response);
          return;
        }
        response.writeContinue();
      } else {
        if (!server.emit('checkExpectation', request, response)) {
          response.writeHead(417);
          response.end();
        }
        return;
      }
    }
    server.emit('request', request, response);
  }

  // The first response has the socket.
  function turn() {
    const [response] = turns;
    socket._httpMessage = response;
    response.assignSocket(socket);
  }

  function finished(request, response) {
    turns.shift();
    socket._httpMessage = null;
    // What is left of its body is read and thrown away.
    if (!request.readableEnded && !request.destroyed && request.readableFlowing === null && request.listenerCount('readable') === 0) request.resume();
    response.detachSocket();
    process.nextTick(() => {
      response.destroyed = true;
      response.emit('close');
    });
    if (response.last) {
      if (typeof socket.destroySoon === 'function') socket.destroySoon();
      else socket.end();
    } else if (turns.length > 0) {
      turn();
    } else if (request.complete && server.keepAliveTimeout > 0 && !socket.destroyed) {
      idle = setTimeout(() => socket.destroySoon(), server.keepAliveTimeout);
    }
  }

  function failed(error) {
    if (server.listenerCount('clientError') > 0) {
      server.emit('clientError', error, socket);
      return;
    }
    if (socket.writable && (socket._httpMessage === null || !socket._httpMessage.headersSent)) {
      const status = { HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413 }[error.code] ?? 400;
      socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
    }
    socket.destroy();
  }

  function data(chunk) {
    const taken = parser.execute(chunk);
    if (taken instanceof Error) {
      socket.removeListener('data', data);
      failed(Object.assign(taken, { code: taken.code?.replace('CONSTANT', 'METHOD') ?? 'HPE_INVALID_METHOD', bytesParsed: 0, rawPacket: chunk }));
    } else if (upgraded) {
      socket.removeListener('data', data);
      socket.removeListener('end', end);
      socket.removeListener('drain', drain);
      const kind = request.method === 'CONNECT' ? 'connect' : 'upgrade';
      const head = chunk.subarray(taken);
      if (server.listenerCount(kind) > 0) server.emit(kind, request, socket, head);
      else socket.destroy();
    }
  }
  function end() {
    const left = parser.finish();
    if (left instanceof Error && request !== null && !request.complete) {
      failed(Object.assign(left, { code: 'HPE_INVALID_EOF_STATE' }));
    } else if (!server.httpAllowHalfOpen) {
      if (turns.length > 0) turns.at(-1).last = true;
      else if (socket.writable) socket.end();
    }
  }
  function drain() { socket._httpMessage?.drained(); }
  function close() {
    clearTimeout(idle);
    for (const response of turns.splice(0)) {
      response.destroyed = true;
      response.emit('close');
    }
    if (request !== null && !request.complete && !upgraded) request.destroy();
  }
  socket.on('data', data);
  socket.on('end', end);
  socket.on('drain', drain);
  socket.on('close', close);
  socket.on('error', (error) => {
    if (!upgraded && server.listenerCount('clientError') > 0) server.emit('clientError', error, socket);
  });
}

function wrong(parser, code, message) {
  // Not the script's fault: see `execute`.
  parser.isUserCall = false;
  throw Object.assign(new Error(`Parse Error: ${message}`), { code });
}

// A line of a head or of trailers must be a header. The package skips what has no name
// right before its colon, and joins lines that are folded: a proxy may read them in
// another way, and so another length (RFC 9112, 5.1 and 5.2). It refuses carriage returns
// itself.
function header(line, headers) {
  if (!/^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+:[\t\r\x20-\x7e\x80-\xff]*$/.test(line)) {
    const first = this.state === 'HEADER' && headers.length === 0;
    if (first && line.startsWith(' ')) wrong(this, 'HPE_UNEXPECTED_SPACE', 'Unexpected space after start line');
    wrong(this, 'HPE_INVALID_HEADER_TOKEN', 'Invalid header token');
  }
  parseHeader.call(this, line, headers);
}

// The size of a chunk must be one: the package takes anything else for the last.
function chunkHead() {
  const line = this.consumeLine();
  if (line === undefined) return;
  if (!/^[\da-f]{1,8}[ \t]*(;.*)?$/i.test(line)) wrong(this, 'HPE_INVALID_CHUNK_SIZE', 'Invalid character in chunk size');
  this.body_bytes = parseInt(line, 16);
  this.state = this.body_bytes === 0 ? 'BODY_CHUNKTRAILERS' : 'BODY_CHUNK';
}

// What the package lets through and Node doesn't: two lengths, and a length that is no
// number (RFC 9112, 6.3).
function check(parser, { headers, versionMajor, versionMinor }) {
  let length = false;
  let encoding = false;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at].toLowerCase();
    if (name === 'content-length') {
      if (!/^\d+$/.test(headers[at + 1])) wrong(parser, 'HPE_INVALID_CONTENT_LENGTH', 'Invalid character in Content-Length');
      length = true;
    } else if (name === 'transfer-encoding') {
      encoding = true;
      if (!/(?:^|,)\s*chunked\s*$/i.test(headers[at + 1])) wrong(parser, 'HPE_INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`');
      if (!parser.isChunked) wrong(parser, 'HPE_INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`');
    }
  }
  if (length && encoding) wrong(parser, 'HPE_INVALID_TRANSFER_ENCODING', 'Transfer-Encoding can\'t be present with Content-Length');
  if (versionMajor !== 1 || versionMinor > 1) wrong(parser, 'HPE_INVALID_VERSION', 'Invalid HTTP version');
}

module.exports = absent({
  METHODS: [...HTTPParser.methods, 'QUERY'].sort(),
  STATUS_CODES,
  IncomingMessage,
  OutgoingMessage,
  ServerResponse,
  Server,
  createServer: (options, onRequest) => new Server(options, onRequest),
  _connectionListener: connected,
  maxHeaderSize: MOST_HEAD,
  validateHeaderName,
  validateHeaderValue,
  setMaxIdleHTTPParsers() {},
}, 'http', ['Agent', 'ClientRequest', 'request', 'get', 'globalAgent', 'WebSocket', 'CloseEvent', 'MessageEvent']);
