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
}, 'url', ['URL', 'URLSearchParams', 'pathToFileURL', 'domainToASCII', 'domainToUnicode', 'urlToHttpOptions']);
