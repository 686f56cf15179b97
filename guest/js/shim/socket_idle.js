// `socket.setTimeout`: 'timeout' when nothing has been read or written for so long.
// `socket.timeout` says how long; scripts may read it.
'use strict';

const { checkFunction, checkNumber, outOfRange } = require('./checks.js');
const clock = require('./clock.js');
const { timers, restart } = require('./timers.js');

class Idle {
  #socket;
  // One for the socket's life: see sleep.js.
  #timer;
  #lastMoved = 0;

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
      if (this.#timer === undefined) this.#timer = timers.setTimeout(() => this.#look(), after);
      else restart(this.#timer, after);
      if (callback !== undefined) socket.once('timeout', callback);
    } else if (callback !== undefined) {
      socket.removeListener('timeout', callback);
    }
  }

  // Bytes have come or gone.
  moved() {
    if (this.#socket.timeout > 0) this.#lastMoved = clock.now();
  }

  stop() { timers.clearTimeout(this.#timer); }

  #look() {
    const socket = this.#socket;
    const left = socket.timeout - (clock.now() - this.#lastMoved);
    if (left > 0.5) {
      restart(this.#timer, left);
    } else {
      this.#lastMoved = clock.now();
      restart(this.#timer, socket.timeout);
      socket.emit('timeout');
    }
  }

  // What a woken instance must know besides the timer.
  left() { return [this.#socket.timeout, this.#lastMoved]; }

  resume(left) { [this.#socket.timeout, this.#lastMoved] = left; }
}

module.exports = { Idle };
