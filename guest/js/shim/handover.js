// What one instance leaves to the next: the snapshot's bytes, and
// `socket.hotsocket`, with which a script keeps state on purpose.
//
// On the wire it is what the Rust SDK writes: a version in four bytes, little
// endian, then the state, which is the script's own. Only when bytes of the
// peer have come in that the script has not seen (it had paused, or half a
// character waits for the rest) they go along: then bit 31 of the version is
// set, and before the state come their length in four bytes and they. Code that
// doesn't know of that refuses such a snapshot, and the connection stays with
// the code that holds its bytes.
'use strict';

const { absent, coded } = require('./errors.js');
const { encode, join } = require('./text.js');
const { log, setting } = require('./capabilities.js');
const { checkpoint, label } = require('./session.js');

const UNREAD = 0x80000000;

function pack(version, state, unread) {
  const head = new DataView(new ArrayBuffer(unread.length > 0 ? 8 : 4));
  head.setUint32(0, (version | (unread.length > 0 ? UNREAD : 0)) >>> 0, true);
  if (unread.length > 0) head.setUint32(4, unread.length, true);
  return join(join(new Uint8Array(head.buffer), unread), state);
}

function unpack(bytes) {
  const none = new Uint8Array(0);
  if (bytes.length < 4) return { version: 0, state: bytes, unread: none };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(0, true);
  if (version < UNREAD) return { version, state: bytes.subarray(4), unread: none };
  const length = bytes.length >= 8 ? view.getUint32(4, true) : Infinity;
  if (8 + length > bytes.length) throw new Error('the snapshot is cut off');
  return { version: version - UNREAD, state: bytes.subarray(8 + length), unread: bytes.subarray(8, 8 + length) };
}

// `socket.hotsocket`. Scripts write `socket.hotsocket?.…`, since Node has none.
class Handover {
  #save;
  #saveVersion = 1;

  // `resumed` of the one connection that this instance serves, and its socket.
  static resumed;
  static socket;

  constructor(id, resumed, succession) {
    Handover.resumed = resumed;
    // Unique among all connections of this server process; counts up from 1.
    this.id = id;
    // False for a new connection; 'migrated', 'restarted' or 'woken' for one
    // that another instance served before.
    this.resumed = resumed;
    // What that one saved, as a Buffer, and the version it gave it; undefined
    // if it saved nothing.
    this.state = undefined;
    this.version = undefined;
    Object.defineProperty(this, 'unread', { value: new Uint8Array(0), writable: true, enumerable: false });
    if (succession?.snapshot) {
      const { version, state, unread } = unpack(succession.snapshot);
      this.unread = unread;
      if (version > 0 || state.length > 0) {
        this.version = version;
        this.state = Buffer.from(state);
      }
    }
  }

  // `state` gives the state whenever new code is about to take over: bytes or
  // text as they are, anything else as JSON, undefined for none.
  save(state, version = 1) {
    if (typeof state !== 'function') {
      throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'socket.hotsocket.save takes a function that returns the state');
    }
    if (!Number.isInteger(version) || version < 1 || version >= UNREAD) {
      throw coded(RangeError, 'ERR_OUT_OF_RANGE', 'the version of a state is a whole number from 1 to 2147483647');
    }
    this.#save = state;
    this.#saveVersion = version;
  }

  // Whether the script keeps state.
  get saves() { return this.#save !== undefined; }

  // The snapshot, or null: nothing to keep.
  snapshot(unread) {
    const state = this.#save?.();
    if (state === undefined || state === null) {
      return unread.length > 0 ? pack(0, new Uint8Array(0), unread) : null;
    }
    return pack(this.#saveVersion, bytesOf(state), unread);
  }
}
Object.assign(Handover.prototype, { checkpoint, label, log, setting });
// What topics.js puts in their place, in a component that has it.
absent(Handover.prototype, 'socket.hotsocket', ['join', 'leave', 'publish', 'subscribers', 'will'],
  'is not part of this component, as the build has not found the name in the script');
Object.defineProperty(Handover.prototype, 'frames', { get: () => require('./framing.js') });
for (const name of ['checkpoint', 'label', 'log', 'setting', 'snapshot', 'saves', 'join', 'leave', 'publish', 'subscribers', 'will']) Object.defineProperty(Handover.prototype, name, { enumerable: false });

function bytesOf(state) {
  if (state instanceof Uint8Array) return state;
  if (typeof state === 'string') return encode(state);
  const json = JSON.stringify(state);
  if (json === undefined) throw new TypeError('what socket.hotsocket.save gave can be neither bytes, text nor JSON');
  return encode(json);
}

module.exports = { Handover };
