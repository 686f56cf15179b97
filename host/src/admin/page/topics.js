// Owns: the view of topics: who has subscribed to what, and how many messages a second.

import { get } from './api.js';
import { h, setText } from './dom.js';
import * as format from './format.js';
import { Listing, Rates } from './listing.js';
import { poll, store } from './store.js';

const COLUMNS = [
  { key: 'pattern', title: 'Topic or pattern' },
  { key: 'subscribers', title: 'Subscribers', number: true, text: (row) => format.count(row.subscribers) },
  { key: 'messages', title: 'Messages', number: true, text: (row) => format.count(row.messages) },
  { key: 'rate', title: 'Messages/s', number: true, text: (row) => format.perSecond(row.rate) },
];

class TopicsView extends Listing {
  #totals = h('p.totals');
  #rates = new Rates('pattern', { rate: 'messages' });
  #service;
  #stop;
  #unwatch;
  #changed = () => {
    if (this.#service === store.service?.name) return;
    this.#stop();
    this.#begin();
  };

  connectedCallback() {
    if (!this.firstChild) this.build('Topics', this.#totals, { columns: COLUMNS, key: (row) => row.pattern });
    this.#begin();
    this.#unwatch = store.watch(this.#changed);
  }

  disconnectedCallback() {
    this.#stop();
    this.#unwatch();
  }

  #begin() {
    // What another service has counted says nothing of the rates of this one.
    if (this.#service !== store.service?.name) this.#rates.forget();
    this.#service = store.service?.name;
    this.#stop = poll(() => this.#ask());
  }

  async #ask() {
    if (!store.service) {
      await store.refresh();
      // Then it is asked again already.
      if (store.service) return;
    }
    const service = this.#service;
    const answer = await get('/api/topics', { service });
    if (service === this.#service) this.#take(answer);
  }

  #take(answer) {
    this.#rates.add(answer.topics);
    const first = answer.count > answer.topics.length ? `, the first ${format.count(answer.topics.length)}` : '';
    this.show(answer.topics, `${format.count(answer.count)}${first}`, 'Nobody has subscribed to anything',
      'Connections meet through topics: a guest subscribes, others publish. So does hotsocket publish TOPIC.');
    setText(this.#totals, `${format.count(answer.published)} published · ${format.count(answer.delivered)} delivered · ${format.count(answer.dropped)} dropped`);
  }
}

customElements.define('topics-view', TopicsView);
