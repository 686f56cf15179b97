// Owns: where bytes are found in a recording, also across the borders of events.

const MOST_MATCHES = 10_000;
const MOST_NEEDLE = 256;

const lower = (byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);

/** The bytes that are looked for, or null where the text is not hexadecimal. */
export function needle(text, isHex) {
  // As the bytes are compared: only ASCII without regard to case.
  if (!isHex) return new TextEncoder().encode(text).map(lower).slice(0, MOST_NEEDLE);
  const digits = text.replace(/0x|[\s,:]/gi, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).slice(0, MOST_NEEDLE);
}

export class Search {
  #needle = new Uint8Array();
  #same = (byte) => byte;
  /** Each match is a list of spans `{block, part, from, to}`: more than one across events. */
  matches = [];
  current = -1;
  #spans = new Map();
  /** By direction: the last bytes, and where each of them is. */
  #tails = new Map();

  get active() {
    return this.#needle.length > 0;
  }

  get full() {
    return this.matches.length >= MOST_MATCHES;
  }

  begin(bytes, isHex, blocks) {
    this.#needle = bytes ?? new Uint8Array();
    this.#same = isHex ? (byte) => byte : lower;
    this.matches = [];
    this.current = -1;
    this.#spans.clear();
    this.#tails.clear();
    this.add(blocks);
  }

  add(blocks) {
    if (!this.active) return;
    for (const block of blocks) block.parts.forEach((part, i) => this.#look(block.id, part, i));
  }

  #look(block, { direction, bytes, missing }, part) {
    const length = this.#needle.length;
    const isStream = direction === 'in' || direction === 'out';
    const before = (isStream && this.#tails.get(direction)) || [];
    const byteAt = (i) => (i < before.length ? before[i].byte : bytes[i - before.length]);
    const total = before.length + bytes.length;
    for (let at = 0; at + length <= total && !this.full; at += 1) {
      let i = 0;
      while (i < length && this.#same(byteAt(at + i)) === this.#needle[i]) i += 1;
      if (i === length) this.#found(before, at, { block, part });
    }
    if (!isStream) return;
    const tail = [];
    for (let at = Math.max(0, total - length + 1); at < total && !missing; at += 1) {
      tail.push(at < before.length ? before[at] : { byte: bytes[at - before.length], block, part, at: at - before.length });
    }
    this.#tails.set(direction, tail);
  }

  #found(before, at, here) {
    const spans = [];
    for (let i = at; i < at + this.#needle.length; i += 1) {
      const place = i < before.length ? before[i] : { ...here, at: i - before.length };
      const last = spans.at(-1);
      if (last && last.block === place.block && last.part === place.part) last.to = place.at + 1;
      else spans.push({ block: place.block, part: place.part, from: place.at, to: place.at + 1 });
    }
    const index = this.matches.push(spans) - 1;
    for (const span of spans) {
      const key = `${span.block}.${span.part}`;
      const known = this.#spans.get(key);
      if (known) known.push({ ...span, index });
      else this.#spans.set(key, [{ ...span, index }]);
    }
  }

  spans(block, part) {
    return this.#spans.get(`${block}.${part}`) ?? [];
  }

  step(way, firstBlock) {
    const there = (i) => this.matches[i]?.[0].block >= firstBlock;
    const count = this.matches.length;
    for (let tried = 0, i = this.current; tried < count; tried += 1) {
      i = i < 0 && way < 0 ? count - 1 : (i + way + count) % count;
      if (!there(i)) continue;
      this.current = i;
      return this.matches[i][0];
    }
    return null;
  }
}
