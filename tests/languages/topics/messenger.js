// tests/guests/messenger.rs in JavaScript: uses topics as its peer says, a line for each
// order. It numbers the messages that it gets, and the number is its state.
const net = require('node:net');

// The codes of the errors, as the other languages name them.
const NAMES = {
  ERR_HOTSOCKET_TOPIC_INVALID: 'Invalid',
  ERR_HOTSOCKET_TOPIC_TOO_LARGE: 'TooLarge',
  ERR_HOTSOCKET_TOPIC_TOO_MUCH: 'TooMuch',
  ERR_HOTSOCKET_TOPIC_NO_SUBSCRIBER: 'NoSubscriber',
};

net.createServer((socket) => {
  const { hotsocket } = socket;
  const lines = hotsocket.frames.lines({ max: 4096 });
  let messages = hotsocket.state?.readUInt32LE() ?? 0;
  hotsocket.save(() => {
    const state = Buffer.alloc(4);
    state.writeUInt32LE(messages);
    return state;
  });

  function obey(line) {
    const [order, topic = '', ...words] = line.split(' ');
    const text = words.join(' ');
    let result = 'ok';
    try {
      switch (order) {
        case 'event': hotsocket.join(topic); break;
        case 'event-drop': hotsocket.join(topic, { full: 'drop-oldest' }); break;
        case 'direct': hotsocket.join(topic, { delivery: 'direct' }); break;
        case 'direct-drop': hotsocket.join(topic, { delivery: 'direct', full: 'drop-oldest' }); break;
        case 'leave': hotsocket.leave(topic); break;
        case 'publish': hotsocket.publish(topic, text); break;
        case 'many': {
          const [count, size = 10] = words.map(Number);
          for (let number = 0; number < count; number++) hotsocket.publish(topic, String(number).padStart(size, '0'));
          break;
        }
        case 'will': hotsocket.will(topic, text); break;
        case 'no-will': hotsocket.will(topic, null); break;
        case 'count': result = hotsocket.subscribers(topic); break;
        case 'write': socket.write(Buffer.alloc(Number(topic), 'w')); return;
        case 'trap': throw new RangeError('as ordered');
        case 'end': socket.end(); return;
        default: result = 'what?';
      }
    } catch (error) {
      if (!(error.code in NAMES)) throw error;
      result = NAMES[error.code];
    }
    socket.write(`${result}\n`);
    // What an event has asked for is dropped with it.
    if (text.endsWith('!')) throw new Error('as ordered');
  }

  socket.on('data', (data) => {
    for (const line of lines.feed(data)) obey(String(line));
  });
  socket.on('message', (topic, bytes, sender) => socket.write(`${++messages} ${topic} ${sender} ${bytes}\n`));
  socket.on('lagged', (missed) => socket.write(`lagged ${missed}\n`));
}).listen(3000);
