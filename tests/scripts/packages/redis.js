// What redis-cli speaks, parsed by redis-parser.
const net = require('net');
const Parser = require('redis-parser');

const db = new Map();
const server = net.createServer((socket) => {
  socket.on('close', () => console.log('closed'));
  const parser = new Parser({
    returnReply([command, key, value]) {
      if (/^set$/i.test(command)) {
        db.set(key, value);
        socket.write('+OK\r\n');
      } else if (/^get$/i.test(command)) {
        const found = db.get(key);
        socket.write(found === undefined ? '$-1\r\n' : `$${found.length}\r\n${found}\r\n`);
      } else {
        socket.write(`-ERR ${command}\r\n`);
      }
    },
    returnError(error) { socket.write(String(error)); },
    returnFatalError(error) { socket.end(`-${error.name}\r\n`); },
  });
  socket.on('data', (data) => parser.execute(data));
});
server.listen(process.env.PORT || 3110, '127.0.0.1', () => console.log('on', server.address().port));
