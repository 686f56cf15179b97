// Teaches: a script for Node's `net`, unchanged. It greets whoever sends
// something, and logs what was sent: the classic first server of a tutorial,
// which prints the same lines under Node.
//
// Try it: `hotsocket serve hello.js`, then `nc 127.0.0.1 3000` in another
// terminal, and type.
const net = require('node:net');

const server = net.createServer((socket) => {
  console.log('Client connected');
  socket.on('data', (data) => {
    console.log(`Received data: ${data.toString()}`);
    console.log('The following is how the request looks like in the hex format:', '\n', data);
    socket.write('Hello World from the server!');
  });
  socket.on('end', () => {
    console.log('Client disconnected');
  });
});

server.listen(3000, () => {
  console.log(`Server listening on port ${server.address().port}`);
});
