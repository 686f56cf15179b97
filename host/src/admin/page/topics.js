// Owns: the view of topics: who has subscribed to what, and how many messages a second.

import { get } from './api.js';
import { h, setText } from './dom.js';
import { visible } from './escape.js';
import * as format from './format.js';
import { Listing } from './listing.js';
import { poll, store } from './store.js';

const COLUMNS = [
  { key: 'pattern', title: 'Topic or pattern' },
  { key: 'subscribers', title: 'Subscribers', number: true, text: (row) => format.count(row.subscribers) },
  { key: 'messages', title: 'Messages', number: true, text: (row) => format.count(row.messages) },
  { key: 'rate', title: 'Messages/s', number: true, text: (row) => format.perSecond(row.rate) },
];

class TopicsView extends Listing {
  #totals = h('p.totals');
  #last = new Map();
  #stop;

  connectedCallback() {
    if (!this.firstChild) this.build('Topics', this.#totals, { columns: COLUMNS, key: (row) => row.pattern });
    this.#stop = poll(() => this.#ask());
  }

  disconnectedCallback() {
    this.#stop();
  }

  async #ask() {
    if (!store.service) await store.refresh();
    this.#take(await get('/api/topics', { service: store.service?.name }));
  }

  #take(answer) {
    const time = performance.now();
    const next = new Map();
    for (const row of answer.topics) {
      const last = this.#last.get(row.pattern);
      row.rate = last ? Math.max(0, row.messages - last.messages) / ((time - last.time) / 1000) : 0;
      next.set(row.pattern, { messages: row.messages, time });
    }
    this.#last = next;
    const first = answer.count > answer.topics.length ? `, the first ${format.count(answer.topics.length)}` : '';
    this.show(answer.topics, `${format.count(answer.count)}${first}`, 'Nobody has subscribed to anything',
      'Connections meet through topics: a guest subscribes, others publish. So does hotsocket publish TOPIC.');
    setText(this.#totals, `${format.count(answer.published)} published · ${format.count(answer.delivered)} delivered · ${format.count(answer.dropped)} dropped`);
  }
}

customElements.define('topics-view', TopicsView);
