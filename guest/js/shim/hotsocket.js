// The module `hotsocket`: a store of values by keys, which all connections of a server
// share and which outlives them. Each call takes effect at once, whatever becomes of the
// event. `wit/keyvalue` and `wit/store` have the rules and the limits.
'use strict';

const host = require('./store_host.js');
const { checkFunction, checkInteger, checkObject, checkString, wrongType, wrongValue } = require('./checks.js');
const { coded } = require('./errors.js');
const { encode } = require('./text.js');

const CONDITIONS = ['always', 'if-absent', 'if-present'];
const KEYS_IN_A_CALL = 1000;

const ERRORS = {
  'no-such-store': ['NO_BUCKET', () => 'no such bucket: its name is too long'],
  'access-denied': ['ACCESS', () => 'nothing can be changed while the state is saved or the server starts'],
  'other': ['FAILED', (why) => why],
};

function asked(call) {
  try {
    return call();
  } catch (error) {
    const { tag, val } = error.payload?.tag === 'store-error' ? error.payload.val : error.payload ?? {};
    if (!(tag in ERRORS)) throw error;
    const [code, words] = ERRORS[tag];
    throw coded(Error, `ERR_HOTSOCKET_STORE_${code}`, words(val));
  }
}

function keyOf(key) {
  checkString(key, 'key');
  return key.toWellFormed();
}

function bytesOf(value) {
  if (typeof value === 'string') return encode(value);
  if (value instanceof Uint8Array) return value;
  throw wrongType('value', 'of type string or an instance of Buffer or Uint8Array', value);
}

const bufferOf = (bytes) => (bytes === null || bytes === undefined ? undefined : Object.setPrototypeOf(bytes, Buffer.prototype));

// Milliseconds, `Infinity`, or `'unchanged'`.
function lifetime(ttl) {
  if (ttl === Infinity) return { tag: 'forever' };
  if (ttl === 'unchanged') return { tag: 'unchanged' };
  checkInteger(ttl, 'ttl', 0);
  return { tag: 'milliseconds', val: ttl };
}

class Bucket {
  #name;
  #handle;

  constructor(name) { this.#name = name; }

  // Another name space for keys.
  open(name) {
    checkString(name, 'name');
    return new Bucket(name.toWellFormed());
  }

  // Opened when it is first used: the image that instances start from has no handles.
  #with(call) {
    return asked(() => call(this.#handle ??= host.open(this.#name)));
  }

  // A Buffer; undefined if the key has no value.
  get(key) {
    key = keyOf(key);
    return bufferOf(this.#with((bucket) => bucket.get(key)));
  }

  has(key) {
    key = keyOf(key);
    return this.#with((bucket) => bucket.exists(key));
  }

  // Whether it was set. It lives for ever, if `ttl` (in milliseconds) does not say otherwise.
  set(key, value, options = {}) {
    key = keyOf(key);
    checkObject(options, 'options');
    const { when = 'always', ttl = Infinity } = options;
    if (!CONDITIONS.includes(when)) throw wrongValue('options.when', when, `must be one of: '${CONDITIONS.join("', '")}'`);
    const [bytes, life] = [bytesOf(value), lifetime(ttl)];
    return this.#with((bucket) => host.store.set(bucket, key, bytes, when, life));
  }

  // Whether it had a value.
  delete(key) {
    key = keyOf(key);
    return this.#with((bucket) => host.store.delete(bucket, key));
  }

  // Add to a number in decimal digits, and get the sum.
  increment(key, delta = 1) {
    key = keyOf(key);
    checkInteger(delta, 'delta');
    return Number(this.#with((bucket) => host.atomics.increment(bucket, key, delta)));
  }

  // Set what `change` makes of the value (a Buffer, or undefined), and again with the new
  // value if somebody else has changed it meanwhile. Gives what was set; `undefined` from
  // `change` leaves it, and so does this.
  cas(key, change) {
    key = keyOf(key);
    checkFunction(change, 'change');
    let seen = this.#with((bucket) => host.atomics.Cas.new(bucket, key));
    for (;;) {
      const before = seen;
      const next = change(bufferOf(asked(() => before.current())));
      if (next === undefined) return undefined;
      const bytes = bytesOf(next);
      try {
        asked(() => host.atomics.swap(before, bytes));
        return next;
      } catch (error) {
        if (error.payload?.tag !== 'cas-failed') throw error;
        seen = error.payload.val;
      }
    }
  }

  // What is left of its life in milliseconds, `Infinity`, or undefined without a value.
  ttl(key) {
    key = keyOf(key);
    const life = this.#with((bucket) => host.store.life(bucket, key));
    if (life === null || life === undefined) return undefined;
    return life.tag === 'milliseconds' ? Number(life.val) : Infinity;
  }

  // Whether it has a value, which now lives so long.
  expire(key, ttl) {
    key = keyOf(key);
    const life = lifetime(ttl);
    return this.#with((bucket) => host.store.setLife(bucket, key, life));
  }

  // The keys that begin with this, in no order.
  * keys(prefix = '') {
    checkString(prefix, 'prefix');
    prefix = prefix.toWellFormed();
    let cursor = null;
    do {
      const page = this.#with((bucket) => host.store.keys(bucket, prefix, cursor, KEYS_IN_A_CALL));
      yield* page.keys;
      cursor = page.cursor ?? null;
    } while (cursor !== null);
  }
}

module.exports = { store: new Bucket('default') };
