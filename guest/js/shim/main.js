// The guest: the host's events, turned into those of the one socket.
//
// `start` is given the script as a function that runs it. Where its top level reads
// nothing that is each instance's own (see image.js), it runs here, when the image is
// made that instances start from; else in each instance, at its first event. Either
// way a script's variables belong to one connection.
import './globals.js';
import clock from './clock.js';
import context from './context.js';
import environment from './environment.js';
import { connection, output } from './host.js';
import { die, isDead, lastWords, setPlaces } from './errors.js';
import { Handover } from './handover.js';
import image from './image.js';
import { own, servers } from './net.js';
import lines from './console.js';
import { host } from './socket.js';
import loop from './loop.js';
import sleep from './sleep.js';
import timers from './timers.js';

export { setPlaces };

function requireServer() {
  if (servers.length === 0) {
    die('the script listens on no server: it must call server.listen() when it starts');
  }
}

// What the script finds when it begins.
let globals;

// Run the top level, and leave nothing of it but what it has made. An error fails
// the making of the image.
function makeImage(script) {
  globals = Object.getOwnPropertyDescriptors(globalThis);
  // Timers of the top level are set again when a sleeper is woken.
  timers.begin();
  let reason;
  try {
    reason = image.make(() => loop.run(script));
  } catch (error) {
    reason = `it fails in the build with ${isDead() ? lastWords() : error}`.split('\n')[0];
  }
  timers.settled();
  if (reason === undefined) requireServer();
  if (reason !== undefined) throw new Error(reason);
  const unfinished = lines.unfinished();
  lines.resume({ print: '', error: '' });
  // What is garbage now would be garbage in each instance.
  globalThis.__cqjs?.runGc();
  return unfinished;
}

// The top level runs once more, in an instance with another environment: what it
// has registered for the image is gone.
function forgetImage() {
  servers.length = 0;
  environment.forget();
  timers.forget();
  loop.forget();
  context.set(new Map());
  process.removeAllListeners();
  for (const name of Reflect.ownKeys(globalThis)) {
    if (!Object.hasOwn(globals, name)) delete globalThis[name];
  }
  Object.defineProperties(globalThis, globals);
}

// The functions that the component exports, by interface. `subscriber` is topics.js, if
// the script is to be called with messages.
export function start(script, intoImage, subscriber) {
  let socket;
  let handover;
  // The lines that the top level has begun and not ended, if it is in the image.
  const unfinished = intoImage ? makeImage(script) : undefined;

  // One event: run it and all that follows at once.
  function event(task) {
    loop.run(task);
    loop.runImmediates();
    if (socket !== undefined) host.settle(socket);
    timers.arm();
    if (isDead()) throw new Error('the instance ends here');
  }

  // Its top level printed when the server started, and not for each connection.
  function runScript(aloud) {
    if (intoImage && environment.isAsInImage()) {
      if (!timers.isEmpty()) timers.startFrom(clock.now());
      if (!aloud) return;
      for (const [stream, text] of image.printed()) output[stream](text);
      lines.resume(unfinished);
      return;
    }
    if (intoImage) forgetImage();
    if (!aloud) lines.mute();
    loop.run(script);
    if (!aloud) lines.unmute();
    requireServer();
  }

  // The connection callback is done, with all that follows from it at once.
  function begun() {
    timers.settled();
    sleep.settled(socket);
  }

  function serverAt(port) {
    return servers.find((server) => own.askedPort(server) === port) ?? servers[0];
  }

  const handler = {
    listening(addresses) {
      event(() => {
        runScript(true);
        const rest = addresses.filter(({ port }) => !servers.some((server) => own.askedPort(server) === port));
        for (const server of servers) {
          const asked = addresses.find(({ port }) => port === own.askedPort(server));
          own.bound(server, asked ?? rest.shift() ?? addresses[0]);
          loop.run(() => server.emit('listening'));
        }
        lines.flush();
      });
    },

    open(origin) {
      timers.begin();
      event(() => {
        const resumed = origin.tag !== 'accepted';
        runScript(false);
        const ends = connection.info();
        for (const server of servers) own.bound(server, ends.local);
        const server = serverAt(ends.local.port);
        socket = own.accept(server, ends);
        handover = new Handover(Number(ends.id), resumed && origin.tag, origin.val);
        Handover.socket = socket;
        Object.defineProperty(socket, 'hotsocket', { value: handover, enumerable: false });
        if (!resumed) {
          loop.run(() => server.emit('connection', socket));
          loop.runImmediates();
          begun();
          return;
        }
        const woken = origin.tag === 'woken';
        if (!woken) timers.disown();
        lines.mute();
        host.takeOver(socket, origin.val.peerEnded, handover.unread);
        loop.run(() => server.emit('connection', socket));
        loop.runImmediates();
        lines.unmute();
        begun();
        if (woken) sleep.resume(socket);
        host.replayed(socket);
      });
    },

    data(bytes) { event(() => host.receive(socket, bytes)); },
    drained() { event(() => host.drained(socket)); },
    end() { event(() => host.peerEnded(socket)); },
    timer(id) { if (id === timers.HOST_TIMER) event(timers.ring); },

    close(reason) {
      event(() => {
        if (!socket.destroyed) host.closed(socket, reason);
      });
      lines.flush();
    },

    save() {
      let snapshot = null;
      loop.run(() => {
        if (socket === undefined) return;
        snapshot = handover.snapshot(host.leave(socket));
        sleep.leave(socket, handover.saves);
      });
      if (isDead()) throw new Error('the instance ends here');
      return snapshot;
    },
  };
  return { handler, subscriber: subscriber?.(() => socket, event) };
}

// For the trial that `build` makes: run the script as an instance does, and
// tell as JSON what it asked for, or with which words it died.
export function tryOut(script) {
  let reason;
  try {
    reason = image.make(() => loop.run(script));
  } catch (error) {
    return JSON.stringify({ words: isDead() ? lastWords() : String(error) });
  }
  return JSON.stringify({ ports: servers.map(own.askedPort), reason });
}
