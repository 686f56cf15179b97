// Owns: numbers, sizes, rates and times as text.

const NUMBER = new Intl.NumberFormat('en');
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

// Without separators there is nothing to format, which takes long for thousands of cells.
export const count = (number) => (number >= 0 && number < 1000 ? String(number) : NUMBER.format(number ?? 0));

export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

export function size(bytes) {
  let value = bytes ?? 0;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${count(Math.round(value))} B`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Bytes a second; a rest is shown as a dash, so that what moves stands out. */
export const rate = (bytes) => (bytes >= 0.5 ? `${size(bytes)}/s` : '–');

export const perSecond = (number) => {
  if (number < 0.05) return '–';
  return number < 10 ? `${number.toFixed(1)}/s` : `${count(Math.round(number))}/s`;
};

/** Milliseconds as an age: `4 s`, `12 min`, `3 h 05`, `2 d`. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)}`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function micros(us) {
  if (!(us >= 0)) return '–';
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

const two = (number) => String(number).padStart(2, '0');

export function clock(unixMs, fraction = false) {
  const date = new Date(unixMs);
  const seconds = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fraction ? `${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}` : seconds;
}

export function when(unixMs) {
  const date = new Date(unixMs);
  if (date.toDateString() === new Date().toDateString()) return clock(unixMs);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(unixMs)}`;
}

export const hash = (sha256) => String(sha256 ?? '').slice(0, 12);

export const baseName = (path) => String(path ?? '').replace(/.*\//, '');
