// Owns: the list of shortcuts, and what is shown where a token is missing.

import { button, h, icon } from './dom.js';
import { store } from './store.js';

const SHORTCUTS = [
  ['Everywhere', [['1 … 5', 'connections, swaps, topics, limits, log'], ['/', 'search or filter'], ['t', 'light or dark'], ['?', 'this list'], ['Esc', 'back']]],
  ['Tables', [['↑ ↓', 'move'], ['Home End', 'first, last'], ['Enter', 'look into the connection'], ['← →', 'in the head; Enter sorts']]],
  ['One connection', [['f', 'follow, pause'], ['x', 'hex and text, or text'], ['n N', 'next, previous match'], ['j k', 'next, previous event; Shift: more'], ['c h', 'copy the selection as text, as hex'], ['Ctrl A', 'select all'], ['p', 'download as pcapng'], ['s', 'download as a conversation']]],
];

export function openHelp() {
  const dialog = h('dialog.help', { 'aria-labelledby': 'help-title' },
    h('div.title', h('h2', { id: 'help-title' }, 'Shortcuts'), button('Close', 'close', () => dialog.close(), { quiet: true })),
    h('div.columns', SHORTCUTS.map(([title, keys]) => h('section', h('h3', title),
      h('dl', keys.map(([key, text]) => h('div', h('dt', key.split(' ').map((one) => h('kbd', one))), h('dd', text))))))));
  show(dialog);
}

/** Show a dialog, and remove it when it is closed. */
export function show(dialog) {
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  // A click beside it closes it.
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}

/** What stands where a token is needed. */
export function needToken(what) {
  return h('div.empty.token', icon('key'),
    h('p.lead', `${what} needs the token`),
    h('p', 'Bytes and lines of connections may be secrets, so the page shows them only with the server’s token. On the server’s machine this opens the page with it:'),
    h('code', 'hotsocket open'),
    h('p.hint', 'Lists are shown without it.'));
}

/** Whether the page may show bytes and act. */
export const hasToken = () => store.session.token === true;

/** Say something that happened, for a while. */
export function notice(text, kind = 'info') {
  const element = h('div', { class: `notice ${kind}` }, icon(kind === 'bad' ? 'alert' : 'check'), h('span', text));
  document.getElementById('notices').append(element);
  setTimeout(() => element.remove(), 6000);
}
