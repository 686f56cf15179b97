// What every case needs: pages of the inspector that note whatever a browser complains about,
// and peers of the servers.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** The longest wait for anything; nothing is expected to take long. */
const PATIENCE = 20_000;

export class Inspector {
  #browser;
  #contexts = [];
  #peers = [];
  complaints = [];

  static async start(servers) {
    const inspector = new Inspector();
    Object.assign(inspector, servers);
    inspector.#browser = await chromium.launch({
      executablePath: which(servers.chromium),
      // Chromium's own sandbox does not work as root, nor in many containers.
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    });
    return inspector;
  }

  /** Open the page of a server with its token, or without. */
  async open(server, { token = true, view = 'connections', width = 1280, height = 800, ...options } = {}) {
    const context = await this.#browser.newContext({ viewport: { width, height }, acceptDownloads: true, ...options });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    this.#contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.complaints.push(`error: ${error.stack}`));
    page.on('dialog', (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) this.complaints.push(message.text());
    });
    page.on('request', (request) => {
      const foreign = !request.url().startsWith(`http://${server.admin}/`) && !request.url().startsWith('blob:');
      if (foreign) this.complaints.push(`a request to ${request.url()}`);
    });
    await page.addInitScript(() => {
      window.longTasks = 0;
      new PerformanceObserver((list) => { window.longTasks += list.getEntries().length; }).observe({ type: 'longtask' });
    });
    await page.goto(`http://${server.admin}/${token ? `#token=${server.token}` : ''}`);
    if (view !== 'connections') await go(page, view);
    await page.locator('page-head .pill.ready').waitFor();
    return page;
  }

  /** A peer, by its own connection. */
  async peer(server) {
    const peer = new Peer(server);
    this.#peers.push(peer);
    await once(peer.socket, 'connect');
    return peer;
  }

  /** `nc`, as people use it. */
  nc(server) {
    const [host, port] = split(server.listen);
    const child = spawn('nc', [host, port], { stdio: ['pipe', 'pipe', 'inherit'] });
    const nc = { child, received: '', write: (text) => child.stdin.write(text), end: () => child.stdin.end(), close: () => child.kill() };
    child.stdout.on('data', (data) => { nc.received += data; });
    this.#peers.push(nc);
    return nc;
  }

  /** The end of a case: nothing may have happened that it did not expect. */
  async finish() {
    for (const peer of this.#peers.splice(0)) peer.close();
    for (const context of this.#contexts.splice(0)) await context.close();
    assert.deepEqual(this.complaints.splice(0), [], 'the browser complains of nothing');
  }

  async stop() {
    await this.#browser.close();
  }
}

/** The path of a program; Playwright wants one. */
function which(program) {
  const found = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, program)).find((path) => existsSync(path));
  return found ?? program;
}

class Peer {
  received = Buffer.alloc(0);

  constructor(server) {
    const [host, port] = split(server.listen);
    this.socket = net.connect({ host, port, noDelay: true });
    this.socket.on('data', (data) => { this.received = Buffer.concat([this.received, data]); });
    this.socket.on('error', () => {});
  }

  get name() {
    return `${this.socket.localAddress}:${this.socket.localPort}`;
  }

  /** Send this, and wait until so many more bytes have come back. */
  async ask(bytes, count) {
    const wanted = this.received.length + count;
    this.socket.write(bytes);
    while (this.received.length < wanted) await once(this.socket, 'data');
  }

  close() {
    this.socket.destroy();
  }
}

const split = (address) => {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at), address.slice(at + 1)];
};

/** Go to a view, as a link does. */
export async function go(page, view) {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
}

/** Go to the log, and wait until the server sends it: it begins with what is logged then. */
export async function goToLog(page) {
  const sent = page.waitForResponse('**/api/log');
  await go(page, 'log');
  await sent;
}

/** Wait until this is true in the page. */
export async function until(page, condition, argument) {
  await page.waitForFunction(condition, argument, { timeout: 3 * PATIENCE });
}

/** Look into the connection of a peer, with its tap running. */
export async function look(page, peerName) {
  await page.locator('#connections .body .row', { hasText: peerName }).click();
  await page.locator('connection-view h1', { hasText: peerName }).waitFor();
  await until(page, () => document.querySelector('connection-view[data-tap=running]'));
}

/** Wait until the stream has so many rows of bytes in a direction, and give their hex. */
export async function hexOf(page, direction, rows) {
  await until(page, ([where, count]) => document.querySelectorAll(where).length >= count, [`.line.bytes.${direction} .hex`, rows]);
  return rowsOf(page, `.line.bytes.${direction} .hex`);
}

/** Texts of rows from top to bottom; their order in the document is another. */
export async function rowsOf(page, selector) {
  return page.evaluate((where) => [...document.querySelectorAll(where)]
    .map((element) => [element.getBoundingClientRect().top, element.textContent])
    .sort(([a], [b]) => a - b).map(([, text]) => text), selector);
}

export const hex = (text) => Buffer.from(text).toString('hex').match(/../g).join(' ');

/** Drop a file on the page. */
export async function drop(page, name, bytes) {
  await page.evaluate(({ name: fileName, base64 }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], fileName));
    for (const type of ['dragover', 'drop']) document.querySelector('#main').dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }, { name, base64: bytes.toString('base64') });
}
