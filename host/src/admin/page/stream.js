// Owns: `<stream-list>`: a recording as rows of which only those in sight are elements; what
// is followed, selected and found in it.

import { eachFrame, h, moveTo } from './dom.js';
import { Heights } from './heights.js';
import { selectWithPointer } from './pointer.js';
import { ROW, row } from './rows.js';
import { Search } from './search.js';
import { Selection } from './selection.js';

const SPARE = 10;
/** Browsers place nothing reliably beyond some 30 million pixels. */
const MOST_HEIGHT = 24e6;
/** Below it a row has 8 bytes. */
const NARROW = 640;
/** From here on the directions have a half each, as stream.css has it. */
const WIDE = 1200;

class StreamList extends HTMLElement {
  search = new Search();
  selection = new Selection();
  following = true;
  heights = new Heights();
  #canvas = h('div.canvas');
  #shown = new Map();
  #schedule = eachFrame(() => this.#render());
  #settled = 0;
  #charWidth = 7.2;
  #version = 0;
  #drawnVersion = 0;

  connectedCallback() {
    if (this.firstChild) return;
    this.classList.add('stream');
    this.tabIndex = 0;
    this.setAttribute('role', 'region');
    this.setAttribute('aria-label', 'What the connection carries');
    this.append(this.#canvas);
    this.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    selectWithPointer(this, () => this.heights.layout.perRow, () => this.#charWidth);
    this.addEventListener('keydown', (event) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      if (event.key === 'a') this.selectAll();
      else if (event.key === 'c' && !this.selection.empty) this.dispatchEvent(new Event('copy-wanted'));
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => this.#resized()).observe(this);
  }

  get recording() {
    return this.heights.recording;
  }

  get mode() {
    return this.heights.layout.mode;
  }

  set mode(mode) {
    this.heights.layout.mode = mode;
    this.relayout();
  }

  #resized() {
    const probe = h('span.probe', '0'.repeat(100));
    this.#canvas.append(probe);
    this.#charWidth = probe.getBoundingClientRect().width / 100 || 7.2;
    probe.remove();
    const perRow = this.clientWidth < NARROW ? 8 : 16;
    const width = this.clientWidth >= WIDE ? this.clientWidth / 2 - 60 : this.clientWidth - 130;
    const columns = Math.max(24, Math.min(160, Math.floor(width / this.#charWidth)));
    const same = perRow === this.heights.layout.perRow && columns === this.heights.layout.columns;
    Object.assign(this.heights.layout, { perRow, columns });
    if (same) this.#schedule();
    else this.relayout();
  }

  /** Lay all blocks out again; the one at the top stays there. */
  relayout() {
    const { blocks } = this.recording;
    const top = blocks[this.heights.indexAt(this.scrollTop)];
    this.heights.place(blocks);
    this.#version += 1;
    this.#resize();
    if (!this.following && top) this.scrollTop = top.top;
    this.#settle();
  }

  added(blocks) {
    this.heights.place(blocks);
    this.search.add(blocks);
    const dropped = this.recording.trim(this.heights.base + this.heights.all - MOST_HEIGHT);
    this.#resize();
    if (dropped.length && !this.following) this.scrollTop -= dropped.reduce((sum, block) => sum + block.height, 0);
    this.#settle();
  }

  #resize() {
    this.#canvas.style.height = `${this.heights.all + 16}px`;
  }

  #settle() {
    if (this.following) {
      this.scrollTop = this.scrollHeight;
      this.#settled = this.scrollTop;
    }
    this.#schedule();
  }

  follow(following) {
    this.following = following;
    this.#settle();
    this.dispatchEvent(new Event('follow'));
  }

  get atEnd() {
    return this.scrollTop + this.clientHeight >= this.scrollHeight - 4;
  }

  #scrolled() {
    const { atEnd } = this;
    const wasFollowing = this.following;
    if (this.scrollTop < this.#settled - 2 && !atEnd) this.following = false;
    else if (atEnd) this.following = true;
    this.#settled = this.scrollTop;
    if (wasFollowing !== this.following) this.dispatchEvent(new Event('follow'));
    this.#schedule();
  }

  selected() {
    this.redraw();
    this.dispatchEvent(new Event('selected'));
  }

  redraw() {
    this.#version += 1;
    this.#schedule();
  }

  #render() {
    if (this.#drawnVersion !== this.#version) {
      this.#drawnVersion = this.#version;
      this.#shown.clear();
      this.#canvas.replaceChildren();
    }
    const { blocks } = this.recording;
    const base = this.heights.base;
    const top = this.scrollTop - SPARE * ROW;
    const bottom = this.scrollTop + this.clientHeight + SPARE * ROW;
    const wanted = new Set();
    for (let i = this.heights.indexAt(top); i < blocks.length && blocks[i].top - base < bottom; i += 1) this.#renderBlock(blocks[i], base, top, bottom, wanted);
    for (const [key, element] of this.#shown) {
      if (wanted.has(key)) continue;
      element.remove();
      this.#shown.delete(key);
    }
  }

  #renderBlock(block, base, top, bottom, wanted) {
    let y = block.top - base;
    block.sections.forEach((section, s) => {
      const each = section.height / section.rows;
      const from = Math.max(0, Math.floor((top - y) / each));
      const to = Math.min(section.rows, Math.ceil((bottom - y) / each));
      for (let n = from; n < to; n += 1) {
        const key = `${block.id}.${s}.${n}`;
        wanted.add(key);
        let element = this.#shown.get(key);
        if (!element) {
          element = row(block, section, n, this.heights.layout, (part, begin, end) => this.#marks(block, part, begin, end));
          if (this.selection.holds(block.id) && section.kind === 'head') element.classList.add('chosen');
          this.#shown.set(key, element);
          this.#canvas.append(element);
        }
        moveTo(element, y + n * each);
      }
      y += section.height;
    });
  }

  #marks(block, part, from, to) {
    const found = this.search.spans(block.id, part).filter((span) => span.from < to && span.to > from);
    const range = this.selection.range(block.id, part, block.parts[part].bytes.length);
    if (!found.length && !(range && range[0] < to && range[1] > from)) return null;
    const marks = new Array(to - from).fill('');
    const mark = (begin, end, kind) => {
      for (let at = Math.max(begin, from); at < Math.min(end, to); at += 1) marks[at - from] = kind;
    };
    if (range) mark(range[0], range[1], 'selected');
    for (const span of found) mark(span.from, span.to, span.index === this.search.current ? 'found current' : 'found');
    return marks;
  }

  step(way) {
    const span = this.search.step(way, this.recording.blocks[0]?.id ?? 0);
    if (span) this.#reveal(span.block, span.part, span.from);
    this.redraw();
  }

  #reveal(id, part, at) {
    const y = this.heights.of(id, part, at);
    if (y === null) return;
    this.following = false;
    this.scrollTop = Math.max(0, y - this.clientHeight / 3);
    this.#settled = this.scrollTop;
    this.dispatchEvent(new Event('follow'));
  }

  /** Select the next block with bytes, or the one before; with `more` in addition. */
  stepBlock(way, more) {
    const { blocks } = this.recording;
    const last = this.selection.focus ? blocks.findIndex((block) => block.id === this.selection.focus.block) : way > 0 ? -1 : blocks.length;
    let i = last + way;
    while (blocks[i] && blocks[i].record.type === 'mark') i += way;
    if (!blocks[i]) return;
    // That with which it began, which may be dropped by now.
    const began = (block) => block.id >= this.selection.anchor.block;
    const from = more && !this.selection.empty ? blocks.find(began) : null;
    this.selection.blocks(from ?? blocks[i], blocks[i]);
    this.#reveal(blocks[i].id, -1, 0);
    this.selected();
  }

  selectAll() {
    const { blocks } = this.recording;
    if (!blocks.length) return;
    this.selection.blocks(blocks[0], blocks.at(-1));
    this.selected();
  }
}

customElements.define('stream-list', StreamList);
