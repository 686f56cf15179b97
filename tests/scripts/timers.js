// In which order things happen, and idle timeouts.
const net = require('net');

const server = net.createServer((socket) => {
  console.log('open');
  const beat = () => {
    let beats = 0;
    const timer = setInterval(() => {
      socket.write(`beat ${++beats}\n`);
      if (beats === 3) clearInterval(timer);
    }, 40);
  };
  socket.setTimeout(300);
  socket.on('timeout', () => {
    console.log('timeout');
    socket.end('idle\n');
  });
  socket.once('data', (data) => {
    console.log('data', String(data));
    setTimeout(console.log, 30, 'timeout 30');
    setTimeout((a, b) => console.log('timeout 1', a, b), 1, 'a', 'b');
    const late = setTimeout(() => console.log('immediates that come too late'), 250);
    setImmediate(() => setImmediate(() => setImmediate(() => clearTimeout(late))));
    console.log(performance.now() > 0, process.uptime() > 0, process.hrtime()[0] >= 0, process.hrtime.bigint() > 0n);
    const never = setTimeout(() => console.log('never'), 5);
    clearTimeout(never);
    setImmediate(() => {
      console.log('immediate');
      process.nextTick(() => console.log('tick of the immediate'));
      Promise.resolve().then(() => console.log('microtask of the immediate'));
    });
    Promise.resolve(1)
      .then((value) => { console.log('then', value); return Promise.resolve(2); })
      .then((value) => console.log('then', value))
      .finally(() => console.log('finally'));
    queueMicrotask(() => console.log('microtask'));
    process.nextTick((text) => {
      console.log(text);
      process.nextTick(() => console.log('tick of the tick'));
      Promise.reject(new Error('caught')).catch((error) => console.log(error.message));
    }, 'tick');
    (async () => {
      console.log('async');
      await null;
      console.log('after await');
      try {
        await Promise.any([Promise.reject(new Error('x'))]);
      } catch (error) {
        console.log(error.constructor.name, error.errors.length);
      }
      console.log(await Promise.all([1, Promise.resolve(2), new Promise((done) => setTimeout(done, 10, 3))]));
      console.log(await Promise.allSettled([Promise.reject(7), 8]), await Promise.race([new Promise(() => {}), 9]));
      socket.write('settled\n');
      beat();
    })();
    console.log('sync');
  });
  socket.on('end', () => console.log('end'));
  socket.on('close', () => console.log('close'));
});

server.listen(process.env.PORT ?? 3100, '127.0.0.1', () => console.log('on', server.address().port));
