// Owns: the view of limits: which were reached, how often, and when this page last saw it.

import { visible } from './escape.js';
import * as format from './format.js';
import { Listing } from './listing.js';
import { store } from './store.js';

const COLUMNS = [
  { key: 'name', title: 'Limit', text: (row) => visible(row.name) },
  { key: 'times', title: 'Reached', number: true, text: (row) => format.count(row.times), value: (row) => row.times },
  { key: 'more', title: 'Since the page is open', number: true, text: (row) => (row.more ? `+${format.count(row.more)}` : '–'), value: (row) => row.more },
  { key: 'last', title: 'Last seen', number: true, text: (row) => (row.last ? `${format.age(Date.now() - row.last)} ago` : 'before'), value: (row) => row.last },
];

/** By service and limit: its count when the page first saw it, and when it last grew. */
const seen = new Map();

function rows(service) {
  return Object.entries(service.limits_reached).map(([name, times]) => {
    const key = `${service.name}\n${name}`;
    const known = seen.get(key);
    const grown = known ? times > known.times : watching;
    const entry = { first: known?.first ?? (watching ? 0 : times), times, last: grown ? Date.now() : known?.last ?? 0 };
    seen.set(key, entry);
    return { name, times, more: times - entry.first, last: entry.last };
  });
}

let watching = false;
store.addEventListener('change', () => {
  if (store.trouble || !store.status) return;
  store.services.forEach(rows);
  watching = true;
});

class LimitsView extends Listing {
  #changed = () => {
    const service = store.service;
    if (!service) return;
    const reached = rows(service);
    this.show(reached, reached.length ? `${reached.length} reached since the start, ${format.age(store.status.uptime_s * 1000)} ago` : '',
      'No limit was reached', 'Each limit has a flag with a default; docs/limits.md lists them.');
  };

  connectedCallback() {
    if (!this.firstChild) this.build('Limits', null, { columns: COLUMNS, key: (row) => row.name, sort: { column: 'times', descending: true } });
    store.addEventListener('change', this.#changed);
    this.#changed();
  }

  disconnectedCallback() {
    store.removeEventListener('change', this.#changed);
  }
}

customElements.define('limits-view', LimitsView);
