// Owns: the view of all connections: its list, filter and rates.

import { get } from './api.js';
import { searchInput } from './dom.js';
import { visible } from './escape.js';
import * as format from './format.js';
import { Listing, Rates } from './listing.js';
import { poll, store } from './store.js';

const MOST = 10_000;

/** States by shape as well as by colour. */
const SHAPES = { opening: '◔', awake: '●', asleep: '○', probation: '◐', draining: '◌', closing: '×' };

const COLUMNS = [
  { key: 'id', title: 'ID', number: true },
  { key: 'peer', title: 'Peer', text: (row) => visible(row.label ? `${row.peer}  ${row.label}` : row.peer) },
  { key: 'listener', title: 'Listener' },
  { key: 'service', title: 'Service' },
  { key: 'generation', title: 'Gen', hint: 'Generation', number: true },
  { key: 'state', title: 'State', text: (row) => `${SHAPES[row.state] ?? '·'} ${visible(row.state)}` },
  { key: 'received', title: 'In', hint: 'Bytes from the peer', number: true, text: (row) => format.size(row.received) },
  { key: 'sent', title: 'Out', hint: 'Bytes to the peer', number: true, text: (row) => format.size(row.sent) },
  { key: 'in-rate', title: 'In/s', number: true, text: (row) => format.rate(row.inRate), value: (row) => row.inRate },
  { key: 'out-rate', title: 'Out/s', number: true, text: (row) => format.rate(row.outRate), value: (row) => row.outRate },
  { key: 'queued', title: 'Queue', hint: 'Bytes that wait for the peer', number: true, text: (row) => (row.queued ? format.size(row.queued) : '–') },
  { key: 'event', title: 'Last event', text: (row) => visible(row.last_event ?? '–') },
  { key: 'cpu', title: 'CPU', hint: 'CPU time of the guest, estimated', number: true, text: (row) => (row.cpu_us ? format.micros(row.cpu_us) : '–'), value: (row) => row.cpu_us ?? 0 },
  { key: 'age', title: 'Age', number: true, text: (row) => format.age(row.age_ms), value: (row) => row.age_ms },
];

const NO_MATCH = ['No connection matches', 'The filter looks at peer, listener, service, state, last event and label.'];

function nobody() {
  const [, host, port] = (store.service?.listeners?.[0] ?? '').match(/^\[?(.*?)\]?:(\d+)$/) ?? [];
  const reached = /^(0\.0\.0\.0|::)$/.test(host) ? '127.0.0.1' : host;
  return ['Nobody is connected', 'A connection appears here as soon as it is accepted.', port ? visible(`nc ${reached} ${port}`) : ''];
}

class ConnectionsView extends Listing {
  #rows = [];
  #matching = 0;
  #open = 0;
  #rates = new Rates();
  #filter = searchInput('filter', 'Filter connections', 'Filter by peer, state, label…');
  #stops;
  #service;
  #changed = () => {
    if (this.#service === store.service?.name) return;
    this.#service = store.service?.name;
    this.#filtered();
  };

  connectedCallback() {
    if (!this.firstChild) this.#build();
    this.#stops = [poll(() => this.#ask()), store.watch(this.#changed)];
  }

  disconnectedCallback() {
    for (const stop of this.#stops) stop();
  }

  #build() {
    this.build('Connections', this.#filter.parentNode, {
      columns: COLUMNS,
      open: (row) => { location.hash = `#/connection/${row.id}`; },
      decorate: (element, row) => { element.dataset.state = row.state; element.classList.toggle('moving', row.inRate + row.outRate > 0); },
    });
    this.#filter.addEventListener('input', () => this.#filtered());
    this.#filter.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' || event.key === 'Enter') this.grid.focus();
      if (event.key === 'Escape') this.#filter.blur();
    });
  }

  async #ask() {
    // More than are given at once: then the server looks through all of them.
    const filter = this.#open > MOST ? this.#filter.value.trim() : '';
    const service = store.services.length > 1 ? store.service?.name : undefined;
    const answer = await get('/api/connections', { rows: MOST, filter, service });
    this.#rows = answer.connections;
    this.#open = answer.open;
    this.#matching = answer.matching;
    this.#rates.add(this.#rows);
    this.#filtered();
  }

  #filtered() {
    // What a visitor waits for; tests and people read it as performance.getEntriesByName.
    if (this.#rows.length && !performance.getEntriesByName('first-row').length) requestAnimationFrame(() => performance.mark('first-row'));
    const words = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const service = store.services.length > 1 ? store.service?.name : null;
    const rows = this.#rows.filter((row) => (!service || row.service === service) && words.every((word) => contains(row, word)));
    const all = this.#matching > this.#rows.length ? ` of ${format.count(this.#matching)}, the first ones` : '';
    const shown = words.length ? `${format.count(rows.length)} of ${format.counted(this.#rows.length, 'connection')}` : format.count(rows.length);
    this.show(rows, `${shown}${all}`, ...(words.length ? NO_MATCH : nobody()));
  }

  focusSearch() {
    this.#filter.focus();
    this.#filter.select();
  }
}

function contains(row, word) {
  return [row.peer, row.listener, row.service, row.state, row.label, row.last_event, `gen ${row.generation}`]
    .some((field) => field && String(field).toLowerCase().includes(word));
}

customElements.define('connections-view', ConnectionsView);
