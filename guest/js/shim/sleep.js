// What a script has that no snapshot has, for an instance that is put to sleep
// (`--hibernate-after`) and woken: its timers, above all.
//
// Waking runs the connection callback again, which sets its timers again. They
// are the old ones: each gets the time at which its predecessor was due, or is
// cleared if that one had rung or been cleared. What else was set or registered
// since then exists nowhere but in this instance, which must stay awake.
'use strict';

const { hibernation } = require('./host.js');
const { Handover, MIDWAY } = require('./handover.js');
const lines = require('./console.js');
const loop = require('./loop.js');
const timers = require('./timers.js');
const { decode, encode } = require('./text.js');
const { host } = require('./socket.js');

// The listeners of the socket when the connection callback was done.
let registered;

const listenersOf = (socket) => socket.eventNames().map((name) => [name, socket.rawListeners(name)]);

function sameListeners(socket) {
  const now = listenersOf(socket);
  return now.length === registered.length && now.every(([name, those], at) =>
    registered[at][0] === name && registered[at][1].length === those.length
    && those.every((listener, which) => registered[at][1][which] === listener));
}

function whyAwake(socket, saves) {
  if (!saves) return 'the script keeps no state with socket.hotsocket.save';
  if (loop.hasImmediates()) return 'a setImmediate waits';
  if (socket.destroyed) return 'the script has destroyed its socket';
  if (!sameListeners(socket)) return 'the script has changed its listeners after the connection callback';
  if (Handover.midway() !== MIDWAY.no) return 'a request on HTTP is in progress';
  return timers.whyAwake();
}

// The connection callback is done, with all that follows from it at once.
function settled(socket) {
  registered = listenersOf(socket);
}

// In `save`. The host takes it only if it does so to put the instance to sleep.
function leave(socket, saves) {
  const why = whyAwake(socket, saves);
  if (why !== undefined) hibernation.stayAwake(why);
  else hibernation.keep(encode(JSON.stringify({ timers: timers.left(), lines: lines.unfinished(), ...host.asleep(socket) })));
}

// After the callback of an instance that is woken.
function resume(socket) {
  const kept = hibernation.kept();
  if (!kept) return;
  const left = JSON.parse(decode(kept));
  host.awake(socket, left);
  lines.resume(left.lines);
  const lost = timers.resume(left.timers);
  if (lost > 0) {
    process.emitWarning(`${lost} timer${lost > 1 ? 's' : ''} of this connection did not survive its sleep: `
      + 'the connection callback has not set them again');
  }
}

module.exports = { settled, leave, resume };
