// Owns: what the whole page knows of the server: status and session, asked for each second,
// with rates and their recent past. Views ask for their own lists with `poll`.

import { ApiError, get } from './api.js';

const INTERVAL = 1000;
export const PAST = 60;

class Store extends EventTarget {
  status = null;
  session = { token: false };
  /** The selected service's name; the first one until another is selected. */
  serviceName = null;
  trouble = null;
  /** By service: recent values of each measure, the last one last. */
  #past = new Map();
  #last = new Map();

  get services() {
    return this.status?.services ?? [];
  }

  get service() {
    return this.services.find((service) => service.name === this.serviceName) ?? this.services[0] ?? null;
  }

  /** Limits of the server that were reached; `/status` adds them to those of the first service. */
  get limits() {
    const first = this.services[0]?.limits_reached ?? {};
    const own = Object.entries(this.status?.limits_reached ?? {}).map(([name, times]) => [name, times - (first[name] ?? 0)]);
    return Object.fromEntries(own.filter(([, times]) => times > 0));
  }

  past(measure) {
    return this.#past.get(this.service?.name)?.[measure] ?? [];
  }

  now(measure) {
    return this.past(measure).at(-1) ?? 0;
  }

  select(name) {
    this.serviceName = name;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event('change'));
  }

  /** Call this whenever something has changed, and now. Returns how to stop it. */
  watch(take) {
    this.addEventListener('change', take);
    take();
    return () => this.removeEventListener('change', take);
  }

  async refresh() {
    try {
      this.status = await get('/status');
      // A server that has started again may have another token.
      this.session = await get('/api/session');
      this.trouble = null;
      this.#remember();
    } catch (error) {
      this.trouble = error instanceof ApiError ? error.message : 'the server does not answer';
    }
    this.changed();
  }

  #remember() {
    const time = performance.now();
    for (const service of this.services) {
      const totals = { ...service.traffic, open: service.connections.open };
      const last = this.#last.get(service.name);
      this.#last.set(service.name, { totals, time });
      if (!last || time - last.time < 200) continue;
      const each = (name) => Math.max(0, (totals[name] - last.totals[name]) / ((time - last.time) / 1000));
      const past = this.#past.get(service.name) ?? { open: [], received: [], sent: [], events: [] };
      for (const name of ['received', 'sent', 'events']) keep(past[name], each(name));
      keep(past.open, totals.open);
      this.#past.set(service.name, past);
    }
  }
}

function keep(values, value) {
  values.push(value);
  if (values.length > PAST) values.shift();
}

export const store = new Store();

/**
 * Call `ask` again and again, never twice at once: each second, or less often where answers
 * take long, and not while nobody sees the page. Returns how to stop it.
 */
export function poll(ask, interval = () => INTERVAL) {
  let stopped = false;
  let timer = 0;
  const run = async () => {
    clearTimeout(timer);
    const begin = performance.now();
    try {
      await ask();
    } catch { /* The head says that the server does not answer. */ }
    const took = performance.now() - begin;
    if (!stopped) timer = setTimeout(next, Math.max(interval(), took * 4) - Math.min(took, interval() / 2));
  };
  const next = () => {
    if (document.hidden) document.addEventListener('visibilitychange', next, { once: true });
    else if (!stopped) run();
  };
  run();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
