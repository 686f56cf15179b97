// Owns: what the views that are one table have in common.

import { h, setText } from './dom.js';
import './grid.js';

/** Gives rows that come again and again their rates: by how much a second a field has grown. */
export class Rates {
  #last = new Map();
  #key;
  #rates;

  constructor(key = 'id', rates = { inRate: 'received', outRate: 'sent' }) {
    this.#key = key;
    this.#rates = Object.entries(rates);
  }

  add(rows) {
    const time = performance.now();
    const next = new Map();
    for (const row of rows) {
      const last = this.#last.get(row[this.#key]);
      const seconds = last ? (time - last.time) / 1000 : 0;
      for (const [rate, field] of this.#rates) row[rate] = seconds > 0 ? Math.max(0, row[field] - last.row[field]) / seconds : 0;
      next.set(row[this.#key], { row, time });
    }
    this.#last = next;
  }

  forget() {
    this.#last.clear();
  }
}

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
