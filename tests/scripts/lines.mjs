// A server of lines with a few commands; text may come in any pieces.
import { createServer } from 'node:net';
import { EOL } from './lines-eol.cjs';

const commands = {
  upper: (text) => text.toUpperCase(),
  length: (text) => `${text.length} characters, ${Buffer.byteLength(text)} bytes`,
  reverse: (text) => [...text].reverse().join(''),
  sum: (text) => text.split(/\s+/).map(Number).reduce((a, b) => a + b, 0).toString(),
};

class Session {
  #rest = '';
  #count = 0;

  constructor(socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => this.#take(text));
    socket.on('end', () => console.log('end, left over: %j', this.#rest));
    socket.on('close', () => console.log('close after %d lines', this.#count));
    socket.on('finish', () => console.log('finish'));
  }

  #take(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      if (this.socket.writable) this.#answer(line.trimEnd());
    }
  }

  #answer(line) {
    this.#count++;
    const [, name, text] = /^(\w+)\s*(.*)$/u.exec(line) ?? [];
    console.log('%s: %o', name, text);
    if (name === 'quit') return this.socket.end(`bye${EOL}`);
    this.socket.write(`${commands[name]?.(text) ?? 'unknown command'}${EOL}`);
  }
}

const server = createServer();
server.on('connection', (socket) => new Session(socket));
server.on('listening', () => console.log(`listening on ${server.address().port}`));
server.listen({ port: Number(process.env.PORT ?? 4000), host: '127.0.0.1' });
