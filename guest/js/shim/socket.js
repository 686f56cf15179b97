// `net.Socket`: the one connection of this instance as a Node stream. Node's
// own stream code (npm's readable-stream) does the work; here it meets the host.
//
// Nothing is kept here that the host could keep: what is written goes to the
// host's queue at once, so that no byte is lost when new code takes over. The bytes that
// wait to be read are in socket_unread.js, time-outs in socket_idle.js; socket_ends.js
// has addresses, states and options.
'use strict';

const { connection } = require('./host.js');
const { absent, coded, system } = require('./errors.js');
const { wrongType } = require('./checks.js');
const clock = require('./clock.js');
const loop = require('./loop.js');
const session = require('./session.js');
const { family, install } = require('./socket_ends.js');
const { Idle } = require('./socket_idle.js');
const { Unread } = require('./socket_unread.js');
// Without the rest of the library, which a script has that asks for `stream`.
const Duplex = require('readable-stream/lib/internal/streams/duplex.js');
const { Stream } = require('readable-stream/lib/internal/streams/legacy.js');

Stream._isUint8Array ??= (value) => value instanceof Uint8Array;
Stream._uint8ArrayToBuffer ??= (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

// What may wait for a script that has ended its side and reads no more. While it can
// still write, the host reads nothing from the peer that the script does not.
const MOST_UNREAD = 4 << 20;
// Node's high-water mark of a socket.
const MARK = 16 * 1024;
// How long, in milliseconds, a peer may go on sending to a socket that was destroyed. Node's
// kernel resets the connection at once, and what was written may be lost (RFC 9112, 9.6).
const LINGERS = 5000;

// What main.js and net.js tell a socket. Not its methods: a script may give it
// properties of any name.
let host;

// A function, and not a class: old code extends it by `net.Socket.call(this)`. Its
// private parts are put into whatever object that is by `new Parts(object)`, whose
// base gives that object in place of a new one.
function Base(object) { return object; }
Base.prototype = Duplex.prototype;

class Parts extends Base {
  #unread = new Unread();
  // The stream wants more.
  #wants = false;
  // The host is above its high-water mark: 'drain' comes when it says so.
  #hostFull = false;
  #owesDrain = false;
  // The connection callback runs again after a swap: what it writes was
  // written when the connection opened.
  #replaying = false;
  #peerEnded = false;
  // The host reads from the peer; undefined where a predecessor may have stopped it.
  #isFed = true;
  #ends;
  #onClosed;
  // With `pauseOnConnect`: nothing is read, not even the end, before the script reads.
  #held = false;
  #idle = new Idle(this);
  #written = 0;
  #destroyedAt;

  static {
    host = {
      hold(socket) {
        socket.pause();
        socket.#held = true;
      },
      prepare(socket) {
        // After the script's own listeners.
        socket.on('resume', () => {
          socket.#held = false;
          process.nextTick(() => socket.#pump());
        });
        socket.on('end', () => socket.#afterEnd());
      },
      attach: (socket, ...how) => socket.#attach(...how),
      takeOver: (socket, peerEnded, unread) => socket.#takeOver(peerEnded, unread),
      replayed: (socket) => socket.#replayed(),
      receive: (socket, bytes) => socket.#receive(bytes),
      peerEnded: (socket) => socket.#peerHasEnded(),
      settle: (socket) => socket.#settle(),
      drained: (socket) => socket.#drained(),
      closed: (socket, reason) => socket.#closed(reason),
      leave: (socket) => socket.#leave(),
      asleep: (socket) => socket.#asleep(),
      awake: (socket, left) => socket.#awake(left),
    };
    install(this.prototype, (socket) => socket.#ends);
  }

  // Take the connection that this instance serves.
  #attach(ends, server, onClosed) {
    this.#ends = ends;
    this.#onClosed = onClosed;
    hide(this, { server });
    if (this.allowHalfOpen) connection.holdOpen();
    return this;
  }

  // Take it over as a predecessor has left it.
  #takeOver(peerEnded, unread) {
    this.#replaying = true;
    this.#isFed = undefined;
    // They are this script's own: no copy.
    if (unread.length > 0) this.#unread.put(Object.setPrototypeOf(unread, Buffer.prototype));
    if (peerEnded) {
      this.#peerEnded = true;
      if (unread.length === 0) {
        Object.assign(this._readableState, { ended: true, endEmitted: true, length: 0 });
        this.readable = false;
      }
    }
    try {
      connection.write(new Uint8Array(0));
    } catch {
      // It has ended its side.
      Object.assign(this._writableState, { ending: true, ended: true, finished: true });
      this.writable = false;
    }
  }

  #replayed() {
    this.#replaying = false;
    this.#pump();
  }

  // ---- from the host

  #receive(bytes) {
    if (this.destroyed) {
      if (clock.now() - this.#destroyedAt > LINGERS) connection.abort();
      return;
    }
    this.#idle.moved();
    this.bytesRead += bytes.length;
    // They are this script's own: no copy.
    this.#unread.put(Object.setPrototypeOf(bytes, Buffer.prototype));
    this.#pump();
    if (this.#unread.size > MOST_UNREAD) {
      this.destroy(coded(Error, 'ERR_HOTSOCKET_UNREAD',
        `${this.#unread.size} bytes came while the script read none: a guest may leave ${MOST_UNREAD} unread`));
    }
  }

  #peerHasEnded() {
    this.#idle.moved();
    this.#peerEnded = true;
    this.#pump();
  }

  // After an event. The peer is read from as long as the script reads. And in case the
  // peer's FIN came or was read: a script that has
  // not seen the end of the stream yet may still have something to say.
  #settle() {
    const isFed = this.#unread.isEmpty || this.destroyed || this.writableEnded;
    if (isFed !== this.#isFed) session.read(isFed);
    this.#isFed = isFed;
    if (this.#peerEnded && !this.destroyed && !this.readableEnded) connection.holdOpen();
  }

  #drained() {
    this.#idle.moved();
    this.#hostFull = false;
    if (this.#owesDrain && !this.destroyed) {
      this.#owesDrain = false;
      this.emit('drain');
    }
  }

  #closed(reason) {
    const errors = {
      'aborted-by-peer': ['ECONNRESET', -104, 'read'],
      'write-timeout': ['ETIMEDOUT', -110, 'write'],
    };
    const error = errors[reason.tag];
    // A reset that nobody listens for is no fault of the script's.
    if (error && this.listenerCount('error') > 0) this.destroy(system(...error));
    else this.destroy();
  }

  // What the next instance must be given, besides the script's own state: what waits in the
  // stream, half a character, and what has not got there.
  #leave() {
    // Nobody reads it any more, but the stream keeps it.
    if (this.destroyed) return new Uint8Array(0);
    const { buffer, decoder, encoding } = this._readableState;
    const waiting = Array.from(buffer, (chunk) => (typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk));
    return this.#unread.after(Buffer.concat([...waiting, decoder?.rest ?? new Uint8Array(0)]));
  }

  // What a woken instance must know besides the timers.
  #asleep() {
    return {
      paused: this.isPaused(),
      idle: this.#idle.left(),
      owesDrain: this.#owesDrain,
    };
  }

  #awake({ paused, idle, owesDrain }) {
    this.#idle.resume(idle);
    this.#owesDrain = owesDrain;
    if (paused) this.pause();
    else if (this.isPaused()) this.resume();
  }

  // Give the script what has come, if it reads. Whoever listens to 'data' gets
  // it straight, as the stream would do it, at a fifth of the cost.
  #pump() {
    // What has waited for the successor is for its listeners, not for the callback.
    if (this.#replaying || this.#held) return;
    const { decoder } = this._readableState;
    while (!this.#unread.isEmpty && this.readableFlowing === true && this.readableLength === 0
      && this.listenerCount('data') > 0 && this.listenerCount('readable') === 0) {
      const bytes = this.#unread.take();
      const chunk = decoder ? decoder.write(bytes) : bytes;
      if (chunk.length > 0) this.emit('data', chunk);
    }
    while (this.#wants && !this.#unread.isEmpty && this.#isRead()) {
      this.#wants = this.push(this.#unread.take());
    }
    if (this.#peerEnded && this.#unread.isEmpty && !this._readableState.ended) {
      this.push(null);
      // 'end' comes also to those who have paused, if they have read all.
      this.read(0);
    }
  }

  // Somebody reads: by 'data' and not paused, or by 'readable'.
  #isRead() {
    return this.readableFlowing === true || this.listenerCount('readable') > 0;
  }

  // ---- to the host

  _read() {
    this.#wants = true;
    this.#held = false;
    // Never at once: a stream that resumes asks before it emits 'resume'.
    if (!this.#unread.isEmpty || this.#peerEnded) process.nextTick(() => this.#pump());
  }

  _write(bytes, encoding, done) {
    done(this.#send(bytes));
  }

  _writev(chunks, done) {
    done(this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk))));
  }

  // Undefined, or what went wrong.
  #send(bytes) {
    if (this.#replaying) return undefined;
    if (this.#ends === undefined) return coded(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed');
    try {
      if (!connection.write(bytes)) this.#hostFull = true;
    } catch (error) {
      switch (error.payload?.tag) {
        case 'closed': return system('EPIPE', -32, 'write');
        case 'full': return coded(Error, 'ERR_HOTSOCKET_QUEUE_FULL',
          'more waits for the peer than --max-queue allows: after write() has returned false, wait for \'drain\'');
        default: return error;
      }
    }
    this.#written += bytes.length;
    this.#idle.moved();
    return undefined;
  }

  // The usual case goes straight to the host; the stream has the others. Either
  // way the host has the bytes when this returns.
  write(chunk, encoding, callback) {
    if (typeof chunk === 'object' && chunk !== null && !(chunk instanceof Uint8Array) && ArrayBuffer.isView(chunk)) {
      chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    } else if (chunk !== null && typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      throw wrongType('chunk', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk);
    }
    const state = this._writableState;
    if (state.corked || state.ending || state.destroyed || state.length > 0
      || !(typeof chunk === 'string' || chunk instanceof Uint8Array)) {
      return this.#told(super.write(chunk, encoding, callback));
    }
    if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    const bytes = typeof chunk === 'string'
      ? Buffer.from(chunk, encoding ?? state.defaultEncoding)
      : chunk;
    const error = this.#send(bytes);
    if (error) {
      if (callback) process.nextTick(callback, error);
      this.destroy(error);
      return false;
    }
    if (callback) process.nextTick(callback);
    return this.#told(true);
  }

  // The stream would say 'drain' as soon as the host has taken the bytes; the
  // host tells when the peer has.
  #told(goOn) {
    if (!this.#hostFull) return goOn;
    this._writableState.needDrain = false;
    this.#owesDrain = true;
    return false;
  }

  get writableNeedDrain() {
    return this.#owesDrain || super.writableNeedDrain;
  }

  _final(done) {
    connection.end();
    loop.pending(done);
  }

  _destroy(error, done) {
    this.#idle.stop();
    this.#unread.clear();
    this.#destroyedAt = clock.now();
    // As the kernel does for a process that closes its socket: what was written
    // still goes out.
    connection.end();
    done(error);
    loop.closing(() => {
      this.emit('close', Boolean(error));
      this.#onClosed?.();
    });
  }

  // Node's words for a write after both have ended.
  #afterEnd() {
    if (this.allowHalfOpen) return;
    const late = (chunk, encoding, callback) => {
      if (!this.writableEnded) return Socket.prototype.write.call(this, chunk, encoding, callback);
      if (typeof encoding === 'function') callback = encoding;
      const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' });
      if (typeof callback === 'function') process.nextTick(callback, error);
      this.destroy(error);
      return false;
    };
    hide(this, { write: late });
  }

  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  resetAndDestroy() {
    connection.abort();
    return this.destroy();
  }

  setTimeout(after, callback) {
    this.#idle.set(after, callback);
    return this;
  }

  get bytesWritten() { return this.#written + this.writableLength; }
}

function Socket(options = {}) {
  if (!(this instanceof Socket)) return new Socket(options);
  if (typeof options === 'number') options = { fd: options };
  Duplex.call(this, {
    allowHalfOpen: Boolean(options.allowHalfOpen),
    autoDestroy: true,
    // With its argument, by `_destroy`.
    emitClose: false,
    decodeStrings: true,
    // Bytes wait in `#unread`, undecoded, and not in the stream.
    readableHighWaterMark: 0,
    writableHighWaterMark: options.writableHighWaterMark ?? options.highWaterMark ?? MARK,
  });
  new Parts(this);
  host.prepare(this);
  hide(this, { bytesRead: 0 });
  this.connecting = false;
  this.server = undefined;
  this.timeout = undefined;
}
Socket.prototype = Parts.prototype;
Object.setPrototypeOf(Socket, Duplex);
Object.defineProperty(Socket.prototype, 'constructor', { value: Socket, writable: true, configurable: true });
absent(Socket.prototype, 'socket', ['connect']);

// Not for `console.log(socket)`.
function hide(object, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

module.exports = { Socket, family, host };
