// Owns: the view of the host's log: its lines from now on, by level.

import { ApiError, stream } from './api.js';
import { button, h, setText } from './dom.js';
import * as format from './format.js';
import { hasToken, needToken } from './help.js';
import { text } from './rows.js';
import { store } from './store.js';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];
const MOST = 2000;
const RETRY = 2000;

class LogView extends HTMLElement {
  #lines = h('div.lines', { tabindex: 0, role: 'log', 'aria-label': 'Log', 'aria-live': 'off' });
  #level = h('select', { id: 'level', 'aria-label': 'Level', onchange: () => { this.#lines.dataset.level = this.#level.value; } }, LEVELS.slice(0, 4).map((level) => h('option', { value: level }, level === 'error' ? 'errors' : `${level} and above`)));
  #count = h('p.count');
  #token = h('div');
  #empty = h('div.empty', h('p.lead', 'Nothing was logged yet'), h('p', 'The log is shown from now on, as the terminal shows it.'));
  #stop;
  #abort = null;
  #told = 0;
  #dropped = 0;
  /** Since when the log is not read, if it ever was. */
  #since = 0;
  #changed = () => {
    const may = hasToken();
    const panel = may || !store.status ? '' : needToken('The log');
    if ((panel && panel.textContent) !== this.#token.textContent) this.#token.replaceChildren(panel);
    this.#empty.hidden = !may || this.#lines.hasChildNodes();
    if (may && !this.#abort) this.#read();
  };

  connectedCallback() {
    if (!this.firstChild) {
      this.#level.value = 'debug';
      this.append(h('div.bar', h('h1', 'Log'), this.#count, h('div.tools', h('label.pick', 'Show ', this.#level), button('Clear', 'close', () => this.#clear()))),
        this.#token, this.#empty, this.#lines);
    }
    this.#stop = store.watch(this.#changed);
  }

  disconnectedCallback() {
    this.#stop();
    if (!this.#abort) return;
    this.#abort.abort();
    this.#abort = null;
    this.#since ||= Date.now();
  }

  async #read() {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      await stream('/api/log', abort.signal, (records) => this.#take(records), () => this.#opened());
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof ApiError) setText(this.#count, error.message);
    }
    // The server ended it, or is not there: try again while this view is shown.
    this.#since ||= Date.now();
    setTimeout(() => { if (this.#abort === abort) this.#abort = null; }, RETRY);
  }

  /** It is read (again): what was logged in between is not here. */
  #opened() {
    if (this.#since) this.#lines.append(h('p.warn', { 'data-level': 'error' }, `… not recorded from ${format.clock(this.#since)} to ${format.clock(Date.now())}: the log is recorded only while it is shown`));
    this.#since = 0;
    this.#empty.hidden = this.#lines.hasChildNodes();
  }

  #clear() {
    this.#lines.replaceChildren();
    this.#told = 0;
    this.#dropped = 0;
    setText(this.#count, '');
    this.#changed();
  }

  #take(records) {
    const atEnd = this.#lines.scrollTop + this.#lines.clientHeight > this.#lines.scrollHeight - 40;
    for (const record of records) this.#lines.append(this.#line(record));
    while (this.#lines.childElementCount > MOST) this.#lines.firstChild.remove();
    this.#told += records.length;
    const old = this.#told > MOST ? `, the last ${format.count(MOST)}` : '';
    setText(this.#count, `${format.counted(this.#told, 'line')}${old}${this.#dropped ? `, ${format.count(this.#dropped)} dropped` : ''}`);
    this.#empty.hidden = true;
    if (atEnd) this.#lines.scrollTop = this.#lines.scrollHeight;
  }

  #line(record) {
    if (record.type === 'dropped') {
      this.#dropped += record.records;
      return h('p.warn', { 'data-level': 'warn' }, `… ${format.counted(record.records, 'record')} dropped: they came faster than they were read`);
    }
    const level = LEVELS.includes(record.level) ? record.level : 'info';
    return h(`p.${level}`, { 'data-level': level }, h('time', format.clock(record.time ?? Date.now(), true)),
      h('span.level', level), record.connection && h('a', { href: `#/connection/${Number(record.connection)}` }, `#${Number(record.connection)}`),
      h('span.text', text(record.text)));
  }
}

customElements.define('log-view', LogView);
