// Owns: the view of limits: which were reached, how often, and when this page last saw it.

import { visible } from './escape.js';
import * as format from './format.js';
import { Listing } from './listing.js';
import { store } from './store.js';

const COLUMNS = [
  { key: 'name', title: 'Limit' },
  { key: 'of', title: 'Of', text: (row) => (row.service === null ? 'the server' : visible(row.service)) },
  { key: 'times', title: 'Reached', number: true, text: (row) => format.count(row.times) },
  { key: 'more', title: 'Since the page is open', number: true, text: (row) => (row.more ? `+${format.count(row.more)}` : '–') },
  { key: 'last', title: 'Last seen', number: true, text: (row) => (row.last ? `${format.age(Date.now() - row.last)} ago` : 'before') },
];

/** By service (null: the server) and limit: its first count here, and when it last grew. */
const seen = new Map();

function rows(service, reached) {
  return Object.entries(reached).map(([name, times]) => {
    const key = JSON.stringify([service, name]);
    let known = seen.get(key);
    // The server has started again.
    if (known?.times > times) known = null;
    const grown = known ? times > known.times : watching;
    const entry = { first: known?.first ?? (watching ? 0 : times), times, last: grown ? Date.now() : known?.last ?? 0 };
    seen.set(key, entry);
    return { key, service, name, times, more: times - entry.first, last: entry.last };
  });
}

let watching = false;
store.addEventListener('change', () => {
  if (store.trouble || !store.status) return;
  for (const service of store.services) rows(service.name, service.limits_reached);
  rows(null, store.limits);
  watching = true;
});

class LimitsView extends Listing {
  #stop;
  #changed = () => {
    const service = store.service;
    if (!service) return;
    const reached = [...rows(service.name, service.limits_reached), ...rows(null, store.limits)];
    this.show(reached, reached.length ? `${reached.length} reached since the start, ${format.age(store.status.uptime_s * 1000)} ago` : '',
      'No limit was reached', 'Each limit has a flag with a default; docs/limits.md lists them.');
  };

  connectedCallback() {
    if (!this.firstChild) this.build('Limits', null, { columns: COLUMNS, key: (row) => row.key, sort: { column: 'times', descending: true } });
    this.#stop = store.watch(this.#changed);
  }

  disconnectedCallback() {
    this.#stop();
  }
}

customElements.define('limits-view', LimitsView);
