// `socket.hotsocket.startTLS` and `.canStartTLS`: TLS begins in the middle of a connection
// (STARTTLS). Part of a component only if the script names one of them; asked.mjs decides.
//
// Node wraps the socket into a `tls.TLSSocket` with certificates of the script's. Here they
// are the listener's, and the socket stays the same: `encrypted` and `getProtocol()` tell.
'use strict';

const { upgrade } = require('./start_tls_host.js');
const { coded } = require('./errors.js');
const lines = require('./console.js');
const { Handover } = require('./handover.js');
const { host } = require('./socket.js');

const ERRORS = {
  'unavailable': ['UNAVAILABLE', 'the listener has no TLS to begin (--tls-mode starttls)'],
  'already-secure': ['SECURE', 'the connection is under TLS already'],
  'pending': ['PENDING', 'TLS has been asked for already'],
  'closed': ['CLOSED', 'this side of the connection is closed'],
};

function failed(name) {
  const [code, words] = ERRORS[name];
  return coded(Error, `ERR_HOTSOCKET_TLS_${code}`, words);
}

// Write the last bytes in plain text and begin TLS when the event is over; what is written
// afterwards is sent under it. The script sees to it that nothing lies behind the command
// in what it has been given; what it has not been given yet is looked at here.
function startTLS(last = '') {
  // The connection callback runs again, and this was done when it first ran.
  if (lines.isMuted()) return;
  const { socket } = Handover;
  if (socket.readableLength > 0 || host.leave(socket).length > 0) {
    throw coded(Error, 'ERR_HOTSOCKET_TLS_PLAIN_TEXT', 'plain text lies behind the command');
  }
  if (upgrade.canStartTls()) {
    if (last.length > 0) socket.write(last);
    if (socket.writableLength > 0) {
      throw coded(Error, 'ERR_HOTSOCKET_TLS_CORKED', 'the socket is corked: what it holds would be sent under TLS');
    }
  }
  try {
    upgrade.startTls();
  } catch (error) {
    if (!(error.payload in ERRORS)) throw error;
    throw failed(error.payload);
  }
}

Object.defineProperty(Handover.prototype, 'startTLS', { value: startTLS, writable: true, configurable: true, enumerable: false });
// Whether it would succeed now: whether to offer the command.
Object.defineProperty(Handover.prototype, 'canStartTLS', { get: () => upgrade.canStartTls(), configurable: true, enumerable: false });
