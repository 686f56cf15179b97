// What peers and guests send is data: nothing of it runs, and nothing of it changes the page.

import assert from 'node:assert/strict';
import { go, goToLog, look, until } from '../harness.mjs';

const TEXTS = [
  '<img src=x onerror=alert(1)><script>alert(2)</script><style>*{display:none}</style>',
  '\u202egnp.exe \u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff\u034f\u115f\u3164\ufe0f\u{e0100}',
  '\x1b[2J\x1b[31mred\x1b]0;title\x07 \x00\x7f\u009b31m',
];
/** What must be in no text of the page, as it would do something there. */
const HIDDEN = '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u3164\\ufe00-\\ufe0f\\uffa0\\u{e0100}-\\u{e01ef}]';

export async function hostile_bytes_lines_labels_and_faults_are_only_shown(inspector) {
  // High enough for all rows to be elements.
  const page = await inspector.open(inspector.hostile, { height: 4000 });
  const peer = await inspector.peer(inspector.hostile);
  await look(page, peer.name);
  const shape = await structure(page);
  for (const text of TEXTS) {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80, 0xe2])]);
    await peer.ask(bytes, bytes.length);
  }
  // As label and as printed lines, in which ends of lines end them.
  for (const text of TEXTS) await peer.ask(`L${text}`, 1);
  // A line is recorded before its event, and shown with it.
  await until(page, () => document.querySelectorAll('.line.stderr').length >= 3);
  const rows = await page.evaluate(() => [...document.querySelectorAll('stream-list .line')].sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top).map((row) => row.className));
  assert.match(rows.find((_, i) => rows[i + 1]?.includes('stdout')), /bytes out/, 'a line is below what its event has written');
  for (const mode of ['hex', 'text']) {
    await until(page, () => document.querySelectorAll('.head-line').length >= 6);
    await clean(page);
    if (mode === 'hex') await page.keyboard.press('x');
  }
  for (const shown of ['<script>alert(2)</script>', '\\u{202e}gnp.exe', '\\x1b[2J', '\\xff\\xc0\\x80']) await until(page, (part) => document.querySelector('stream-list').textContent.includes(part), shown);
  assert.deepEqual(await structure(page), shape, 'no elements but rows have come');
  await goToLog(page);
  peer.socket.write(`P${TEXTS.join(' ')}`);
  await until(page, () => document.querySelector('log-view .lines').textContent.includes('alert(1)'));
  await clean(page);
  const other = await inspector.peer(inspector.hostile);
  await other.ask(`L${TEXTS[0]}`, 1);
  await go(page, 'connections');
  await page.locator('#connections .body .row', { hasText: '<script>' }).waitFor();
  await clean(page);
}

export async function hostile_topics_are_only_shown(inspector) {
  const page = await inspector.open(inspector.messenger);
  const peer = await inspector.peer(inspector.messenger);
  const topic = '<img/src=x/onerror=alert(3)//\u202e\u200b';
  await look(page, peer.name);
  await peer.ask(`event ${topic}\n`, 3);
  const other = await inspector.peer(inspector.messenger);
  await other.ask(`publish ${topic} <b>hello</b>\n`, 3);
  await page.locator('.topic', { hasText: 'onerror' }).waitFor();
  await clean(page);
  await go(page, 'topics');
  await page.locator('#topics .body .row', { hasText: '<img/src=x/onerror=alert(3)//\\u{202e}\\u{200b}' }).waitFor();
  await clean(page);
}

/** Elements of the page without the rows of the stream, by their names. */
async function structure(page) {
  return page.evaluate(() => [...document.querySelectorAll('*')]
    .filter((element) => !element.closest('stream-list > *, #notices, .facts, page-head, #nav, title'))
    .map((element) => element.localName));
}

async function clean(page) {
  const found = await page.evaluate((pattern) => {
    const hidden = new RegExp(pattern, 'u');
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) {
      const text = walker.currentNode.nodeValue.replaceAll('\n', '');
      if (hidden.test(text)) texts.push(JSON.stringify(text));
    }
    if (document.querySelector('main img, main script, main style, body > style')) texts.push('an element');
    return texts;
  }, HIDDEN);
  assert.deepEqual(found, []);
}
