// `http.ServerResponse`: the status line, and what is sent before it.
'use strict';

const { coded } = require('./errors.js');
const { CRLF, OutgoingMessage, hide, sent } = require('./http_outgoing.js');

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
  this.interim(`HTTP/1.1 100 Continue${CRLF}`, callback);
  hide(this, { saidContinue: true });
};
ServerResponse.prototype.writeProcessing = function writeProcessing(callback) {
  this.interim(`HTTP/1.1 102 Processing${CRLF}`, callback);
};
ServerResponse.prototype.writeEarlyHints = function writeEarlyHints(hints, callback) {
  let text = `HTTP/1.1 103 Early Hints${CRLF}`;
  for (const [name, value] of Object.entries(hints)) text += `${name === 'link' ? 'Link' : name}: ${[].concat(value).join(', ')}${CRLF}`;
  this.interim(text, callback);
};

module.exports = { ServerResponse, STATUS_CODES };
