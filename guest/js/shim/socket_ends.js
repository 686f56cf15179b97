// What Node's sockets have besides their stream: addresses, states, and options that the
// server's flags decide.
'use strict';

const family = (ip) => (ip.includes(':') ? 'IPv6' : 'IPv4');

// Put it all on the prototype of sockets. `endsOf` gives a socket's two addresses,
// undefined before it has a connection.
function install(prototype, endsOf) {
  const properties = Object.getOwnPropertyDescriptors({
    address() {
      const ends = endsOf(this);
      if (ends === undefined) return {};
      const { ip, port } = ends.local;
      return { address: ip, family: family(ip), port };
    },

    get remoteAddress() { return endsOf(this)?.peer.ip; },
    get remotePort() { return endsOf(this)?.peer.port; },
    get remoteFamily() { return endsOf(this) && family(endsOf(this).peer.ip); },
    get localAddress() { return endsOf(this)?.local.ip; },
    get localPort() { return endsOf(this)?.local.port; },
    get localFamily() { return endsOf(this) && family(endsOf(this).local.ip); },
    get autoSelectFamilyAttemptedAddresses() { return undefined; },
    get pending() { return endsOf(this) === undefined; },

    get bufferSize() { return this.writableLength; },
    // Bytes wait outside the stream, whose own mark is therefore 0.
    get readableHighWaterMark() { return this._writableState.highWaterMark; },

    get readyState() {
      if (this.readable && this.writable) return 'open';
      if (this.readable) return 'readOnly';
      return this.writable ? 'writeOnly' : 'closed';
    },

    // The server's flags decide these: --nagle and --keepalive.
    setNoDelay() { return this; },
    setKeepAlive() { return this; },
    // There is no process to keep alive.
    ref() { return this; },
    unref() { return this; },
    _unrefTimer() {},
  });
  for (const property of Object.values(properties)) property.enumerable = false;
  Object.defineProperties(prototype, properties);
}

module.exports = { family, install };
