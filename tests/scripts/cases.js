// Small cases, each with one line of output: what Node does, hotsocket does.
const net = require('net');
const util = require('util');
const events = require('events');
const { EventEmitter } = events;
const { StringDecoder } = require('string_decoder');
const stream = require('stream');

const b = Buffer.from('0102030405060708', 'hex');
const cases = {
  // ---- Buffer
  'hex with a space': () => Buffer.from('01 02', 'hex'),
  'odd hex': () => Buffer.from('abc', 'hex'),
  'no hex': () => Buffer.from('zz11', 'hex'),
  'hex in capitals': () => Buffer.from('DEADbeef', 'hex'),
  'six bytes': () => b.readUIntBE(0, 6),
  'five bytes': () => b.readIntLE(2, 5),
  'double': () => b.readDoubleBE(0),
  'float': () => b.readFloatLE(0),
  'bigint': () => b.readBigInt64LE(0),
  'bigint past the end': () => b.readBigInt64LE(1),
  'concat cut': () => Buffer.concat([Buffer.from('abc'), Buffer.from('def')], 4),
  'concat filled': () => Buffer.concat([Buffer.from('abc')], 5),
  'swap16': () => Buffer.from(b).swap16(),
  'fill with text': () => Buffer.alloc(5).fill('é'),
  'fill with hex': () => Buffer.alloc(5, 'abc', 'hex'),
  'fill with nothing': () => Buffer.alloc(3, 1).fill(''),
  'fill out of range': () => Buffer.alloc(3).fill(1, 0, 4),
  'indexOf a byte': () => b.indexOf(5),
  'indexOf bytes': () => b.indexOf(Buffer.from([6, 7])),
  'lastIndexOf': () => b.lastIndexOf(1),
  'indexOf nothing': () => [b.indexOf(''), b.indexOf('', 3), b.indexOf('', 99), b.lastIndexOf('')],
  'includes': () => b.includes('\x03'),
  'indexOf text': () => [Buffer.from('a€b€').indexOf('€'), Buffer.from('a€b€').lastIndexOf('€'), Buffer.from('aXbX').indexOf('X', -2)],
  'indexOf from any offset': () => ['X', 'bX', 'aa', Buffer.from('Xb'), Buffer.from('XX\n'), new Uint8Array([0])].map((wanted) =>
    [undefined, 0, 1, 2, 1.5, 10, 12, 99, -1, -3, -99, NaN, null, Infinity, -Infinity].map((from) => Buffer.from('aXbXabcabXX\n').indexOf(wanted, from))),
  'indexOf in another encoding': () => Buffer.from('abcdef').indexOf('6364', 'hex'),
  'compare': () => [Buffer.compare(b, Buffer.from([1])), b.compare(Buffer.from([2])), b.compare(b)],
  'compare with Uint8Array': () => Buffer.compare(new Uint8Array([1]), new Uint8Array([2])),
  'equals Uint8Array': () => [b.equals(new Uint8Array([1, 2])), Buffer.from('a').equals(new Uint8Array([97]))],
  'equals text': () => b.equals('a'),
  'json': () => JSON.stringify({ b }),
  'from json': () => Buffer.from(JSON.parse(JSON.stringify(b))),
  'slice is a view': () => { const c = Buffer.from(b); c.slice(-3, -1)[0] = 255; return c; },
  'subarray is a buffer': () => b.subarray(2, 4),
  'map': () => b.map((byte) => byte * 2),
  'write cut': () => { const c = Buffer.alloc(8); return [c.write('héllo', 1, 3), c]; },
  'write hex': () => { const c = Buffer.alloc(4); return [c.write('ffff', 'hex'), c]; },
  'half a character': () => Buffer.from([0xe2, 0x82]).toString(),
  'broken characters': () => Buffer.from([0xf0, 0x9f, 0x92, 0x41]).toString(),
  'half a pair': () => Buffer.from('\ud83d'),
  'isBuffer': () => [Buffer.isBuffer(new Uint8Array(1)), Buffer.isBuffer(b.subarray(1))],
  'copy': () => [b.copy(Buffer.alloc(3), 1, 2), b.copy(Buffer.alloc(2), 5)],
  'at': () => b.at(-1),
  'toString backwards': () => b.toString('utf8', 2, 1),
  'unknown encoding': () => b.toString('utf-7'),
  'ucs2': () => [Buffer.from('ab', 'ucs2'), Buffer.from('ab', 'ucs2').toString('utf16le')],
  'base64': () => [Buffer.from('aGk', 'base64'), Buffer.from('a-_b', 'base64url'), Buffer.from('a G\nk=', 'base64'), b.toString('base64url')],
  'latin1': () => [Buffer.from('é€', 'latin1'), Buffer.from([0xe9]).toString('latin1'), Buffer.from([0xe9]).toString('ascii')],
  'of': () => Buffer.of(1, 2, 300),
  'added': () => Buffer.from('a') + Buffer.from('b'),
  'byteLength': () => [Buffer.byteLength('€'), Buffer.byteLength('abcd', 'hex'), Buffer.byteLength(new ArrayBuffer(3))],
  'allocUnsafe': () => Buffer.allocUnsafe(3).length,
  // ---- events
  'an error without a listener': () => new EventEmitter().emit('error', new Error('nobody')),
  'prepend': () => { const e = new EventEmitter(); const s = []; e.on('x', () => s.push(1)); e.prependListener('x', () => s.push(0)); e.emit('x'); return s; },
  'once with arguments': () => { const e = new EventEmitter(); let s; e.once('x', (...a) => { s = a; }); return [e.emit('x', 1, 2), e.emit('x'), s]; },
  'names': () => { const e = new EventEmitter(); e.on('a', () => {}); e.on(Symbol.for('s'), () => {}); return e.eventNames(); },
  'default max': () => events.defaultMaxListeners,
  // ---- string_decoder
  'a decoder in pieces': () => { const d = new StringDecoder('utf8'); return [d.write(Buffer.from([0xe2])), d.write(Buffer.from([0x82])), d.write(Buffer.from([0xac])), d.end()]; },
  'a decoder that is cut': () => { const d = new StringDecoder(); return [d.write(Buffer.from([0x61, 0xf0, 0x9f])), d.end()]; },
  'a decoder of base64': () => { const d = new StringDecoder('base64'); return [d.write(Buffer.from('a')), d.write(Buffer.from('bc')), d.end(Buffer.from('d'))]; },
  'an unknown decoder': () => new StringDecoder('x'),
  // ---- util
  'format': () => util.format('%s %d %i %j %o %%', 1n, '0x10', 3.9, { a: 1 }, [1], 'more'),
  'isDeepStrictEqual': () => [util.isDeepStrictEqual({ a: [1] }, { a: [1] }), util.isDeepStrictEqual([0], [-0])],
  'stripVTControlCharacters': () => util.stripVTControlCharacters('\u001b[31mred\u001b[0m'),
  'toUSVString': () => util.toUSVString('a\ud800'),
  // ---- TextDecoder
  'decoder with a mark': () => new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])),
  'decoder that is strict': () => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff])),
  'decoder of utf-16': () => new TextDecoder('utf-16le').decode(new Uint8Array([0x61, 0, 0x62, 0])),
  'decoder of nothing': () => new TextDecoder('nope'),
  'encodeInto': () => new TextEncoder().encodeInto('a€b', new Uint8Array(4)),
  // ---- net
  'isIP': () => [net.isIP('1.2.3.4'), net.isIP('::1'), net.isIP('1.2.3'), net.isIPv6('::ffff:1.2.3.4'), net.isIP('fe80::1%eth0')],
  'a bad port': () => net.createServer().listen(65536),
  'a server that is not listening': () => [net.createServer().address(), net.createServer().listening],
  'without new': () => [net.Server() instanceof net.Server, net.Socket() instanceof stream.Duplex],
  'Stream': () => net.Stream === net.Socket,
  // ---- timers
  'clear anything': () => [clearTimeout(undefined), clearTimeout(null), clearTimeout('x'), clearInterval({})],
  // ---- stream
  'write of null': () => new stream.Writable({ write() {} }).write(null),
  'high water': () => [new stream.Readable().readableHighWaterMark, new stream.Writable().writableHighWaterMark, stream.getDefaultHighWaterMark?.(false)],
  'addAbortSignal': () => { const ac = new AbortController(); const p = stream.addAbortSignal(ac.signal, new stream.PassThrough()); return p instanceof stream.PassThrough; },
  // ---- what a script is
  'main': () => require.main === module,
  'typeof this': () => [typeof __filename, typeof __dirname, typeof exports, module.exports === exports],
};

const server = net.createServer((socket) => {
  socket.on('data', () => {
    for (const [name, run] of Object.entries(cases)) {
      let got;
      try {
        got = util.inspect(run(), { breakLength: Infinity });
      } catch (error) {
        got = `${error.name} ${error.code} ${error.message}`;
      }
      console.log(`${name}: ${got}`);
    }
    console.log('over');
    socket.end('done');
  });
});
server.listen(process.env.PORT ?? 3100, '127.0.0.1', () => console.log('on', server.address().port));
