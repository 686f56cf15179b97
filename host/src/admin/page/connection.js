// Owns: the view of one connection: what is known of it, the tap, and what can be done with
// what was recorded. The rows are stream.js'.

import { get } from './api.js';
import { conversation } from './conversation.js';
import { button, download, h, icon, searchInput, setText } from './dom.js';
import { bytesAsHex, bytesAsText, visible } from './escape.js';
import * as format from './format.js';
import { hasToken, needToken, notice } from './help.js';
import { Rates } from './listing.js';
import { pcapng } from './pcapng.js';
import { MOST_BYTES, Recording } from './recording.js';
import { needle } from './search.js';
import { poll, store } from './store.js';
import './stream.js';
import { Tap } from './tap.js';

/** Milliseconds by which the clocks of the page and the server may differ between two looks. */
const SLACK = 2000;

class ConnectionView extends HTMLElement {
  #tap = new Tap();
  #recording = new Recording();
  #rates = new Rates();
  #list = document.createElement('stream-list');
  #row = null;
  /** When it began at the latest, by a clock that stands still with the server's while the machine sleeps. */
  #began = Infinity;
  /** When the tap was asked for. */
  #looked = 0;
  #waiting = 0;
  #stops;
  #title = h('h1', '…');
  #facts = h('dl.facts', { tabindex: 0 });
  #state = h('span.pill');
  #banner = h('div.banner', { role: 'status', hidden: true });
  #recorded = h('p.recorded');
  #found = h('span.found', { role: 'status' });
  #query = searchInput('search', 'Search in the bytes', 'Search…');
  #kind = h('select', { 'aria-label': 'What is searched for', onchange: () => this.#search() }, h('option', 'text'), h('option', 'hex'));
  #follow = button('Pause', 'pause', () => this.#list.follow(!this.#list.following), { id: 'follow', title: 'Follow or pause (f)' });
  #more = h('button.more', { hidden: true, onclick: () => this.#list.follow(true) });
  #unfold = button('More', 'down', () => this.#fold(!this.classList.contains('unfolded')), { id: 'unfold', 'aria-expanded': 'false' });
  #mode = h('div.segments', { role: 'group', 'aria-label': 'Show as' }, [['hex', 'Hex + text'], ['text', 'Text']].map(([mode, name]) => h('button', { 'aria-pressed': mode === 'hex', 'data-mode': mode, onclick: () => this.#show(mode) }, name)));
  #copy = [button('Copy text', 'copy', () => this.#copyAs('text'), { title: 'Copy as text (c)' }), button('Copy hex', 'copy', () => this.#copyAs('hex'), { title: 'Copy as hex (h)' })];
  /** Also where the token was missing, or wrong, until it came. */
  #mayLook = () => {
    if (!store.status || !['idle', 'refused'].includes(this.#tap.state)) return;
    if (hasToken()) this.#look();
    else this.#needToken();
  };

  get #id() {
    return this.getAttribute('connection');
  }

  connectedCallback() {
    this.#list.heights.recording = this.#recording;
    this.#build();
    this.#tap.addEventListener('records', ({ detail }) => this.#take(detail));
    this.#tap.addEventListener('state', ({ detail }) => this.#tapIs(detail));
    this.#stops = [poll(() => this.#ask()), store.watch(this.#mayLook)];
  }

  disconnectedCallback() {
    for (const stop of this.#stops) stop();
    this.#tap.stop();
  }

  #build() {
    this.#showSelection();
    this.#query.addEventListener('input', () => this.#search());
    this.#query.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.#step(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape') this.#list.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.#list.addEventListener('follow', () => this.#showFollow());
    this.#list.addEventListener('selected', () => this.#showSelection());
    this.#list.addEventListener('copy-wanted', () => this.#copyAs(this.#list.mode));
    this.append(
      h('div.bar', h('a.back', { href: '#/connections', 'aria-label': 'Back to the connections', title: 'Back (Esc)' }, icon('back')), this.#title, this.#state, this.#unfold),
      this.#facts,
      h('div.toolbar', { role: 'toolbar', 'aria-label': 'Stream' }, h('div.pair', this.#follow, this.#mode),
        h('div.search-group', this.#query.parentNode, this.#kind,
          button('Previous match', 'up', () => this.#step(-1), { quiet: true }), button('Next match', 'down', () => this.#step(1), { quiet: true }), this.#found),
        h('div.tools', ...this.#copy,
          button('pcapng', 'download', () => this.#savePcapng(), { id: 'save-pcapng', title: 'Download for Wireshark (p)' }),
          button('Conversation', 'download', () => this.#saveConversation(), { id: 'save-conversation', title: 'Download as a script of hotsocket test (s)' }))),
      this.#banner, h('div.stream-box', this.#list, this.#more), this.#recorded);
    this.#showRecorded();
  }

  #look() {
    if (this.#recording.blocks.length) this.#take([{ type: 'gap', text: 'nothing was recorded here: nobody looked', time: Date.now() }]);
    this.#looked = performance.now();
    this.#tap.start(this.#id);
  }

  async #ask() {
    const asked = performance.now();
    const answer = await get('/api/connections', { rows: 10_000, filter: this.#row?.peer });
    const row = answer.connections.find((one) => String(one.id) === this.#id);
    if (this.#tap.state === 'closed') return;
    // A tap that goes on is that of the connection that it began with.
    if (row && (this.#tap.state === 'running' || !this.#isAnother(row, asked))) {
      this.#rates.add([row]);
      this.#describe(row);
      return;
    }
    // Of more than one answer has, it may be among the others.
    const complete = answer.matching <= answer.connections.length;
    if ((row || complete) && (this.#row || !hasToken())) this.#over();
  }

  /** Whether a row that was asked for then is of a server that has started again: on Unix sockets all else is the same. */
  #isAnother(row, asked) {
    return this.#row !== null && (row.peer !== this.#row.peer || asked - row.age_ms > this.#began + SLACK);
  }

  #over() {
    setText(this.#state, '■ over');
    this.#state.className = 'pill over';
    delete this.#state.dataset.state;
    if (!this.#row) setText(this.#title, `Connection ${this.#id}`);
  }

  #describe(row) {
    this.#row = row;
    this.#began = performance.now() - row.age_ms;
    setText(this.#title, visible(row.peer));
    setText(this.#state, visible(row.state));
    this.#state.className = 'pill';
    this.#state.dataset.state = row.state;
    const facts = [['Connection', `${row.id}`], ['Label', visible(row.label)], ['Listener', visible(row.listener)], ['Service', visible(row.service)], ['Generation', `${row.generation}`],
      ['In', `${format.size(row.received)} · ${format.rate(row.inRate ?? 0)}`], ['Out', `${format.size(row.sent)} · ${format.rate(row.outRate ?? 0)}`],
      ['Queue', row.queued ? format.size(row.queued) : '–'], ['CPU', row.cpu_us ? format.micros(row.cpu_us) : '–'], ['Age', format.age(row.age_ms)]].filter(([, value]) => value);
    if (this.#facts.childElementCount !== facts.length) this.#facts.replaceChildren(...facts.map(() => h('div', h('dt'), h('dd'))));
    facts.forEach(([name, value], i) => {
      setText(this.#facts.children[i].firstChild, name);
      setText(this.#facts.children[i].lastChild, value);
    });
  }

  #take(records) {
    const blocks = this.#recording.add(records);
    const closed = records.at(-1)?.mark === 'closed' && records.at(-1).text.match(/(\d+) bytes in, (\d+) bytes out$/);
    // The last poll was before the last bytes.
    if (closed && this.#row) {
      this.#describe({ ...this.#row, received: Number(closed[1]), sent: Number(closed[2]), inRate: 0, outRate: 0, queued: 0 });
      this.#over();
    }
    this.#list.added(blocks);
    if (!this.#list.following) this.#waiting += blocks.length;
    this.#showFollow();
    this.#showRecorded();
    if (this.#list.search.active) this.#showFound();
  }

  #tapIs({ state, text, status, since }) {
    this.dataset.tap = state;
    if (['expired', 'failed', 'refused'].includes(state)) this.#list.added(this.#recording.flush());
    const again = button('Look again', 'follow', () => this.#look(), { class: 'plain main' });
    const { connection } = this.#tap;
    if (state === 'running' && this.#row && (!connection || this.#isAnother(connection, this.#looked))) {
      this.#tap.stop();
      this.#over();
      this.#say('failed', h('span', 'The server has started again: this number is another connection’s.'));
    } else if (state === 'running') {
      if (connection) this.#describe({ inRate: 0, outRate: 0, ...connection });
      this.#say(null);
    } else if (state === 'expired') this.#say('expired', h('span', `The lease was not renewed: nothing is recorded since ${format.clock(since)}.`), again);
    else if (state === 'closed') {
      this.#over();
      this.#say('closed', h('span', 'The connection is over. What was recorded stays here until you leave.'));
    } else if (state === 'refused') this.#needToken();
    else if (state === 'failed') {
      if (status === 404) this.#over();
      this.#say('failed', h('span', visible(text)), again);
    }
  }

  #say(kind, ...children) {
    this.#banner.hidden = kind === null;
    this.#banner.className = `banner ${kind ?? ''}`;
    this.#banner.replaceChildren(...children);
    this.classList.toggle('without-token', kind === 'token');
  }

  #needToken() {
    const panel = needToken('The stream');
    // What has not changed is not read out again.
    if (panel.textContent !== this.#banner.textContent) this.#say('token', panel);
  }

  #showRecorded() {
    const { blocks, bytes, forgotten, lost } = this.#recording;
    const parts = [`${format.counted(blocks.length, 'record')}, ${format.size(bytes)} of ${format.size(MOST_BYTES)}`];
    if (forgotten) parts.push(`the oldest ${format.count(forgotten)} were dropped here to stay below that`);
    if (lost) parts.push(`${format.counted(lost, 'record')} dropped by the server, as they came too fast`);
    setText(this.#recorded, parts.join(' · '));
  }

  #showFollow() {
    const { following } = this.#list;
    // It is paused, but all of it is in sight.
    if (following || this.#list.atEnd) this.#waiting = 0;
    setText(this.#follow.querySelector('.label'), following ? 'Pause' : 'Follow');
    this.#follow.querySelector('.icon').replaceWith(icon(following ? 'pause' : 'follow'));
    this.#more.hidden = this.#waiting === 0;
    setText(this.#more, `↓ ${format.counted(this.#waiting, 'new record')}`);
  }

  #showSelection() {
    for (const one of this.#copy) one.disabled = this.#list.selection.empty;
  }

  #show(mode) {
    this.#list.mode = mode;
    for (const one of this.#mode.children) one.setAttribute('aria-pressed', one.dataset.mode === mode);
  }

  #search() {
    const isHex = this.#kind.value === 'hex';
    const bytes = needle(this.#query.value, isHex);
    this.#query.setAttribute('aria-invalid', bytes === null);
    this.#list.search.begin(bytes, isHex, this.#recording.blocks);
    if (this.#list.search.active) this.#list.step(1);
    this.#list.redraw();
    this.#showFound();
  }

  #step(way) {
    this.#list.step(way);
    this.#showFound();
  }

  #showFound() {
    const { search } = this.#list;
    const invalid = this.#query.getAttribute('aria-invalid') === 'true';
    const of = `${format.count(search.matches.length)}${search.full ? '+' : ''}`;
    setText(this.#found, invalid ? 'not hex' : !search.active ? '' : `${search.current + 1} of ${of}`);
  }

  async #copyAs(kind) {
    const { selection } = this.#list;
    if (selection.empty) return;
    const { bytes, complete } = selection.bytes(this.#recording.blocks);
    const text = kind === 'hex' ? bytesAsHex(bytes) : bytesAsText(bytes);
    try {
      await navigator.clipboard.writeText(text);
      notice(`${format.size(bytes.length)} copied as ${kind}${complete ? '' : ', the first part of the selection'}`);
    } catch {
      notice('the browser did not allow to copy', 'bad');
    }
  }

  #about() {
    return `Connection ${this.#id} of ${this.#row?.peer ?? 'a peer'} with ${store.service?.guest ?? 'a guest'}, recorded by hotsocket’s inspector`;
  }

  #savePcapng() {
    const chunks = pcapng(this.#recording, this.#row?.peer, this.#row?.listener, `${this.#about()}. Bytes and times are real; IP and TCP headers are made up.`);
    download(`connection-${this.#id}.pcapng`, 'application/octet-stream', ...chunks);
  }

  async #saveConversation() {
    const { generations } = await get('/api/history', { service: this.#row?.service }).catch(() => ({ generations: [] }));
    const guests = new Map(generations.map((one) => [one.generation, one]));
    download(`connection-${this.#id}.test`, 'text/plain', conversation(this.#recording, this.#about(), guests));
  }

  #fold(open) {
    this.classList.toggle('unfolded', open);
    this.#unfold.setAttribute('aria-expanded', open);
  }

  focusSearch() {
    this.#fold(true);
    this.#query.focus();
    this.#query.select();
  }

  shortcut(event) {
    const actions = {
      f: () => this.#list.follow(!this.#list.following), x: () => this.#show(this.#list.mode === 'hex' ? 'text' : 'hex'),
      n: () => this.#step(1), N: () => this.#step(-1), j: () => this.#list.stepBlock(1, false), k: () => this.#list.stepBlock(-1, false),
      J: () => this.#list.stepBlock(1, true), K: () => this.#list.stepBlock(-1, true), c: () => this.#copyAs('text'), h: () => this.#copyAs('hex'),
      p: () => this.#savePcapng(), s: () => this.#saveConversation(),
    };
    const action = actions[event.key];
    action?.();
    return Boolean(action);
  }
}

customElements.define('connection-view', ConnectionView);
