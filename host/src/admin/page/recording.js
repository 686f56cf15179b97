// Owns: what the page keeps of one connection's records: at most MOST_BYTES, the oldest
// dropped first and counted.

import { fromBase64 } from './escape.js';

export const MOST_BYTES = 20 << 20;
/** What a record takes besides its bytes, roughly. */
const OVERHEAD = 512;

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
  lost = { records: 0, bytes: 0 };
  #next = 1;
  #streams = { in: 0, out: 0 };

  /** Keep records; returns their blocks. */
  add(records) {
    const added = records.map((record) => this.#block(record));
    this.blocks.push(...added);
    return added;
  }

  /** Drop the oldest blocks beyond the bound; returns them. */
  trim() {
    let drop = 0;
    while (this.bytes > MOST_BYTES && drop < this.blocks.length - 1) {
      this.bytes -= this.blocks[drop].cost;
      drop += 1;
    }
    this.forgotten += drop;
    return drop ? this.blocks.splice(0, drop) : [];
  }

  #block(record) {
    const { in: taken, out: written, ...rest } = record;
    const parts = [];
    if (record.type === 'line') parts.push(part('line', encoder.encode(record.text ?? '')));
    if (taken) {
      // Of an event `message` they come from another connection and not from the peer.
      const direction = record.event === 'message' ? 'topic' : 'in';
      parts.push(this.#count(part(direction, fromBase64(taken), record.in_bytes, this.#streams.in)));
    }
    if (written) parts.push(this.#count(part('out', fromBase64(written), record.out_bytes, this.#streams.out)));
    if (record.type === 'dropped') {
      this.lost.records += record.records;
      this.lost.bytes += record.bytes ?? 0;
    }
    const text = JSON.stringify(rest).length;
    const cost = OVERHEAD + text + parts.reduce((sum, one) => sum + one.bytes.length, 0);
    this.bytes += cost;
    const block = { id: this.#next, record: rest, parts, cost, top: 0, height: 0, sections: null };
    this.#next += 1;
    return block;
  }

  #count(one) {
    if (one.direction in this.#streams) this.#streams[one.direction] += one.bytes.length + one.missing;
    return one;
  }
}
