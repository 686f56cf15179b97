// Modules that scripts ask for.
const net = require('net'); 

const assert = require('assert'), path = require('path'), url = require('url'), os = require('os'), qs = require('querystring'), tty = require('tty'),
 ah = require('async_hooks'), dc = require('diagnostics_channel'), ph = require('perf_hooks'), crypto = require('crypto'), util = require('util');
const server = net.createServer((s) => { s.on('data', async () => {
  const t = (f) => { try { console.log(f()); } catch (e) { console.log(e.name, e.code, e.message.split('\n')[0]); } };
  t(() => path.join('/a', '../b', 'c.txt') + path.extname('x.js') + path.resolve('/a', 'b') + path.basename('/q/w.e', '.e'));
  t(() => url.parse('http://u:p@h.com:8/p/a?x=1&y=2#f', true).query.x);
  t(() => url.format({ protocol: 'http', host: 'a.b', pathname: '/c', query: { d: 1 } }));
  t(() => url.resolve('http://a.com/b/c', '../d'));
  t(() => os.EOL === '\n');
  t(() => qs.parse('a=1&b=2&a=3&c=%20x+y&d')); t(() => qs.stringify({ a: [1, 2], b: 'x y', c: true, d: null }));
  t(() => tty.isatty(1));
  t(() => { assert.strictEqual(1, 2); }); t(() => { assert.deepStrictEqual({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }); return 'ok'; });
  t(() => { assert(0, 'zero'); }); t(() => { assert.throws(() => { throw new TypeError('x'); }, TypeError); return 'ok'; });
  t(() => { assert.deepEqual(new Map([[1, { a: 1 }]]), new Map([[1, { a: 1 }]])); return 'ok'; });
  t(() => util.isDeepStrictEqual(new Set([1, { a: 1 }]), new Set([1, { a: 1 }])));
  t(() => crypto.createHash('sha256').update('abc').digest('hex')); t(() => crypto.createHash('md5').update('a').update(Buffer.from('b')).digest('base64'));
  t(() => crypto.createHmac('sha1', 'key').update('data').digest('hex')); t(() => crypto.createHash('sha512').update('').digest().length);
  t(() => crypto.randomBytes(8).length); t(() => /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(crypto.randomUUID()));
  t(() => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a'))); t(() => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('ab')));
  t(() => crypto.createHash('nope')); t(() => crypto.randomInt(5) < 5);
  const als = new ah.AsyncLocalStorage();
  als.run({ id: 7 }, () => { setTimeout(() => console.log('timer', als.getStore()), 1); Promise.resolve().then(() => console.log('then', als.getStore())); process.nextTick(() => console.log('tick', als.getStore())); (async () => { await null; console.log('await', als.getStore()); })(); });
  console.log(als.getStore());
  // Text in pieces, of which one ends within a character.
  process.stdout.write(Buffer.from([0x61, 0xc3])); process.stdout.write(Buffer.from([0xa4, 0x0a])); process.stdout.write('c3b60a', 'hex');
  const ch = dc.channel('c'); ch.subscribe((m, n) => console.log(m, n)); ch.publish({ x: 1 });
  t(() => typeof ph.performance.now());
  setTimeout(() => { console.log("over"); s.end("done"); }, 20);
}); }).listen(process.env.PORT ?? 3100, "127.0.0.1", () => console.log("on", server.address().port));
