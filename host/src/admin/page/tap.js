// Owns: a tap of one connection: its stream of records and its lease, which is renewed as
// long as somebody looks.

import { ApiError, post, stream } from './api.js';

/**
 * Events: `records` (detail: an array), and `state` with `detail.state`: `waiting`, `running`,
 * `expired`, `closed` (the connection is over), `refused` (for want of the token), `failed` with
 * `detail.text` and `detail.status`.
 */
export class Tap extends EventTarget {
  state = 'idle';
  connection = null;
  #abort = null;
  #timer = 0;
  /** When the lease ends. */
  #until = Infinity;

  async start(id) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#become('waiting');
    try {
      await stream(`/api/tap?connection=${id}`, abort.signal, (records) => this.#take(records, abort));
      if (abort === this.#abort) this.#ended('the stream has ended; the server may have stopped');
    } catch (error) {
      if (abort.signal.aborted || abort !== this.#abort) return;
      this.#ended(error instanceof ApiError ? error.message : 'the server does not answer', error.status);
    } finally {
      if (abort === this.#abort) clearInterval(this.#timer);
    }
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    clearInterval(this.#timer);
    // Without an event: whoever stops it knows.
    if (this.state === 'running') this.state = 'stopped';
  }

  #ended(text, status) {
    if (this.state === 'expired' || this.state === 'closed') return;
    // Who slept through the lease may find the stream cut.
    if (this.state === 'running' && Date.now() > this.#until) this.#become('expired');
    else this.#become(status === 401 ? 'refused' : 'failed', { text, status });
  }

  #take(records, abort) {
    const rest = [];
    for (const record of records) {
      if (record.type === 'lease') this.#lease(record, abort);
      else if (record.type === 'expired') this.#become('expired');
      else if (record.type !== 'end') rest.push(record);
      if (record.mark === 'closed') this.#become('closed');
    }
    if (rest.length) this.dispatchEvent(new CustomEvent('records', { detail: rest }));
  }

  #lease({ tap, lease_ms: lease, connection }, abort) {
    this.connection = connection;
    this.#become('running');
    if (abort.signal.aborted) return;
    this.#until = Date.now() + lease;
    clearInterval(this.#timer);
    let gone = 0;
    this.#timer = setInterval(async () => {
      try {
        await post(`/api/tap/${tap}`);
        this.#until = Date.now() + lease;
      } catch (error) {
        // Should one be lost, the next is in time. That the lease is over the stream says,
        // unless it was lost while the machine slept.
        if (error.status === 404) gone += 1;
        if (gone < 2 || abort.signal.aborted) return;
        this.stop();
        this.#become('expired');
      }
    }, lease / 3);
  }

  #become(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, since: Math.min(Date.now(), this.#until), ...detail } }));
  }
}
