// Owns: a component that is dropped on the page, or chosen with the button: confirm, swap,
// and show the answer in the words of the command line.

import { ApiError, post } from './api.js';
import { h } from './dom.js';
import { visible } from './escape.js';
import * as format from './format.js';
import { hasToken, needToken, notice, show } from './help.js';
import { store } from './store.js';

const POLICIES = [['', 'as the server does (--on-swap)'], ['migrate', 'migrate to the new code'], ['drain', 'drain: finish on the old code'], ['close', 'close'], ['new-only', 'stay on the old code (new-only)']];

/** Swaps and rollbacks that run or have ended, for the view of swaps. */
export const actions = new EventTarget();
actions.running = false;

/** The answer of an action in one place, whoever began it. */
export async function act(ask) {
  actions.running = true;
  actions.dispatchEvent(new Event('begin'));
  let result;
  try {
    result = await ask();
  } catch (error) {
    const text = error instanceof ApiError ? error.message : `the server does not answer (${error.message})`;
    result = { ok: false, text };
  }
  actions.running = false;
  actions.dispatchEvent(new CustomEvent('end', { detail: result }));
  store.refresh();
  return result;
}

export function offer(file) {
  if (!hasToken()) {
    const dialog = h('dialog', { 'aria-label': 'The token is missing' }, needToken('A swap', true), h('div.buttons', h('button', { onclick: () => dialog.close() }, 'Close')));
    show(dialog);
    return;
  }
  const service = store.service;
  const policy = h('select', { id: 'policy' }, POLICIES.map(([value, text]) => h('option', { value }, text)));
  const answer = h('pre.answer', { role: 'status', hidden: true });
  const swap = h('button.main', { type: 'submit' }, 'Swap');
  const cancel = h('button', { onclick: () => dialog.close() }, 'Cancel');
  const title = h('h2', { id: 'offer-title' }, 'Swap the guest?');
  const facts = [
    ['File', visible(file.name)],
    ['Size', format.size(file.size)],
    ['Service', `${visible(service?.name)}, ${format.counted(service?.connections.open, 'open connection')}`],
    [h('label', { for: 'policy' }, 'Connections'), policy],
  ].map(([name, value]) => h('div', h('dt', name), h('dd', value)));
  const form = h('form', { method: 'dialog' }, title, h('dl.facts', facts), answer, h('div.buttons', cancel, swap));
  const dialog = h('dialog', { 'aria-labelledby': 'offer-title' }, form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (swap.dataset.done) return dialog.close();
    swap.disabled = true;
    policy.disabled = true;
    answer.hidden = false;
    answer.textContent = 'compiling and swapping…';
    const query = { service: service?.name, name: file.name.slice(-255), policy: policy.value };
    const result = await act(async () => {
      const unread = () => { throw new ApiError(0, 'the file cannot be read, or has changed since: drop it again'); };
      return post('/api/swap', query, await file.arrayBuffer().catch(unread));
    });
    const [, outcome = result.ok ? 'swapped' : 'not swapped', text] = result.text.match(/^(?:error: )?(not swapped|swapped|unchanged|undone): (.*)/s) ?? [];
    showAnswer(answer, { ...result, text: text ?? result.text });
    title.textContent = outcome[0].toUpperCase() + outcome.slice(1);
    swap.disabled = false;
    swap.textContent = 'Done';
    swap.dataset.done = 'yes';
    cancel.hidden = true;
    swap.focus();
    return undefined;
  });
  show(dialog);
  swap.focus();
}

/** The server's words; whether it did it is said by a sign as well. */
export function showAnswer(element, { ok, text }) {
  element.hidden = false;
  element.className = `answer ${ok ? 'good' : 'bad'}`;
  element.textContent = `${ok ? '✓' : '×'} ${text.replace(/^error: /, '').trimEnd().split('\n').map(visible).join('\n')}`;
}

export function acceptDrops() {
  const veil = h('div.veil', { hidden: true }, h('p', 'Drop a .wasm to swap the guest'));
  document.body.append(veil);
  const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  let hide = 0;
  addEventListener('dragover', (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
    clearTimeout(hide);
    // `dragleave` comes for each element; `dragover` comes as long as it is over the page.
    hide = setTimeout(() => { veil.hidden = true; }, 300);
  });
  addEventListener('drop', (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    veil.hidden = true;
    const [file, ...others] = event.dataTransfer.files;
    if (others.length) notice('one file at a time', 'bad');
    else if (file && !document.querySelector('dialog[open]')) offer(file);
  });
}
