// `socket.hotsocket.checkpoint` and `.label`, and reading from the peer only while the
// script reads: what the package `hotsocket:session` has.
'use strict';

const { session } = require('./host.js').capabilities;
const lines = require('./console.js');

module.exports = {
  // With `--on-trap restart`: keep the state when this event has succeeded.
  checkpoint() { session.checkpoint(); },
  // Call the connection so in the log. A successor's connection callback does not take
  // it back to what it was in the beginning.
  label(name) {
    if (!lines.isMuted()) session.label(String(name).toWellFormed());
  },
  // Whether the host reads from the peer.
  read(reads) {
    if (reads) session.resume();
    else session.pause();
  },
};
