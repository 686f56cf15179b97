// Teaches: the least a script can be. It sends back what it gets.
//
// Try it: `hotsocket serve echo.js`, then `nc 127.0.0.1 3000` in another
// terminal, and type.
const net = require('node:net');

net.createServer((socket) => {
  // While the peer takes no answers, nothing more is read from it.
  socket.pipe(socket);
}).listen(3000, () => console.log('Server listening on port 3000'));
