// Random bytes and UUIDs from the host: for `crypto`, the module and the global.
'use strict';

const { random } = require('./host.js');

// As much as the host gives at once.
const MOST_RANDOM = 1 << 20;

function fill(bytes) {
  for (let at = 0; at < bytes.length; at += MOST_RANDOM) {
    const count = Math.min(MOST_RANDOM, bytes.length - at);
    bytes.set(random.getRandomBytes(count), at);
  }
  return bytes;
}

function randomUUID() {
  const bytes = fill(Buffer.alloc(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

module.exports = { fill, randomUUID };
