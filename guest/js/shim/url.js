// `url`: the old interface, from npm's package of that name. The engine has no `URL`.
'use strict';

const url = require('url-from-npm');
const { absent, coded } = require('./errors.js');

function fileURLToPath(address) {
  const { protocol, hostname, pathname } = url.parse(String(address.href ?? address));
  if (protocol !== 'file:') throw coded(TypeError, 'ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
  if (hostname && hostname !== 'localhost') {
    throw coded(TypeError, 'ERR_INVALID_FILE_URL_HOST', 'File URL host must be "localhost" or empty on wasi');
  }
  return decodeURIComponent(pathname);
}

module.exports = absent({
  Url: url.Url,
  parse: url.parse,
  resolve: url.resolve,
  resolveObject: url.resolveObject,
  format: url.format,
  fileURLToPath,
  domainToASCII: (name) => require('punycode-from-npm').toASCII(String(name)).toLowerCase(),
  domainToUnicode: (name) => require('punycode-from-npm').toUnicode(String(name)),
  urlToHttpOptions(of) {
    const { protocol, hostname, hash, search, pathname, href, port, username, password } = of;
    const options = { __proto__: null, ...of, protocol, hostname: hostname.replace(/^\[|\]$/g, ''), hash, search, pathname, path: `${pathname ?? ''}${search ?? ''}`, href };
    if (port !== '') options.port = Number(port);
    if (username || password) options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return options;
  },
}, 'url', []);
// Only a script that names them has them in its component (see lazily.js).
for (const name of ['URL', 'URLSearchParams', 'pathToFileURL']) {
  Object.defineProperty(module.exports, name, {
    enumerable: true,
    configurable: true,
    get: () => (name === 'pathToFileURL' ? (path) => new globalThis.URL(`file://${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}`) : globalThis[name]),
  });
}
