// The host's functions, and nothing else: the only file that names the
// contract. At build time a trial run puts `trial.js` in its place.
import connection from 'hotsocket:socket/connection@0.1.0';
import output from 'hotsocket:socket/output@0.1.0';
import hibernation from 'hotsocket:session/hibernation@0.1.0';
import utf8 from 'hotsocket:text/utf8@0.1.0';
import session from 'hotsocket:session/session@0.1.0';
import hotsocketEnvironment from 'hotsocket:environment/environment@0.1.0';
import environment from 'wasi:cli/environment@0.2.0';
import monotonicClock from 'wasi:clocks/monotonic-clock@0.2.0';
import random from 'wasi:random/random@0.2.0';

const { print, error, panic } = output;
// Half of a surrogate pair has no UTF-8: the engine traps where text with one is
// passed to the host. Node prints U+FFFD in its place.
const lines = {
  print: (line) => print(line.toWellFormed()),
  error: (line) => error(line.toWellFormed()),
  panic: (message) => panic(message.toWellFormed()),
};

// Of hotsocket's own packages besides the contract.
export const capabilities = { environment: hotsocketEnvironment, session };
export { connection, environment, hibernation, lines as output, monotonicClock, random, utf8 };
