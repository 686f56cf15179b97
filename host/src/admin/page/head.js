// Owns: `<page-head>`: which service, guest and generation, how many connections and bytes,
// and whether the server is ready.

import { h, setClass, setText, shape } from './dom.js';
import { visible } from './escape.js';
import * as format from './format.js';
import { store } from './store.js';
import './sparkline.js';

const MEASURES = [
  { name: 'open', title: 'Connections', text: (value) => format.count(value), flat: true },
  { name: 'received', title: 'In', text: format.rate },
  { name: 'sent', title: 'Out', text: format.rate },
  { name: 'events', title: 'Events', text: format.perSecond },
];

function logo() {
  const svg = shape('svg', { viewBox: '0 0 32 32', class: 'logo', 'aria-hidden': 'true' });
  svg.append(
    shape('rect', { width: 32, height: 32, rx: 8 }),
    shape('path', { d: 'M16.4 5.5c.7 4.3-5.9 6.7-5.9 12.6a6 6 0 0 0 12 0c0-2.6-1.3-4.3-2.5-5.7-.4 1.5-1 2.3-1.9 2.8.4-3.6-.1-7.3-1.7-9.7z' }));
  return svg;
}

class PageHead extends HTMLElement {
  #service = h('select', { 'aria-label': 'Service', onchange: () => store.select(this.#service.value) });
  #name = h('span', { class: 'service' });
  #guest = h('span', { class: 'guest' });
  #generation = h('a', { class: 'generation', href: '#/swaps' });
  #ready = h('span', { class: 'pill', role: 'status' });
  #values = MEASURES.map(() => h('span', { class: 'value' }));
  #lines = MEASURES.map(() => document.createElement('spark-line'));
  #names = '';

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      h('a', { class: 'brand', href: '#/connections', 'aria-label': 'hotsocket: connections' }, logo(), h('span', { class: 'word' }, 'hotsocket')),
      h('div', { class: 'who' }, h('div', { class: 'top' }, this.#name, this.#service, this.#generation), this.#guest),
      h('dl', { class: 'measures' }, MEASURES.map((measure, i) => h('div', { class: 'measure', 'data-measure': measure.name },
        h('dt', {}, measure.title), h('dd', {}, this.#values[i], this.#lines[i])))),
      this.#ready);
    store.addEventListener('change', () => this.#show());
  }

  #show() {
    this.#showReady();
    const service = store.service;
    if (!service) return;
    const names = store.services.map((one) => one.name);
    this.#service.hidden = names.length < 2;
    this.#name.hidden = names.length > 1;
    if (names.join('\n') !== this.#names) {
      this.#names = names.join('\n');
      this.#service.replaceChildren(...names.map((name) => h('option', { value: name }, visible(name))));
    }
    this.#service.value = service.name;
    setText(this.#name, visible(service.name));
    setText(this.#guest, visible(format.baseName(service.guest)));
    this.#guest.title = visible(service.guest);
    setText(this.#generation, `generation ${service.generation}`);
    this.#generation.title = `SHA-256 ${service.sha256}`;
    MEASURES.forEach((measure, i) => {
      const value = measure.name === 'open' ? service.connections.open : store.now(measure.name);
      setText(this.#values[i], measure.text(value));
      this.#lines[i].show(store.past(measure.name), measure.flat);
    });
  }

  #showReady() {
    const state = store.trouble ? 'away' : store.status?.draining ? 'draining' : store.status ? 'ready' : 'waiting';
    const text = { away: '× no answer', draining: '◌ draining', ready: '● ready', waiting: '… connecting' }[state];
    setText(this.#ready, text);
    setClass(this.#ready, `pill ${state}`);
    this.#ready.title = store.trouble ?? (store.status ? `hotsocket ${store.status.version}, up ${format.age(store.status.uptime_s * 1000)}` : '');
  }
}

customElements.define('page-head', PageHead);
