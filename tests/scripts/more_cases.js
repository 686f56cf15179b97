// More small cases, one line of output each: what Node does, hotsocket does. Those of
// `cases.js` show that values are right; these, that what is wrong is refused in the
// same words, and what came to Node later.
const net = require('net');
const util = require('util');
const events = require('events');
const stream = require('stream');
const dns = require('dns');
const readline = require('readline');
const { EventEmitter } = events;
const { StringDecoder } = require('string_decoder');
const { Console } = require('console');

const b = Buffer.from('0102030405060708', 'hex');
const nothing = () => {};
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));
const reader = () => { const input = new stream.PassThrough(); return { input, lines: readline.createInterface({ input }) }; };
// The lines of a text that comes in these pieces.
const readLines = async (pieces) => { const { input, lines } = reader(); const s = []; lines.on('line', (line) => s.push(line)); for (const piece of pieces) input.emit('data', piece); input.end(); await events.once(lines, 'close'); return s; };
// A stream that keeps what is written to it.
const sink = () => {
  const it = new stream.Writable({ write(chunk, _, done) { it.text += chunk; done(); } });
  it.text = '';
  return it;
};
const log = (use) => { const out = sink(); use(new Console(out)); return out.text; };

const cases = {
  // ---- Buffer: reading and writing numbers
  'a byte past the end': () => b.readUInt8(8),
  'two bytes past the end': () => b.readUInt16BE(7),
  'four bytes past the end': () => b.readInt32LE(5),
  'a negative offset': () => b.readUInt8(-1),
  'half an offset': () => b.readUInt8(1.5),
  'an offset that is text': () => b.readUInt8('1'),
  'an offset of null': () => b.readUInt16LE(null),
  'an empty buffer': () => Buffer.alloc(0).readUInt8(0),
  'a short buffer': () => Buffer.alloc(1).readUInt32BE(0),
  'no offset for six bytes': () => b.readUIntBE(undefined, 6),
  'seven bytes': () => b.readUIntBE(0, 7),
  'no bytes': () => b.readIntLE(0, 0),
  'how many is missing': () => b.readIntBE(0),
  'six bytes past the end': () => b.readIntBE(3, 6),
  'a double past the end': () => b.readDoubleLE(1),
  'a float past the end': () => b.readFloatBE(5),
  'a bigint past the end again': () => b.readBigUInt64BE(9),
  'Uint for UInt': () => [b.readUint8(0), b.readUint16BE(0), b.readUint32LE(0), b.readUintBE(0, 3), b.readBigUint64LE(0)],
  'a byte that is too large': () => Buffer.alloc(4).writeUInt8(256, 0),
  'a byte below zero': () => Buffer.alloc(4).writeUInt8(-1),
  'a signed byte': () => Buffer.alloc(4).writeInt8(128),
  'a word that is too large': () => Buffer.alloc(4).writeInt16BE(40000, 0),
  'a long that is negative': () => Buffer.alloc(4).writeUInt32BE(-1, 0),
  'six bytes too large': () => Buffer.alloc(8).writeUIntBE(2 ** 48, 0, 6),
  'five bytes signed': () => Buffer.alloc(8).writeIntLE(-(2 ** 40), 0, 5),
  'three bytes': () => { const c = Buffer.alloc(3); return [c.writeUIntLE(0x123456, 0, 3), c]; },
  'a bigint that is too large': () => Buffer.alloc(8).writeBigUInt64BE(2n ** 64n),
  'a bigint that is negative': () => Buffer.alloc(8).writeBigInt64LE(-(2n ** 63n) - 1n),
  'a bigint that is a number': () => Buffer.alloc(8).writeBigInt64LE(1),
  'no room': () => Buffer.alloc(3).writeUInt32LE(1, 0),
  'no offset': () => { const c = Buffer.alloc(4); return [c.writeUInt16BE(0x0102), c.writeDoubleBE === undefined, c]; },
  'text for a number': () => { const c = Buffer.alloc(2); c.writeUInt8('7'); return c; },
  'NaN as a number': () => { const c = Buffer.alloc(2, 1); c.writeUInt16BE(NaN); return c; },
  'a float': () => { const c = Buffer.alloc(4); c.writeFloatBE(1.5); return c; },
  // ---- Buffer: making them
  'alloc of less than nothing': () => Buffer.alloc(-1),
  'alloc of text': () => Buffer.alloc('5'),
  'alloc of NaN': () => Buffer.alloc(NaN),
  'allocUnsafe of text': () => Buffer.allocUnsafe('5'),
  'alloc with a bad encoding': () => Buffer.alloc(3, 'a', 'nope'),
  'alloc with an encoding that is none': () => Buffer.alloc(3, 'a', 1),
  'from a number': () => Buffer.from(5),
  'from null': () => Buffer.from(null),
  'from undefined': () => Buffer.from(),
  'from an object': () => Buffer.from({}),
  'from a function': () => Buffer.from(nothing),
  'from a symbol': () => Buffer.from(Symbol('x')),
  'from with a bad encoding': () => Buffer.from('a', 'nope'),
  'from valueOf': () => [Buffer.from(new String('abc')), Buffer.from({ valueOf: () => 'xyz' })],
  'from toPrimitive': () => Buffer.from({ [Symbol.toPrimitive]: () => 'prim' }),
  'from like an array': () => [Buffer.from({ length: 2, 0: 1, 1: 258 }), Buffer.from([1.9, -1, '3', 'x'])],
  'from an ArrayBuffer': () => Buffer.from(new ArrayBuffer(4), 1, 2),
  'from an ArrayBuffer, past its end': () => Buffer.from(new ArrayBuffer(4), 5),
  'from an ArrayBuffer, too long': () => Buffer.from(new ArrayBuffer(4), 1, 9),
  'from another view': () => Buffer.from(new Uint16Array([1, 256, 3])),
  'copyBytesFrom': () => [Buffer.copyBytesFrom(new Uint16Array([1, 2])), Buffer.copyBytesFrom(new Uint16Array([1, 2, 3]), 1, 1)],
  'copyBytesFrom what is no view': () => Buffer.copyBytesFrom([1]),
  'without new': () => [Buffer(3).length, new Buffer('abc')],
  'concat of something else': () => Buffer.concat([Buffer.from('a'), 'b']),
  'concat of no list': () => Buffer.concat('a'),
  'concat to less than nothing': () => Buffer.concat([b], -1),
  'concat of none': () => Buffer.concat([]),
  // ---- Buffer: the rest
  'compare with text': () => Buffer.compare('a', b),
  'compare to text': () => b.compare('a'),
  'compare parts': () => [b.compare(Buffer.from([2, 3]), 0, 2, 1, 3), b.compare(b, 4, 4), b.compare(b, 0, 1, 5)],
  'compare past the end': () => b.compare(b, 0, 100),
  'copy to text': () => b.copy('a'),
  'copy past the end': () => b.copy(Buffer.alloc(3), 0, 9),
  'copy to before the beginning': () => b.copy(Buffer.alloc(3), -1),
  'copy over itself': () => { const c = Buffer.from(b); c.copy(c, 2, 0, 4); return c; },
  'swap16 of three': () => Buffer.from('abc').swap16(),
  'swap32 and swap64': () => [Buffer.from(b).swap32(), Buffer.from(b).swap64()],
  'swap64 of three': () => Buffer.from('abc').swap64(),
  'indexOf of an object': () => b.indexOf({}),
  'includes null': () => b.includes(null),
  'indexOf a large number': () => [b.indexOf(258), b.indexOf(99.9), b.indexOf(-254)],
  'write of a number': () => Buffer.alloc(3).write(1),
  'write past the end': () => Buffer.alloc(3).write('a', 4),
  'write with a bad encoding': () => Buffer.alloc(3).write('a', 0, 1, 'nope'),
  'write of nothing at the end': () => Buffer.alloc(3).write('', 3),
  'byteLength of a number': () => Buffer.byteLength(5),
  'byteLength in a bad encoding': () => Buffer.byteLength('aé', 'nope'),
  'equals nothing': () => b.equals(),
  'fill with a bad encoding': () => Buffer.alloc(3).fill('a', 'nope'),
  'fill with a number for an encoding': () => Buffer.alloc(3).fill('a', 0, 3, 5),
  'fill with no bytes': () => Buffer.alloc(3).fill(Buffer.alloc(0)),
  'fill with broken hex': () => Buffer.alloc(3).fill('zz', 'hex'),
  'fill with half an offset': () => Buffer.alloc(3).fill(1, 0.5),
  'fill with numbers': () => [Buffer.alloc(2).fill(257), Buffer.alloc(2).fill(-1), Buffer.alloc(2).fill(true)],
  'properties of its own': () => { const c = Buffer.from('a'); c.foo = 1; c.bar = { x: [1] }; return c; },
  'a long one': () => [Buffer.alloc(51), Buffer.alloc(52, 1)],
  'toString of anything': () => [b.toString(undefined, -5, 3), b.toString('latin1', '2', '4'), b.toString('hex', NaN, 2)],
  'isEncoding': () => ['utf8', 'UTF-8', 'Hex', 'binary', 'utf-16le', 'nope', '', null, 5].map(Buffer.isEncoding),
  'slices': () => [b.slice(-3), b.slice(2, -2), b.slice('1', '3'), b.slice(9), b.subarray(1.9, 3.9)],
  'lastIndexOf text': () => [Buffer.from('abcabc').lastIndexOf('abc'), Buffer.from('abcabc').lastIndexOf('abc', 2), Buffer.from('abcabc').lastIndexOf('abc', -4)],
  'isUtf8 and isAscii': () => { const { isUtf8, isAscii } = require('buffer'); return [isUtf8(Buffer.from('é')), isUtf8(Buffer.from([0xff])), isAscii(Buffer.from('a')), isAscii(Buffer.from('é'))]; },
  // ---- events
  'a listener that is text': () => new EventEmitter().on('x', 'y'),
  'a listener that is missing': () => new EventEmitter().once('x'),
  'no listener to remove': () => new EventEmitter().off('x', null),
  'an error that is text': () => new EventEmitter().emit('error', 'text'),
  'an error that is an object': () => new EventEmitter().emit('error', { a: 1 }),
  'an error that is nothing': () => new EventEmitter().emit('error'),
  'errorMonitor': () => { const e = new EventEmitter(); const s = []; e.on(events.errorMonitor, (x) => s.push(x.message)); e.on('error', () => s.push('error')); e.emit('error', new Error('m')); return s; },
  'errorMonitor alone': () => { const e = new EventEmitter(); const s = []; e.on(EventEmitter.errorMonitor, (x) => s.push(x.message)); try { e.emit('error', new Error('m')); } catch (x) { s.push(x.message); } return s; },
  'listenerCount of one': () => { const e = new EventEmitter(); const f = () => {}; e.on('x', f); e.once('x', f); e.on('x', nothing); return [e.listenerCount('x'), e.listenerCount('x', f), e.listenerCount('y'), events.listenerCount(e, 'x')]; },
  'too few listeners': () => new EventEmitter().setMaxListeners(-1),
  'listeners that are counted by text': () => new EventEmitter().setMaxListeners('1'),
  'max listeners': () => { const e = new EventEmitter(); e.setMaxListeners(3); return [e.getMaxListeners(), events.getMaxListeners(e)]; },
  'raw listeners': () => { const e = new EventEmitter(); e.once('x', nothing); return [e.listeners('x')[0] === nothing, e.rawListeners('x')[0] === nothing, e.rawListeners('x')[0].listener === nothing]; },
  'newListener and removeListener': () => { const e = new EventEmitter(); const s = []; e.on('newListener', (n) => s.push(`+${n}`)); e.on('removeListener', (n) => s.push(`-${n}`)); e.once('x', nothing); e.emit('x'); e.removeAllListeners('x'); return s; },
  'removed while it is called': () => { const e = new EventEmitter(); const s = []; const f = () => s.push('f'); e.on('x', () => { s.push('first'); e.off('x', f); }); e.on('x', f); e.emit('x'); e.emit('x'); return s; },
  'this of a listener': () => { const e = new EventEmitter(); let me; e.on('x', function () { me = this; }); e.emit('x'); return me === e; },
  'an emitter is shown': () => new EventEmitter(),
  'by call': () => { function Old() { EventEmitter.call(this); } util.inherits(Old, EventEmitter); const e = new Old(); let got; e.on('x', (v) => { got = v; }); return [e.emit('x', 5), got, e instanceof EventEmitter, Old.super_ === EventEmitter]; },
  'captureRejections that is no boolean': () => new EventEmitter({ captureRejections: 1 }),
  'symbols of events': () => [String(events.captureRejectionSymbol), String(events.errorMonitor), events.usingDomains, events.captureRejections],
  'getEventListeners': () => { const e = new EventEmitter(); const t = new EventTarget(); e.on('x', nothing); t.addEventListener('y', nothing); return [events.getEventListeners(e, 'x').length, events.getEventListeners(t, 'y').length]; },
  'on what is none': () => events.getEventListeners({}, 'x'),
  'addAbortListener': () => { const c = new AbortController(); let n = 0; events.addAbortListener(c.signal, () => n++); const d = events.addAbortListener(c.signal, () => n++); d[Symbol.dispose ?? Symbol.for('SymbolDispose')]?.(); c.abort(); return n >= 1; },
  'addAbortListener without a signal': () => events.addAbortListener(undefined, nothing),
  // ---- EventTarget, AbortSignal
  'an event target': () => { const t = new EventTarget(); const s = []; t.addEventListener('x', (e) => s.push(e.type, e.target === t)); t.addEventListener('x', { handleEvent() { s.push('object'); } }); t.addEventListener('x', () => s.push('once'), { once: true }); t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x')); return s; },
  'the same listener twice': () => { const t = new EventTarget(); let n = 0; const f = () => n++; t.addEventListener('x', f); t.addEventListener('x', f); t.dispatchEvent(new Event('x')); return n; },
  'preventDefault': () => { const t = new EventTarget(); t.addEventListener('x', (e) => e.preventDefault()); return [t.dispatchEvent(new Event('x', { cancelable: true })), t.dispatchEvent(new Event('x'))]; },
  'stopImmediatePropagation': () => { const t = new EventTarget(); const s = []; t.addEventListener('x', (e) => { s.push(1); e.stopImmediatePropagation(); }); t.addEventListener('x', () => s.push(2)); t.dispatchEvent(new Event('x')); return s; },
  'what is no event': () => new EventTarget().dispatchEvent({ type: 'x' }),
  'abort': () => { const c = new AbortController(); const s = []; c.signal.onabort = () => s.push('on'); c.signal.addEventListener('abort', () => s.push('listener')); c.abort(); c.abort('again'); return [s, c.signal.aborted, c.signal.reason.name, c.signal.reason.code, c.signal.reason.message]; },
  'abort with a reason': () => { const s = AbortSignal.abort('why'); try { s.throwIfAborted(); } catch (e) { return [e, s.reason]; } },
  'AbortSignal.any': () => { const c = new AbortController(); const any = AbortSignal.any([c.signal, new AbortController().signal]); c.abort(7); return [any.aborted, any.reason, AbortSignal.any([]).aborted]; },
  'AbortSignal without abort': () => new AbortSignal(),
  'a signal is shown': () => [new AbortController(), AbortSignal.abort(1)],
  'DOMException': () => { const e = new DOMException('words', 'DataCloneError'); return [e.name, e.code, e.message, e instanceof Error, Object.prototype.toString.call(e)]; },
  // ---- string_decoder
  'write of a number to a decoder': () => new StringDecoder().write(5),
  'write of text to a decoder': () => new StringDecoder().write('text'),
  'a decoder of utf-16': () => { const d = new StringDecoder('utf16le'); return [d.write(Buffer.from([0x3d, 0xd8])), d.write(Buffer.from([0x4d, 0xdc])), d.end()]; },
  'a decoder of utf-16 that is cut': () => { const d = new StringDecoder('ucs2'); return [d.write(Buffer.from([0x61, 0, 0x62])), d.end(), d.encoding]; },
  'a decoder of hex': () => { const d = new StringDecoder('hex'); return [d.write(Buffer.from([1])), d.end(Buffer.from([2]))]; },
  'a decoder by call': () => { function Old() { StringDecoder.call(this, 'utf8'); } util.inherits(Old, StringDecoder); return new Old().write(Buffer.from('é')); },
  'a decoder of a view': () => new StringDecoder().write(new Uint8Array([0x61, 0xc3])),
  'what a decoder needs': () => { const d = new StringDecoder(); d.write(Buffer.from([0xe2, 0x82])); return [d.lastNeed, d.lastTotal]; },
  'broken bytes in a decoder': () => { const d = new StringDecoder(); return [d.write(Buffer.from([0xe2, 0x41])), d.write(Buffer.from([0xff])), d.write(Buffer.from([0xf0, 0x9f])), d.write(Buffer.from([0x41])), d.end()]; },
  // ---- timers and ticks
  'a timer without a function': () => setTimeout('x', 1),
  'an interval without a function': () => setInterval(),
  'an immediate without a function': () => setImmediate(null),
  'a tick without a function': () => process.nextTick(5),
  'a microtask without a function': () => queueMicrotask({}),
  'hasRef': () => { const t = setTimeout(nothing, 1); const s = [t.hasRef(), t.unref().hasRef(), t.ref().hasRef()]; clearTimeout(t); return s; },
  'hasRef of an immediate': () => { const i = setImmediate(nothing); const s = [i.hasRef(), i.unref() === i, i.hasRef(), i.ref().hasRef()]; clearImmediate(i); return s; },
  'a timer as a number': () => { const t = setTimeout(nothing, 1); clearTimeout(+t); return [typeof +t, typeof t[Symbol.toPrimitive]()]; },
  // ---- util
  'boxed': () => [Object(1), Object('a'), Object(true), Object(1n), Object(Symbol()), 1, {}].map(util.types.isBoxedPrimitive),
  'types': () => [util.types.isDate(new Date()), util.types.isRegExp(/a/), util.types.isMap(new Map()), util.types.isTypedArray(b), util.types.isUint8Array(b), util.types.isInt8Array(b), util.types.isNumberObject(Object(1)), util.types.isMapIterator(new Map().keys()), util.types.isArgumentsObject((function () { return arguments; })()), util.types.isGeneratorFunction(function* () {})],
  '%s of a buffer': () => [util.format('%s', Buffer.from('abc')), util.format('%s', new Error('e').message), util.format('%s', { toString: () => 'own' }), util.format('%s', new (class A { toString() { return 'class'; } })()), util.format('%s', [1]), util.format('%s', -0), util.format('%s', Symbol('s'))],
  'format of the rest': () => [util.format('%d', '1x'), util.format('%i', 1.9), util.format('%f', '1.5'), util.format('%j', { toJSON: () => 'j' }), util.format('%O', { a: { b: { c: {} } } }), util.format('%c', 'css'), util.format('a', 'b', { c: 1 }), util.format(1, 2), util.format('%s')],
  'inherits without a parent': () => util.inherits(function A() {}, null),
  'promisify of text': () => util.promisify('x'),
  'promisify keeps': () => { const f = function named(a, b) {}; f.more = 1; const p = util.promisify(f); return [p.name, p.length, p.more, util.promisify(p) === p]; },
  'callbackify': () => { const f = util.callbackify(async function g(a) { return a; }); return [f.name, f.length]; },
  'callbackify without a callback': () => util.callbackify(async () => {})(1),
  'deprecated still works': () => util.deprecate((x) => x * 2, 'old')(2),
  'isDeepStrictEqual of many': () => [[new Set([1, { a: 1 }]), new Set([1, { a: 1 }])], [new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 1]])], [NaN, NaN], [0, -0], [[1, , 3], [1, undefined, 3]], [new Date(1), new Date(1)], [/a/g, /a/i], [new Error('a'), new Error('a')], [new Error('a'), new Error('b')], [Object(1), Object(1)], [{ a: undefined }, {}], [[1], { 0: 1, length: 1 }], [Buffer.from('a'), new Uint8Array([97])], [Symbol.for('a'), Symbol.for('a')], [new Float32Array([0]), new Float32Array([-0])]].map(([x, y]) => util.isDeepStrictEqual(x, y)),
  'parseArgs': () => util.parseArgs({ args: ['-f', '--bar', 'b', '--no', 'pos'], options: { foo: { type: 'boolean', short: 'f' }, bar: { type: 'string' }, no: { type: 'boolean' } }, allowPositionals: true }),
  'parseArgs of an unknown one': () => { try { util.parseArgs({ args: ['--nope'], options: {} }); } catch (e) { return [e.code, e.message]; } },
  'stripVTControlCharacters of a number': () => util.stripVTControlCharacters(1),
  'styleText': () => [util.styleText('red', 'x'), util.styleText(['bold', 'underline'], 'y')],
  'getSystemErrorName': () => [util.getSystemErrorName(-2), util.getSystemErrorName(-104), util.getSystemErrorMap().get(-13)],
  'old questions': () => [util.isArray([]), util.isString('a'), util.isBuffer(b), util.isFunction(nothing), util.isPrimitive(null), util.isError(new Error()), util.isNullOrUndefined(undefined)],
  // ---- console
  'a table': () => log((c) => c.table([{ a: 1, b: 'x' }, { a: 2, c: true }])),
  'a table of arrays': () => log((c) => c.table([[1, 2], [3, 4]])),
  'a table of values': () => log((c) => c.table(['a', 5, null, { x: 1 }])),
  'a table of chosen columns': () => log((c) => c.table([{ a: 1, b: 2 }], ['b'])),
  'a table of an object': () => log((c) => c.table({ one: { x: 1 }, two: { x: 2 } })),
  'a table of a map': () => log((c) => c.table(new Map([['k', 'v'], [1, { a: 1 }]]))),
  'a table of a set': () => log((c) => c.table(new Set([1, 'two']))),
  'a table of a value': () => log((c) => c.table(5)),
  'a table of nothing': () => log((c) => c.table([])),
  'columns that are text': () => log((c) => c.table([], 'a')),
  'groups': () => log((c) => { c.group('one'); c.log('two\nthree'); c.group(); c.log('four'); c.groupEnd(); c.groupEnd(); c.groupEnd(); c.log('five'); }),
  'counts': () => log((c) => { c.count(); c.count('x'); c.count(); c.countReset(); c.count(); }),
  'assert of console': () => log((c) => { c.assert(true, 'no'); c.assert(false, 'yes %s', 1); c.assert(0); c.assert(false, { a: 1 }); }),
  'dir': () => log((c) => { c.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 }); c.dir({ [util.inspect.custom]: () => 'custom' }); c.dirxml(1, 'a'); }),
  'a console without a stream': () => new Console({}),
  'a console without new': () => { const out = sink(); Console(out).log('x', 1); return out.text; },
  'two streams': () => { const [out, err] = [sink(), sink()]; const c = new Console(out, err); c.log('o'); c.error('e'); c.warn('w'); c.info('i'); c.debug('d'); return [out.text, err.text]; },
  'group indentation': () => { const out = sink(); const c = new Console({ stdout: out, groupIndentation: 4 }); c.group(); c.log('x'); return out.text; },
  'instances of Console': () => [console instanceof Console, new Console(sink()) instanceof Console, {} instanceof Console],
  // ---- net
  'a server by call': () => { function Old(f) { net.Server.call(this, f); } util.inherits(Old, net.Server); const s = new Old(nothing); return [s instanceof net.Server, s.listenerCount('connection'), s.listening, s.address()]; },
  'a socket by call': () => { function Old() { net.Socket.call(this); } util.inherits(Old, net.Socket); const s = new Old(); return [s instanceof net.Socket, s instanceof stream.Duplex, s.readyState, s.pending, s.destroyed]; },
  'classes of net': () => { class S extends net.Server { more() { return 1; } } class C extends net.Socket {} return [new S().more(), new C() instanceof stream.Readable, net.Socket.name, net.Server.name]; },
  'a listener that is no function': () => net.createServer({}, 'x').listenerCount('connection'),
  'options that are no object': () => net.createServer('x'),
  'what a server has': () => { const s = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }); return [s.allowHalfOpen, s.pauseOnConnect, s.maxConnections, s.ref() === s, s.unref() === s]; },
  'ports that are none': () => ['a', -1, 65536, 1.5, NaN].map((port) => { try { net.createServer().listen({ port }); return 'listens'; } catch (e) { return [e.name, e.code, e.message]; } }),
  'listen to nothing': () => net.createServer().listen({}),
  'marks of a socket': () => { const s = new net.Socket(); return [s.readableHighWaterMark, s.writableHighWaterMark]; },
  'BlockList': () => { const l = new net.BlockList(); l.addAddress('1.2.3.4'); l.addRange('10.0.0.1', '10.0.0.9'); l.addSubnet('192.168.0.0', 16); l.addSubnet('2001:db8::', 32, 'ipv6'); return [l.rules, ['1.2.3.4', '10.0.0.5', '10.0.0.10', '192.168.9.9', '::ffff:1.2.3.4'].map((a) => l.check(a, a.includes(':') ? 'ipv6' : 'ipv4')), l.check('2001:db8::1', 'ipv6'), l]; },
  'a bad address': () => new net.BlockList().addAddress('nope'),
  'a bad prefix': () => new net.BlockList().addSubnet('1.1.1.1', 33),
  'SocketAddress': () => new net.SocketAddress({ address: '1.2.3.4', port: 80 }),
  'isIP of anything': () => ['::', '1::2::3', '01.2.3.4', '1.2.3.256', '::1.2.3.4', 'fe80::1%1', '', undefined, null, {}, 1].map(net.isIP),
  // ---- stream
  'write after end': () => { const w = sink(); w.on('error', nothing); w.end(); return w.write('x'); },
  'a readable of things': () => { const r = stream.Readable.from(['a', 'b']); return [r.readableObjectMode, r.readableHighWaterMark]; },
  'states of a stream': () => { const p = new stream.PassThrough(); p.on('error', nothing); p.destroy(new Error('x')); return [p.destroyed, p.errored.message, p.closed, p.readableAborted, p.writableAborted, stream.isErrored?.(p), stream.isReadable?.(p)]; },
  'finished of nothing': () => stream.finished({}, nothing),
  'pipeline of one': () => stream.pipeline(sink()),
  'push of a number': () => { const r = new stream.Readable({ read() {} }); let e; r.on('error', (x) => { e = x; }); r.push(5); return [e, r.destroyed]; },
  'encodings of a stream': () => { const r = new stream.Readable({ read() {} }); r.setEncoding('hex'); r.push('ab'); return [r.readableEncoding, r.read()]; },
  'a bad default encoding': () => sink().setDefaultEncoding('nope'),
  'what is in stream': () => ['Duplex', 'PassThrough', 'Readable', 'Stream', 'Transform', 'Writable', 'addAbortSignal', 'compose', 'finished', 'pipeline', 'promises'].filter((name) => !(name in stream)),
  // ---- TextDecoder, TextEncoder
  'fatal with more': () => { const d = new TextDecoder('utf-8', { fatal: true }); return [d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), d.decode(new Uint8Array([0xac])), d.fatal, d.ignoreBOM, d.encoding]; },
  'fatal that is cut': () => new TextDecoder('utf8', { fatal: true }).decode(new Uint8Array([0xe2])),
  'ignoreBOM': () => new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).length,
  'labels': () => ['utf8', 'UTF-16LE', 'latin1', 'ascii', ' utf-8 '].map((l) => new TextDecoder(l).encoding),
  'decode of an ArrayBuffer': () => new TextDecoder().decode(new Uint8Array([0x61, 0x62]).buffer),
  'decode of text': () => new TextDecoder().decode('text'),
  'encode of things': () => [new TextEncoder().encode('é'), new TextEncoder().encode(), new TextEncoder().encode(5), new TextEncoder().encode('\ud800')],
  // ---- globals
  'structuredClone': () => { const o = { d: new Date(0), m: new Map([[1, { a: 1 }]]), s: new Set([1]), r: /a/g, n: null, u: undefined, e: new RangeError('e').message, b: new Uint8Array([1, 2]), f: 1n }; o.self = o; const c = structuredClone(o); return [c, c !== o, c.self === c]; },
  'structuredClone of a function': () => structuredClone(() => 1),
  'structuredClone of an error': () => { const e = structuredClone(new TypeError('t', { cause: 5 })); return [e instanceof TypeError, e.message, e.cause, e.name]; },
  'structuredClone of nothing': () => structuredClone(),
  'URL': () => { const u = new URL('https://user:pa%20ss@EXAMPLE.com:443/a/../b?x=1&y=2#h'); u.searchParams.append('z', 'ä ö'); return [u.href, u.origin, u.port, u.pathname, u.hash, u.username, u.searchParams.get('x'), String(u), JSON.stringify(u)]; },
  'a URL is shown': () => new URL('http://a.b/c?d=e#f'),
  'a bad URL': () => { try { new URL('nope'); } catch (e) { return [e.name, e.code, e.message, e.input]; } },
  'a relative URL': () => [new URL('../x?y', 'http://a/b/c/d').href, new URL('//h/p', 'https://a').href, new URL('?q', 'http://a/b').href, URL.canParse('http://x'), URL.canParse('x')],
  'hosts of URLs': () => ['http://127.1/', 'http://[::1]:80/', 'http://0x7f000001/', 'http://EXAMPLE.Com./', 'http://münchen.de/'].map((u) => new URL(u).host),
  'URLSearchParams': () => { const p = new URLSearchParams('a=1&b=2&a=3&c='); p.delete('b'); p.sort(); return [p.toString(), p.getAll('a'), p.has('c'), p.size, [...p.keys()], p, new URLSearchParams({ x: 'ü', y: 'a b' }).toString(), new URLSearchParams([['k', 'v']]).toString()]; },
  'Blob': () => { const x = new Blob(['ab', new Uint8Array([99]), new Blob(['d'])], { type: 'Text/Plain' }); return [x.size, x.type, x.slice(1, 3).size, x]; },
  'globals': () => ['AbortController', 'AbortSignal', 'Blob', 'Buffer', 'DOMException', 'Event', 'EventTarget', 'TextDecoder', 'TextEncoder', 'URL', 'URLSearchParams', 'atob', 'btoa', 'clearImmediate', 'clearInterval', 'clearTimeout', 'console', 'global', 'performance', 'process', 'queueMicrotask', 'setImmediate', 'setInterval', 'setTimeout', 'structuredClone'].filter((name) => typeof globalThis[name] === 'undefined'),
  'atob and btoa': () => [atob('aGk='), btoa('hi'), atob(' a G k = ')],
  'toLocaleString': () => [(1234567.891).toLocaleString(), (-5).toLocaleString(), (0.5).toLocaleString('en-US'), (1234.5).toLocaleString('en-US', { minimumFractionDigits: 2 })],
  'dates in words': () => [new Date(0).toLocaleDateString(), new Date(0).toLocaleTimeString(), new Date(86399000).toLocaleString(), new Date(0).toLocaleDateString('en-US')],
};

// What comes later than the call.
const later = {
  'captureRejections': async () => { const e = new EventEmitter({ captureRejections: true }); e.on('x', async () => { throw new Error('async'); }); const got = events.once(e, 'error').catch((x) => x); const p = new Promise((resolve) => e.on('error', (x) => resolve(x.message))); e.emit('x'); return p; },
  'captureRejections by its symbol': () => new Promise((resolve) => { const e = new EventEmitter({ captureRejections: true }); e[Symbol.for('nodejs.rejection')] = (error, name, ...args) => resolve([error.message, name, args]); e.on('x', async () => { throw new Error('own'); }); e.emit('x', 1, 2); }),
  'events.once': async () => { const e = new EventEmitter(); setImmediate(() => e.emit('x', 1, 2)); return events.once(e, 'x'); },
  'events.once with an error': async () => { const e = new EventEmitter(); setImmediate(() => e.emit('error', new Error('bad'))); return events.once(e, 'x'); },
  'events.once that is aborted': async () => { const c = new AbortController(); const p = events.once(new EventEmitter(), 'x', { signal: c.signal }); c.abort(); return p; },
  'events.once of a target': async () => { const t = new EventTarget(); setImmediate(() => t.dispatchEvent(new Event('x'))); return (await events.once(t, 'x'))[0].type; },
  'events.on': async () => { const e = new EventEmitter(); setImmediate(() => { e.emit('x', 1); e.emit('x', 2, 3); }); const s = []; for await (const v of events.on(e, 'x')) { s.push(v); if (s.length === 2) break; } return [s, e.listenerCount('x'), e.listenerCount('error')]; },
  'events.on with an error': async () => { const e = new EventEmitter(); setImmediate(() => { e.emit('x', 1); e.emit('error', new Error('bad')); }); const s = []; try { for await (const v of events.on(e, 'x')) s.push(v); } catch (x) { s.push(x.message); } return s; },
  'events.on that is aborted': async () => { const c = new AbortController(); setImmediate(() => c.abort()); for await (const v of events.on(new EventEmitter(), 'x', { signal: c.signal })) nothing(v); },
  'import()': async () => { const { once } = await import('node:events'); const fs = await import('util'); return [typeof once, typeof fs.default.inspect]; },
  'import() of what is missing': async () => { try { await import('./none-of-this.js'); } catch (e) { return 'fails'; } },
  'pipeline': async () => { const s = sink(); await stream.promises.pipeline(stream.Readable.from(['a', 'b']), async function* (source) { for await (const x of source) yield `${x}!`; }, s); return s.text; },
  'pipeline with a failure': () => new Promise((resolve) => stream.pipeline(new stream.Readable({ read() { this.destroy(new Error('read')); } }), sink(), (e) => resolve(e.message))),
  'pipeline that ends early': async () => stream.promises.pipeline(new stream.Readable({ read() { this.push('x'); this.destroy(); } }), sink()),
  'pipeline that is aborted': async () => { const c = new AbortController(); setImmediate(() => c.abort()); return stream.promises.pipeline(new stream.Readable({ read() {} }), sink(), { signal: c.signal }); },
  'finished': async () => { const s = sink(); s.end('x'); return stream.promises.finished(s); },
  'addAbortSignal': () => new Promise((resolve) => { const c = new AbortController(); const p = stream.addAbortSignal(c.signal, new stream.PassThrough()); p.on('error', (e) => resolve([e.name, e.code])); c.abort(); }),
  'order of a write stream': () => new Promise((resolve) => { const s = []; const w = new stream.Writable({ write(c, e, d) { s.push(`write ${c}`); setImmediate(d); }, final(d) { s.push('final'); d(); } }); w.on('finish', () => s.push('finish')).on('close', () => { s.push('close'); resolve(s); }).on('prefinish', () => s.push('prefinish')); w.write('a', () => s.push('a done')); w.end('b', () => s.push('ended')); s.push('sync'); }),
  'operators of streams': async () => [await stream.Readable.from([1, 2, 3, 4]).filter((x) => x % 2).map((x) => x * 2).toArray(), await stream.Readable.from([1, 2]).reduce((a, x) => a + x, 0), await stream.Readable.from([1, 2, 3]).take(2).toArray()],
  'compose': async () => stream.compose(stream.Readable.from(['a', 'b']), async function* (source) { for await (const x of source) yield String(x).toUpperCase(); }).toArray(),
  'a transform': async () => { const t = new stream.Transform({ transform(c, e, d) { d(null, String(c).toUpperCase()); }, flush(d) { this.push('!'); d(); } }); t.write('a'); t.end('b'); let s = ''; for await (const x of t) s += x; return s; },
  'AbortSignal.timeout': async () => { const s = AbortSignal.timeout(5); await events.once(s, 'abort'); return [s.aborted, s.reason.name, s.reason.code]; },
  'timers/promises': async () => { const t = require('timers/promises'); const s = [await t.setTimeout(1, 'v'), await t.setImmediate('i')]; for await (const x of t.setInterval(1, 'n')) { s.push(x); if (s.length === 4) break; } return s; },
  'timers/promises that are aborted': async () => { const c = new AbortController(); const p = require('timers/promises').setTimeout(1000, null, { signal: c.signal }); c.abort(); return p; },
  'promises of timers leave no listener': async () => { const t = require('timers/promises'); const c = new AbortController(); await t.setTimeout(1, null, { signal: c.signal }); await t.setImmediate(null, { signal: c.signal }); return events.getEventListeners(c.signal, 'abort').length; },
  'an interval that is aborted': async () => { const c = new AbortController(); const s = []; try { for await (const x of require('timers/promises').setInterval(1, 'n', { signal: c.signal })) { s.push(x); if (s.length === 2) c.abort(); } } catch (e) { s.push(e.name); } return s; },
  'scheduler.wait that is aborted': async () => { const c = new AbortController(); const p = require('timers/promises').scheduler.wait(1e6, { signal: c.signal }); c.abort(); return p; },
  'refresh': async () => { const s = []; const timer = (name) => setTimeout(() => s.push(name), 1); const [cleared, again] = [timer('cleared'), timer('again')]; clearTimeout(cleared); cleared.refresh(); await soon(); again.refresh(); await soon(); return s; },
  'events.on that pauses': async () => { const e = new EventEmitter(); const s = []; e.pause = () => s.push('pause'); e.resume = () => s.push('resume'); const all = events.on(e, 'x', { highWaterMark: 2, lowWaterMark: 1 }); for (const x of [1, 2, 3, 4]) e.emit('x', x); for (const x of [1, 2, 3, 4]) s.push(x, (await all.next()).value); return s; },
  'readline: halves of lines': () => readLines(['a\r', '\n', '\n', 'b\u2028', 'c', 'd\n\r', 'e']),
  // With the whole line searched again for each piece this is beyond any budget.
  'readline: a long line in pieces': async () => (await readLines(['x'.repeat(1 << 18), ...'y'.repeat(500), '\n'])).map((line) => line.length),
  'readline: pauses': async () => { const { input, lines } = reader(); const all = lines[Symbol.asyncIterator](); const s = []; const put = (count) => { input.emit('data', 'x\n'.repeat(count)); s.push(lines.paused === true); }; put(1024); put(1); for (let at = 0; at < 1024; at++) { if (at % 100 === 0) await new Promise(setImmediate); await all.next(); } s.push(lines.paused === true); await all.next(); s.push(lines.paused === true); return s; },
  'dns.lookup': async () => [await util.promisify(dns.lookup)('127.0.0.1'), await util.promisify(dns.lookup)('::1', { all: true })],
  'promisify': async () => [await util.promisify((a, done) => done(null, a + 1))(1), await util.promisify(setTimeout)(1, 'v')],
  'callbackify, later': () => new Promise((resolve) => util.callbackify(async () => { throw null; })((e) => resolve([e.code, e.message, e.reason]))),
  'util.aborted': async () => { const c = new AbortController(); setImmediate(() => c.abort()); await util.aborted(c.signal, {}); return c.signal.aborted; },
  'text of a Blob': async () => [await new Blob(['é', 'x']).text(), (await new Blob(['abc']).arrayBuffer()).byteLength],
  'promises': async () => [await Promise.any([Promise.reject(1), 2]), await Promise.allSettled([1, Promise.reject(2)]), await Promise.race([new Promise(nothing), 3])],
  'unhandled in a loop': async () => { const s = []; for await (const x of [Promise.resolve(1), 2]) s.push(x); return s; },
};

const put = (name, text) => console.log(`${name}: ${text}`);
const failed = (error) => `${error?.name} ${error?.code} ${error?.message}`;

const server = net.createServer((socket) => {
  socket.on('data', async () => {
    for (const [name, run] of Object.entries(cases)) {
      // An event of its own, as each has a budget of CPU time.
      await new Promise(setImmediate);
      let text;
      try {
        text = util.inspect(run(), { breakLength: Infinity });
      } catch (error) {
        text = failed(error);
      }
      put(name, text);
    }
    for (const [name, run] of Object.entries(later)) {
      await new Promise(setImmediate);
      try {
        put(name, util.inspect(await run(), { breakLength: Infinity }));
      } catch (error) {
        put(name, failed(error));
      }
    }
    console.log('over');
    socket.end('done');
  });
});
server.listen(process.env.PORT ?? 3100, '127.0.0.1', () => console.log('on', server.address().port));
