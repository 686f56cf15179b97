// Teaches: making messages out of a stream, with a bound on what is kept, and state
// that outlives the code. It numbers each line, whatever pieces it comes in, and a
// swap loses neither the count nor the half of a line that has come: not even one to
// or from `lines.rs`, for the state is the same text. Both are in `socket.hotsocket`,
// which Node does not have.
//
// Try it: `hotsocket serve lines.js`, then in another terminal:
// `printf 'one\ntwo\nthree' | nc -N 127.0.0.1 3000`
const net = require('node:net');

// A peer must not make us keep more than this: a longer line ends the connection.
const LONGEST = 64 * 1024;

net.createServer((socket) => {
  const { frames, state } = socket.hotsocket;

  // How many lines have been numbered, and what has come, with the line whose end is
  // still to come.
  let { count, half } = read(state);
  const lines = frames.lines({ max: LONGEST, half });

  // Text that anyone can read: `12 lines`, a newline, and the half line.
  socket.hotsocket.save(() => Buffer.concat([Buffer.from(`${count} lines\n`), lines.half]));

  const number = (line) => Buffer.concat([Buffer.from(`${++count}: `), line]);

  socket.on('data', (bytes) => {
    const out = [];
    try {
      for (const line of lines.feed(bytes)) out.push(number(line), Buffer.from('\n'));
    } catch (error) {
      if (!(error instanceof frames.FrameError)) throw error;
      out.push(Buffer.from(`${error.message}\n`));
      if (socket.writable) socket.end(Buffer.concat(out));
      return;
    }
    socket.write(Buffer.concat(out));
  });

  // A last line without its newline is a line too, and stays without.
  socket.on('end', () => {
    if (socket.writable && lines.half.length > 0) socket.write(number(lines.half));
  });
}).listen(3000, () => console.log('Server listening on port 3000'));

// The inverse of what is saved. Another guest's state says nothing to this one,
// which starts afresh.
function read(state = Buffer.alloc(0)) {
  const newline = state.indexOf(10);
  const [, count] = /^(\d+) lines$/.exec(state.toString('latin1', 0, Math.max(newline, 0))) ?? [];
  return count === undefined
    ? { count: 0, half: '' }
    : { count: Number(count), half: state.subarray(newline + 1) };
}
