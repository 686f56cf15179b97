// Owns: which bytes of a recording are selected, from one place to another.

/** A place is `{block, part, at}`: a byte of a part of a block. */
const compare = (a, b) => a.block - b.block || a.part - b.part || a.at - b.at;

const MOST_COPIED = 4 << 20;

export class Selection {
  /** Where it began. */
  anchor = null;
  focus = null;

  get empty() {
    return this.anchor === null;
  }

  clear() {
    this.anchor = null;
    this.focus = null;
  }

  start(place) {
    this.anchor = place;
    this.focus = place;
  }

  extend(place) {
    this.anchor ??= place;
    this.focus = place;
  }

  /** All of two blocks and of those between them, from one to the other, which may be before it. */
  blocks(from, to) {
    const begin = ({ id, parts }) => ({ block: id, part: parts.length ? 0 : -1, at: 0 });
    const end = ({ id, parts }) => ({ block: id, part: parts.length - 1, at: parts.length ? parts.at(-1).bytes.length - 1 : 0 });
    const back = to.id < from.id;
    this.anchor = back ? end(from) : begin(from);
    this.focus = back ? begin(to) : end(to);
  }

  #ends() {
    return [this.anchor, this.focus].sort(compare);
  }

  /** The selected bytes of a part, `[from, to)`. */
  range(block, part, length) {
    if (this.empty) return null;
    const [begin, end] = this.#ends();
    const first = { block, part, at: 0 };
    const last = { block, part, at: length - 1 };
    if (compare(last, begin) < 0 || compare(end, first) < 0) return null;
    return [compare(begin, first) > 0 ? begin.at : 0, compare(end, last) < 0 ? end.at + 1 : length];
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
