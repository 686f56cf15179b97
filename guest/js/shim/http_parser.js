// npm's http-parser-js for requests, as strict as Node's parser. A proxy in front may read
// what the package lets through in another way than it does, and so see other requests than
// are answered here (RFC 9112, 11.2).
'use strict';

const { HTTPParser } = require('http-parser-from-npm');

HTTPParser.encoding = 'latin1';
// Heads are counted here: the package adds bodies to them, and forgets the limit of a
// parser after its first request.
HTTPParser.maxHeaderSize = Infinity;
if (!HTTPParser.methods.includes('QUERY')) HTTPParser.methods.push('QUERY');

// Node's, for what comes with the size of a chunk.
const MOST_CHUNK_HEAD = 16 * 1024;

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
const HEADER = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+:[\t\r\x20-\x7e\x80-\xff]*$/;
const CHUNK_SIZE = /^0*[\da-f]{1,12}(?=;|$)/i;
const CHUNK_EXTENSIONS = /^(;[\w!#$%&'*+.^`|~-]+(=([\w!#$%&'*+.^`|~-]*|"([\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/;
const SERVER = '[\\w.!~*\'()%;:&=+$,@[\\]-]*([/?][\\x21-\\x7e]*)?';
const TARGET = new RegExp(`^([/*][\\x21-\\x7e]*|[a-z]+://${SERVER})$`, 'i');
// That of CONNECT.
const AUTHORITY = new RegExp(`^${SERVER}$`);

class RequestParser extends HTTPParser {
  #mostHead;
  // The bytes of the head, the trailers or the size of a chunk that is being read, with
  // those of a line that has not ended.
  #size = 0;
  // Whether nothing but a line feed has ended the last line.
  #isBare = false;

  constructor(mostHead) {
    super(HTTPParser.REQUEST);
    this.#mostHead = mostHead;
  }

  // Nothing of a request has come that is not over.
  get isBetween() {
    return this.state === 'CLOSED' || (this.state === 'REQUEST_LINE' && !/[^\r\n]/.test(this.line));
  }
  get isInHead() { return !this.isBetween && /^(REQUEST_LINE|HEADER)$/.test(this.state); }

  // Node's refuses a line that ends without a carriage return, at other places with other
  // codes. Before a request there may be empty lines of any kind.
  consumeLine() {
    const start = this.offset;
    const before = this.line;
    const line = super.consumeLine();
    this.#size += this.offset - start;
    const ofChunk = this.state === 'BODY_CHUNKHEAD';
    if (ofChunk && this.#size > MOST_CHUNK_HEAD) this.wrong('HPE_CHUNK_EXTENSIONS_OVERFLOW', 'Chunk extensions overflow');
    if (!ofChunk && this.#size > this.#mostHead) this.wrong('HPE_HEADER_OVERFLOW', 'Header overflow');
    if (line === undefined) return undefined;
    // An empty line ends a head and trailers, or is no part of them.
    if (line === '' || ofChunk) this.#size = 0;
    const last = this.offset - 2;
    this.#isBare = (last >= start ? this.chunk[last] : before.charCodeAt(before.length - 1)) !== CARRIAGE_RETURN;
    if (this.#isBare && this.state !== 'REQUEST_LINE') {
      const endsHeaders = line === '' && /^(HEADER|BODY_CHUNKTRAILERS)$/.test(this.state);
      if (endsHeaders) this.wrong('HPE_INVALID_HEADER_TOKEN', 'Invalid header token');
      this.wrong('HPE_CR_EXPECTED', 'Missing expected CR at the end of a line');
    }
    return line;
  }

  REQUEST_LINE() {
    super.REQUEST_LINE();
    if (this.state === 'REQUEST_LINE') return;
    const { method, url } = this.info;
    const target = HTTPParser.methods[method] === 'CONNECT' ? AUTHORITY : TARGET;
    if (!target.test(url)) this.wrong('HPE_INVALID_URL', 'Invalid characters in url');
    if (this.#isBare) this.wrong('HPE_INVALID_VERSION', 'Expected CRLF after version');
  }

  // A line of a head or of trailers must be a header. The package skips what has no name
  // right before its colon, and joins lines that are folded (RFC 9112, 5.1 and 5.2). It
  // refuses carriage returns itself.
  parseHeader(line, headers) {
    if (!HEADER.test(line)) {
      const first = this.state === 'HEADER' && headers.length === 0;
      if (first && line.startsWith(' ')) this.wrong('HPE_UNEXPECTED_SPACE', 'Unexpected space after start line');
      this.wrong('HPE_INVALID_HEADER_TOKEN', 'Invalid header token');
    }
    super.parseHeader(line, headers);
  }

  // What the package lets through and Node doesn't: two lengths, and a length that is no
  // number (RFC 9112, 6.3). Tells whether the body comes in chunks.
  check({ headers, versionMajor, versionMinor }) {
    let length = false;
    let encoding = false;
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at].toLowerCase();
      const value = headers[at + 1];
      if (name === 'content-length') {
        if (length) this.wrong('HPE_UNEXPECTED_CONTENT_LENGTH', 'Content-Length already present');
        // A larger one would be another number here.
        if (!/^\d+$/.test(value) || Number(value) > Number.MAX_SAFE_INTEGER) this.wrong('HPE_INVALID_CONTENT_LENGTH', 'Invalid character in Content-Length');
        length = true;
      } else if (name === 'transfer-encoding') {
        if (encoding || value.toLowerCase() !== 'chunked') this.wrong('HPE_INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`');
        encoding = true;
      }
    }
    if (length && encoding) this.wrong('HPE_INVALID_TRANSFER_ENCODING', 'Transfer-Encoding can\'t be present with Content-Length');
    if (versionMajor !== 1 || versionMinor > 1) this.wrong('HPE_INVALID_VERSION', 'Invalid HTTP version');
    return encoding;
  }

  // The size of a chunk must be one: the package takes anything else for the last.
  BODY_CHUNKHEAD() {
    const line = this.consumeLine();
    if (line === undefined) return;
    const [size] = CHUNK_SIZE.exec(line) ?? [];
    if (size === undefined) this.wrong('HPE_INVALID_CHUNK_SIZE', 'Invalid character in chunk size');
    if (!CHUNK_EXTENSIONS.test(line.slice(size.length))) this.wrong('HPE_STRICT', 'Invalid character in chunk extensions');
    this.body_bytes = parseInt(size, 16);
    this.state = this.body_bytes === 0 ? 'BODY_CHUNKTRAILERS' : 'BODY_CHUNK';
  }

  // At its first byte: the package would wait for the end of the line.
  BODY_CHUNKEMPTYLINE() {
    const line = this.consumeLine();
    if (!/^\r?$/.test(line ?? this.line)) this.wrong('HPE_STRICT', 'Expected LF after chunk data');
    if (line !== undefined) this.state = 'BODY_CHUNKHEAD';
  }

  // Who has said that this is the last request is not asked for another one.
  nextRequest() {
    const { shouldKeepAlive, upgrade } = this.info;
    super.nextRequest();
    if (!shouldKeepAlive && !upgrade) this.state = 'CLOSED';
  }

  CLOSED() {
    for (; this.offset < this.end; this.offset++) {
      const byte = this.chunk[this.offset];
      if (byte !== CARRIAGE_RETURN && byte !== LINE_FEED) this.wrong('HPE_CLOSED_CONNECTION', 'Data after `Connection: close`');
    }
  }

  // Nothing more comes. Gives what is wrong with that.
  finish() {
    if (this.hadError || this.isBetween) return undefined;
    this.hadError = true;
    return failure('HPE_INVALID_EOF_STATE', 'Invalid EOF state');
  }

  wrong(code, message) {
    // Not the script's fault: see `execute`.
    this.isUserCall = false;
    throw failure(code, message);
  }
}

const failure = (code, message) => Object.assign(new Error(`Parse Error: ${message}`), { code });

module.exports = { HTTPParser, RequestParser };
