// Owns: requests to the server that this page came from, and streams of records.

import { token } from './token.js';

export class ApiError extends Error {
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Longer than any request takes but a swap, which compiles. */
const PATIENCE = 10_000;
const MAX_LINE = 8 << 20;

function send(path, options) {
  const value = token();
  const headers = value ? { Authorization: `Bearer ${value}` } : {};
  return fetch(path, {
    ...options, headers, cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
  });
}

async function failure(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch { /* Not every answer is JSON: `starting` is text. */ }
  const message = body?.error ?? body?.text ?? text.trim().slice(0, 500);
  return new ApiError(response.status, message || `the server answered ${response.status}`, body);
}

/** A path with its parameters, but those that say nothing. */
function url(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

export async function get(path, query = {}) {
  const response = await send(url(path, query), { signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** An action. Its answer has `ok` and `text`, also where the server refuses it. */
export async function post(path, query = {}, body) {
  const response = await send(url(path, query), { method: 'POST', body });
  if (response.ok) return response.json().catch(() => ({ ok: true, text: '' }));
  const error = await failure(response);
  if (response.status === 409 && error.body && 'ok' in error.body) return error.body;
  throw error;
}

/**
 * Read a stream of JSON lines until it or `signal` ends; `take` gets the records that came
 * together, `opened` is called before the first.
 */
export async function stream(path, signal, take, opened) {
  const response = await send(path, { signal });
  if (!response.ok) throw await failure(response);
  opened?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    if (rest.length > MAX_LINE) throw new ApiError(0, 'the server sent a line without end');
    const records = lines.filter((line) => line.trim()).map((line) => JSON.parse(line));
    if (records.length) take(records);
  }
}
