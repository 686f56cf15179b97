// `net`: servers as Node's scripts make them. The host listens; a script's
// `listen` only says where it would, and its server gets the one connection
// that this instance serves.
'use strict';

const { absent, coded } = require('./errors.js');
const { EventEmitter } = require('./events.js');
const { checkNumber, received, wrongType, wrongValue } = require('./checks.js');
const { Socket, family, host } = require('./socket.js');

// Those that were asked to listen, in order.
const servers = [];
// What main.js tells a server; see socket.js.
let own;

// As in socket.js: a function, whose private parts any object may get.
function Base(object) { return object; }
Base.prototype = EventEmitter.prototype;

class Parts extends Base {
  #options = {};
  #asked;
  #address = null;
  #closing = false;
  #open = 0;

  listen(...args) {
    const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    if (this.#asked) {
      throw coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    }
    this.#asked = asked(args);
    servers.push(this);
    if (callback) this.once('listening', callback);
    return this;
  }

  static {
    own = {
      prepare(server, options) { server.#options = options; },
      // The port that the script asked for; 0 for any.
      askedPort: (server) => server.#asked.port,
      bound: (server, address) => server.#bound(address),
      accept: (server, ends) => server.#accept(ends),
    };
  }

  // It listens, here.
  #bound({ ip, port }) {
    this.listening = true;
    this.#address = { address: ip, family: family(ip), port };
  }

  #accept(ends) {
    const { allowHalfOpen, pauseOnConnect, highWaterMark } = this.#options;
    const socket = new Socket({ allowHalfOpen, highWaterMark });
    if (pauseOnConnect) host.hold(socket);
    this.#open++;
    return host.attach(socket, ends, this, () => {
      this.#open = 0;
      if (this.#closing) this.emit('close');
    });
  }

  address() { return this.#address; }

  getConnections(callback) {
    process.nextTick(callback, null, this.#open);
    return this;
  }

  // What an instance can do: be done when its own connection is.
  close(callback) {
    if (callback) {
      if (this.listening) this.once('close', callback);
      else this.once('close', () => callback(coded(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
    }
    if (this.listening) {
      process.emitWarning('server.close() does not stop a hotsocket server, which goes on accepting; stop hotsocket instead');
    }
    this.listening = false;
    this.#closing = true;
    if (this.#open === 0) process.nextTick(() => this.emit('close'));
    return this;
  }

  ref() { return this; }
  unref() { return this; }
  [Symbol.asyncDispose ?? Symbol('asyncDispose')]() {
    return new Promise((resolve) => this.close(resolve));
  }
}

function Server(options, onConnection) {
  if (!(this instanceof Server)) return new Server(options, onConnection);
  EventEmitter.call(this);
  new Parts(this);
  if (typeof options === 'function') [options, onConnection] = [{}, options];
  else if (options !== null && options !== undefined && typeof options !== 'object') throw wrongType('options', 'of type object', options);
  options ??= {};
  if (typeof onConnection === 'function') this.on('connection', onConnection);
  if (options.keepAliveInitialDelay !== undefined) checkNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
  if (options.highWaterMark !== undefined) checkNumber(options.highWaterMark, 'options.highWaterMark');
  own.prepare(this, options);
  this.listening = false;
  this.allowHalfOpen = Boolean(options.allowHalfOpen);
  this.pauseOnConnect = Boolean(options.pauseOnConnect);
  this.maxConnections = undefined;
}
Server.prototype = Parts.prototype;
Object.setPrototypeOf(Server, EventEmitter);
Object.defineProperty(Server.prototype, 'constructor', { value: Server, writable: true, configurable: true });

// The ways to say where: a port, a path, or options.
function asked([where]) {
  if (where === undefined || where === null) return { port: 0 };
  if (typeof where === 'object') {
    if (where.path !== undefined) return noPath();
    if (where.port === undefined) {
      throw wrongValue('options', where, 'must have the property "port" or "path"');
    }
    return { port: validPort(where.port) };
  }
  if (typeof where === 'string' && !/^\s*\d/.test(where)) return noPath();
  return { port: validPort(where) };
}

function noPath() {
  throw new Error('server.listen on a path (a Unix or Windows socket) is not available in a hotsocket guest: name a port');
}

function validPort(port) {
  const number = typeof port === 'string' && port.trim() === '' ? NaN : Number(port);
  if (!['number', 'string'].includes(typeof port) || !Number.isInteger(number) || number < 0 || number > 65535) {
    throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `options.port should be >= 0 and < 65536. Received ${received(port)}.`);
  }
  return number;
}

function createServer(options, onConnection) {
  return new Server(options, onConnection);
}

const isIPv4 = (text) => {
  const parts = String(text).split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
};

function isIPv6(text) {
  text = String(text).replace(/%[\w.]+$/, '');
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  let count = groups.length;
  // The last four bytes may be written as those of IPv4, and no others.
  if (halves.at(-1).includes('.')) {
    if (!isIPv4(groups.pop())) return false;
    count++;
  }
  return groups.every((group) => /^[\da-f]{1,4}$/i.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}

const net = absent({
  createServer,
  Server,
  Socket,
  Stream: Socket,
  isIP: (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0),
  isIPv4,
  isIPv6,
}, 'net', [
  'connect', 'createConnection', 'BlockList', 'SocketAddress', 'getDefaultAutoSelectFamily',
  'setDefaultAutoSelectFamily', 'getDefaultAutoSelectFamilyAttemptTimeout',
  'setDefaultAutoSelectFamilyAttemptTimeout',
]);


module.exports = { net, own, servers };
