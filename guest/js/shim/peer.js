// Who the peer is, besides its address: what Node's `tls.TLSSocket` has of it, and
// `socket.hotsocket.peer` for what Node has no name for. Part of a component only if the
// script names it; asked.mjs decides.
//
// A connection that is not encrypted here answers as a `net.Socket`: `encrypted` and
// `authorized` are undefined.
'use strict';

const { peer } = require('./peer_host.js');
const { Handover } = require('./handover.js');
const { family, Socket } = require('./socket.js');

const bufferOf = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);
const text = (bytes) => bufferOf(bytes).toString();
const tls = () => peer.tls() ?? undefined;

// Of certificates there is the DER, which `new X509Certificate(raw)` of a package reads.
const sockets = {
  getPeerCertificate(detailed = false) {
    const chain = peer.certificates().map((der) => ({ raw: bufferOf(der) }));
    if (detailed) chain.forEach((certificate, at) => { certificate.issuerCertificate = chain[at + 1]; });
    return chain[0] ?? {};
  },
  getProtocol() { return tls()?.version ?? null; },
  getCipher() {
    const session = tls();
    return session && { name: session.cipherSuite, standardName: session.cipherSuite, version: session.version };
  },
};
const properties = {
  encrypted: () => (tls() ? true : undefined),
  // Whether the peer has shown a certificate, which was verified.
  authorized: () => (tls() ? peer.certificates().length > 0 : undefined),
  servername: () => tls()?.serverName ?? false,
  alpnProtocol: () => {
    const protocol = tls()?.protocol;
    return protocol ? text(protocol) : false;
  },
};
for (const [name, value] of Object.entries(sockets)) {
  Object.defineProperty(Socket.prototype, name, { value, writable: true, configurable: true, enumerable: false });
}
for (const [name, get] of Object.entries(properties)) {
  Object.defineProperty(Socket.prototype, name, {
    get,
    // A script may have its own.
    set(value) { Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true }); },
    configurable: true,
    enumerable: false,
  });
}

const address = ({ ip, port }) => ({ address: ip, family: family(ip), port });

// `undefined` for what there is not.
const facts = {
  get listener() { return peer.listener() ?? undefined; },
  // The addresses of the socket itself: a proxy's, where there was a PROXY header.
  get socket() {
    const ends = peer.socket();
    return { local: address(ends.local), peer: address(ends.peer) };
  },
  get credentials() {
    const process = peer.credentials();
    return process ? { uid: process.uid, gid: process.gid, pid: process.pid ?? undefined } : undefined;
  },
  get proxy() {
    const header = peer.proxy();
    if (!header) return undefined;
    const extensions = header.extensions.map(({ kind, value }) => ({ kind, value: bufferOf(value) }));
    return { version: header.version, isLocal: header.isLocal, extensions };
  },
};
Object.defineProperty(Handover.prototype, 'peer', { value: facts, writable: true, configurable: true, enumerable: false });
