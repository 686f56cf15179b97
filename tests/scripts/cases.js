// Small cases, each with one line of output: what Node does, hotsocket does.
const net = require('net');
const util = require('util');
const events = require('events');
const { EventEmitter } = events;
const { StringDecoder } = require('string_decoder');
const stream = require('stream');

const b = Buffer.from('0102030405060708', 'hex');
// A value, or the code of the error.
const outcome = (make) => {
  try {
    return String(make());
  } catch (error) {
    return error.code ?? error.name;
  }
};
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
  'found from any offset': () => ['X', 'bX', 'aa', '', 97, 353, 98.9, NaN, Buffer.from('Xb'), Buffer.from(''), new Uint8Array([98]), null].map((wanted) =>
    [undefined, 0, 1, 2, 1.5, 10, 12, 99, -1, -3, -99, NaN, null, Infinity, -Infinity, {}, 'latin1', 'hex', 'ucs2', '', 'nope'].map((from) =>
      ['indexOf', 'lastIndexOf', 'includes'].map((search) => outcome(() => Buffer.from('aXbXabcabXX\n')[search](wanted, from))).join()).join(' ')).join('\n'),
  'found in wide characters': () => [Buffer.from('abc', 'ucs2'), Buffer.from('cab', 'ucs2')].map((bytes) =>
    ['ab', 'b', '', Buffer.from([98, 0]), Buffer.from([0, 98]), Buffer.from([98])].map((wanted) =>
      [0, 1, 2, -3].map((from) => `${bytes.indexOf(wanted, from, 'ucs2')},${bytes.lastIndexOf(wanted, from, 'utf16le')}`).join(' ')).join('; ')),
  'parts': () => [undefined, 0, 1, 3.7, 7, 8, 99, -1, -2.5, -99, NaN, '2', 'x', null, Infinity, -Infinity].map((start) =>
    [undefined, 0, 2, 8, -1, -9, NaN, '3', null].map((end) => `${b.subarray(start, end).toString('hex')},${b.slice(start, end).length}`).join(' ')).join('\n'),
  ...Object.fromEntries(['', 'a', '12: ', 'é', '€uro', '\u{1f600}', '\0\x7f\x80\xff', 'x'.repeat(257), 'é'.repeat(256), '\ud83d', 'aGVsbG8', '_-8=', 'YWJj=YWJj', '6162zz', '616'].map((text) => [
    `${escape(text).slice(0, 12)} in each encoding`,
    () => [undefined, 'utf8', 'latin1', 'ascii', 'hex', 'base64', 'base64url', 'ucs2', 'UTF-16LE', 'nope', '', null, 5].map((how) => outcome(() => {
      const short = Buffer.alloc(5);
      const filled = text === '\ud83d' ? '' : outcome(() => Buffer.alloc(3, text, how).toString('hex'));
      return [Buffer.from(text, how).toString('hex').slice(0, 40), Buffer.byteLength(text, how), short.write(text, 1, 3, how), short.write(text, how), short.toString('hex'), filled].join();
    })).join(' '),
  ])),
  'bytes in each encoding': () => [[], [0x61], [0xff], [0xc3, 0xa9], [0xe2, 0x82], Array(257).fill(0x61), [...Array(300).fill(0x61), 0xc3], Array(256).fill(0xff)].map((bytes) =>
    [undefined, 'utf8', 'latin1', 'ascii', 'hex', 'base64', 'base64url', 'ucs2', 'nope', '', null].map((how) => outcome(() => escape(Buffer.from(bytes).toString(how)))).join(' ')).join('\n'),
  'made of anything': () => [undefined, null, 5, true, {}, { length: 2 }, { type: 'Buffer', data: [1, 2] }, new String('abc'), { valueOf: () => 'v' },
    Object.assign(new Uint8Array(2), { valueOf: () => 'text' }), new Uint16Array([1, 256]), new DataView(new ArrayBuffer(3)), [1, 2.7, -1, '7']].map((value) => outcome(() => Buffer.from(value).toString('hex'))).join(' '),
  'concat checks': () => [[], [b, new Uint8Array([1])], [b, [1]], [b, 'x'], [new Uint16Array(2)], 'x', { length: 1 }].map((list) =>
    [undefined, 0, 3, 9, 12, -1, 1.5, '3', null].map((length) => outcome(() => Buffer.concat(list, length).toString('hex'))).join(' ')).join('\n'),
  'fill bounds': () => [[0, 5], [0, undefined, 4], [0, 'utf8'], [7, 1, 2], [7, 1.5], [7, 2, 9], ['ab', 'hex'], ['ab', 1, 'hex'], ['ab', 1, 3, 'hex'], ['a', 2 ** 33], ['a', undefined, 2]].map((how) =>
    outcome(() => Buffer.alloc(5, 1).fill(...how).toString('hex'))).join(' '),
  'write bounds': () => [['6162', undefined, undefined, 'hex'], ['abc', undefined, 1], ['', undefined, 9], ['abc', 'utf8', 1], ['abc', 1, 'latin1'], ['€€', 1], ['abcd', 2, 3], ['a', null], ['a', 4]].map((how) => outcome(() => {
    const bytes = Buffer.alloc(3);
    return [bytes.write(...how), bytes.toString('hex')];
  })).join(' '),
  'no encodings': () => ['constructor', '__proto__', 'toString', 'unicode-1-1-utf-8'].map((how) =>
    [Buffer.isEncoding(how), outcome(() => Buffer.from('ab', how)), outcome(() => b.toString(how)), Buffer.byteLength('é', how)].join()).join(' '),
  'copyBytesFrom copies': () => [Buffer.from('abc'), new Uint8Array([1, 2, 3]), new Uint16Array([1, 2, 300])].map((source) => {
    const copies = [Buffer.copyBytesFrom(source), Buffer.copyBytesFrom(source, 1), Buffer.copyBytesFrom(source, 1, 1), Buffer.copyBytesFrom(source, 9)];
    source[1] = 7;
    return copies;
  }),
  'found among many': () => {
    const bytes = Buffer.concat([Buffer.alloc(3000, 97), Buffer.from('b'), Buffer.alloc(3000, 97)]);
    const wanted = Buffer.concat([Buffer.alloc(1500, 97), Buffer.from('b')]);
    return [bytes.indexOf(wanted), bytes.lastIndexOf(wanted), bytes.indexOf(wanted, 1501), bytes.indexOf('a'.repeat(40), 2990), bytes.lastIndexOf('a'.repeat(40), 3010), bytes.indexOf('ab'.repeat(20), 'ucs2')];
  },
  'alloc checks': () => [0, 2, -1, 1.5, NaN, '3', undefined, 2 ** 33].map((size) =>
    [undefined, 0, 256, 'ab', '', Buffer.from('xy'), null, true].map((fill) => outcome(() => Buffer.alloc(size, fill).toString('hex'))).join(' ')).join('\n'),
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
  'isIP': () => [net.isIP('1.2.3.4'), net.isIP('::1'), net.isIP('1.2.3'), net.isIPv6('::ffff:1.2.3.4'), net.isIP('fe80::1%eth0'), net.isIP('1.2.3.4::'), net.isIP('::1.2.3.4'), net.isIP('1:2:3:4:5:6:7.8.9.10')],
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

// Its client has ended when the last case runs.
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  const left = Object.entries(cases);
  // An event for each: none takes long.
  function next() {
    if (left.length === 0) {
      console.log('over');
      socket.end('done');
      return;
    }
    const [name, run] = left.shift();
    let got;
    try {
      got = util.inspect(run(), { breakLength: Infinity });
    } catch (error) {
      got = `${error.name} ${error.code} ${error.message}`;
    }
    console.log(`${name}: ${got}`);
    setImmediate(next);
  }
  socket.on('data', next);
});
server.listen(process.env.PORT ?? 3100, '127.0.0.1', () => console.log('on', server.address().port));
