// A server that starts again while the page is open.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { go, hexOf, look, until } from '../harness.mjs';

const TOKEN = 'a-token-that-stays-the-same';

/** A server of this case, at these addresses. */
async function start(inspector, { admin, listen } = { admin: '127.0.0.1:0', listen: '127.0.0.1:0' }) {
  const file = join(inspector.dir, 'token');
  writeFileSync(file, TOKEN, { mode: 0o600 });
  const args = [inspector.counter.guest, '--no-watch', '--listen', listen, '--admin', admin, '--admin-token-file', file, '--max-per-peer', '1'];
  const child = spawn(inspector.hotsocket, args, { env: { ...process.env, XDG_RUNTIME_DIR: inspector.dir }, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  await new Promise((ready, failed) => {
    child.stderr.on('data', (data) => {
      log += data;
      if (log.includes('ready in')) ready();
    });
    child.on('exit', () => failed(new Error(log)));
  });
  const found = (pattern) => log.match(pattern)[1];
  const server = { admin: found(/admin address (\S+)/), listen: found(/listening on (\S+)/), token: TOKEN };
  const gone = new Promise((resolve) => { child.on('exit', resolve); });
  const stop = () => {
    child.kill('SIGKILL');
    return gone;
  };
  return { server, stop };
}

/** More than may come from one address are reset, and counted. */
async function refused(server) {
  const [host, port] = server.listen.split(':');
  const socket = net.connect({ host, port });
  socket.on('error', () => {});
  socket.resume();
  await new Promise((gone) => { socket.on('close', gone); });
}

/** A connection to a Unix socket. All those of one process have the same text. */
async function local(listen) {
  const socket = net.connect({ path: listen.replace(/^unix:/, '') });
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

export async function a_server_that_starts_again_is_followed(inspector) {
  let { server, stop } = await start(inspector);
  try {
    const page = await inspector.open(server);
    const peer = await inspector.peer(server);
    await look(page, peer.name);
    await peer.ask('one', 15);
    await hexOf(page, 'out', 1);
    for (let i = 0; i < 3; i += 1) await refused(server);
    await until(page, () => document.querySelector('[data-badge=limits]').textContent === '1');
    await stop();
    await page.locator('page-head .pill.away').waitFor();
    await page.locator('.banner.failed').waitFor();
    // Views that were not seen yet are there all the same.
    await go(page, 'topics');
    await page.locator('topics-view .bar').waitFor();

    ({ server, stop } = await start(inspector, server));
    await page.locator('page-head .pill.ready').waitFor();
    // The first connection of this one has the same number.
    const other = await inspector.peer(server);
    await other.ask('two', 15);
    await go(page, 'connections');
    await page.locator('#connections .body .row', { hasText: other.name }).waitFor();
    await go(page, 'limits');
    await page.locator('limits-view .empty', { hasText: 'No limit was reached' }).waitFor();
    for (let i = 0; i < 2; i += 1) await refused(server);
    await page.locator('#limits .body .row [data-col=more]', { hasText: '+2' }).waitFor();
  } finally {
    await stop();
  }
}

export async function a_number_that_is_another_connections_now_is_not_mixed_in(inspector) {
  let { server, stop } = await start(inspector);
  try {
    const page = await inspector.open(server);
    const peer = await inspector.peer(server);
    const { name } = peer;
    await look(page, name);
    await peer.ask('one', 15);
    await hexOf(page, 'out', 1);
    await stop();
    await page.locator('.banner.failed').waitFor();
    ({ server, stop } = await start(inspector, server));
    const other = await inspector.peer(server);
    await other.ask('two', 15);
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.locator('.banner.failed', { hasText: 'another connection’s' }).waitFor();
    await page.locator('connection-view h1', { hasText: name }).waitFor();
    await page.locator('connection-view .pill.over').waitFor();
  } finally {
    await stop();
  }
}

export async function a_connection_of_the_same_text_is_not_mixed_in_either(inspector) {
  const listen = `unix:${join(inspector.dir, 'guest.sock')}`;
  let { server, stop } = await start(inspector, { admin: '127.0.0.1:0', listen });
  const sockets = [];
  try {
    const page = await inspector.open(server);
    sockets.push(await local(listen));
    await look(page, 'unix uid');
    // Longer than clocks may differ.
    await page.locator('.facts dd', { hasText: /^([3-9]|\d\d) s$/ }).waitFor();
    await stop();
    await page.locator('.banner.failed').waitFor();
    ({ server, stop } = await start(inspector, server));
    sockets.push(await local(listen));
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.locator('.banner.failed', { hasText: 'another connection’s' }).waitFor();
    for (let i = 0; i < 2; i += 1) await page.waitForResponse('**/api/connections*');
    assert.equal(await page.locator('connection-view .pill').textContent(), '■ over');
  } finally {
    for (const socket of sockets) socket.destroy();
    await stop();
  }
}
