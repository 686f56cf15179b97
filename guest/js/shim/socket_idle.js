// `socket.setTimeout`: 'timeout' when nothing has been read or written for so long, once.
// `socket.timeout` says how long; scripts may read it.
'use strict';

const { checkFunction, checkNumber, outOfRange } = require('./checks.js');
const clock = require('./clock.js');
const { timers, restart } = require('./timers.js');

class Idle {
  #socket;
  // One for the socket's life: see sleep.js. None in an instance that was woken, if it was
  // set after the connection callback.
  #timer;
  #lastMoved = 0;
  // 'timeout' was emitted, and nothing has moved since.
  #told = false;

  constructor(socket) { this.#socket = socket; }

  set(after, callback) {
    const socket = this.#socket;
    checkNumber(after, 'msecs');
    if (!(after >= 0 && after < Infinity)) throw outOfRange('msecs', 'a non-negative finite number', after);
    if (callback !== undefined) checkFunction(callback, 'callback');
    this.stop();
    socket.timeout = after;
    if (after > 0) {
      this.#lastMoved = clock.now();
      this.#start(after);
      if (callback !== undefined) socket.once('timeout', callback);
    } else if (callback !== undefined) {
      socket.removeListener('timeout', callback);
    }
  }

  // Bytes have come or gone.
  moved() {
    if (!(this.#socket.timeout > 0)) return;
    this.#lastMoved = clock.now();
    if (!this.#told) return;
    this.#told = false;
    this.#start(this.#socket.timeout);
  }

  #start(after) {
    if (this.#timer === undefined) this.#timer = timers.setTimeout(() => this.#look(), after);
    else restart(this.#timer, after);
  }

  stop() {
    this.#told = false;
    timers.clearTimeout(this.#timer);
  }

  #look() {
    const socket = this.#socket;
    const left = socket.timeout - (clock.now() - this.#lastMoved);
    if (left > 0.5) {
      this.#start(left);
    } else {
      this.#told = true;
      socket.emit('timeout');
    }
  }

  // What a woken instance must know besides the timer.
  left() { return [this.#socket.timeout, this.#lastMoved, this.#told]; }

  resume(left) { [this.#socket.timeout, this.#lastMoved, this.#told] = left; }
}

module.exports = { Idle };
