// `http`: servers on `net`. http_parser.js parses requests, http_incoming.js has them,
// http_response.js and http_outgoing.js responses. There are no clients.
'use strict';

const { net } = require('./net.js');
const { absent } = require('./errors.js');
const { Handover, MIDWAY } = require('./handover.js');
const { HTTPParser, RequestParser } = require('./http_parser.js');
const { IncomingMessage } = require('./http_incoming.js');
const { OutgoingMessage, hide, validateHeaderName, validateHeaderValue } = require('./http_outgoing.js');
const { ServerResponse, STATUS_CODES } = require('./http_response.js');

// Node's.
const MOST_HEAD = 16 * 1024;
const MOST_HEADERS = 2000;

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
  const left = midwayOf(socket);
  if (left !== MIDWAY.no) {
    cutOff(socket, left);
    return;
  }
  const parser = new RequestParser(server.options_.maxHeaderSize || MOST_HEAD);
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

  parser[HTTPParser.kOnHeaders] = (trailers) => { request?.rawTrailers.push(...trailers); };
  parser[HTTPParser.kOnHeadersComplete] = function (info) {
    const isChunked = this.check(info);
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
      // A request like others. The package would take it to have no chunks, and leave out
      // what has come after it: the next bytes would be read from the middle of something.
      request.upgrade = false;
      info.upgrade = false;
      this.isChunked = isChunked;
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
    } else if (server.keepAliveTimeout > 0 && !socket.destroyed) {
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
    idle?.refresh();
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
  // Node ends its side, whatever it has not answered: the peer is not there any more.
  function end() {
    const error = parser.finish();
    if (error !== undefined) failed(error);
    else if (!server.httpAllowHalfOpen) socket.end();
    else if (turns.length > 0) turns.at(-1).last = true;
    else socket.end();
  }
  function drain() { socket._httpMessage?.drained(); }
  function close() {
    clearTimeout(idle);
    const [response] = turns;
    for (const { req } of turns.splice(0)) req.destroy(aborted());
    if (request !== null && !request.complete && !upgraded) request.destroy(aborted());
    // The others have never had the socket.
    if (response === undefined) return;
    response.destroyed = true;
    process.nextTick(() => response.emit('close'));
  }
  if (socket === Handover.socket) Handover.midway = midway;
  // What the successor would not know: the rest of this would be requests to it.
  function midway() {
    if (upgraded || socket.destroyed || parser.hadError) return MIDWAY.answered;
    if (turns.length > 0) return turns[0].headersSent ? MIDWAY.answered : MIDWAY.asked;
    if (parser.isBetween) return socket.writable ? MIDWAY.no : MIDWAY.answered;
    return parser.isInHead ? MIDWAY.asked : MIDWAY.answered;
  }
  socket.on('data', data);
  socket.on('end', end);
  socket.on('drain', drain);
  socket.on('close', close);
  socket.on('error', (error) => {
    if (!upgraded && server.listenerCount('clientError') > 0) server.emit('clientError', error, socket);
  });
}

const aborted = () => Object.assign(new Error('aborted'), { code: 'ECONNRESET' });

// Where the instance before was in a request that this one has not seen.
function midwayOf(socket) {
  const { hotsocket } = socket;
  // What has come since its last snapshot is lost.
  return hotsocket?.resumed === 'restarted' ? MIDWAY.answered : hotsocket?.midway ?? MIDWAY.no;
}

// Once the connection callback has run, whose writes are not sent, as it runs again.
function cutOff(socket, left) {
  socket.on('error', () => {});
  setTimeout(() => {
    if (left === MIDWAY.asked && socket.writable) socket.write(`HTTP/1.1 400 ${STATUS_CODES[400]}\r\nConnection: close\r\n\r\n`);
    socket.destroy();
  }, 0);
}

module.exports = absent({
  METHODS: [...HTTPParser.methods].sort(),
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
