// The engine that componentize-qjs carries in its binding, without what makes two builds
// of the same script differ: when the image is made, it asks WASI for the time of day,
// for that since some start, and for a seed, from which its tables of names get their
// order and its memory a layout. Here these three imports are ones of a constant.
//
// An instance loses nothing by it. What a script sees of the time and of chance does not
// come from the engine, but from the host (see shim/globals.js). The seed protects
// nothing: the keys of those tables are names of the contract's functions. A script's
// objects and maps have no seed in QuickJS.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const MAGIC = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const CUSTOM = 0;
const IMPORTS = 2;
// Custom sections that a compiler writes. Other bytes are not the module's any more.
const OWN_NAMES = /^(dylink\.0|name|producers|target_features|component-type.*)$/;

// What is asked, and what is asked in its place: functions of the same type. Of a result
// in memory, the constant one may write less; the rest is the engine's own stack.
const CONSTANTS = [
  ['wasi:random/insecure-seed', 'insecure-seed', 'wasi:cli/environment', 'initial-cwd'],
  ['wasi:clocks/wall-clock', 'now', 'wasi:clocks/wall-clock', 'resolution'],
  ['wasi:clocks/monotonic-clock', 'now', 'wasi:clocks/monotonic-clock', 'resolution'],
];

// Reads the numbers and names of a module.
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    if (this.at >= this.bytes.length) throw new RangeError('the module ends early');
    return this.bytes[this.at++];
  }

  // An unsigned number, as LEB128.
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
      if (shift > 28) throw new RangeError('a number is too long');
    }
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new RangeError('the module ends early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  name() { return this.take(this.number()).toString('latin1'); }
}

function leb(value) {
  const bytes = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push(value % 128 + (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return Buffer.from(bytes);
}

const named = (text) => Buffer.concat([leb(text.length), Buffer.from(text, 'latin1')]);

// The sections of the module that begins here, as far as they are the module's.
function sectionsAt(bytes, at) {
  const reader = new Reader(bytes, at + MAGIC.length);
  const sections = [];
  try {
    for (;;) {
      const id = reader.byte();
      if (id > 13) break;
      const content = reader.take(reader.number());
      if (id === CUSTOM && !OWN_NAMES.test(new Reader(content).name())) break;
      sections.push({ id, content });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return sections;
}

// The imports: module and name, and the bytes of the type.
function importsOf(content) {
  const reader = new Reader(content);
  return Array.from({ length: reader.number() }, () => {
    const module = reader.name();
    const name = reader.name();
    const begin = reader.at;
    const limits = () => {
      const flags = reader.byte();
      reader.number();
      if (flags & 1) reader.number();
    };
    switch (reader.byte()) {
      case 0: reader.number(); break;
      case 1: reader.byte(); limits(); break;
      case 2: limits(); break;
      case 3: reader.take(2); break;
      default: throw new RangeError('an import of an unknown kind');
    }
    return { module, name, type: content.subarray(begin, reader.at) };
  });
}

// The module with those constants; undefined if it is not the engine without the async
// ABI, or asks for other things than are known here.
function withConstants(sections) {
  const imports = sections.find(({ id }) => id === IMPORTS);
  if (imports === undefined) return undefined;
  const all = importsOf(imports.content);
  if (all.some(({ module, name }) => module === '$root' || /^\[(async|context|task|waitable|subtask)/.test(name))) return undefined;
  const called = (module, name) => all.find((one) => one.module.startsWith(`${module}@`) && one.name === name);
  // The versions of WASI's interfaces are the module's own.
  const full = (module) => all.find((one) => one.module.startsWith(`${module}@`))?.module;
  for (const [module, name, otherModule, other] of CONSTANTS) {
    const one = called(module, name);
    if (one === undefined || full(otherModule) === undefined || called(otherModule, other)) return undefined;
    [one.module, one.name] = [full(otherModule), other];
  }
  imports.content = Buffer.concat([leb(all.length), ...all.flatMap(({ module, name, type }) => [named(module), named(name), type])]);
  return Buffer.concat([MAGIC, ...sections.flatMap(({ id, content }) => [Buffer.from([id]), leb(content.length), content])]);
}

// The engine; undefined if the binding has none that is known here.
export function engine(modules) {
  const scope = join(modules, '@andreiltd');
  for (const dir of readdirSync(scope)) {
    for (const file of readdirSync(join(scope, dir)).filter((name) => name.endsWith('.node'))) {
      const binding = readFileSync(join(scope, dir, file));
      const found = [];
      for (let at = binding.indexOf(MAGIC); at >= 0; at = binding.indexOf(MAGIC, at + 1)) {
        const sections = sectionsAt(binding, at);
        if (sections[0]?.id === CUSTOM) found.push(withConstants(sections));
      }
      // There is one more, for size, which is slower.
      const engines = found.filter((one) => one !== undefined).sort((one, other) => other.length - one.length);
      if (engines.length > 0) return engines[0];
    }
  }
  return undefined;
}
