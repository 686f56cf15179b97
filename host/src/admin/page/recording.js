// Owns: what the page keeps of one connection's records: at most MOST_BYTES, the oldest
// dropped first and counted.

import { fromBase64 } from './escape.js';

export const MOST_BYTES = 20 << 20;
/** What a record takes besides its bytes, roughly. */
const OVERHEAD = 512;
/** Lines that wait for their event. */
const MOST_LINES = 1000;

const encoder = new TextEncoder();

/** Bytes of a record in one direction. `stream` is where they begin in all that went that way. */
function part(direction, bytes, whole, stream) {
  return { direction, bytes, missing: Math.max(0, (whole ?? bytes.length) - bytes.length), stream };
}

export class Recording {
  blocks = [];
  bytes = 0;
  /** What was here and is not any more, and what never came. */
  forgotten = 0;
  lost = 0;
  #next = 1;
  #lines = [];
  #streams = { in: 0, out: 0 };

  /** Keep records; returns their blocks. Lines wait for their event, which comes next. */
  add(records) {
    const added = [];
    for (const record of records) {
      if (record.type === 'line' && this.#lines.length < MOST_LINES) this.#lines.push(record);
      else if (record.type === 'event') added.push(this.#keep(record), ...this.flush());
      else added.push(...this.flush(), this.#keep(record));
    }
    return added;
  }

  flush() {
    return this.#lines.splice(0).map((record) => this.#keep(record));
  }

  /** Drop and return the oldest blocks: those too many in bytes, or that begin above `top`. */
  trim(top) {
    let drop = 0;
    while (drop < this.blocks.length - 1 && (this.bytes > MOST_BYTES || this.blocks[drop].top < top)) {
      this.bytes -= this.blocks[drop].cost;
      drop += 1;
    }
    this.forgotten += drop;
    return drop ? this.blocks.splice(0, drop) : [];
  }

  #keep(record) {
    const { in: taken, out: written, ...rest } = record;
    const parts = [];
    if (record.type === 'line') parts.push(part('line', encoder.encode(record.text ?? '')));
    if (taken) {
      // Of an event `message` they come from another connection and not from the peer.
      const direction = record.event === 'message' ? 'topic' : 'in';
      parts.push(this.#count(part(direction, fromBase64(taken), record.in_bytes, this.#streams.in)));
    }
    if (written) parts.push(this.#count(part('out', fromBase64(written), record.out_bytes, this.#streams.out)));
    if (record.type === 'dropped') this.lost += record.records;
    const text = JSON.stringify(rest).length;
    const cost = OVERHEAD + text + parts.reduce((sum, one) => sum + one.bytes.length, 0);
    this.bytes += cost;
    const block = { id: this.#next, record: rest, parts, cost, top: 0, height: 0, sections: null };
    this.#next += 1;
    this.blocks.push(block);
    return block;
  }

  #count(one) {
    if (one.direction in this.#streams) this.#streams[one.direction] += one.bytes.length + one.missing;
    return one;
  }
}
