// Teaches: connections that meet. A chat with names and rooms, in which the code can be
// replaced while people talk: names, rooms and half-typed lines stay.
//
// Try it: `hotsocket serve chat.js`, then `nc 127.0.0.1 3000` in two terminals. What one
// types, the others in the room see. `/join ROOM`, `/who`, `/quit`.
//
// What is said goes from the host to the peers without a call of their scripts
// (`delivery: 'direct'`); only `/who` asks the others' scripts, who answer with a name.
const { randomBytes } = require('node:crypto');
const net = require('node:net');

// Whoever reads too slowly misses something, and stays.
const DIRECT = { delivery: 'direct', full: 'drop-oldest' };
const EVENT = { delivery: 'event', full: 'drop-oldest' };
// Fit for a name and for a part of a topic.
const isWord = (word) => /^[A-Za-z0-9]{1,20}$/.test(word);

// The line as text, without what telnet negotiates (three bytes that begin with 255: RFC
// 854) and without what would act on the others' terminals.
function plain(line) {
  const bytes = Buffer.from(line.latin1Slice().replace(/\xff(?:[\xfb-\xfe]?[^]|$)/g, ''), 'latin1');
  return String(bytes).replace(/\p{Cc}/gu, '').trim();
}

net.createServer((socket) => {
  const { hotsocket } = socket;
  // What the code before has left: inbox (version 1 had none), name, room and half a line. Here
  // each byte is a character, as half a line may end in half of one.
  const { version, state = Buffer.from('\n\n\n') } = hotsocket;
  const left = (version === 1 ? '\n' : '') + state.latin1Slice();
  // Answers to `/who` come to `answers.` and the inbox. It is random: ids of connections are
  // those of one node, and people on several nodes may meet. The name is empty until it is
  // told, the room also after `/quit`.
  let [, inbox, name, room, half] = /^(.*)\n(.*)\n(.*)\n([^]*)$/.exec(left);
  const lines = hotsocket.frames.lines({ max: 1000, half: Buffer.from(half, 'latin1') });
  hotsocket.save(() => Buffer.concat([Buffer.from(`${inbox}\n${name}\n${room}\n`), lines.half]), 2);
  socket.write('Your name?\n');

  const say = (line) => hotsocket.publish(`room.${room}`, `${line}\n`);

  function join(next) {
    if (room !== '') {
      say(`* ${name} has gone to ${next}`);
      hotsocket.leave(`room.${room}`);
      hotsocket.leave(`who.${room}`);
    }
    room = next;
    const others = hotsocket.subscribers(`room.${room}`);
    hotsocket.join(`room.${room}`, DIRECT);
    hotsocket.join(`who.${room}`, EVENT);
    // However this connection ends, also if the machine of its peer burns.
    hotsocket.will(`room.${room}`, `* ${name} has left\n`);
    socket.write(`* ${room}: ${others} here besides you\n`);
    say(`* ${name} has come`);
  }

  function obey(line) {
    const [word, ...rest] = line.split(' ');
    const argument = rest.join(' ');
    if (inbox === '') {
      inbox = randomBytes(8).toString('hex');
      hotsocket.join(`answers.${inbox}`, DIRECT);
    }
    if (name === '') {
      if (!isWord(line)) return socket.write('A name has letters and digits, 20 at most. Your name?\n');
      name = line;
      return join('lobby');
    }
    // What still comes after `/quit`.
    if (room === '') return undefined;
    switch (word) {
      case '/join':
        if (argument === room) return socket.write('You are there.\n');
        if (!isWord(argument)) return socket.write('A room has letters and digits, 20 at most.\n');
        return join(argument);
      case '/who':
        socket.write(`* ${name} (you)\n`);
        return hotsocket.publish(`who.${room}`, inbox);
      case '/quit':
        room = '';
        return socket.end('Bye!\n');
      case '': return undefined;
      default: return say(`${name}: ${line}`);
    }
  }

  socket.on('data', (data) => {
    try {
      for (const line of lines.feed(data)) obey(plain(line));
    } catch (error) {
      if (!(error instanceof hotsocket.frames.FrameError)) throw error;
      if (socket.writable) socket.end(`${error.message}\n`);
    }
  });

  // Somebody in the room asks who is there, and says where answers go.
  socket.on('message', (topic, bytes) => {
    if (room !== '' && isWord(String(bytes))) hotsocket.publish(`answers.${bytes}`, `* ${name}\n`);
  });
}).listen(3000);
