// Owns: the view of generations: what became of each, its connections as they move, and
// the buttons that swap and roll back.

import { get, post } from './api.js';
import { button, h, setText } from './dom.js';
import { visible } from './escape.js';
import * as format from './format.js';
import { hasToken, needToken, notice } from './help.js';
import { poll, store } from './store.js';
import { act, actions, offer, showAnswer } from './upload.js';

const LIVE = 250;

const current = () => `${store.service?.name} ${store.service?.generation}`;

class SwapsView extends HTMLElement {
  #list = h('ol.generations', { 'aria-label': 'Generations, newest first' });
  #answer = h('pre.answer', { role: 'status', hidden: true });
  #confirm = h('div.confirm', { hidden: true });
  #count = h('p.count');
  #file = h('input', { type: 'file', accept: '.wasm,application/wasm', id: 'file', hidden: true });
  #rollback = button('Roll back', 'rollback', () => this.#askRollback());
  #items = new Map();
  #stop;
  #unwatch;
  #generations = [];
  #outcomes = new Map();
  /** What the open question is about. */
  #asked = null;
  #changed = () => {
    this.#rollback.disabled = !this.#earlier;
    if (!this.#asked && hasToken()) this.#confirm.hidden = true;
    if (this.#asked && this.#asked !== current()) {
      this.#close();
      notice('another generation is active now: nothing was rolled back', 'bad');
    }
  };

  connectedCallback() {
    if (!this.firstChild) this.#build();
    this.#unwatch = store.watch(this.#changed);
    this.#poll();
  }

  #poll() {
    this.#stop = poll(() => this.#ask(), () => (actions.running || this.#moving() ? LIVE : 1000));
  }

  disconnectedCallback() {
    this.#stop();
    this.#unwatch();
  }

  #build() {
    this.#file.addEventListener('change', () => {
      const [file] = this.#file.files;
      this.#file.value = '';
      if (file) offer(file);
    });
    actions.addEventListener('begin', () => {
      this.#stop?.();
      if (this.isConnected) this.#poll();
    });
    actions.addEventListener('end', ({ detail }) => showAnswer(this.#answer, detail));
    this.append(
      h('div.bar', h('h1', 'Swaps'), this.#count, h('div.tools',
        button('Swap to a file…', 'upload', () => this.#choose(), { id: 'choose' }), this.#rollback)),
      this.#file, this.#confirm, this.#answer,
      h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Generations' }, this.#list,
        h('p.hint', 'Drop a .wasm anywhere on this page to swap the guest under its open connections.')));
  }

  #choose() {
    if (hasToken()) this.#file.click();
    else this.#needToken();
  }

  #needToken() {
    this.#confirm.hidden = false;
    this.#confirm.replaceChildren(needToken('An action', true));
  }

  #askRollback() {
    if (!hasToken()) return this.#needToken();
    const { name, generation } = store.service;
    const to = this.#earlier;
    this.#asked = current();
    const go = h('button.main', { onclick: async () => {
      // What is known is up to a second old; a question that is, is withdrawn.
      await store.refresh();
      if (!this.#asked) return;
      this.#close();
      await act(() => post('/api/rollback', { service: name, from: generation }));
    } }, 'Roll back');
    this.#confirm.replaceChildren(h('p', `Roll back from generation ${generation} to ${to.number}, ${visible(format.baseName(to.guest))}?`),
      h('div.buttons', h('button', { onclick: () => this.#close() }, 'Cancel'), go));
    this.#confirm.hidden = false;
    go.focus();
    return undefined;
  }

  /** What a rollback goes back to: those that were rolled back are kept, but not on the way. */
  get #earlier() {
    const active = store.service?.generation;
    return this.#generations.findLast((one) => one.number < active && this.#outcomes.get(one.number)?.startsWith('replaced'));
  }

  #close() {
    this.#asked = null;
    this.#confirm.hidden = true;
    this.#rollback.focus();
  }

  shortcut({ key }) {
    const closes = key === 'Escape' && !this.#confirm.hidden;
    if (closes) this.#close();
    return closes;
  }

  #moving() {
    return this.#generations.some((one) => !one.active && one.connections > 0);
  }

  async #ask() {
    await store.refresh();
    const answer = await get('/api/history', { service: store.service?.name });
    this.#generations = store.service?.generations ?? [];
    this.#outcomes = new Map(answer.generations.map((one) => [one.generation, one.outcome]));
    this.#show(answer.generations);
    this.#changed();
  }

  #show(records) {
    const live = new Map(this.#generations.map((one) => [one.number, one]));
    const most = Math.max(1, store.service?.connections.open ?? 0);
    setText(this.#count, format.counted(records.length, 'generation'));
    this.#items = new Map(records.map(({ generation }) => [generation, this.#items.get(generation) ?? this.#newItem(generation)]));
    for (const record of records) this.#fill(this.#items.get(record.generation), record, live.get(record.generation), most);
    const newest = [...this.#items.values()].reverse().map((item) => item.element);
    if (newest.length !== this.#list.childElementCount || newest.some((element, i) => this.#list.children[i] !== element)) this.#list.replaceChildren(...newest);
  }

  #newItem(number) {
    const part = (name) => h(`span.${name}`);
    const item = { guest: part('guest'), hash: part('hash'), outcome: part('outcome'), when: part('when'), moved: part('moved'), bar: part('fill'), connections: part('connections') };
    item.element = h('li', h('span.number', { 'aria-label': `Generation ${number}` }, String(number)),
      h('div', h('div', item.guest, item.hash), h('div.fate', item.outcome, item.when, item.moved)),
      h('div.share', h('span.track', { 'aria-hidden': 'true' }, item.bar), item.connections));
    return item;
  }

  #fill(item, record, live, most) {
    const connections = live?.connections ?? 0;
    setText(item.guest, visible(format.baseName(record.guest)));
    item.guest.title = visible(record.guest);
    setText(item.hash, format.hash(record.sha256));
    item.hash.title = `SHA-256 ${record.sha256}`;
    const active = record.outcome === 'active';
    setText(item.outcome, active ? '● active' : visible(record.outcome));
    setText(item.when, format.when(record.accepted * 1000));
    const moved = [record.migrated ? `${format.count(record.migrated)} migrated` : '', record.failed ? `${format.count(record.failed)} failed` : ''];
    setText(item.moved, moved.filter(Boolean).join(', '));
    item.moved.classList.toggle('bad', record.failed > 0);
    setText(item.connections, live ? format.counted(connections, 'connection') : '');
    item.bar.style.transform = `scaleX(${Math.min(1, connections / most)})`;
    item.element.classList.toggle('active', active);
    item.element.classList.toggle('gone', !live);
  }
}

customElements.define('swaps-view', SwapsView);
