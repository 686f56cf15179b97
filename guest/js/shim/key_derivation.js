// `crypto`'s pbkdf2, scrypt and hkdf, from npm's @noble/hashes. In the interpreter they
// take some hundred times as long as in Node: see --cpu-budget.
'use strict';

const { pbkdf2 } = require('@noble/hashes/pbkdf2.js');
const { scrypt } = require('@noble/hashes/scrypt.js');
const { hkdf } = require('@noble/hashes/hkdf.js');
const { bytesOf, hashOf } = require('./crypto.js');
const { checkFunction, checkInteger } = require('./checks.js');
const { coded } = require('./errors.js');

const MOST = 2 ** 31 - 1;

function pbkdf2Sync(password, salt, iterations, length, name) {
  const [secret, grains] = [bytesOf(password, undefined, 'password'), bytesOf(salt, undefined, 'salt')];
  checkInteger(iterations, 'iterations', 1, MOST);
  checkInteger(length, 'keylen', 0, MOST);
  return Buffer.from(pbkdf2(hashOf(name), secret, grains, { c: iterations, dkLen: length }));
}

function scryptSync(password, salt, length, options = {}) {
  const [secret, grains] = [bytesOf(password, undefined, 'password'), bytesOf(salt, undefined, 'salt')];
  checkInteger(length, 'keylen', 0, MOST);
  const N = options.N ?? options.cost ?? 16384;
  const r = options.r ?? options.blockSize ?? 8;
  const p = options.p ?? options.parallelization ?? 1;
  const most = options.maxmem ?? 32 * 1024 * 1024;
  if (!(N > 1) || (N & (N - 1)) !== 0) throw coded(RangeError, 'ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params');
  if (128 * N * r > most) throw coded(RangeError, 'ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params: memory limit exceeded');
  return Buffer.from(scrypt(secret, grains, { N, r, p, dkLen: length, maxmem: most + 2048 }));
}

function hkdfSync(name, key, salt, info, length) {
  checkInteger(length, 'length', 0, MOST);
  const bytes = hkdf(hashOf(name), bytesOf(key, undefined, 'key'), bytesOf(salt, undefined, 'salt'), bytesOf(info, undefined, 'info'), length);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
}

const later = (derive) => (...args) => {
  const callback = args.pop();
  checkFunction(callback, 'callback');
  const key = derive(...args);
  setImmediate(callback, null, key);
};

module.exports = {
  pbkdf2Sync, scryptSync, hkdfSync,
  pbkdf2: later(pbkdf2Sync), scrypt: later(scryptSync), hkdf: later(hkdfSync),
};
