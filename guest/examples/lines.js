// Teaches: state that outlives the code. It numbers each line, whatever pieces
// it comes in, and a swap loses neither the count nor the half of a line that
// has come: not even one to or from `lines.rs`, for the state is the same text.
// Node has no `socket.hotsocket`, and there the script runs as well.
//
// Try it: `hotsocket serve lines.js`, then in another terminal:
// `printf 'one\ntwo\nthree' | nc -N 127.0.0.1 3000`
const net = require('node:net');

// A peer must not make us keep more than this: a longer line is cut here and
// goes on as the next one.
const LONGEST = 64 * 1024;
const NEWLINE = 10;

net.createServer((socket) => {
  // How many lines have been numbered, and the line whose end is still to come.
  let { count, half } = read(socket.hotsocket?.state);

  // Text that anyone can read: `12 lines`, a newline, and the half line.
  socket.hotsocket?.save(() => Buffer.concat([Buffer.from(`${count} lines\n`), half]), 1);

  const number = () => {
    const line = Buffer.concat([Buffer.from(`${++count}: `), half]);
    half = Buffer.alloc(0);
    return line;
  };

  socket.on('data', (bytes) => {
    const out = [];
    while (bytes.length > 0) {
      const room = Math.min(bytes.length, LONGEST - half.length);
      const newline = bytes.subarray(0, room).indexOf(NEWLINE);
      const found = newline >= 0;
      half = Buffer.concat([half, bytes.subarray(0, found ? newline : room)]);
      if (found || half.length === LONGEST) out.push(number(), Buffer.from('\n'));
      bytes = bytes.subarray(found ? newline + 1 : room);
    }
    socket.write(Buffer.concat(out));
  });

  // A last line without its newline is a line too, and stays without.
  socket.on('end', () => {
    if (half.length > 0) socket.write(number());
  });
}).listen(3000, () => console.log('Server listening on port 3000'));

// The inverse of what is saved. Another guest's state says nothing to this one,
// which starts afresh.
function read(state = Buffer.alloc(0)) {
  const newline = state.indexOf(NEWLINE);
  const [, count] = /^(\d+) lines$/.exec(state.toString('latin1', 0, Math.max(newline, 0))) ?? [];
  const half = state.subarray(newline + 1);
  return count !== undefined && half.length < LONGEST
    ? { count: Number(count), half: Buffer.from(half) }
    : { count: 0, half: Buffer.alloc(0) };
}
