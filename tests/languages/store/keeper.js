// Uses the store as its peer says, a line for each order.
import net from 'node:net';
import { store } from 'hotsocket';

const bucket = store.open('kept');
const shown = (value) => (value === undefined ? 'none' : String(value));

function obey(line) {
  const [order, key = '', ...words] = line.split(' ');
  const rest = words.join(' ');
  switch (order) {
    case 'get': return shown(bucket.get(key));
    case 'has': return bucket.has(key);
    case 'set': return bucket.set(key, rest);
    case 'set-for': return bucket.set(key, words.slice(1).join(' '), { ttl: Number(words[0]) });
    case 'set-if-absent': return bucket.set(key, rest, { when: 'if-absent' });
    case 'set-unchanged': return bucket.set(key, rest, { when: 'if-present', ttl: 'unchanged' });
    case 'delete': return bucket.delete(key);
    case 'add': return bucket.increment(key, Number(rest));
    case 'append': return bucket.cas(key, (value) => (value ?? '') + rest);
    case 'ttl': {
      const ttl = bucket.ttl(key);
      return ttl === Infinity ? 'forever' : ttl ?? 'none';
    }
    case 'expire': return bucket.expire(key, Number(rest));
    case 'keys': return [...bucket.keys(key)].sort().join(' ');
    default: return 'what?';
  }
}

net.createServer((socket) => {
  const lines = socket.hotsocket.frames.lines({ max: 4096 });
  socket.on('data', (data) => {
    for (const line of lines.feed(data)) {
      let answer;
      try {
        answer = obey(String(line));
      } catch (error) {
        if (!/^ERR_HOTSOCKET_STORE_/.test(error.code)) throw error;
        answer = `failed: ${error.message}`;
      }
      socket.write(`${answer}\n`);
    }
  });
}).listen(3000);
