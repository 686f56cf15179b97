// The host's functions, and nothing else: the only file that names the
// contract. At build time a trial run puts `trial.js` in its place.
import connection from 'hotsocket:socket/connection@0.1.0';
import output_ from 'hotsocket:socket/output@0.1.0';
import hibernation from 'hotsocket:session/hibernation@0.1.0';
import utf8 from 'hotsocket:text/utf8@0.1.0';
import session from 'hotsocket:session/session@0.1.0';
import hotsocketEnvironment from 'hotsocket:environment/environment@0.1.0';
import environment from 'wasi:cli/environment@0.2.0';
import monotonicClock_ from 'wasi:clocks/monotonic-clock@0.2.0';
import random_ from 'wasi:random/random@0.2.0';
import wallClock_ from 'wasi:clocks/wall-clock@0.2.0';
import { watched } from './image.js';

const { print, error, panic } = output_;
// Half of a surrogate pair has no UTF-8: the engine traps where text with one is
// passed to the host. Node prints U+FFFD in its place.
const lines = {
  print: (line) => print(line.toWellFormed()),
  error: (line) => error(line.toWellFormed()),
  panic: (message) => panic(message.toWellFormed()),
};

export const { monotonicClock, output, random, wallClock } = watched({
  monotonicClock: monotonicClock_,
  output: lines,
  random: random_,
  wallClock: wallClock_,
});
export { connection, environment, hibernation, utf8 };
// Of hotsocket's own packages besides the contract.
export const capabilities = { environment: hotsocketEnvironment, session };
