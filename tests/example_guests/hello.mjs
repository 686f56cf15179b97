// The server of many a Node tutorial, whose standard output `hello` reproduces.
import net from 'node:net';

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

server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(`Server listening on port ${server.address().port}`);
});
