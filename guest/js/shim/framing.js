// `socket.hotsocket.frames`: messages out of a stream. What has come of a frame waits
// for the rest, up to a limit; `half` is part of a script's state, so that a swap in the
// middle of a frame loses nothing.
'use strict';

const MAX = 64 * 1024;

// What has come is no frame: nothing is known of where the next one begins.
class FrameError extends Error {
  constructor(message, code = 'ERR_HOTSOCKET_FRAME') {
    super(message);
    this.code = code;
  }
}
Object.defineProperty(FrameError.prototype, 'name', { value: 'FrameError', enumerable: false, configurable: true, writable: true });

// As a Buffer of its own, where `Buffer.from` would share the memory too.
const copy = (data) => Buffer.from(data instanceof ArrayBuffer ? new Uint8Array(data) : data);

// Call `feed` with what has come and iterate: `for (const frame of frames.feed(data))`.
class Frames {
  #codec;
  #max;
  // Nobody else's: a frame is a part of them that no other one has, and not a copy.
  #bytes;
  // Frames up to here were given; from here to `#seen` the codec has found nothing.
  #taken = 0;
  #seen = 0;
  // What is thrown from now on: nothing is kept then of what comes.
  #error;

  constructor(codec, { max = MAX, half = '' } = {}) {
    this.#codec = codec;
    this.#max = max;
    this.half = half;
  }

  // After an error it is dropped.
  feed(data) {
    if (this.#error) return this;
    const rest = this.#bytes.length - this.#taken;
    const bytes = copy(data);
    this.#seen -= this.#taken;
    this.#bytes = rest === 0 ? bytes : Buffer.concat([this.#bytes.subarray(this.#taken), bytes]);
    this.#taken = 0;
    return this;
  }

  // What has come of a frame that is not whole. It stays as it is after an error, so that a
  // successor finds the same one. With another half all begins anew.
  get half() { return Buffer.from(this.#bytes.subarray(this.#taken)); }
  set half(half) {
    this.#bytes = copy(half);
    this.#taken = this.#seen = 0;
    this.#error = undefined;
  }

  [Symbol.iterator]() { return this; }

  next() {
    if (this.#error) throw this.#error;
    try {
      return this.#next();
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  #next() {
    const bytes = this.#bytes;
    const begin = this.#taken;
    const length = bytes.length - begin;
    const found = this.#codec.find(bytes, begin, this.#seen);
    if (typeof found !== 'object') {
      this.#check(found);
      this.#seen = bytes.length;
      return { done: true, value: undefined };
    }
    const { start = 0, end, stop = end } = found;
    if (!(end > 0 && end <= length && start >= 0 && start <= stop && stop <= end)) {
      throw new FrameError(`a codec has taken ${end} bytes of ${length}, with contents from ${start} to ${stop}`);
    }
    this.#check(stop - start);
    this.#taken = this.#seen = begin + end;
    return { done: false, value: bytes.subarray(begin + start, begin + stop) };
  }

  #check(length) {
    if (length > this.#max) throw new FrameError(`more than ${this.#max} bytes in one piece`, 'ERR_HOTSOCKET_FRAME_TOO_LONG');
  }

  // The bytes of a frame with these contents, to be written.
  encode(contents) {
    return this.#codec.encode(Buffer.from(contents));
  }
}

// A codec is asked for the first frame in `bytes` from `begin` on: where, counted from
// there, its contents start and stop, and where the frame ends; or, as a number, how long
// the contents are at least. Up to `seen` it has found nothing before.
function until(delimiter, isLine) {
  return {
    find(bytes, begin, seen) {
      const at = bytes.indexOf(delimiter, Math.max(begin, seen - delimiter.length + 1));
      if (at < 0) {
        const least = Math.max(begin, bytes.length - delimiter.length + 1);
        // It may turn out to be the carriage return of its end.
        return (isLine && least > begin && bytes[least - 1] === 13 ? least - 1 : least) - begin;
      }
      const returned = isLine && at > begin && bytes[at - 1] === 13;
      return { start: 0, stop: at - begin - (returned ? 1 : 0), end: at - begin + delimiter.length };
    },
    encode: (contents) => Buffer.concat([contents, delimiter]),
  };
}

function prefixed(size) {
  return {
    find(bytes, begin) {
      if (bytes.length - begin < size) return 0;
      // Also where it is more than a number has exactly.
      let length = 0;
      for (let at = begin; at < begin + size; at++) length = length * 256 + bytes[at];
      const end = size + length;
      return bytes.length - begin < end ? length : { start: size, stop: end, end };
    },
    encode(contents) {
      const head = Buffer.alloc(size);
      let length = contents.length;
      for (let at = size - 1; at >= 0; at--) {
        head[at] = length % 256;
        length = Math.floor(length / 256);
      }
      if (length > 0) throw new FrameError(`${contents.length} bytes have no length of ${size} bytes`);
      return Buffer.concat([head, contents]);
    },
  };
}

// A script's own, which is given what has come of the frame, and how much of it it knows.
function own(codec) {
  return {
    find: (bytes, begin, seen) => codec.find(bytes.subarray(begin), seen - begin),
    encode: (contents) => codec.encode(contents),
  };
}

// Options of each: `max`, the longest contents (64 KiB), and `half`, what an instance
// before has saved.
const frames = {
  // Lines that end in `\n` or `\r\n`, which are not part of them.
  lines: (options) => new Frames(until(Buffer.from('\n'), true), options),
  // Contents that end with a delimiter, which is not part of them.
  delimited(delimiter, options) {
    const bytes = Buffer.from(delimiter);
    if (bytes.length === 0) throw new FrameError('a delimiter has at least one byte');
    return new Frames(until(bytes, false), options);
  },
  // A length in so many bytes (1 to 8), the most significant one first, then the contents.
  lengthPrefixed(size = 4, options = undefined) {
    if (!(Number.isInteger(size) && size >= 1 && size <= 8)) throw new FrameError('a length has from 1 to 8 bytes');
    return new Frames(prefixed(size), options);
  },
  // A format of the script's own: `{ find(bytes, seen), encode(contents) }`.
  custom: (codec, options) => new Frames(own(codec), options),
  FrameError,
};

module.exports = frames;
