// Owns: a recording as a conversation that `hotsocket test` plays (docs/testing.md).

import { visible } from './escape.js';

const hex2 = (byte) => byte.toString(16).padStart(2, '0');
/** Bytes of one line of a script; the parser takes more, people don't. */
const PER_LINE = 4096;

/** Bytes in the notation of scripts. */
export function quoted(bytes) {
  const plain = bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 10 || byte === 13 || byte === 9);
  // Mostly binary: in hexadecimal it is shorter.
  const printable = bytes.reduce((sum, byte) => sum + (byte >= 0x20 && byte < 0x7f ? 1 : 0), 0);
  if (!plain && printable * 2 < bytes.length) return `hex ${Array.from(bytes, hex2).join(' ')}`;
  const escapes = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };
  const chars = Array.from(bytes, (byte) => escapes[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hex2(byte)}`));
  return `"${chars.join('')}"`;
}

function time(ms) {
  const whole = Math.max(1, Math.ceil(ms));
  return whole >= 1000 && whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`;
}

class Script {
  lines = [];
  #last = null;
  #depth = 0;
  #expected = [];
  /** Set where the recording has a gap: what comes after it can't be expected. */
  over = false;

  step(text) {
    this.#flush();
    this.lines.push(text);
  }

  expect(part) {
    if (!part) return;
    this.#expected.push(...slices(part.bytes, PER_LINE));
  }

  /** All bytes between two other steps in lines of their own. */
  #flush() {
    for (const bytes of this.#expected) this.lines.push(`expect ${quoted(bytes)}`);
    this.#expected = [];
  }

  end() {
    this.#flush();
  }

  gap(why) {
    this.step(`# Here the recording has a gap (${why}), and so the script ends.`);
    this.over = true;
  }

  add({ record, parts }) {
    const lost = parts.find((part) => part.missing && part.direction !== 'line');
    const written = parts.find((part) => part.direction === 'out');
    const taken = parts.find((part) => part.direction === 'in' || part.direction === 'topic');
    if (record.type === 'dropped') return this.gap('records were dropped');
    if (record.type === 'gap') return this.gap('nobody looked');
    if (lost) return this.gap('an event with more bytes than are recorded');
    if (record.type === 'mark') this.#mark(record);
    if (record.type === 'event') this.#event(record, taken);
    this.expect(written);
    if (record.fault) this.step('fault');
    if (record.time) this.#last = record.time;
    return undefined;
  }

  #event(record, taken) {
    if (record.event === 'data' && taken) this.step(`send ${quoted(taken.bytes)}`);
    else if (record.event === 'end') this.step('end');
    else if (record.event === 'timer' && this.#last !== null) this.step(`wait ${time(record.time - this.#last)}`);
    else if (record.event === 'message') this.step(`publish ${record.topic} ${quoted(taken?.bytes ?? new Uint8Array())}`);
  }

  #mark({ mark, from, to, text }) {
    const what = from && to ? `generation ${from} to ${to}` : visible(text ?? '');
    if (mark === 'swap') {
      this.#depth += 1;
      this.step(`swap   # ${what}; to the same code again`);
    } else if (mark === 'rollback') {
      this.step(this.#depth > 0 ? `rollback   # ${what}` : `# rolled back: ${what}`);
      this.#depth = Math.max(0, this.#depth - 1);
    } else if (mark === 'fin-sent') this.step('expect end');
  }
}

function slices(bytes, most) {
  const list = [];
  for (let at = 0; at < bytes.length; at += most) list.push(bytes.subarray(at, at + most));
  return list;
}

/** The script of a recording; `about` says of what. */
export function conversation(recording, about) {
  const script = new Script();
  script.lines.push(`# ${visible(about)}`);
  const opened = recording.blocks.some(({ record }) => record.event === 'open' && record.origin !== 'migrated');
  if (!opened) script.lines.push('# Recorded from the middle: what was said before is not here, and the guest may', '# need it (its state, or a greeting).');
  if (recording.forgotten) script.lines.push(`# The first ${recording.forgotten} records were not kept.`);
  for (const block of recording.blocks) {
    if (!script.over) script.add(block);
  }
  script.end();
  return `${script.lines.join('\n')}\n`;
}
