// Owns: the start of the page, which view is shown, and the keyboard's shortcuts.

import './connections.js';
import './head.js';
import { button, h, icon, setText } from './dom.js';
import * as format from './format.js';
import { openHelp } from './help.js';
import { store, poll } from './store.js';
import { takeFromAddress } from './token.js';
import { acceptDrops } from './upload.js';

const view = (title, i) => {
  const path = title.toLowerCase();
  return { path, title, key: `${i + 1}`, element: `${path}-view`, load: () => import(`./${path}.js`) };
};
const VIEWS = ['Connections', 'Swaps', 'Topics', 'Limits', 'Log'].map(view);
const CONNECTION = view('Connection');

const main = document.getElementById('main');
let shown = null;
/** Views that are built once, so that filter and scrolling are still there on return. */
const built = new Map();

function route() {
  const [, path = 'connections', argument = ''] = location.hash.match(/^#\/([a-z]+)(?:\/([\w-]+))?$/) ?? [];
  const view = path === 'connection' && argument ? CONNECTION : VIEWS.find((one) => one.path === path) ?? VIEWS[0];
  return { view, argument };
}

async function show() {
  const { view, argument } = route();
  await view.load();
  if (route().view !== view || route().argument !== argument) return;
  const key = `${view.path}/${argument}`;
  if (key === shown) return;
  // Another connection is another stream; all else stays as it was left.
  const element = built.get(view) ?? document.createElement(view.element);
  if (view === CONNECTION) element.setAttribute('connection', argument);
  else built.set(view, element);
  const first = shown === null;
  shown = key;
  main.replaceChildren(element);
  document.title = `${argument ? `Connection ${argument}` : view.title} – hotsocket`;
  const current = view === CONNECTION ? 'connections' : view.path;
  for (const link of document.querySelectorAll('#nav a')) link.ariaCurrent = link.dataset.path === current ? 'page' : null;
  if (!first) focusContent({ preventScroll: true });
}

function focusContent(options) {
  (main.querySelector('[role=grid], .stream') ?? main).focus(options);
}

function buildNav() {
  const link = (view) => h('a', { href: `#/${view.path}`, 'data-path': view.path, title: `${view.title} (${view.key})` },
    icon(view.path), h('span', view.title), h('span.badge', { 'data-badge': view.path }));
  document.getElementById('nav').append(h('ul', VIEWS.map((view) => h('li', link(view)))),
    h('div.foot',
      button('Shortcuts', 'help', openHelp, { title: 'Shortcuts (?)' }), button('Theme', 'theme', turnTheme, { title: 'Light or dark (t)' })));
  store.addEventListener('change', () => {
    const service = store.service;
    badge('connections', service?.connections.open ?? 0);
    badge('limits', Object.keys({ ...service?.limits_reached }).length + Object.keys(store.limits).length);
  });
}

function badge(path, number) {
  setText(document.querySelector(`[data-badge=${path}]`), number ? format.count(number) : '');
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('hotsocket-theme', root.dataset.theme);
}

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.target.closest('input, select, textarea')) {
    if (event.key === 'Escape') main.focus();
    return;
  }
  const view = VIEWS.find((one) => one.key === event.key);
  const element = main.firstElementChild;
  if (view) location.hash = `#/${view.path}`;
  else if (event.key === '?') openHelp();
  else if (event.key === 't') turnTheme();
  else if (event.key === '/' && element?.focusSearch) element.focusSearch();
  else if (event.key === 'Escape' && route().view === CONNECTION) location.hash = '#/connections';
  else if (!element?.shortcut?.(event)) return;
  event.preventDefault();
}

function start() {
  const theme = localStorage.getItem('hotsocket-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  takeFromAddress();
  buildNav();
  document.getElementById('head').append(document.createElement('page-head'));
  document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault();
    focusContent();
  });
  acceptDrops();
  addEventListener('keydown', shortcut);
  addEventListener('hashchange', (event) => {
    // A link with another token, opened in this tab.
    if (takeFromAddress(new URL(event.oldURL).hash)) store.refresh();
    show();
  });
  poll(() => store.refresh());
  // All of it, as the server may be away or another one when it is wanted.
  show().then(() => [...VIEWS, CONNECTION].forEach((one) => one.load()));
}

start();
