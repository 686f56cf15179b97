// `dns` on a machine without a name server: addresses and `localhost` are known, and
// every other name is ENOTFOUND.
'use strict';

const { absent } = require('./errors.js');
const { checkFunction } = require('./checks.js');
const { net } = require('./net.js');

const unknown = (syscall, name) => Object.assign(
  new Error(`${syscall} ENOTFOUND ${name} (a hotsocket guest asks no name server)`),
  { errno: -3008, code: 'ENOTFOUND', syscall, hostname: name },
);

function addressOf(name, options) {
  const { family = 0, all = false } = typeof options === 'number' ? { family: options } : options ?? {};
  const address = name === 'localhost' ? (family === 6 ? '::1' : '127.0.0.1') : name;
  const kind = net.isIP(address);
  if (kind === 0) throw unknown('getaddrinfo', name);
  return all ? [{ address, family: kind }] : { address, family: kind };
}

function lookup(name, options, callback) {
  if (typeof options === 'function') [callback, options] = [options, {}];
  checkFunction(callback, 'callback');
  let found;
  try {
    found = addressOf(name, options);
  } catch (error) {
    process.nextTick(callback, error);
    return;
  }
  if (Array.isArray(found)) process.nextTick(callback, null, found);
  else process.nextTick(callback, null, found.address, found.family);
}

const QUESTIONS = { reverse: 'getHostByAddr', lookupService: 'getnameinfo', resolve: 'queryA', resolve4: 'queryA',
  resolve6: 'queryAaaa', resolveAny: 'queryAny', resolveCaa: 'queryCaa', resolveCname: 'queryCname', resolveMx: 'queryMx',
  resolveNaptr: 'queryNaptr', resolveNs: 'queryNs', resolvePtr: 'queryPtr', resolveSoa: 'querySoa', resolveSrv: 'querySrv', resolveTxt: 'queryTxt' };
const promises = { lookup: async (name, options) => addressOf(name, options) };
// `util.promisify` gives both as one value.
Object.defineProperty(lookup, Symbol.for('nodejs.util.promisify.custom'), { value: promises.lookup });
const dns = { lookup };
for (const [name, syscall] of Object.entries(QUESTIONS)) {
  dns[name] = (asked, ...rest) => {
    const callback = rest.pop();
    checkFunction(callback, 'callback');
    process.nextTick(callback, unknown(syscall, asked));
  };
  promises[name] = async (asked) => { throw unknown(syscall, asked); };
}
class Resolver {
  cancel() {}
  setServers() {}
  getServers() { return []; }
}
class PromisesResolver extends Resolver {}
for (const name of Object.keys(QUESTIONS)) {
  Resolver.prototype[name] = dns[name];
  PromisesResolver.prototype[name] = promises[name];
}

module.exports = absent(Object.assign(dns, {
  Resolver,
  ADDRCONFIG: 32,
  V4MAPPED: 8,
  ALL: 16,
  NOTFOUND: 'ENOTFOUND',
  NODATA: 'ENODATA',
  getServers: () => [],
  setServers() {},
  setDefaultResultOrder() {},
  getDefaultResultOrder: () => 'verbatim',
  promises: Object.assign(promises, { Resolver: PromisesResolver }),
}), 'dns', []);
