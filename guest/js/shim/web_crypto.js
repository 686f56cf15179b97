// The global `crypto`: what of it needs no keys.
'use strict';

const { fill, randomUUID } = require('./random_bytes.js');
const { absent } = require('./errors.js');
const { DOMException } = require('./event_target.js');

// The standard's limit for one call.
const MOST = 65536;

module.exports = {
  getRandomValues(target) {
    if (!ArrayBuffer.isView(target) || target instanceof DataView || /Float/.test(target.constructor.name)) {
      throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
    }
    if (target.byteLength > MOST) {
      throw new DOMException(`The requested length exceeds ${MOST} bytes`, 'QuotaExceededError');
    }
    fill(new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
    return target;
  },
  randomUUID,
  subtle: absent({}, 'crypto.subtle', ['encrypt', 'decrypt', 'sign', 'verify', 'digest', 'generateKey', 'deriveKey',
    'deriveBits', 'importKey', 'exportKey', 'wrapKey', 'unwrapKey']),
};
