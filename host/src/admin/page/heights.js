// Owns: where each block of a recording is, in pixels from the top of the first one.

import { ROW, sections } from './rows.js';

export class Heights {
  recording = null;
  layout = { mode: 'hex', perRow: 16, columns: 100 };

  get base() {
    return this.recording.blocks[0]?.top ?? 0;
  }

  get all() {
    const last = this.recording.blocks.at(-1);
    return last ? last.top + last.height - this.base : 0;
  }

  /** Lay these out, which are the last ones of the recording. */
  place(blocks) {
    const before = this.recording.blocks[this.recording.blocks.length - blocks.length - 1];
    let at = before ? before.top + before.height : 0;
    for (const block of blocks) {
      block.sections = sections(block, this.layout);
      block.top = at;
      block.height = block.sections.reduce((sum, section) => sum + section.height, 0);
      at += block.height;
    }
  }

  indexAt(y) {
    const { blocks } = this.recording;
    let [low, high] = [0, Math.max(0, blocks.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (blocks[middle].top - this.base <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where a byte of a part of a block is, or null where the block is gone. */
  of(id, part, at) {
    const block = this.recording.blocks.find((one) => one.id === id);
    if (!block) return null;
    let y = block.top - this.base;
    for (const section of block.sections) {
      if (section.part === part && section.kind === 'bytes') {
        const n = section.starts ? Math.max(0, section.starts.findLastIndex((start) => start <= at)) : Math.floor(at / this.layout.perRow);
        return y + n * ROW;
      }
      y += section.height;
    }
    return block.top - this.base;
  }
}
