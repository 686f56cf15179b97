// `fs`: what is there, what is not, and what is written.
const net = require('net'); const fs = require('fs'); const util = require('util'); const path = require('path');
const dir = process.env.DIR ?? '/data';
const at = (name) => path.join(dir, name);
const steps = [
  () => fs.readFileSync(at('none'), 'utf8'),
  () => fs.existsSync(at('none')),
  () => fs.writeFileSync(at('a'), 'héllo'),
  () => fs.readFileSync(at('a')),
  () => fs.readFileSync(at('a'), 'utf8'),
  () => fs.readFileSync(at('a'), { encoding: 'base64' }),
  () => fs.appendFileSync(at('a'), Buffer.from('!')),
  () => fs.statSync(at('a')).size,
  () => [fs.statSync(at('a')).isFile(), fs.statSync(dir).isDirectory(), fs.statSync(at('a')).mtime instanceof Date],
  () => fs.statSync(at('none'), { throwIfNoEntry: false }),
  () => fs.statSync(at('none')),
  () => fs.mkdirSync(at('d')),
  () => fs.mkdirSync(at('d')),
  () => path.relative(dir, fs.mkdirSync(at('x/y/z'), { recursive: true })),
  () => fs.writeFileSync(at('d/b'), new Uint8Array([1, 2, 3])),
  () => fs.readdirSync(dir).sort(),
  () => fs.readdirSync(dir, { withFileTypes: true }).map((e) => [e.name, e.isDirectory()]).sort(),
  () => fs.readdirSync(at('none')),
  () => fs.readdirSync(at('a')),
  () => fs.readFileSync(at('d')),
  () => fs.writeFileSync(at('none/x'), 'a'),
  () => fs.writeFileSync(at('a'), 'x', { flag: 'wx' }),
  () => fs.writeFileSync(at('a'), 5),
  () => fs.readFileSync(5.5),
  () => fs.readFileSync(null),
  () => fs.renameSync(at('a'), at('c')),
  () => fs.renameSync(at('a'), at('c')),
  () => { const f = fs.openSync(at('c'), 'r+'); const b = Buffer.alloc(4); const n = fs.readSync(f, b, 0, 4, 1); const w = fs.writeSync(f, 'ZZ', 0); const s = fs.fstatSync(f).size; fs.closeSync(f); return [n, b, w, s, fs.readFileSync(at('c'), 'latin1')]; },
  () => { const f = fs.openSync(at('c')); const b = Buffer.alloc(3); const s = []; let n; while ((n = fs.readSync(f, b)) > 0) s.push(b.subarray(0, n).toString('hex')); fs.closeSync(f); return s; },
  () => fs.closeSync(999),
  () => fs.rmdirSync(at('d')),
  () => fs.rmSync(at('d')),
  () => fs.copyFileSync(at('c'), at('e')),
  () => fs.truncateSync(at('e'), 2),
  () => fs.readFileSync(at('e'), 'utf8'),
  () => fs.accessSync(at('none')),
  () => fs.openSync(at('c'), 'nope'),
  () => util.promisify(fs.readFile)(at('e'), 'utf8'),
  () => util.promisify(fs.readFile)(at('none')),
  () => fs.promises.writeFile(at('p'), 'promised'),
  () => fs.promises.readFile(at('p'), 'utf8'),
  () => fs.promises.stat(at('none')),
  () => fs.promises.readdir(at('x')),
  async () => { const h = await fs.promises.open(at('p')); const { bytesRead, buffer } = await h.read(Buffer.alloc(3), 0, 3, 2); await h.close(); return [bytesRead, String(buffer)]; },
  () => new Promise((resolve, reject) => { let s = ''; fs.createReadStream(at('p'), { encoding: 'utf8', start: 1, end: 4 }).on('data', (d) => { s += d; }).on('close', () => resolve(s)).on('error', reject); }),
  () => new Promise((resolve, reject) => { fs.createReadStream(at('none')).on('error', reject); }),
  () => new Promise((resolve, reject) => { const w = fs.createWriteStream(at('w')); w.on('error', reject).on('finish', () => resolve(w.bytesWritten)); w.write('one '); w.end('two'); }),
  () => fs.readFileSync(at('w'), 'utf8'),
  () => fs.rmSync(at('x'), { recursive: true }),
  () => fs.rmSync(at('none'), { force: true }),
  () => ['c', 'e', 'p', 'w', 'd/b'].forEach((name) => fs.unlinkSync(at(name))),
  () => fs.unlinkSync(at('none')),
  () => fs.rmdirSync(at('d')),
  () => fs.readdirSync(dir),
];
const server = net.createServer((socket) => {
  socket.on('data', async () => {
    for (const [number, step] of steps.entries()) {
      await new Promise(setImmediate);
      let text;
      try {
        text = util.inspect(await step());
      } catch (error) {
        text = [error.name, error.code, error.errno, error.syscall, error.message].join(' ').replaceAll(dir, 'DIR');
      }
      console.log(`${number}: ${text}`);
    }
    console.log('over');
    socket.end('done');
  });
});
server.listen(process.env.PORT ?? 3102, '127.0.0.1', () => console.log('on', server.address().port));
