// Owns: which bytes of a recording are selected, from one place to another.

/** A place is `{block, part, at}`: a byte of a part of a block. */
const compare = (a, b) => a.block - b.block || a.part - b.part || a.at - b.at;

const MOST_COPIED = 4 << 20;

export class Selection {
  #anchor = null;
  #focus = null;

  get empty() {
    return this.#anchor === null;
  }

  get focus() {
    return this.#focus;
  }

  clear() {
    this.#anchor = null;
    this.#focus = null;
  }

  start(place) {
    this.#anchor = place;
    this.#focus = place;
  }

  extend(place) {
    this.#anchor ??= place;
    this.#focus = place;
  }

  blocks(first, last) {
    const begin = first.parts.length ? { block: first.id, part: 0, at: 0 } : { block: first.id, part: -1, at: 0 };
    const end = last.parts.at(-1);
    this.#anchor = begin;
    this.#focus = { block: last.id, part: end ? last.parts.length - 1 : -1, at: end ? end.bytes.length - 1 : 0 };
  }

  #ends() {
    return [this.#anchor, this.#focus].sort(compare);
  }

  /** The selected bytes of a part, `[from, to)`. */
  range(block, part, length) {
    if (this.empty) return null;
    const [begin, end] = this.#ends();
    const first = { block, part, at: 0 };
    const last = { block, part, at: length - 1 };
    if (compare(last, begin) < 0 || compare(end, first) < 0) return null;
    const from = begin.block === block && begin.part === part ? begin.at : 0;
    const to = end.block === block && end.part === part ? end.at + 1 : length;
    return [from, to];
  }

  holds(block) {
    if (this.empty) return false;
    const [begin, end] = this.#ends();
    return begin.block <= block && block <= end.block;
  }

  bytes(blocks) {
    const chunks = [];
    let total = 0;
    for (const block of blocks) {
      block.parts.forEach((part, i) => {
        const range = this.range(block.id, i, part.bytes.length);
        if (!range || total >= MOST_COPIED) return;
        const chunk = part.bytes.subarray(range[0], Math.min(range[1], range[0] + MOST_COPIED - total));
        chunks.push(chunk);
        total += chunk.length;
      });
    }
    const all = new Uint8Array(total);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return { bytes: all, complete: total < MOST_COPIED };
  }
}
