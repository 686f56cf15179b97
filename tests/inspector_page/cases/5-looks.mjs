// Keyboard only, axe in both themes, and narrow screens.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { go, hexOf, look, until } from '../harness.mjs';

const VIEWS = ['connections', 'swaps', 'topics', 'limits', 'log'];
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function everything_can_be_done_with_the_keyboard(inspector) {
  const peer = await inspector.peer(inspector.echo);
  const page = await inspector.open(inspector.echo);
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute('data-path') || document.activeElement.localName);
  await page.locator('#connections .body .row').first().waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'connections');
  await page.keyboard.press('/');
  await page.keyboard.type(peer.name);
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  await until(page, () => document.querySelector('#connections').hasAttribute('aria-activedescendant'));
  await page.keyboard.press('Enter');
  await page.locator('connection-view h1', { hasText: peer.name }).waitFor();
  await until(page, () => document.querySelector('connection-view[data-tap=running]'));
  await peer.ask('hello', 5);
  await hexOf(page, 'out', 1);
  await page.keyboard.press('f');
  await until(page, () => document.querySelector('#follow .label').textContent === 'Follow');
  await page.keyboard.press('f');
  await page.keyboard.press('Escape');
  await page.locator('connections-view').waitFor();
  for (const [i, view] of VIEWS.entries()) {
    await page.keyboard.press(String(i + 1));
    await page.locator(`${view}-view`).waitFor();
  }
  await page.keyboard.press('?');
  await page.locator('dialog.help').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('2');
  await page.locator('swaps-view .generations li.active').waitFor();
  // Everything that can be focused shows it, and Tab goes round without a trap.
  const seen = new Set();
  for (let i = 0; i < 40 && !seen.has('choose'); i += 1) {
    await page.keyboard.press('Tab');
    seen.add(await focused());
    const outlined = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return document.activeElement.matches('body, main') || style.outlineStyle !== 'none' || style.boxShadow !== 'none';
    });
    assert.ok(outlined, `focus shows on ${[...seen].at(-1)}`);
  }
  assert.ok(seen.has('choose'), [...seen].join());
  // The heads of a table sort.
  await page.keyboard.press('1');
  await page.locator('#connections .head button').first().focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('.heads [data-col=peer]').getAttribute('aria-sort') === 'ascending');
}

export async function axe_finds_nothing_serious_in_either_theme(inspector) {
  const peer = await inspector.peer(inspector.counter);
  for (const colorScheme of ['light', 'dark']) {
    const page = await inspector.open(inspector.counter, { colorScheme });
    await page.evaluate(AXE);
    const check = async (view) => {
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(serious.map(({ id, nodes }) => `${view}, ${colorScheme}: ${id} ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n')}`), []);
    };
    await page.locator('#connections .body .row').first().waitFor();
    await check('connections');
    await look(page, peer.name);
    await peer.ask('hello\n', 10);
    await hexOf(page, 'out', 1);
    await page.keyboard.press('j');
    await check('connection');
    for (const view of VIEWS.slice(1)) {
      await go(page, view);
      await page.locator(`${view}-view .bar`).waitFor();
      await check(view);
    }
    await page.keyboard.press('?');
    await check('help');
  }
}

export async function nothing_overflows_a_phone(inspector) {
  const peer = await inspector.peer(inspector.counter);
  const page = await inspector.open(inspector.counter, { width: 390, height: 844, hasTouch: true, isMobile: true });
  const check = async (view) => {
    const wide = await page.evaluate(() => [document.documentElement.scrollWidth, ...[...document.querySelectorAll('#head, #main, #nav, #nav *, .bar, .bar *, page-head > *, .toolbar, .tools *, .stream, .scroll, .lines')].map((element) => element.getBoundingClientRect().right)].filter((width) => width > innerWidth + 0.5));
    assert.deepEqual(wide, [], view);
  };
  await page.locator('#connections .body .row').first().waitFor();
  await check('connections');
  await look(page, peer.name);
  await peer.ask('0123456789abcdefghijklmnopq\n', 10);
  await hexOf(page, 'out', 1);
  const checkRows = async (width) => {
    // No row of bytes is cut, once they are laid out for this width.
    await until(page, () => [...document.querySelectorAll('.line.bytes')].every((row) => row.scrollWidth <= row.clientWidth));
    await check(`connection, ${width}`);
  };
  await checkRows(390);
  for (const [width, height] of [[740, 360], [320, 600]]) {
    await page.setViewportSize({ width, height });
    await until(page, () => document.querySelector('.stream').clientHeight >= innerHeight / 2);
    await checkRows(width);
    await page.locator('#unfold').click();
    await page.locator('#save-pcapng').waitFor();
    await check(`connection, unfolded, ${width}`);
    await page.locator('#unfold').click();
  }
  for (const view of VIEWS.slice(1)) {
    await go(page, view);
    await page.locator(`${view}-view .bar`).waitFor();
    await check(view);
  }
}

export async function limits_of_the_server_are_listed_too(inspector) {
  const { admin, token } = inspector.messenger;
  const page = await inspector.open(inspector.messenger);
  await inspector.peer(inspector.messenger);
  await page.locator('#connections .body .row').waitFor();
  const { connections: [{ id }] } = await (await fetch(`http://${admin}/api/connections`)).json();
  const abort = new AbortController();
  const tap = () => fetch(`http://${admin}/api/tap?connection=${id}`, { headers: { Authorization: `Bearer ${token}` }, signal: abort.signal });
  while ((await tap()).ok);
  abort.abort();
  await go(page, 'limits');
  await page.locator('#limits .body .row', { hasText: /max-taps.*the server/ }).waitFor();
  await until(page, () => document.querySelector('[data-badge=limits]').textContent === '1');
}
