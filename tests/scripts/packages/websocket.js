// A WebSocket echo, with ws on http.
const http = require('http');
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => response.end('plain'));
new WebSocketServer({ server }).on('connection', (socket, request) => {
  console.log('opened', request.url);
  socket.on('message', (data, isBinary) => {
    console.log('message', String(data), isBinary);
    socket.send(`echo ${data}`);
  });
  socket.on('close', (code) => console.log('closed', code));
});
server.listen(process.env.PORT || 3113, '127.0.0.1', () => console.log('on', server.address().port));
