// Owns: what the views that are one table have in common.

import { h, setText } from './dom.js';
import './grid.js';

export class Listing extends HTMLElement {
  grid = document.createElement('data-grid');
  count = h('p.count');
  #empty = h('div.empty', { hidden: true });

  build(title, bar, setUp) {
    this.grid.id = title.toLowerCase();
    this.grid.setUp({ label: title, ...setUp });
    this.append(h('div.bar', h('h1', title), this.count, bar), this.grid, this.#empty);
  }

  show(rows, counted, ...why) {
    this.grid.show(rows);
    setText(this.count, counted);
    this.#empty.hidden = rows.length > 0;
    const [lead, hint, code] = why;
    if (rows.length || this.#empty.dataset.why === why.join()) return;
    this.#empty.dataset.why = why.join();
    this.#empty.replaceChildren(h('p.lead', lead), h('p', hint), code ? h('code', code) : '');
  }
}
