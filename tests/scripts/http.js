// As much of HTTP/1.1 as fits on a page.
const net = require('node:net');
const util = require('node:util');

const pages = new Map([
  ['/', ['text/html; charset=utf-8', '<h1>Grüße, 世界</h1>']],
  ['/data', ['application/json', JSON.stringify({ answer: 42, list: [1, 2, 3] })]],
]);

function respond(socket, request, body) {
  const { method, path, headers } = request;
  console.log(`${method} ${path}`, headers);
  if (method === 'POST') {
    const answer = Buffer.from(`you sent ${body.length} bytes: ${body}`);
    return send(socket, '200 OK', 'text/plain', answer, headers.get('connection') !== 'close');
  }
  const [type, content] = pages.get(path) ?? ['text/plain', 'not found'];
  send(socket, pages.has(path) ? '200 OK' : '404 Not Found', type, Buffer.from(content), headers.get('connection') !== 'close');
}

function send(socket, status, type, content, keep) {
  socket.cork();
  socket.write(`HTTP/1.1 ${status}\r\n`);
  socket.write(`Content-Type: ${type}\r\n`);
  socket.write(util.format('Content-Length: %d\r\n', content.length));
  socket.write(`Connection: ${keep ? 'keep-alive' : 'close'}\r\n\r\n`, 'latin1');
  socket.write(content, () => console.log('sent', status));
  socket.uncork();
  if (!keep) socket.end(() => console.log('ended'));
}

net.createServer((socket) => {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [first, ...rest] = pending.toString('latin1', 0, end).split('\r\n');
      const [method, path] = first.split(' ');
      const headers = new Map(rest.map((line) => {
        const [name, ...value] = line.split(':');
        return [name.toLowerCase(), value.join(':').trim()];
      }));
      const length = parseInt(headers.get('content-length') ?? '0', 10);
      if (pending.length < end + 4 + length) return;
      const body = pending.subarray(end + 4, end + 4 + length);
      pending = pending.subarray(end + 4 + length);
      respond(socket, { method, path, headers }, body);
    }
  });
  socket.on('error', (error) => console.error(error.code));
  socket.on('close', () => console.log('gone'));
}).listen(Number(process.env.PORT ?? 8080), '127.0.0.1', function () {
  console.log('http on', this.address().port);
});
