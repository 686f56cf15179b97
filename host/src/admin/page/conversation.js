// Owns: a recording as a conversation that `hotsocket test` plays (docs/testing.md).

import { bytesAsHex, hex2, isPrintable, visible } from './escape.js';
import { baseName, hash } from './format.js';

/** Bytes of one line of a script; the parser takes more, people don't. */
const PER_LINE = 4096;

function quoted(bytes) {
  const plain = bytes.every((byte) => isPrintable(byte) || byte === 10 || byte === 13 || byte === 9);
  // Mostly binary: in hexadecimal it is shorter.
  if (!plain && bytes.filter(isPrintable).length * 2 < bytes.length) return `hex ${bytesAsHex(bytes)}`;
  const escapes = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };
  const chars = Array.from(bytes, (byte) => escapes[byte] ?? (isPrintable(byte) ? String.fromCharCode(byte) : `\\x${hex2(byte)}`));
  return `"${chars.join('')}"`;
}

function time(ms) {
  const whole = Math.max(1, Math.ceil(ms));
  return whole >= 1000 && whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`;
}

class Script {
  lines = [];
  needs = [];
  secured = false;
  #guests;
  #files = new Map();
  #last = null;
  #depth = 0;
  /** Set where the recording has a gap: what comes after it can't be expected. */
  over = false;

  constructor(guests) {
    this.#guests = guests;
  }

  /** The name of a generation's file; null where the generation is not known. */
  file(number, why = 'Needed for its `swap`') {
    const { guest, sha256 } = this.#guests.get(number) ?? {};
    if (!sha256) return null;
    if (!this.#files.has(sha256)) {
      const base = baseName(guest).replace(/[^\w.+-]/g, '_');
      // Files are overwritten: the next generation often has the same name.
      const file = [...this.#files.values()].includes(base) ? `${hash(sha256)}-${base}` : base;
      this.needs.push(`# ${why}: ${file}, generation ${number} (${hash(sha256)})`);
      this.#files.set(sha256, file);
    }
    return this.#files.get(sha256);
  }

  step(text) {
    this.lines.push(text);
  }

  expect({ bytes }) {
    for (let at = 0; at < bytes.length; at += PER_LINE) this.step(`expect ${quoted(bytes.subarray(at, at + PER_LINE))}`);
  }

  gap(why) {
    this.step(`# Here the recording has a gap (${why}), and so the script ends.`);
    this.over = true;
  }

  add({ record, parts }) {
    const lost = parts.find((part) => part.missing && part.direction !== 'line');
    const written = parts.find((part) => part.direction === 'out');
    const taken = parts.find((part) => part.direction === 'in' || part.direction === 'topic');
    // A topic has no spaces, but may begin like a comment, or have a quote in it.
    if (/^#|"/.test(record.topic ?? '')) return this.gap('a topic that is no word of a script');
    if (record.type === 'dropped') return this.gap('records were dropped');
    if (record.type === 'gap') return this.gap('nobody looked');
    if (lost) return this.gap('an event with more bytes than are recorded');
    if (record.type === 'mark') this.#mark(record);
    if (record.type === 'event') this.#event(record, taken);
    if (record.type === 'direct') this.#publish(record, written);
    if (written) this.expect(written);
    if (record.fault) this.step('fault');
    if (record.time) this.#last = record.time;
    return undefined;
  }

  #event(record, taken) {
    if (record.event === 'data' && taken) this.step(`send ${quoted(taken.bytes)}`);
    else if (record.event === 'end') this.step('end');
    else if (record.event === 'timer' && this.#last !== null) this.step(`wait ${time(record.time - this.#last)}`);
    else if (record.event === 'message') this.#publish(record, taken);
  }

  #publish({ topic }, message) {
    this.step(`publish ${topic} ${quoted(message?.bytes ?? new Uint8Array())}`);
  }

  #mark({ mark, from, to }) {
    if (mark === 'fin-sent') this.step('expect end');
    else if (mark === 'secured') {
      this.secured = true;
      this.step('start-tls');
    } else if (['swap', 'rollback', 'woke'].includes(mark) && from !== to) this.#swap(from, to);
  }

  #swap(from, to) {
    const what = `# generation ${from} to ${to}`;
    if (to < from && this.#depth > 0) {
      this.#depth -= 1;
      this.step(`rollback   ${what}`);
      return;
    }
    this.#depth += 1;
    const before = this.file(from);
    const file = this.file(to);
    if (file) this.step(`swap ${file === before ? '' : `"${file}" `}  ${what}`);
    else {
      this.needs.push(`# Generation ${to} is not known: write its file behind its \`swap\`.`);
      this.step(`swap   ${what}; without a file to the same code again`);
    }
  }
}

/** The script of a recording; `about` says of what, `guests` what generations are, by number. */
export function conversation(recording, about, guests = new Map()) {
  const script = new Script(guests);
  const begin = recording.blocks.find(({ record }) => record.generation ?? record.from)?.record;
  if (begin) script.file(begin.from ?? begin.generation, 'The guest to test');
  const opened = recording.blocks.some(({ record }) => record.event === 'open' && record.origin !== 'migrated');
  if (!opened) script.lines.push('# Recorded from the middle: what was said before is not here, and the guest may', '# need it (its state, or a greeting).');
  if (recording.forgotten) script.lines.push(`# The first ${recording.forgotten} records were not kept.`);
  for (const block of recording.blocks) {
    if (!script.over) script.add(block);
  }
  const head = [`# ${visible(about)}`, ...script.needs, ...(script.secured ? ['peer start-tls'] : [])];
  return `${[...head, ...script.lines].join('\n')}\n`;
}
