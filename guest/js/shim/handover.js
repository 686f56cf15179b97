// What one instance leaves to the next: the snapshot's bytes, and
// `socket.hotsocket`, with which a script keeps state on purpose.
//
// On the wire it is what the Rust SDK writes: a version in four bytes, little
// endian, then the state, which is the script's own. Only when bytes of the
// peer have come in that the script has not seen (it had paused, or half a
// character waits for the rest) they go along: then bit 31 of the version is
// set, and before the state come their length in four bytes and they. Code that
// doesn't know of that refuses such a snapshot, and the connection stays with
// the code that holds its bytes. The same goes for a connection on HTTP in the middle
// of a request: the two upper bits of the length tell where.
'use strict';

const { absent, coded } = require('./errors.js');
const { encode, join } = require('./text.js');
const { log, setting } = require('./capabilities.js');
const { checkpoint, label } = require('./session.js');

const UNREAD = 0x80000000;
// Where a connection on HTTP is: between requests, in one that nothing has been answered
// to, or in one that has a part of its answer (or none is possible).
const MIDWAY = { no: 0, asked: 1, answered: 2 };
// There is never as much that is not read: see socket.js.
const LENGTH = 0x3fffffff;

function pack(version, state, unread, midway) {
  const more = unread.length > 0 || midway !== MIDWAY.no;
  const head = new DataView(new ArrayBuffer(more ? 8 : 4));
  head.setUint32(0, (version | (more ? UNREAD : 0)) >>> 0, true);
  if (more) head.setUint32(4, (unread.length | (midway << 30)) >>> 0, true);
  return join(join(new Uint8Array(head.buffer), unread), state);
}

function unpack(bytes) {
  const none = new Uint8Array(0);
  const midway = MIDWAY.no;
  if (bytes.length < 4) return { version: 0, state: bytes, unread: none, midway };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(0, true);
  if (version < UNREAD) return { version, state: bytes.subarray(4), unread: none, midway };
  const word = bytes.length >= 8 ? view.getUint32(4, true) : LENGTH;
  const length = word & LENGTH;
  if (8 + length > bytes.length) throw new Error('the snapshot is cut off');
  return { version: version - UNREAD, state: bytes.subarray(8 + length), unread: bytes.subarray(8, 8 + length), midway: word >>> 30 };
}

// `socket.hotsocket`. Scripts write `socket.hotsocket?.…`, since Node has none.
class Handover {
  #save;
  #saveVersion = 1;

  // `resumed` of the one connection that this instance serves, and its socket.
  static resumed;
  static socket;
  // Set by http.js.
  static midway = () => MIDWAY.no;

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
    Object.defineProperty(this, 'midway', { value: MIDWAY.no, writable: true, enumerable: false });
    if (succession?.snapshot) {
      const { version, state, unread, midway } = unpack(succession.snapshot);
      this.unread = unread;
      this.midway = midway;
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
    const midway = Handover.midway();
    if (state === undefined || state === null) {
      return unread.length > 0 || midway !== MIDWAY.no ? pack(0, new Uint8Array(0), unread, midway) : null;
    }
    return pack(this.#saveVersion, bytesOf(state), unread, midway);
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

module.exports = { Handover, MIDWAY };
