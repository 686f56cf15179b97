// Bytes of the peer that have come and that the script has not asked for, in the pieces
// in which they came.
'use strict';

const { join } = require('./text.js');

class Unread {
  #pieces = [];
  #size = 0;

  get isEmpty() { return this.#pieces.length === 0; }
  get size() { return this.#size; }

  put(bytes) {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
  }

  take() {
    const bytes = this.#pieces.shift();
    this.#size -= bytes.length;
    return bytes;
  }

  clear() {
    this.#pieces = [];
    this.#size = 0;
  }

  // All of them, after what is left of those before.
  after(rest) { return this.#pieces.reduce(join, rest); }
}

module.exports = { Unread };
