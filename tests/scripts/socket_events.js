// What a socket says and when: 'finish', 'end' and 'close', pauses, high-water marks.
const net = require('net');
const log = (...args) => console.log(...args);
const server = net.createServer({ pauseOnConnect: true }, (s) => {
  let paused = true;
  log('paused', s.isPaused(), s.readableFlowing, s.readyState, s.writableHighWaterMark, s.readableHighWaterMark);
  for (const name of ['end', 'finish', 'close', 'drain', 'prefinish', 'resume', 'pause', 'timeout']) s.on(name, (x) => log(name, x));
  s.on('data', (d) => {
    log('data while paused:', paused, String(d), s.bytesRead);
    switch (String(d)) {
      case 'big': {
        log('write', s.write(Buffer.alloc(16384)), s.write('x'), s.writableNeedDrain);
        process.nextTick(() => log('tick'));
        break;
      }
      case 'end': {
        s.end('bye', () => log('end called back'));
        log('ended', s.writableEnded, s.writableFinished, s.writable, s.readyState);
        process.nextTick(() => log('tick', s.writableFinished));
        Promise.resolve().then(() => log('microtask'));
        setImmediate(() => log('immediate', s.destroyed));
        break;
      }
      case 'pause': {
        s.pause();
        setTimeout(() => { log('resuming'); s.resume(); }, 700);
        break;
      }
      case 'destroy': {
        s.destroy();
        log('destroyed', s.destroyed, s.writable, s.readable, s.readyState, s.write('late'));
        s.on('error', (e) => log('error', e.code));
        process.nextTick(() => log('tick'));
        setImmediate(() => log('immediate'));
        break;
      }
      case 'error': {
        s.on('error', (e) => log('error', e.message));
        s.destroy(new Error('mine'));
        break;
      }
      case 'twice': {
        s.on('error', (e) => log('error', e.code, e.message));
        s.end('a');
        log('write after end', s.write('b', (e) => log('called', e && e.code)));
        break;
      }
      case 'cork': {
        s.cork(); s.write('1'); s.write('2'); log(s.writableLength, s.writableCorked); s.uncork(); log(s.writableLength, s.bytesWritten);
        break;
      }
      case 'bad': {
        try { s.write(null); } catch (e) { log(e.code); }
        try { s.write(5); } catch (e) { log(e.code, e.message); }
        try { s.write({}); } catch (e) { log(e.code, e.message); }
        try { s.setTimeout(-1); } catch (e) { log(e.code, e.message); }
        try { s.setTimeout('x'); } catch (e) { log(e.code, e.message); }
        try { s.setEncoding('nope'); } catch (e) { log(e.code, e.message); }
        try { s.write('x', 'nope'); } catch (e) { log(e.code, e.message); }
        s.end('ok');
        break;
      }
      case 'idle': s.setTimeout(50, () => { log('timed out', s.timeout); s.end('slow'); }); break;
      case 'quiet': {
        s.setTimeout(20);
        setTimeout(() => { s.setTimeout(0); s.end('quiet'); }, 200);
        break;
      }
      case 'soon': s.write('last'); s.destroySoon(); log('destroyed', s.destroyed); break;
      case 'readable': {
        s.removeAllListeners('data');
        s.on('readable', () => { let c; while ((c = s.read(2)) !== null) log('read', String(c)); });
        s.write('go');
        break;
      }
    }
  });
  setTimeout(() => { paused = false; s.resume(); }, 100);
});
server.on('close', () => log('server closed'));
server.listen(process.env.PORT ?? 3101, '127.0.0.1', () => log('on', server.address().port));
