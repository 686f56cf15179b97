// Teaches: what a script asks of its host besides reading and writing. It greets with
// a setting, calls the connection by the visitor's name in the log, logs with fields,
// and rests for ten seconds when it is told to, without reading. All of it is in
// `socket.hotsocket`, which Node does not have.
//
// Try it: `hotsocket serve doorman.js --set greeting=Welcome`, then
// `nc 127.0.0.1 3000` in another terminal.
const net = require('node:net');

const REST = 10_000;

net.createServer((socket) => {
  const { hotsocket } = socket;
  // When the visitor came as text, a newline, and the half of a name, which stays bytes, as
  // it may end in half a character.
  const { state = Buffer.alloc(0) } = hotsocket;
  const newline = state.indexOf('\n');
  const [came] = /^\d+$/.exec(state.toString('latin1', 0, Math.max(newline, 0))) ?? [];
  // On the clock of all instances.
  const since = came === undefined ? performance.now() : came / 1e6;
  const names = hotsocket.frames.lines({ max: 64, half: came && state.subarray(newline + 1) });
  hotsocket.save(() => Buffer.concat([Buffer.from(`${Math.round(since * 1e6)}\n`), names.half]));

  socket.write(`${hotsocket.setting('greeting') ?? 'Hello'}, who is there?\n`);

  function named(name) {
    if (name === 'rest') {
      socket.pause();
      setTimeout(() => socket.resume(), REST);
      return;
    }
    if (name === 'faint') throw new Error('the doorman faints');
    const here = Math.floor((performance.now() - since) / 1000);
    hotsocket.label(name);
    hotsocket.checkpoint();
    hotsocket.log('info', 'came in', { name, after: here });
    socket.write(`${name}, you are here for ${here} s\n`);
  }

  socket.on('data', (data) => {
    try {
      for (const name of names.feed(data)) named(name.toString());
    } catch (error) {
      if (!(error instanceof hotsocket.frames.FrameError)) throw error;
      if (socket.writable) socket.end(`${error.message}\n`);
    }
  });
}).listen(3000);
