// The guest: the host's events, turned into those of the one socket.
//
// `start` is given the script as a function that runs it. It runs in each
// instance anew, at its first event, so a script's variables belong to one
// connection. Only the libraries are in the image that instances are made of.
import './globals.js';
import { connection } from './host.js';
import { die, isDead, lastWords, setPlaces } from './errors.js';
import { Handover } from './handover.js';
import { servers } from './net.js';
import lines from './console.js';
import loop from './loop.js';
import timers from './timers.js';

export { setPlaces };

export function start(script) {
  let socket;
  let handover;

  // One event: run it and all that follows at once.
  function event(task) {
    loop.run(task);
    loop.runImmediates();
    socket?.settle();
    timers.arm();
    if (isDead()) throw new Error('the instance ends here');
  }

  // Its top level printed when the server started, and not for each connection.
  function runScript(aloud) {
    if (!aloud) lines.mute();
    loop.run(script);
    if (!aloud) lines.unmute();
    if (servers.length === 0) {
      die('the script listens on no server: it must call server.listen() when it starts');
    }
  }

  function serverAt(port) {
    return servers.find((server) => server.askedPort === port) ?? servers[0];
  }

  return {
    listening(addresses) {
      event(() => {
        runScript(true);
        const rest = addresses.filter(({ port }) => !servers.some((server) => server.askedPort === port));
        for (const server of servers) {
          const own = addresses.find(({ port }) => port === server.askedPort);
          server.bound(own ?? rest.shift() ?? addresses[0]);
          loop.run(() => server.emit('listening'));
        }
        lines.flush();
      });
    },

    open(origin) {
      event(() => {
        const resumed = origin.tag !== 'accepted';
        runScript(false);
        const ends = connection.info();
        for (const server of servers) server.bound(ends.local);
        const server = serverAt(ends.local.port);
        socket = server.accept(ends);
        handover = new Handover(resumed && origin.tag, origin.val);
        Object.defineProperty(socket, 'hotsocket', { value: handover, enumerable: false });
        if (!resumed) {
          server.emit('connection', socket);
          return;
        }
        timers.disown();
        lines.mute();
        socket.resume_(origin.val.peerEnded, handover.unread);
        loop.run(() => server.emit('connection', socket));
        lines.unmute();
        socket.replayed();
      });
    },

    data(bytes) { event(() => socket.receive(bytes)); },
    drained() { event(() => socket.drained()); },
    end() { event(() => socket.peerEnded()); },
    timer(id) { if (id === timers.HOST_TIMER) event(timers.ring); },

    close(reason) {
      event(() => {
        if (!socket.destroyed) socket.closed_(reason);
      });
      lines.flush();
    },

    save() {
      let snapshot = null;
      loop.run(() => {
        snapshot = socket === undefined ? null : handover.snapshot(socket.unreadForSuccessor());
      });
      if (isDead()) throw new Error('the instance ends here');
      return snapshot;
    },
  };
}

// For the trial that `build` makes: run the script as an instance does, and
// tell as JSON what it asked for, or with which words it died.
export function tryOut(script) {
  try {
    loop.run(script);
  } catch (error) {
    return JSON.stringify({ words: isDead() ? lastWords() : String(error) });
  }
  return JSON.stringify({ ports: servers.map((server) => server.askedPort) });
}
