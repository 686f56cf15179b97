// Teaches: a clock and a timer. It tells for how long the peer was silent, and says
// goodbye after a minute of silence.
const net = require('node:net');

net.createServer((socket) => {
  let last = performance.now();
  const silence = () => Math.round((performance.now() - last) / 1000);

  socket.setTimeout(60_000, () => socket.end(`goodbye after ${silence()} s\n`));
  socket.on('data', () => {
    socket.write(`${silence()} s of silence\n`);
    last = performance.now();
  });
}).listen(3000);
