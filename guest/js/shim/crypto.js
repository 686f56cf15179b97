// `crypto`: hashes and HMAC from npm's @noble/hashes, and random bytes from the host.
'use strict';

const { hmac } = require('@noble/hashes/hmac.js');
const { md5, ripemd160, sha1 } = require('@noble/hashes/legacy.js');
const { sha224, sha256, sha384, sha512, sha512_256 } = require('@noble/hashes/sha2.js');
const { sha3_224, sha3_256, sha3_384, sha3_512 } = require('@noble/hashes/sha3.js');
// Without the rest of the library; sockets have Duplex, which is most of it.
const Transform = require('readable-stream/lib/internal/streams/transform.js');
const { fill, randomUUID } = require('./random_bytes.js');
const { absent, coded } = require('./errors.js');
const { checkString, wrongType } = require('./checks.js');

const webcrypto = require('./web_crypto.js');

const HASHES = {
  md5, ripemd160, sha1, sha224, sha256, sha384, sha512,
  'rmd160': ripemd160, 'sha512-256': sha512_256,
  'sha3-224': sha3_224, 'sha3-256': sha3_256, 'sha3-384': sha3_384, 'sha3-512': sha3_512,
};

const bytesOf = (data, encoding, name = 'data') => {
  if (typeof data === 'string') return Buffer.from(data, encoding === 'buffer' ? undefined : encoding);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (name !== 'data' && data instanceof ArrayBuffer) return new Uint8Array(data);
  throw wrongType(name, `of type string or an instance of ${name === 'data' ? '' : 'ArrayBuffer, '}Buffer, TypedArray, or DataView`, data);
};

const named = (name) => HASHES[String(name).toLowerCase().replace(/^rsa-/, '').replace(/^sha-(?=\d)/, 'sha')];

const finished = () => coded(Error, 'ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');

// What `createHash` and `createHmac` have in common: a stream that gives the digest when it
// has ended.
class Digest extends Transform {
  #state;
  #done = false;

  constructor(state, options) {
    super(options);
    this.#state = state;
  }

  update(data, encoding) {
    if (this.#done) throw finished();
    this.#state.update(bytesOf(data, encoding));
    return this;
  }

  _transform(chunk, encoding, done) {
    this.#state.update(bytesOf(chunk, encoding));
    done();
  }

  _flush(done) { done(null, this.digest()); }

  digest(encoding) {
    if (this.#done) throw finished();
    this.#done = true;
    const digest = Buffer.from(this.#state.digest());
    return encoding && encoding !== 'buffer' ? digest.toString(encoding) : digest;
  }

  copy(options) {
    if (this.#done) throw finished();
    return new this.constructor(this.#state.clone(), options);
  }
}

class Hash extends Digest {}
class Hmac extends Digest {}

function createHash(name, options) {
  checkString(name, 'algorithm');
  const hash = named(name);
  if (!hash) throw new Error('Digest method not supported');
  return new Hash(hash.create(), options);
}

function hashOf(name) {
  checkString(name, 'digest');
  const hash = named(name);
  if (!hash) throw coded(TypeError, 'ERR_CRYPTO_INVALID_DIGEST', `Invalid digest: ${name}`);
  return hash;
}

function createHmac(name, key, options) {
  checkString(name, 'hmac');
  return new Hmac(hmac.create(hashOf(name), bytesOf(key, undefined, 'key')), options);
}

// With a callback the result comes later.
function answer(callback, make) {
  if (callback === undefined) return make();
  const value = make();
  setImmediate(callback, null, value);
}

function randomBytes(size, callback) {
  if (typeof size !== 'number') {
    throw wrongType('size', 'of type number', size);
  }
  if (!(size >= 0 && size <= 2 ** 31 - 1)) {
    throw coded(RangeError, 'ERR_OUT_OF_RANGE',
      `The value of "size" is out of range. It must be >= 0 && <= 2147483647. Received ${size}`);
  }
  return answer(callback, () => fill(Buffer.alloc(Math.trunc(size))));
}

function randomFillSync(target, offset = 0, size) {
  const bytes = ArrayBuffer.isView(target)
    ? new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    : new Uint8Array(target);
  fill(bytes.subarray(offset, size === undefined ? bytes.length : offset + size));
  return target;
}

function randomInt(least, most, callback) {
  if (most === undefined || typeof most === 'function') [least, most, callback] = [0, least, most];
  const range = most - least;
  if (!(Number.isSafeInteger(least) && Number.isSafeInteger(most) && range > 0 && range < 2 ** 48)) {
    throw coded(RangeError, 'ERR_OUT_OF_RANGE',
      `The value of "max" is out of range. It must be greater than the value of "min" (${least}). Received ${most}`);
  }
  // Drawn again above the last whole multiple, so that no number is more likely.
  const limit = 2 ** 48 - 2 ** 48 % range;
  let drawn;
  do drawn = randomBytes(6).readUIntBE(0, 6); while (drawn >= limit);
  return answer(callback, () => least + drawn % range);
}

function timingSafeEqual(first, second) {
  const [one, other] = [bytesOf(first), bytesOf(second)];
  if (one.length !== other.length) {
    throw coded(RangeError, 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', 'Input buffers must have the same byte length');
  }
  let differences = 0;
  for (let at = 0; at < one.length; at++) differences |= one[at] ^ other[at];
  return differences === 0;
}

const crypto = absent({
  Hash,
  Hmac,
  createHash,
  createHmac,
  getHashes: () => Object.keys(HASHES),
  hash: (name, data, encoding = 'hex') => createHash(name).update(data).digest(encoding),
  randomBytes,
  randomFillSync,
  randomInt,
  randomUUID,
  randomFill(target, ...rest) {
    const callback = rest.pop();
    randomFillSync(target, ...rest);
    setImmediate(callback, null, target);
  },
  getRandomValues: (target) => webcrypto.getRandomValues(target),
  webcrypto,
  timingSafeEqual,
  constants: {},
}, 'crypto', [
  'createCipheriv', 'createDecipheriv', 'createSign', 'createVerify', 'createDiffieHellman', 'createECDH',
  'createPrivateKey', 'createPublicKey', 'createSecretKey', 'generateKeyPair', 'generateKeyPairSync',
  'pbkdf2', 'pbkdf2Sync', 'scrypt', 'scryptSync', 'publicEncrypt', 'privateDecrypt', 'sign', 'verify',
  'getCiphers', 'getCurves', 'hkdf', 'hkdfSync',
]);

// For key_derivation.js; a script's crypto has neither.
for (const [name, value] of Object.entries({ bytesOf, hashOf })) Object.defineProperty(crypto, name, { value, enumerable: false });

module.exports = crypto;
