// Text and bytes: UTF-8 as the web's standard decodes it (and Node), decoding
// across chunks, `TextEncoder` and `TextDecoder`.
//
// The engine brings none of it. Where it has something native that comes close
// (`atob`, `escape`, `fromCharCode`), that does the work: a loop in an
// interpreter costs fifty times as much for each byte. So does a regular
// expression, and one that goes back needs memory for each character. Long text
// is the host's to convert.
'use strict';

const { utf8 } = require('./host.js');
const image = require('./image.js');

const PIECE = 8192;
// From here on the host converts; a call costs as much as some hundred characters.
const LONG = 256;
// What it takes at once, in code units (of three bytes at most) and in bytes.
const MOST_UNITS = 256 << 10;
const MOST_BYTES = 1 << 20;
// A literal in a function would be another object at each call.
const BEYOND_ASCII = /[^\0-\x7f]/;

const { toBase64 } = Uint8Array.prototype;

// The engine's own copies character by character. Joining text does not.
const { repeat } = String.prototype;
String.prototype.repeat = { repeat(count) {
  const text = String(this);
  let left = Math.trunc(Number(count));
  if (!(left > 1 && text.length > 0 && text.length * left >= LONG && left < 2 ** 30)) return repeat.call(text, count);
  let all = '';
  for (let power = text; ; power += power) {
    if (left % 2 === 1) all += power;
    left >>= 1;
    if (left === 0) return all;
  }
} }.repeat;
Object.defineProperty(String.prototype, 'repeat', { enumerable: false });

// Each element as the character of its number.
function units(numbers) {
  if (numbers.length <= PIECE) return String.fromCharCode.apply(null, numbers);
  let text = '';
  for (let at = 0; at < numbers.length; at += PIECE) {
    text += String.fromCharCode.apply(null, numbers.subarray(at, at + PIECE));
  }
  return text;
}

// Each byte as the character of its number. This is twice as fast as `fromCharCode`.
function latin1(bytes) {
  return atob(toBase64.call(bytes));
}

function fromLatin1(text) {
  try {
    return Uint8Array.fromBase64(btoa(text));
  } catch {
    // It has other characters, of which Node takes the lower byte.
  }
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

// In pieces, into one array: it has room for the whole text if the rest of it is like
// what has been seen.
function encodeLong(text) {
  let all = new Uint8Array(0);
  let size = 0;
  for (let at = 0, end; at < text.length; at = end) {
    end = Math.min(at + MOST_UNITS, text.length);
    // No pair of surrogates is cut.
    if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end--;
    const piece = utf8.encode(text.slice(at, end).toWellFormed());
    if (end === text.length && size === 0) return piece;
    if (size + piece.length > all.length) {
      const larger = new Uint8Array(Math.ceil((size + piece.length) / end * text.length));
      larger.set(all.subarray(0, size));
      all = larger;
    }
    all.set(piece, size);
    size += piece.length;
  }
  return size === all.length ? all : all.slice(0, size);
}

// Little endian. The engine widens bytes three times as fast as a loop does.
function encodeUtf16(text) {
  const units = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at += PIECE) {
    const piece = text.slice(at, at + PIECE);
    try {
      units.set(Uint8Array.fromBase64(btoa(piece)), at);
    } catch {
      // It has characters beyond Latin-1.
      for (let unit = 0; unit < piece.length; unit++) units[at + unit] = piece.charCodeAt(unit);
    }
  }
  return new Uint8Array(units.buffer);
}

function decodeLong(bytes) {
  let text = '';
  for (let at = 0, end; at < bytes.length; at = end) {
    end = Math.min(at + MOST_BYTES, bytes.length);
    // No character is cut.
    if (end < bytes.length) end -= unfinished(bytes.subarray(at, end));
    text += utf8.decode(bytes.subarray(at, end));
  }
  return text;
}

// There is no host when the image is made, nor in the trial of `build`.
const hasHost = () => utf8 !== undefined && !image.isMaking();

function encode(text) {
  if (text.length >= LONG && hasHost()) return encodeLong(text);
  if (!BEYOND_ASCII.test(text)) return fromLatin1(text);
  return fromLatin1(unescape(encodeURIComponent(text.toWellFormed())));
}

function decode(bytes) {
  if (bytes.length >= LONG && hasHost()) return decodeLong(bytes);
  const text = latin1(bytes);
  if (!BEYOND_ASCII.test(text)) return text;
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return decodeBroken(bytes);
  }
}

// What may follow a first byte: how many more, and the range of the second.
function following(first) {
  if (first >= 0xc2 && first <= 0xdf) return [1, 0x80, 0xbf];
  if (first >= 0xe0 && first <= 0xef) return [2, first === 0xe0 ? 0xa0 : 0x80, first === 0xed ? 0x9f : 0xbf];
  if (first >= 0xf0 && first <= 0xf4) return [3, first === 0xf0 ? 0x90 : 0x80, first === 0xf4 ? 0x8f : 0xbf];
  return [0, 0, 0];
}

// Bytes that are not all UTF-8: each longest piece that begins a character and
// doesn't end it becomes one U+FFFD, and so does each byte that can't begin one.
function decodeBroken(bytes) {
  let text = '';
  let units = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++];
    if (first < 0x80) {
      units.push(first);
    } else {
      let [more, low, high] = following(first);
      let point = more === 0 ? -1 : first & (0x3f >> more);
      for (; more > 0; more--) {
        const next = bytes[at];
        if (!(next >= low && next <= high)) {
          point = -1;
          break;
        }
        point = (point << 6) | (next & 0x3f);
        [low, high] = [0x80, 0xbf];
        at++;
      }
      if (point < 0) units.push(0xfffd);
      else if (point < 0x10000) units.push(point);
      else units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + (point & 0x3ff));
    }
    if (units.length > PIECE) {
      text += String.fromCharCode.apply(null, units);
      units = [];
    }
  }
  return text + String.fromCharCode.apply(null, units);
}

// How many bytes at the end begin a character that has not ended yet.
function unfinished(bytes) {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const [more, low, high] = following(byte);
      if (more < back) return 0;
      const second = bytes[bytes.length - back + 1];
      return back === 1 || (second >= low && second <= high) ? back : 0;
    }
  }
  return 0;
}

function join(first, second) {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

const NAMES = {
  __proto__: null,
  'utf8': 'utf8', 'utf-8': 'utf8',
  'hex': 'hex', 'base64': 'base64', 'base64url': 'base64url',
  'latin1': 'latin1', 'binary': 'latin1', 'ascii': 'ascii',
  'ucs2': 'utf16le', 'ucs-2': 'utf16le', 'utf16le': 'utf16le', 'utf-16le': 'utf16le',
};

// Node's name of an encoding; undefined if it has none.
const encodingName = (name) => NAMES[String(name ?? 'utf8').toLowerCase()];

class TextEncoder {
  get encoding() { return 'utf-8'; }
  encode(text = '') { return encode(String(text)); }
  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const character of String(text)) {
      const bytes = encode(character);
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

const LABELS = { __proto__: null, 'unicode-1-1-utf-8': 'utf8', 'ascii': 'latin1', 'iso-8859-1': 'latin1', 'windows-1252': 'latin1', 'us-ascii': 'latin1', 'utf-16': 'utf16le' };

class TextDecoder {
  #name;
  #options;
  #begun = false;
  #rest = new Uint8Array(0);

  constructor(label = 'utf-8', options = {}) {
    const trimmed = String(label).trim().toLowerCase();
    const name = LABELS[trimmed] ?? encodingName(trimmed);
    if (!['utf8', 'latin1', 'utf16le'].includes(name)) {
      const error = new RangeError(`The "${label}" encoding is not supported`);
      error.code = 'ERR_ENCODING_NOT_SUPPORTED';
      throw error;
    }
    this.#name = name;
    this.#options = options;
  }

  get encoding() { return { utf8: 'utf-8', latin1: 'windows-1252', utf16le: 'utf-16le' }[this.#name]; }
  get fatal() { return Boolean(this.#options.fatal); }
  get ignoreBOM() { return Boolean(this.#options.ignoreBOM); }

  decode(input = new Uint8Array(0), { stream = false } = {}) {
    if (!ArrayBuffer.isView(input) && !(input instanceof ArrayBuffer)) {
      throw Object.assign(new TypeError('The "list" argument must be an instance of SharedArrayBuffer, ArrayBuffer or ArrayBufferView.'), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    const view = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    let bytes = join(this.#rest, view);
    let keep = 0;
    if (stream && this.#name === 'utf8') keep = unfinished(bytes);
    if (stream && this.#name === 'utf16le') keep = bytes.length % 2;
    this.#rest = bytes.slice(bytes.length - keep);
    bytes = bytes.subarray(0, bytes.length - keep);
    let text;
    if (this.#name === 'utf8') {
      text = this.fatal ? this.#strict(bytes) : decode(bytes);
    } else {
      text = globalThis.Buffer.from(bytes).toString(this.#name);
    }
    const first = !this.#begun;
    this.#begun = stream && (this.#begun || text.length > 0);
    if (first && !this.ignoreBOM && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    return text;
  }

  #strict(bytes) {
    // Long text is checked by what it became: U+FFFD may be in it, too.
    if (bytes.length >= LONG) {
      const text = decode(bytes);
      if (!text.includes('\ufffd')) return text;
    }
    try {
      return decodeURIComponent(escape(latin1(bytes)));
    } catch {
      this.#rest = new Uint8Array(0);
      const error = new TypeError('The encoded data was not valid for encoding utf-8');
      error.code = 'ERR_ENCODING_INVALID_ENCODED_DATA';
      throw error;
    }
  }
}

module.exports = {
  decode, encode, encodeUtf16, encodingName, fromLatin1, join, latin1, unfinished, units, TextDecoder, TextEncoder,
};
