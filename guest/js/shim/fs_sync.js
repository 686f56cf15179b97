// The synchronous functions of `fs`, on WASI's files: what `serve --dir` grants. They
// are all there is: fs.js makes the others of them.
'use strict';

const { directories } = require('./files.js');
const { encode, encodingName } = require('./text.js');
const { coded } = require('./errors.js');
const { checkInteger, wrongType } = require('./checks.js');

const constants = {
  F_OK: 0, X_OK: 1, W_OK: 2, R_OK: 4, COPYFILE_EXCL: 1, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128,
  O_TRUNC: 512, O_APPEND: 1024, S_IFMT: 61440, S_IFREG: 32768, S_IFDIR: 16384, S_IFLNK: 40960,
};

// WASI's words for errors, and what Node prints for each.
const ERRORS = {
  'no-entry': ['ENOENT', -2, 'no such file or directory'],
  'access': ['EACCES', -13, 'permission denied'],
  'not-permitted': ['EPERM', -1, 'operation not permitted'],
  'exist': ['EEXIST', -17, 'file already exists'],
  'is-directory': ['EISDIR', -21, 'illegal operation on a directory'],
  'not-directory': ['ENOTDIR', -20, 'not a directory'],
  'not-empty': ['ENOTEMPTY', -39, 'directory not empty'],
  'bad-descriptor': ['EBADF', -9, 'bad file descriptor'],
  'invalid': ['EINVAL', -22, 'invalid argument'],
  'loop': ['ELOOP', -40, 'too many symbolic links encountered'],
  'name-too-long': ['ENAMETOOLONG', -36, 'name too long'],
  'insufficient-space': ['ENOSPC', -28, 'no space left on device'],
  'read-only': ['EROFS', -30, 'read-only file system'],
  'cross-device': ['EXDEV', -18, 'cross-device link not permitted'],
};

function failure([code, errno, words], syscall, path, dest) {
  const where = path === undefined ? '' : ` '${path}'${dest === undefined ? '' : ` -> '${dest}'`}`;
  const error = new Error(`${code}: ${words}, ${syscall}${where}`);
  Object.assign(error, { errno, code, syscall });
  if (path !== undefined) error.path = path;
  if (dest !== undefined) error.dest = dest;
  return error;
}

// Do it, with WASI's errors as Node's.
function run(task, syscall, path, dest) {
  try {
    return task();
  } catch (error) {
    const tag = error?.payload?.tag ?? error?.payload;
    if (typeof tag !== 'string') throw error;
    throw failure(ERRORS[tag] ?? [`E${tag.toUpperCase().replaceAll('-', '')}`, -5, tag.replaceAll('-', ' ')], syscall, path, dest);
  }
}

// Those that are granted, with the paths under which the guest knows them.
let granted;
const grants = () => granted ??= directories().map(([descriptor, path]) => [descriptor, normal(path)]);

const normal = (path) => require('./path.js').resolve('/', path);

function pathOf(path, name = 'path') {
  if (path instanceof Uint8Array) path = Buffer.from(path).toString();
  if (typeof path === 'object' && path?.protocol === 'file:') path = decodeURIComponent(path.pathname);
  if (typeof path !== 'string') throw wrongType(name, 'of type string or an instance of Buffer or URL', path);
  if (path.includes('\0')) {
    throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument '${name}' must be a string, Uint8Array, or URL without null bytes. Received ${require('node-inspect-extracted').inspect(path)}`);
  }
  return path;
}

// The granted directory that a path is in, and the way from there.
function locate(path, syscall) {
  const full = normal(path);
  let best;
  for (const [descriptor, root] of grants()) {
    const within = root === '/' || full === root || full.startsWith(`${root}/`);
    if (within && (best === undefined || root.length > best.root.length)) best = { descriptor, root };
  }
  if (best === undefined) {
    throw failure(['ENOENT', -2, 'no such file or directory (a guest sees what hotsocket serve --dir grants)'], syscall, path);
  }
  const rest = full.slice(best.root === '/' ? 1 : best.root.length + 1);
  return { descriptor: best.descriptor, rest: rest === '' ? '.' : rest };
}

const FOLLOW = { symlinkFollow: true };

// ---- what a file is

const KINDS = { 'regular-file': 0o100644, 'directory': 0o040755, 'symbolic-link': 0o120777, 'fifo': 0o010644, 'socket': 0o140644, 'character-device': 0o020644, 'block-device': 0o060644 };
const time = (stamp) => (stamp === undefined || stamp === null ? 0 : Number(stamp.seconds) * 1000 + Number(stamp.nanoseconds) / 1e6);

class Kind {
  #kind;
  constructor(kind) { this.#kind = kind; }
  isFile() { return this.#kind === 'regular-file'; }
  isDirectory() { return this.#kind === 'directory'; }
  isSymbolicLink() { return this.#kind === 'symbolic-link'; }
  isFIFO() { return this.#kind === 'fifo'; }
  isSocket() { return this.#kind === 'socket'; }
  isCharacterDevice() { return this.#kind === 'character-device'; }
  isBlockDevice() { return this.#kind === 'block-device'; }
}

class Stats extends Kind {
  constructor(stat) {
    super(stat.type);
    const [atimeMs, mtimeMs, ctimeMs] = [stat.dataAccessTimestamp, stat.dataModificationTimestamp, stat.statusChangeTimestamp].map(time);
    Object.assign(this, {
      dev: 0, mode: KINDS[stat.type] ?? 0, nlink: Number(stat.linkCount), uid: 0, gid: 0, rdev: 0, blksize: 4096, ino: 0,
      size: Number(stat.size), blocks: Math.ceil(Number(stat.size) / 512), atimeMs, mtimeMs, ctimeMs, birthtimeMs: ctimeMs,
      atime: new Date(atimeMs), mtime: new Date(mtimeMs), ctime: new Date(ctimeMs), birthtime: new Date(ctimeMs),
    });
  }
}

class Dirent extends Kind {
  constructor(name, parentPath, kind) {
    super(kind);
    Object.assign(this, { name, parentPath, path: parentPath });
  }
}

const statAt = (path, follow, syscall) => {
  const { descriptor, rest } = locate(path, syscall);
  return run(() => descriptor.statAt(follow ? FOLLOW : {}, rest), syscall, path);
};

function stat(path, options, follow, syscall) {
  path = pathOf(path);
  try {
    return new Stats(statAt(path, follow, syscall));
  } catch (error) {
    if (options?.throwIfNoEntry === false && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

// ---- open files

// By number: descriptor, place, whether it appends.
const open = new Map();
let lastNumber = 2;
const FLAGS = { 'r': 0, 'rs': 0, 'r+': 2, 'rs+': 2, 'w': 577, 'wx': 705, 'xw': 705, 'w+': 578, 'wx+': 706, 'xw+': 706, 'a': 1089, 'ax': 1217, 'xa': 1217, 'a+': 1090, 'ax+': 1218, 'xa+': 1218, 'as': 1089, 'as+': 1090 };

function flagsOf(flags) {
  if (typeof flags === 'number') return flags;
  if (flags === undefined || flags === null) return 0;
  if (!(flags in FLAGS)) throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'flags' is invalid. Received '${flags}'`);
  return FLAGS[flags];
}

function openSync(path, flags = 'r') {
  path = pathOf(path);
  const bits = flagsOf(flags);
  const how = bits & 3;
  const { descriptor, rest } = locate(path, 'open');
  const writes = how !== constants.O_RDONLY;
  const opened = run(() => descriptor.openAt(FOLLOW, rest, {
    create: (bits & constants.O_CREAT) !== 0,
    exclusive: (bits & constants.O_EXCL) !== 0,
    truncate: (bits & constants.O_TRUNC) !== 0,
  }, { read: how !== constants.O_WRONLY, write: writes }), 'open', path);
  open.set(++lastNumber, { descriptor: opened, at: 0, appends: (bits & constants.O_APPEND) !== 0 });
  return lastNumber;
}

function fileOf(number, syscall) {
  checkInteger(number, 'fd', 0, 2 ** 31 - 1);
  const file = open.get(number);
  if (file === undefined) throw failure(ERRORS['bad-descriptor'], syscall);
  return file;
}

function closeSync(number) {
  fileOf(number, 'close');
  open.delete(number);
}

function readSync(number, buffer, offset, length, position) {
  if (offset !== null && typeof offset === 'object') ({ offset, length, position } = offset);
  const file = fileOf(number, 'read');
  offset ??= 0;
  length ??= buffer.byteLength - offset;
  if (length === 0) return 0;
  const at = typeof position === 'number' || typeof position === 'bigint' ? Number(position) : file.at;
  const [bytes] = run(() => file.descriptor.read(length, at), 'read');
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).set(bytes, offset);
  if (at === file.at && (position === undefined || position === null || position === -1)) file.at += bytes.length;
  return bytes.length;
}

function writeSync(number, data, offset, length, position) {
  let bytes;
  if (typeof data === 'string') {
    bytes = Buffer.from(data, typeof length === 'string' ? length : undefined);
    position = offset;
  } else {
    if (!ArrayBuffer.isView(data)) throw wrongType('buffer', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
    if (offset !== null && typeof offset === 'object') ({ offset, length, position } = offset);
    const whole = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    bytes = whole.subarray(offset ?? 0, length === undefined || length === null ? undefined : (offset ?? 0) + length);
  }
  if (number === 1 || number === 2) {
    (number === 1 ? process.stdout : process.stderr).write(Buffer.from(bytes));
    return bytes.length;
  }
  const file = fileOf(number, 'write');
  const own = typeof position !== 'number';
  let at = own ? file.at : position;
  if (file.appends) at = Number(run(() => file.descriptor.stat(), 'fstat').size);
  let done = 0;
  while (done < bytes.length) {
    done += Number(run(() => file.descriptor.write(bytes.subarray(done), at + done), 'write'));
  }
  if (own) file.at = at + done;
  return done;
}

// ---- whole files

const optionsOf = (options, missing) => ({ ...missing, ...(typeof options === 'string' ? { encoding: options } : options) });

function encodingOf(encoding) {
  if (encoding === undefined || encoding === null || encoding === 'buffer') return undefined;
  if (encodingName(encoding) === undefined) {
    throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'encoding' is invalid encoding. Received '${encoding}'`);
  }
  return encoding;
}

function within(path, flags, task) {
  const given = Number.isInteger(path) && path >= 0;
  const number = given ? path : openSync(path, flags);
  try {
    return task(number);
  } finally {
    if (!given) closeSync(number);
  }
}

const PIECE = 1 << 20;

function readFileSync(path, options) {
  const { encoding, flag } = optionsOf(options, { flag: 'r' });
  encodingOf(encoding);
  return within(path, flag, (number) => {
    const { descriptor } = fileOf(number, 'read');
    if (run(() => descriptor.getType(), 'fstat') === 'directory') throw failure(ERRORS['is-directory'], 'read');
    const pieces = [];
    for (let at = fileOf(number, 'read').at; ;) {
      const [bytes, over] = run(() => descriptor.read(PIECE, at), 'read');
      pieces.push(bytes);
      at += bytes.length;
      if (over || bytes.length === 0) break;
    }
    const bytes = pieces.length === 1 ? Buffer.from(pieces[0].buffer, pieces[0].byteOffset, pieces[0].length) : Buffer.concat(pieces);
    return encodingOf(encoding) === undefined ? bytes : bytes.toString(encoding);
  });
}

function writeFileSync(path, data, options) {
  const { encoding, flag } = optionsOf(options, { flag: 'w' });
  encodingOf(encoding);
  if (typeof data !== 'string' && !ArrayBuffer.isView(data)) {
    throw wrongType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
  }
  const bytes = typeof data !== 'string' ? data : encoding === undefined ? encode(data) : Buffer.from(data, encoding);
  within(path, flag, (number) => { writeSync(number, bytes); });
}

const appendFileSync = (path, data, options) => writeFileSync(path, data, { ...optionsOf(options, {}), flag: 'a' });

// ---- directories

function readdirSync(path, options) {
  const { withFileTypes = false, recursive = false } = optionsOf(options, {});
  path = pathOf(path);
  const found = [];
  const read = (dir, prefix) => {
    const { descriptor, rest } = locate(dir, 'scandir');
    const entries = run(() => {
      const stream = descriptor.openAt(FOLLOW, rest, { directory: true }, { read: true }).readDirectory();
      const all = [];
      for (let entry; (entry = stream.readDirectoryEntry()) !== undefined && entry !== null;) all.push(entry);
      return all;
    }, 'scandir', dir);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, type } of entries) {
      found.push(withFileTypes ? new Dirent(name, dir, type) : prefix + name);
      if (recursive && type === 'directory') read(`${dir}/${name}`, `${prefix}${name}/`);
    }
  };
  read(path, '');
  return found;
}

function mkdirSync(path, options) {
  path = pathOf(path);
  const { recursive = false } = typeof options === 'object' && options !== null ? options : {};
  const make = (dir) => {
    const { descriptor, rest } = locate(dir, 'mkdir');
    run(() => descriptor.createDirectoryAt(rest), 'mkdir', dir);
  };
  if (!recursive) return make(path);
  let first;
  const steps = normal(path).split('/').slice(1).reduce((all, part) => [...all, `${all.at(-1) ?? ''}/${part}`], []);
  for (const dir of steps) {
    // Above what is granted there is nothing to make.
    if (grants().some(([, root]) => root === dir || root.startsWith(`${dir}/`))) continue;
    try {
      make(dir);
      first ??= dir;
    } catch (error) {
      if (error.code !== 'EEXIST' || !statSync(dir).isDirectory()) throw error;
    }
  }
  return first;
}

const statSync = (path, options) => stat(path, options, true, 'stat');
const lstatSync = (path, options) => stat(path, options, false, 'lstat');

function at(path, syscall, method) {
  path = pathOf(path);
  const { descriptor, rest } = locate(path, syscall);
  run(() => descriptor[method](rest), syscall, path);
}
const unlinkSync = (path) => at(path, 'unlink', 'unlinkFileAt');
const rmdirSync = (path) => at(path, 'rmdir', 'removeDirectoryAt');

function rmSync(path, { recursive = false, force = false } = {}) {
  path = pathOf(path);
  let found;
  try {
    found = new Stats(statAt(path, false, 'rm'));
  } catch (error) {
    if (force && error.code === 'ENOENT') return;
    throw error;
  }
  if (!found.isDirectory()) return unlinkSync(path);
  if (!recursive) {
    throw Object.assign(coded(Error, 'ERR_FS_EISDIR', `Path is a directory: rm returned EISDIR (is a directory) ${path}`), { errno: 21, syscall: 'rm', path, name: 'SystemError' });
  }
  for (const name of readdirSync(path)) rmSync(`${path}/${name}`, { recursive, force });
  rmdirSync(path);
}

function renameSync(from, to) {
  [from, to] = [pathOf(from, 'oldPath'), pathOf(to, 'newPath')];
  const [old, fresh] = [locate(from, 'rename'), locate(to, 'rename')];
  run(() => old.descriptor.renameAt(old.rest, fresh.descriptor, fresh.rest), 'rename', from, to);
}

const existsSync = (path) => {
  try {
    statAt(pathOf(path), true, 'access');
    return true;
  } catch {
    return false;
  }
};

module.exports = {
  constants, Stats, Dirent, openSync, closeSync, readSync, writeSync, readFileSync, writeFileSync, appendFileSync,
  readdirSync, mkdirSync, statSync, lstatSync, unlinkSync, rmdirSync, rmSync, renameSync, existsSync,
  fstatSync: (number) => new Stats(run(() => fileOf(number, 'fstat').descriptor.stat(), 'fstat')),
  fsyncSync: (number) => run(() => fileOf(number, 'fsync').descriptor.sync(), 'fsync'),
  fdatasyncSync: (number) => run(() => fileOf(number, 'fdatasync').descriptor.sync(), 'fdatasync'),
  ftruncateSync: (number, length = 0) => run(() => fileOf(number, 'ftruncate').descriptor.setSize(length), 'ftruncate'),
  truncateSync: (path, length = 0) => within(path, 'r+', (number) => run(() => fileOf(number, 'ftruncate').descriptor.setSize(length), 'ftruncate')),
  accessSync(path) { statAt(pathOf(path), true, 'access'); },
  copyFileSync(from, to, mode = 0) {
    writeFileSync(to, readFileSync(from), { flag: (mode & constants.COPYFILE_EXCL) !== 0 ? 'wx' : 'w' });
  },
  realpathSync(path) {
    statAt(pathOf(path), true, 'realpath');
    return normal(path);
  },
  readlinkSync(path) {
    const { descriptor, rest } = locate(pathOf(path), 'readlink');
    return run(() => descriptor.readlinkAt(rest), 'readlink', path);
  },
};
