// Logs what comes as a hex dump, and as Buffers show themselves.
'use strict';
const net = require('net');
const { Buffer } = require('buffer');

function dump(bytes) {
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = row.toString('hex').match(/../g).join(' ').padEnd(47);
    const text = row.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
    console.log(`${at.toString(16).padStart(8, '0')}  ${hex}  |${text}|`);
  }
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  // No counter: a guest's variables belong to one connection.
  const name = `[${socket.localAddress}]`;
  console.log(name, socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.readyState);
  socket.on('data', (data) => {
    console.log(name, data);
    dump(data);
    console.log(data.toString(), [data.subarray(0, 3)], { data: data.slice(-2) });
    console.log(data.toString('base64'), data.toString('base64url'), data.toString('ascii'), data.toString('utf16le').length);
    if (data.length >= 8) {
      console.log(data.readUInt16BE(0), data.readInt32LE(2), data.readUInt8(7), data.readBigUInt64BE(0));
      const out = Buffer.alloc(12, 'ab');
      out.writeUInt32BE(0xdeadbeef, 0);
      out.write('zz', 4);
      data.copy(out, 8, 0, 4);
      console.log(out, out.equals(Buffer.from(out)), out.indexOf('zz'), out.includes(0xde), Buffer.compare(out, data));
      console.log(JSON.stringify(out), Buffer.concat([out, Buffer.from('ff00', 'hex')]).length);
    }
    socket.write(Buffer.from(data).reverse());
  });
  socket.on('end', () => {
    console.log(name, 'end', socket.readyState, socket.bytesRead, socket.bytesWritten);
    socket.end(Uint8Array.of(0x62, 0x79, 0x65));
  });
  socket.on('close', (hadError) => console.log(name, 'close', hadError, socket.readyState, socket.destroyed));
});

server.listen(process.env.PORT || 5000, '127.0.0.1', function () {
  console.log('listening', this.address().port, this.listening);
});
