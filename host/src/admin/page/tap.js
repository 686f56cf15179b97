// Owns: a tap of one connection: its stream of records and its lease, which is renewed as
// long as somebody looks.

import { ApiError, post, stream } from './api.js';

/**
 * Events: `records` (detail: an array), and `state` with `detail.state`: `waiting`, `running`,
 * `expired`, `closed` (the connection is over), `failed` with `detail.text` and `detail.status`.
 */
export class Tap extends EventTarget {
  state = 'idle';
  connection = null;
  #abort = null;
  #timer = 0;

  async start(id) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#become('waiting');
    try {
      await stream(`/api/tap?connection=${encodeURIComponent(id)}`, abort.signal, (records) => this.#take(records, abort));
      if (abort === this.#abort && this.state === 'running') this.#become('failed', { text: 'the stream has ended; the server may have stopped' });
    } catch (error) {
      if (abort.signal.aborted || abort !== this.#abort) return;
      const text = error instanceof ApiError ? error.message : 'the server does not answer';
      if (this.state !== 'expired' && this.state !== 'closed') this.#become('failed', { text, status: error.status });
    } finally {
      if (abort === this.#abort) clearInterval(this.#timer);
    }
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    clearInterval(this.#timer);
  }

  #take(records, abort) {
    const rest = [];
    for (const record of records) {
      if (record.type === 'lease') this.#lease(record, abort);
      else if (record.type === 'expired') this.#become('expired');
      else if (record.type !== 'end') rest.push(record);
      if (record.type === 'mark' && record.mark === 'closed') this.#become('closed');
    }
    if (rest.length) this.dispatchEvent(new CustomEvent('records', { detail: rest }));
  }

  #lease({ tap, lease_ms: lease, connection }, abort) {
    this.connection = connection;
    this.#become('running');
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      // Should one be lost, the next is in time; that the lease is over, the stream says.
      if (!abort.signal.aborted) post(`/api/tap/${encodeURIComponent(tap)}`).catch(() => {});
    }, lease / 3);
  }

  #become(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, ...detail } }));
  }
}
