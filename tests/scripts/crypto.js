// `crypto`: what is derived, and what is refused.
const net = require('net'); const crypto = require('crypto'); const util = require('util'); const stream = require('stream');
const steps = [
  () => crypto.createHash('sha256').update('a').digest('hex'),
  () => crypto.createHash('nope'), () => crypto.createHash(5), () => crypto.createHash('md5').update(5),
  () => { const h = crypto.createHash('sha1').update('x'); h.digest(); return h.digest(); },
  () => crypto.createHmac('sha512', 'key').update('data').digest('base64'),
  () => crypto.createHmac('nope', 'k'),
  () => crypto.pbkdf2Sync('secret', 'salt', 20, 24, 'sha512').toString('hex'),
  () => crypto.pbkdf2Sync('secret', 'salt', 0, 24, 'sha512'), () => crypto.pbkdf2Sync('secret', 'salt', 1, 24, 'nope'), () => crypto.pbkdf2Sync(5, 'salt', 1, 24, 'sha1'),
  () => crypto.scryptSync('secret', 'salt', 32, { N: 16 }).toString('hex'), () => crypto.scryptSync('secret', 'salt', 32, { N: 15 }),
  () => Buffer.from(crypto.hkdfSync('sha256', 'key', 'salt', 'info', 20)).toString('hex'),
  () => util.promisify(crypto.pbkdf2)('a', 'b', 2, 8, 'sha1'), () => util.promisify(crypto.scrypt)('a', 'b', 8, { N: 2 }),
  () => [crypto.randomBytes(4).length, crypto.randomUUID().length, crypto.randomInt(1, 2), globalThis.crypto.randomUUID().length, globalThis.crypto.getRandomValues(new Uint8Array(3)).length],
  () => new Promise((resolve) => { const hash = crypto.createHash('sha1').setEncoding('hex'); hash.on('data', resolve); hash.write('a'); hash.end(Buffer.from('bc')); }),
  async () => (await stream.Readable.from(['a', 'bc']).pipe(crypto.createHmac('md5', 'key')).toArray()).map((x) => x.toString('hex')),
  () => crypto.randomBytes('5'), () => crypto.randomBytes(-1), () => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('ab')), () => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
];
const server = net.createServer((socket) => {
  socket.on('data', async () => {
    for (const [number, step] of steps.entries()) {
      await new Promise(setImmediate);
      let text;
      try { text = util.inspect(await step()); } catch (error) { text = [error.name, error.code, error.message].join(' '); }
      console.log(`${number}: ${text}`);
    }
    console.log('over');
    socket.end('done');
  });
});
server.listen(process.env.PORT ?? 3103, '127.0.0.1', () => console.log('on', server.address().port));
