// Owns: `<data-grid>`, a table of any length of which only the rows in sight are elements.
// It sorts; which rows there are is up to others. One tab stop for the rows, one for the heads.

import { eachFrame, h, moveTo, setText } from './dom.js';
import { visible } from './escape.js';

const SPARE = 6;

const cell = (column, role, child) => h(column.number ? 'div.cell.number' : 'div.cell', { role, 'data-col': column.key }, child);

class DataGrid extends HTMLElement {
  #columns = [];
  #rows = [];
  #key = (row) => row.id;
  #sort;
  #active = null;
  #head = h('div.row.head', { role: 'row', 'aria-rowindex': 1 });
  #body = h('div.body', { role: 'rowgroup' });
  #shown = new Map();
  #free = [];
  #schedule = eachFrame(() => this.#render());
  #rowHeight = 0;

  /**
   * `columns`: `{key, title, text(row), value(row), number, hint}`; `text` is shown, `value`
   * sorted by, both by default the field `key`. `open(row)` is called for a row that is chosen.
   */
  setUp({ columns, key, sort, open, label, decorate }) {
    this.#columns = columns.map((column) => ({ text: (row) => visible(row[column.key]), ...column }));
    this.#key = key ?? this.#key;
    this.#sort = sort ?? { column: columns[0].key, descending: false };
    this.open = open;
    this.decorate = decorate;
    this.setAttribute('aria-label', label);
  }

  connectedCallback() {
    if (this.firstChild) return;
    this.setAttribute('role', 'grid');
    this.tabIndex = 0;
    this.#head.append(...this.#columns.map((column, i) => this.#headCell(column, i)));
    this.append(h('div.heads', { role: 'rowgroup' }, this.#head), this.#body);
    this.addEventListener('scroll', () => this.#schedule(), { passive: true });
    this.addEventListener('keydown', (event) => this.#keydown(event));
    this.#body.addEventListener('click', (event) => this.#click(event));
    new ResizeObserver(() => {
      this.#rowHeight = 0;
      this.#schedule();
    }).observe(this);
  }

  #headCell(column, i) {
    const sort = h('button', { tabindex: i === 0 ? 0 : -1, title: column.hint, onclick: () => this.#sortBy(column) },
      h('span', column.title), h('span.mark', { 'aria-hidden': 'true' }));
    return cell(column, 'columnheader', sort);
  }

  #sortBy(column) {
    const same = this.#sort.column === column.key;
    this.#sort = { column: column.key, descending: same ? !this.#sort.descending : Boolean(column.number) };
    this.#arrange();
  }

  show(rows) {
    this.#rows = rows;
    this.#arrange();
  }

  #arrange() {
    const column = this.#columns.find((one) => one.key === this.#sort.column) ?? this.#columns[0];
    const value = column.value ?? (column.number ? (row) => row[column.key] : column.text);
    const way = this.#sort.descending ? -1 : 1;
    const keyed = this.#rows.map((row) => [value(row), row]);
    keyed.sort(([a, x], [b, y]) => (a < b ? -way : a > b ? way : this.#key(x) < this.#key(y) ? -1 : 1));
    this.#rows = keyed.map(([, row]) => row);
    for (const head of this.#head.children) {
      const sorted = head.dataset.col === column.key;
      const order = this.#sort.descending ? 'descending' : 'ascending';
      head.setAttribute('aria-sort', sorted ? order : 'none');
      setText(head.querySelector('.mark'), sorted ? (this.#sort.descending ? '↓' : '↑') : '');
    }
    this.setAttribute('aria-rowcount', this.#rows.length + 1);
    this.#schedule();
  }

  #render() {
    if (!this.isConnected) return;
    this.#rowHeight ||= parseFloat(getComputedStyle(this).getPropertyValue('--row')) || 32;
    const height = this.#rowHeight;
    const total = `${this.#rows.length * height}px`;
    if (this.#body.style.height !== total) this.#body.style.height = total;
    const first = Math.max(0, Math.floor(this.scrollTop / height) - SPARE);
    const last = Math.min(this.#rows.length, Math.ceil((this.scrollTop + this.clientHeight) / height) + SPARE);
    const wanted = new Map();
    for (let i = first; i < last; i += 1) wanted.set(this.#key(this.#rows[i]), i);
    for (const [key, element] of this.#shown) {
      if (wanted.has(key)) continue;
      this.#shown.delete(key);
      this.#free.push(element);
    }
    for (const [key, i] of wanted) this.#place(key, i);
    for (const element of this.#free) element.hidden = true;
    const active = this.#shown.get(this.#active);
    if (active) this.setAttribute('aria-activedescendant', active.id);
    else this.removeAttribute('aria-activedescendant');
  }

  #place(key, i) {
    let element = this.#shown.get(key);
    if (!element) {
      element = this.#free.pop() ?? this.#newRow();
      element.hidden = false;
      this.#shown.set(key, element);
    }
    const row = this.#rows[i];
    moveTo(element, i * this.#rowHeight);
    if (element.at !== i) element.setAttribute('aria-rowindex', i + 2);
    element.at = i;
    const selected = String(key === this.#active);
    if (element.ariaSelected !== selected) element.ariaSelected = selected;
    element.row = row;
    // What a cell shows is kept, as the document is slow to ask.
    this.#columns.forEach((column, n) => {
      const text = column.text(row);
      if (element.texts[n] === text) return;
      element.texts[n] = text;
      element.children[n].textContent = text;
    });
    this.decorate?.(element, row);
  }

  #newRow() {
    const cells = this.#columns.map((column) => cell(column, 'gridcell'));
    const element = h('div.row', { role: 'row', id: `${this.id || 'grid'}-row-${this.#body.children.length}` }, cells);
    element.texts = [];
    this.#body.append(element);
    return element;
  }

  #click(event) {
    const element = event.target.closest('.row');
    // Somebody who marks text to copy it does not want to go elsewhere.
    if (!element?.row || !getSelection().isCollapsed) return;
    this.#active = this.#key(element.row);
    this.#schedule();
    this.open?.(element.row);
  }

  #keydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('.head')) return this.#headKey(event);
    const page = Math.max(1, Math.floor(this.clientHeight / this.#rowHeight) - 2);
    const at = this.#rows.findIndex((row) => this.#key(row) === this.#active);
    const last = this.#rows.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, Home: 0, End: last, PageDown: at + page, PageUp: at - page, j: at + 1, k: at - 1 }[event.key];
    if (to !== undefined && last >= 0) {
      event.preventDefault();
      const row = Math.min(Math.max(to, 0), last);
      this.#active = this.#key(this.#rows[row]);
      this.#reveal(row);
      this.#render();
    } else if (event.key === 'Enter' && at >= 0) {
      event.preventDefault();
      this.open?.(this.#rows[at]);
    }
    return undefined;
  }

  #headKey(event) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const buttons = [...this.#head.querySelectorAll('button')].filter((one) => one.offsetParent);
    const next = buttons[buttons.indexOf(event.target.closest('button')) + way];
    if (!next) return;
    for (const one of buttons) one.tabIndex = one === next ? 0 : -1;
    next.focus();
  }

  #reveal(i) {
    const top = i * this.#rowHeight;
    const room = this.clientHeight - this.#head.offsetHeight - this.#rowHeight;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top > this.scrollTop + room) this.scrollTop = top - room;
  }
}

customElements.define('data-grid', DataGrid);
