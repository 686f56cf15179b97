// Owns: `<page-head>`: which service, guest and generation, how many connections and bytes,
// and whether the server is ready.

import { h, setText } from './dom.js';
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

class PageHead extends HTMLElement {
  #service = h('select', { 'aria-label': 'Service', onchange: () => store.select(this.#service.value) });
  #name = h('span.service');
  #guest = h('span.guest');
  #generation = h('a.generation', { href: '#/swaps' });
  #ready = h('span.pill', { role: 'status' });
  #values = MEASURES.map(() => h('span.value'));
  #lines = MEASURES.map(() => document.createElement('spark-line'));
  #names = '';

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      h('a.brand', { href: '#/connections', 'aria-label': 'hotsocket: connections' }, h('img', { src: '/page/icon.svg', alt: '', width: 26, height: 26 }), h('span.word', 'hotsocket')),
      h('div.who', h('div.top', this.#name, this.#service, this.#generation), this.#guest),
      h('dl.measures', MEASURES.map((measure, i) => h('div.measure', { 'data-measure': measure.name },
        h('dt', measure.title), h('dd', this.#values[i], this.#lines[i])))),
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
    const [state, text] = store.trouble ? ['away', '× no answer'] : !store.status ? ['waiting', '… connecting']
      : store.status.draining ? ['draining', '◌ draining'] : ['ready', '● ready'];
    setText(this.#ready, text);
    this.#ready.className = `pill ${state}`;
    this.#ready.title = store.trouble ?? (store.status ? `hotsocket ${store.status.version}, up ${format.age(store.status.uptime_s * 1000)}` : '');
  }
}

customElements.define('page-head', PageHead);
