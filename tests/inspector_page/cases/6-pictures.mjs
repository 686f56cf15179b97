// The pictures of docs/inspector.md, taken only with INSPECTOR_PICTURES=DIR: the conversation
// of the README, with its swap and its rollback, among others.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drop, go, hexOf, look, until } from '../harness.mjs';

export async function pictures(inspector) {
  const dir = process.env.INSPECTOR_PICTURES;
  if (!dir) return;
  const server = inspector.counter;
  const take = (page, name) => page.screenshot({ path: join(dir, `inspector-${name}.png`) });
  const others = await Promise.all(Array.from({ length: 60 }, () => inspector.peer(server)));
  const traffic = setInterval(() => {
    for (const [i, other] of others.entries()) {
      if (i % 3 === 0 || Math.random() < 0.1) other.socket.write('x'.repeat(1 + Math.floor(Math.random() * 3000)));
    }
  }, 40);
  const page = await inspector.open(server, { width: 1180, height: 740, deviceScaleFactor: 2, colorScheme: 'light' });
  const dark = await inspector.open(server, { width: 1440, height: 640, deviceScaleFactor: 1.5, colorScheme: 'dark' });
  const phone = await inspector.open(server, { width: 390, height: 760, deviceScaleFactor: 2, colorScheme: 'dark', isMobile: true });
  const peer = await inspector.peer(server);
  for (const one of [page, phone]) {
    await one.evaluate((name) => { document.querySelector('#filter').value = name; document.querySelector('#filter').dispatchEvent(new Event('input')); }, peer.name);
    await look(one, peer.name);
  }
  const swap = async () => {
    const guest = readFileSync(server.guest);
    guest.write('in all', guest.indexOf('so far'));
    await drop(dark, 'counter.wasm', guest);
    await dark.locator('dialog[open]').getByRole('button', { name: 'Swap' }).click();
    await dark.locator('dialog[open]').getByRole('button', { name: 'Done' }).click();
  };
  await peer.ask('hello\n', 15);
  await swap();
  await peer.ask('are you still there?\n', 16);
  await go(dark, 'swaps');
  await dark.getByRole('button', { name: 'Roll back' }).click();
  await dark.locator('.confirm').getByRole('button', { name: 'Roll back' }).click();
  await dark.locator('swaps-view > .answer.good').waitFor();
  await peer.ask('and now?\n', 16);
  await hexOf(page, 'out', 3);
  for (const one of [page, phone]) await until(one, () => document.querySelector('connection-view .facts').textContent.includes('36 B'));
  await page.mouse.move(600, 30);
  await take(page, 'connection');
  await take(phone, 'phone');
  await take(dark, 'swaps');
  await dark.setViewportSize({ width: 1440, height: 700 });
  await go(dark, 'connections');
  await dark.locator('[data-col=in-rate] button').click();
  // Until the sparklines are full.
  await until(dark, () => document.querySelectorAll('spark-line .line')[1].getAttribute('d').split('L').length >= 40, undefined);
  await take(dark, 'connections');
  clearInterval(traffic);
}
