// What `console.log` makes of all sorts of values.
const net = require('net');
const util = require('util');

class Point { constructor(x, y) { this.x = x; this.y = y; } }
class Named extends Map { get [Symbol.toStringTag]() { return 'Tagged'; } }
class Custom { [util.inspect.custom](depth, options) { return `<custom ${depth} ${typeof options.stylize}>`; } }

const circular = { name: 'loop' };
circular.self = circular;

const values = [
  0, -0, 1.5, NaN, 10n, '', 'text', "it's", 'a\nb', true, null, undefined, Symbol('s'),
  [], [1, 'two', [3, [4, [5, [6]]]]], [, 1, , 2], Array.from({ length: 120 }, (_, i) => i),
  {}, { a: 1, 'b-c': { d: { e: { f: 1 } } } }, Object.create(null), circular,
  new Point(1, 2), [new Point(3, 4)], new Named([['k', { v: 1 }]]), new Custom(), [new Custom()],
  new Map([['a', 1], [{ b: 2 }, [3]]]), new Set(['x', { y: 1 }]), new WeakMap(), new Date(0), /re+/gi,
  function named() {}, () => {}, class A {}, class B extends Point {}, Math.max,
  new Uint8Array([1, 2, 3]), new Float64Array(2), new ArrayBuffer(3), Buffer.from('buffer'), Buffer.alloc(60, 1),
  [Buffer.from('in an array')], { b: Buffer.from('in an object') }, Buffer.alloc(0), Buffer.alloc(51),
  Promise.resolve({ a: 1 }), Promise.reject(new RangeError('r')).catch(() => 3) && 'p', new Promise(() => {}),
  { get a() { return 1; }, set a(v) {}, f() {}, [Symbol('k')]: 1 }, new String('s'), [new Number(1)],
  'x'.repeat(150), ['x'.repeat(90), 'y'], { long: 'z'.repeat(80), other: [1, 2, 3] }, globalThis === global,
  [undefined, null], { u: undefined, n: null }, [['a', 1], ['b', 2]], Object.assign(() => {}, { p: 1 }),
];

net.createServer((socket) => {
  for (const value of values) console.log(value);
  console.log('%s %d %i %f %j %o %O %c%% %x', 'a', 42.5, 42.9, '1.5', { a: [1] }, [1, { b: 2 }], { c: { d: {} } }, 'css', 'rest', { e: 1 });
  console.log('%s %s %s', null, { a: 1 }, [1, [2, [3]]], 'more', 5);
  console.log(1, 'a', [1], { a: 1 }, null);
  console.log();
  console.info('info');
  console.debug('debug %s', 'x');
  console.group('group');
  console.log('in\nit');
  console.groupEnd();
  console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
  console.count();
  console.count('named');
  console.count();
  process.stdout.write('written ');
  process.stdout.write('in pieces\n');
  console.log(util.inspect({ a: [1, [2, [3, [4]]]] }, { depth: Infinity, compact: false, breakLength: 40 }));
  console.log(util.format('%s', new Point(5, 6)), util.inspect('q', { colors: true }), util.types.isDate(new Date()));
  const error = new TypeError('wrong');
  console.log(error.message, String(error), error instanceof Error, Object.keys(error), error.stack.split('\n')[0]);
  try {
    Buffer.from('x').toString('nope');
  } catch (problem) {
    console.log(problem.name, problem.code, problem.message);
  }
  console.log(new TextDecoder().decode(new TextEncoder().encode('Grüße')), new TextEncoder().encode('€'));
  console.log(Buffer.from('€uro', 'utf8'), Buffer.from('//79', 'base64'), Buffer.from('fffe', 'hex'), Buffer.byteLength('€'));
  socket.end('done\n');
}).listen(process.env.PORT ?? 3400, '127.0.0.1', function () { console.log('at', this.address().port); });
