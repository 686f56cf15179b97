// The first example of Node's documentation of `net`.
const net = require('node:net');

const server = net.createServer((c) => {
  // 'connection' listener.
  console.log('client connected');
  c.on('end', () => {
    console.log('client disconnected');
  });
  c.on('close', (hadError) => console.log('closed', hadError));
  c.write('hello\r\n');
  c.pipe(c);
});
server.on('error', (err) => {
  throw err;
});
server.listen(process.env.PORT ?? 8124, '127.0.0.1', () => {
  console.log('server bound to', server.address().port);
});
