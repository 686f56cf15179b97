// `tls`, for servers that offer it and are told not to: a context can be made, and
// nothing be done with it. Let a proxy in front of hotsocket end TLS.
'use strict';

const { absent } = require('./errors.js');

module.exports = absent({
  DEFAULT_MIN_VERSION: 'TLSv1.2',
  DEFAULT_MAX_VERSION: 'TLSv1.3',
  DEFAULT_ECDH_CURVE: 'auto',
  DEFAULT_CIPHERS: '',
  rootCertificates: [],
  createSecureContext: () => ({ context: {} }),
  getCiphers: () => [],
}, 'tls', ['TLSSocket', 'Server', 'connect', 'createServer', 'checkServerIdentity']);
