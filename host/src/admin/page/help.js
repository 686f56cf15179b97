// Owns: the list of shortcuts, and what is shown where a token is missing.

import { button, h, icon } from './dom.js';
import { store } from './store.js';
import { token } from './token.js';

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

export function show(dialog) {
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}

/** What stands where a token is needed; `acts`: to do something, not to see it. */
export function needToken(what, acts = false) {
  const why = acts ? 'Whoever swaps or rolls back changes what the server runs, so the page does it'
    : 'Bytes and lines of connections may be secrets, so the page shows them';
  return h('div.empty.token', icon('key'),
    h('p.lead', token() ? 'The server’s token has changed' : `${what} needs the token`),
    h('p', token() ? `That of this tab is not right any more: a server that starts again has another.` : `${why} only with the server’s token.`,
      ' On the server’s machine this opens the page with it:'),
    h('code', 'hotsocket open'),
    h('p.hint', 'Lists are shown without it.'));
}

export const hasToken = () => store.session.token === true;

export function notice(text, kind = 'info') {
  const element = h(`div.notice.${kind}`, icon(kind === 'bad' ? 'alert' : 'check'), h('span', text));
  document.getElementById('notices').append(element);
  setTimeout(() => element.remove(), 6000);
}
