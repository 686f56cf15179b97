// Iterating over a socket, events as promises, streams in between.
import net from 'node:net';
import { EventEmitter, once } from 'node:events';
import { Transform, pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const rooms = new EventEmitter();
rooms.on('said', (text) => console.log('said', text));

class Upper extends Transform {
  _transform(chunk, encoding, done) {
    done(null, chunk.toString().toUpperCase());
  }
}

async function* words(socket) {
  let rest = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const parts = (rest + chunk).split(' ');
    rest = parts.pop();
    yield* parts;
  }
  if (rest) yield rest;
}

async function converse(socket) {
  const nap = promisify(setTimeout);
  let count = 0;
  for await (const word of words(socket)) {
    rooms.emit('said', word);
    await sleep(5);
    if (word === 'pipe') {
      pipeline(socket, new Upper(), socket, (error) => console.log('piped', error?.code ?? 'well'));
      return console.log('piping');
    }
    await nap(1);
    socket.write(`${++count}:${word} `);
  }
  console.log('no more words');
  const ended = once(socket, 'finish');
  socket.end('.\n');
  await ended;
  console.log('finished');
}

const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
  socket.on('close', () => console.log('over'));
  try {
    await converse(socket);
  } catch (error) {
    console.log('failed', error.message);
    socket.destroy();
  }
});
server.listen(process.env.PORT ?? 3300, '127.0.0.1');
await_(server);

async function await_(server) {
  await once(server, 'listening');
  console.log('listening on', server.address().port);
  console.log('it is what was started', process.argv.length, process.argv[1] === fileURLToPath(import.meta.url));
}
