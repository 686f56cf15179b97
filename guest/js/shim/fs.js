// `fs` on what `serve --dir` grants. The host's calls wait for the disk, so the functions
// with callbacks and those that give promises are the synchronous ones, and tell later.
'use strict';

const sync = require('./fs_sync.js');
const { Readable, Writable } = require('./stream.js');
const { absent } = require('./errors.js');
const { checkFunction } = require('./checks.js');

const fs = { ...sync };
const promises = { constants: sync.constants };

for (const [name, call] of Object.entries(sync)) {
  if (!name.endsWith('Sync')) continue;
  const plain = name.slice(0, -4);
  fs[plain] = function (...args) {
    const callback = args.pop();
    checkFunction(callback, 'cb');
    let result;
    try {
      result = call(...args);
    } catch (error) {
      if (error.syscall === undefined) throw error;
      setImmediate(callback, error);
      return;
    }
    // Nobody asks whether a file exists and gets an error.
    if (plain === 'exists') setImmediate(callback, result);
    else if (plain === 'read' || plain === 'write') setImmediate(callback, null, result, args[1]);
    else setImmediate(callback, null, result);
  };
  Object.defineProperty(fs[plain], 'name', { value: plain });
  if (!/^(f[a-z]+|open|close|read|write|exists)$/.test(plain)) {
    promises[plain] = (path, ...args) => new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(call(path instanceof FileHandle ? path.fd : path, ...args));
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}
fs.exists[Symbol.for('nodejs.util.promisify.custom')] = (path) => Promise.resolve(sync.existsSync(path));

class FileHandle {
  constructor(fd) { this.fd = fd; }
  async read(buffer, offset, length, position) { return { bytesRead: sync.readSync(this.fd, buffer, offset, length, position), buffer }; }
  async write(data, ...where) { return { bytesWritten: sync.writeSync(this.fd, data, ...where), buffer: data }; }
  async readFile(options) { return sync.readFileSync(this.fd, options); }
  async writeFile(data, options) { sync.writeFileSync(this.fd, data, options); }
  async appendFile(data, options) { sync.writeFileSync(this.fd, data, options); }
  async stat() { return sync.fstatSync(this.fd); }
  async truncate(length) { sync.ftruncateSync(this.fd, length); }
  async sync() { sync.fsyncSync(this.fd); }
  async datasync() { sync.fdatasyncSync(this.fd); }
  async close() {
    if (this.fd < 0) return;
    sync.closeSync(this.fd);
    this.fd = -1;
  }
  [Symbol.asyncDispose ?? Symbol.for('SymbolAsyncDispose')]() { return this.close(); }
}
promises.open = async (path, flags) => new FileHandle(sync.openSync(path, flags));

const optionsOf = (options) => (typeof options === 'string' ? { encoding: options } : options ?? {});

class ReadStream extends Readable {
  constructor(path, options) {
    const { encoding, highWaterMark = 64 * 1024, flags = 'r', fd, start = 0, end = Infinity, autoClose = true } = optionsOf(options);
    super({ encoding, highWaterMark, autoDestroy: autoClose });
    Object.assign(this, { path, flags, fd: fd ?? null, start, end, bytesRead: 0, pos: start });
  }
  _construct(done) {
    try {
      this.fd ??= sync.openSync(this.path, this.flags);
      done();
      this.emit('open', this.fd);
      this.emit('ready');
    } catch (error) {
      done(error);
    }
  }
  _read(size) {
    const wanted = Math.min(size, this.end - this.pos + 1);
    if (wanted <= 0) return void this.push(null);
    try {
      const bytes = Buffer.alloc(wanted);
      const count = sync.readSync(this.fd, bytes, 0, wanted, this.pos);
      this.pos += count;
      this.bytesRead += count;
      this.push(count === 0 ? null : bytes.subarray(0, count));
    } catch (error) {
      this.destroy(error);
    }
  }
  _destroy(error, done) { closed(this, error, done); }
  close(done) {
    if (done) this.once('close', done);
    this.destroy();
  }
}

class WriteStream extends Writable {
  constructor(path, options) {
    const { encoding, highWaterMark = 16 * 1024, flags = 'w', fd, start } = optionsOf(options);
    super({ defaultEncoding: encoding, highWaterMark });
    Object.assign(this, { path, flags, fd: fd ?? null, pos: start, bytesWritten: 0 });
  }
  _construct(done) {
    try {
      this.fd ??= sync.openSync(this.path, this.flags);
      done();
      this.emit('open', this.fd);
      this.emit('ready');
    } catch (error) {
      done(error);
    }
  }
  _write(bytes, encoding, done) {
    try {
      sync.writeSync(this.fd, bytes, 0, bytes.length, this.pos);
      this.bytesWritten += bytes.length;
      if (this.pos !== undefined) this.pos += bytes.length;
      done();
    } catch (error) {
      done(error);
    }
  }
  _destroy(error, done) { closed(this, error, done); }
  close(done) {
    if (done) this.once('close', done);
    this.end();
  }
}

function closed(stream, error, done) {
  try {
    if (stream.fd !== null) sync.closeSync(stream.fd);
    stream.fd = null;
    done(error);
  } catch (failure) {
    done(error ?? failure);
  }
}

const NOT = ['watch', 'watchFile', 'unwatchFile', 'chmod', 'chown', 'fchmod', 'fchown', 'lchown', 'link', 'symlink',
  'utimes', 'futimes', 'lutimes', 'mkdtemp', 'opendir', 'readv', 'writev', 'statfs', 'cp'];
module.exports = absent(Object.assign(fs, {
  F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1,
  ReadStream,
  WriteStream,
  createReadStream: (path, options) => new ReadStream(path, options),
  createWriteStream: (path, options) => new WriteStream(path, options),
  promises: absent(promises, 'fs.promises', NOT),
}), 'fs', [...NOT, ...NOT.map((name) => `${name}Sync`)]);
