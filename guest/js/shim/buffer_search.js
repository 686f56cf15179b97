// `indexOf`, `lastIndexOf` and `includes` of Buffers, as Node searches: with its offsets,
// encodings and errors. The npm package compares byte by byte, 40 µs for sixteen; the
// engine finds the first byte of what is wanted.
'use strict';

const text = require('./text.js');
const { wrongType } = require('./checks.js');
const { encode, encoding } = require('./buffer_making.js');

const { indexOf, lastIndexOf } = Uint8Array.prototype;
// From here on it is worth it to make text of all bytes.
const LONG = 16;
const KINDS = 'one of type number or string or an instance of Buffer or Uint8Array';

// Where the search begins, as `IndexOfOffset` in Node's src/node_buffer.cc; -1 if what is
// wanted can be nowhere.
function beginning(length, from, wanted, forward) {
  if (from < 0) {
    if (from + length >= 0) return from + length;
    return forward || wanted === 0 ? 0 : -1;
  }
  if (from + wanted <= length) return from;
  if (wanted === 0) return length;
  return forward ? -1 : length - 1;
}

// As text, a character for each byte: the engine's own search costs least where much is
// compared.
function findLong(bytes, wanted, at, forward, step) {
  const [all, part] = [text.latin1(bytes), text.latin1(wanted)];
  do at = forward ? all.indexOf(part, at) : all.lastIndexOf(part, at);
  while (at >= 0 && at % step !== 0 && (at += forward ? 1 : -1) >= 0);
  return at;
}

// `step` is 2 where only whole characters of UTF-16 are looked at.
function find(bytes, wanted, at, forward, step) {
  if (wanted.length > LONG) return findLong(bytes, wanted, at, forward, step);
  const find = forward ? indexOf : lastIndexOf;
  while (at >= 0) {
    at = find.call(bytes, wanted[0], at);
    if (at < 0) return -1;
    if (at % step === 0 && at + wanted.length <= bytes.length) {
      let same = 1;
      while (same < wanted.length && bytes[at + same] === wanted[same]) same++;
      if (same === wanted.length) return at;
    }
    at += forward ? 1 : -1;
  }
  return -1;
}

function search(bytes, value, from, how, forward) {
  if (typeof from === 'string') [how, from] = [from, undefined];
  from = Math.trunc(from);
  // Neither is what is no number, and the whole is searched.
  if (from !== from) from = forward ? 0 : bytes.length;
  if (typeof value === 'number') {
    const at = beginning(bytes.length, from, 1, forward);
    return at < 0 ? -1 : (forward ? indexOf : lastIndexOf).call(bytes, value & 255, at);
  }
  let wanted = value;
  if (typeof value === 'string') wanted = encode(value, how === undefined ? how : encoding(how));
  else if (!(value instanceof Uint8Array)) throw wrongType('value', KINDS, value);
  const step = how !== undefined && text.encodingName(how) === 'utf16le' ? 2 : 1;
  if (wanted.length % step !== 0) {
    wanted = wanted.subarray(0, -1);
    if (wanted.length === 0) return -1;
  }
  if (bytes.length % step !== 0) bytes = bytes.subarray(0, -1);
  const at = beginning(bytes.length, from, wanted.length, forward);
  if (at < 0 || wanted.length === 0) return at;
  if (wanted.length > bytes.length || (forward && at + wanted.length > bytes.length)) return -1;
  return find(bytes, wanted, at - at % step, forward, step);
}

// Put them in place.
module.exports = function install(Buffer) {
  const proto = Buffer.prototype;
  proto.indexOf = function (value, from, how) { return search(this, value, from, how, true); };
  proto.lastIndexOf = function (value, from, how) { return search(this, value, from, how, false); };
  proto.includes = function (value, from, how) { return search(this, value, from, how, true) >= 0; };
  for (const name of ['indexOf', 'lastIndexOf', 'includes']) Object.defineProperty(proto[name], 'name', { value: name });
};
