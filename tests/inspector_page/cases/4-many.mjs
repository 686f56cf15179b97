// Thousands of connections.

import assert from 'node:assert/strict';
import { rowsOf, until } from '../harness.mjs';

const COUNT = 5000;

export async function five_thousand_connections_scroll_filter_and_sort(inspector) {
  const few = await first(inspector);
  const peers = [];
  for (let i = 0; i < COUNT; i += 100) peers.push(...await Promise.all(Array.from({ length: 100 }, () => inspector.peer(inspector.echo))));
  await peers[4321].ask('x'.repeat(5000), 5000);
  const many = await first(inspector);
  console.log(`   first row after ${few.time} ms with few connections, ${many.time} ms with ${COUNT}`);
  const { page } = many;
  await until(page, (count) => document.querySelector('#connections').getAttribute('aria-rowcount') > count, COUNT);
  await page.evaluate(() => { window.longTasks = 0; });

  // A row at the top of what is in sight stays there while polls come.
  await page.evaluate(() => { document.querySelector('#connections').scrollTop = 60_000; });
  const top = () => page.evaluate(() => document.querySelector('#connections').scrollTop);
  const polled = () => page.waitForResponse('**/api/connections*');
  await polled();
  await polled();
  assert.equal(await top(), 60_000);
  await page.evaluate(async () => {
    const grid = document.querySelector('#connections');
    for (let y = 0; y < grid.scrollHeight; y += 4000) {
      grid.scrollTop = y;
      await new Promise(requestAnimationFrame);
    }
  });
  const elements = await page.evaluate(() => document.querySelectorAll('#connections .body .row').length);
  assert.ok(elements < 100, `${elements} rows are elements`);

  await page.locator('[data-col=received] button').click();
  await page.evaluate(() => { document.querySelector('#connections').scrollTop = 0; });
  await until(page, (peer) => document.querySelector('#connections [aria-rowindex="2"] [data-col=peer]')?.textContent.startsWith(peer), peers[4321].name);
  await page.fill('#filter', peers[77].name);
  await until(page, () => document.querySelector('#connections').getAttribute('aria-rowcount') === '2');
  assert.match((await rowsOf(page, '#connections .body .row:not([hidden]) [data-col=peer]')).join(), new RegExp(peers[77].name));
  await page.fill('#filter', '');
  // The selected row stays selected, wherever it is sorted to.
  await page.locator('#connections').focus();
  await page.keyboard.press('ArrowDown');
  await polled();
  await until(page, (peer) => document.querySelector('#connections [aria-selected=true] [data-col=peer]')?.textContent.startsWith(peer), peers[4321].name);
  console.log(`   ${await page.evaluate(() => window.longTasks)} long tasks (over 50 ms) while it scrolled, sorted and filtered`);
}

/** A page, and how long it took from the navigation to its first row. */
async function first(inspector) {
  if (!inspector.firstPeer) inspector.firstPeer = await Promise.all(Array.from({ length: 10 }, () => inspector.peer(inspector.echo)));
  const page = await inspector.open(inspector.echo);
  await page.locator('#connections .body .row').first().waitFor();
  const time = await page.evaluate(() => Math.round(performance.getEntriesByName('first-row')[0].startTime));
  return { page, time };
}
