// Pausing, an encoding, and what a socket says of itself.
const net = require('net');

net.createServer((socket) => {
  socket.setNoDelay(true).setKeepAlive(true, 1000).setEncoding('hex');
  let got = [];
  const collect = (text) => {
    got.push(text);
    console.log('data %s', text);
    if (got.length === 2) {
      socket.pause();
      console.log('paused', socket.isPaused());
      setTimeout(() => {
        console.log('resumed with', socket.bytesRead > 0, got);
        socket.resume();
      }, 60);
      socket.write('pausing\n');
    } else {
      socket.write(Buffer.from(`${text}\n`), (error) => console.log('written', error ?? 'well'));
    }
  };
  socket.on('data', collect);
  socket.once('data', () => console.log('first', socket.listenerCount('data')));
  socket.prependListener('end', () => console.log('end of', got.join('|')));
  socket.on('drain', () => console.log('drain', socket.writableLength));
  socket.on('end', () => {
    socket.removeListener('data', collect);
    console.log('big', socket.write(Buffer.alloc(50_000, 'x')), socket.writableNeedDrain);
    console.log('then', socket.write('end\n'));
  });
  socket.on('close', (hadError) => {
    console.log('close', hadError, socket.bytesWritten, socket.writable, socket.readable, socket.readyState);
    try {
      socket.write('late', (error) => console.log('late', error.code));
    } catch (error) {
      console.log(error.code);
    }
  });
  socket.on('error', (error) => console.log('error', error.code, error.message));
}).listen(+(process.env.PORT ?? 3200), '127.0.0.1', 100, function () {
  console.log('at', this.address().port);
});
