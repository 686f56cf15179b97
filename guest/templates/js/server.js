// What {name} does with a connection: it counts what the peer sends.
const net = require('node:net');

net.createServer((socket) => {
  // Each connection has an instance of this script. When new code takes over,
  // this function runs again in it; what the old code saved is here. In Node
  // there is no `socket.hotsocket`.
  let bytes = Number(socket.hotsocket?.state ?? 0);
  socket.hotsocket?.save(() => String(bytes));

  socket.on('data', (data) => {
    // TCP has no messages: what the peer wrote at once may come in pieces.
    bytes += data.length;
    socket.write(`${bytes} bytes so far\n`);
  });
  socket.on('end', () => console.log(`${socket.remoteAddress} sent ${bytes} bytes`));
  socket.on('error', console.error);
}).listen(3000, () => console.log('Server listening on port 3000'));
