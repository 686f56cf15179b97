// One connection: its bytes in both directions, and what can be done with them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { drop, go, goToLog, hex, hexOf, look, rowsOf, until } from '../harness.mjs';

export async function a_conversation_by_nc_appears_as_its_bytes(inspector) {
  const page = await inspector.open(inspector.counter);
  const nc = inspector.nc(inspector.counter);
  await page.locator('#connections .body .row').first().waitFor();
  const peer = (await page.locator('#connections .body .row [data-col=peer]').first().textContent()).trim();
  await look(page, peer);
  nc.write('hello\n');
  assert.deepEqual(await hexOf(page, 'in', 1), [hex('hello\n')]);
  assert.deepEqual((await hexOf(page, 'out', 1)).map((row) => row.replace(/ +/g, ' ')), [hex('6 bytes so far\n')]);
  nc.write('are you still there?\n');
  await hexOf(page, 'out', 2);
  const rows = (await rowsOf(page, '.line.bytes')).map((row) => row[0]);
  assert.deepEqual(rows, ['→', '←', '→', '→', '←'], 'each in its order, and its direction in a sign');
  assert.deepEqual(await rowsOf(page, '.head-line .event'), ['data', 'data']);
  await until(page, () => /CPU.*gen 1/.test(document.querySelector('.head-line').textContent));
  await page.keyboard.press('x');
  await until(page, () => [...document.querySelectorAll('.line.bytes.in .text')].some((row) => row.textContent === 'are you still there?\\n'));
}

export async function downloads_are_read_by_tshark_and_by_hotsocket_test(inspector) {
  for (const server of [inspector.counter, inspector.echo]) {
    const page = await inspector.open(server);
    const peer = await inspector.peer(server);
    await look(page, peer.name);
    const counts = server === inspector.counter;
    const binary = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) & 255));
    const sent = [Buffer.from('hello "world"\r\n\\'), binary, Buffer.from('ä\0end')];
    let total = 0;
    const components = [];
    for (const bytes of sent) {
      // The same code in another component takes over in between.
      if (counts && total) components.push(await swap(page, server, total));
      total += bytes.length;
      await peer.ask(bytes, counts ? `${total} bytes so far\n`.length : bytes.length);
    }
    peer.socket.end();
    await page.locator('.mark-line.closed').waitFor();
    const pcapng = await save(page, inspector, '#save-pcapng');
    if (inspector.tshark) {
      // What is wrong with checksums and sequence numbers is printed before the stream.
      const args = ['-r', pcapng, '-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE', '-Y', 'tcp.checksum.status==0 || ip.checksum.status==0 || tcp.analysis.flags', '-z', 'follow,tcp,raw,0'];
      const printed = execFileSync(inspector.tshark, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      assert.ok(printed.trim().startsWith('===='), printed.slice(0, 1000));
      const lines = printed.split('\n').filter((line) => /^\t?[0-9a-f]+$/.test(line));
      const of = (out) => lines.filter((line) => line.startsWith('\t') === out).map((line) => line.trim()).join('');
      assert.equal(of(false), Buffer.concat(sent).toString('hex'));
      assert.equal(of(true), peer.received.toString('hex'));
    }
    const script = await save(page, inspector, '#save-conversation');
    // It names the files that it needs, with their hashes.
    const text = readFileSync(script, 'utf8');
    const needed = [...text.matchAll(/^# Needed .*: (\S+), generation \d+ \((\w+)\)$/gm)];
    assert.equal(needed.length, components.length, text);
    assert.match(text, /^# The guest to test: \w+\.wasm, generation \d+ \(\w{12}\)$/m);
    for (const [i, [, name, sha256]] of needed.entries()) {
      assert.equal(createHash('sha256').update(components[i]).digest('hex').slice(0, 12), sha256);
      assert.ok(text.includes(`swap "${name}"`), text);
      writeFileSync(join(inspector.dir, name), components[i]);
    }
    const passed = execFileSync(inspector.hotsocket, ['test', server.guest, script], { encoding: 'utf8' });
    assert.match(passed, counts ? /^ok .* 2 swaps/ : /^ok /);
  }
}

/** Swap to the guest with one more custom section, and wait until the connection has moved. */
async function swap(page, server, note) {
  const component = Buffer.concat([readFileSync(server.guest), Buffer.from([0, 3, 2, 110, note & 127])]);
  await drop(page, 'same.wasm', component);
  await page.locator('dialog[open]').getByRole('button', { name: 'Swap' }).click();
  await page.locator('dialog[open]').getByRole('button', { name: 'Done' }).click();
  return component;
}

export async function a_conversation_with_starttls_is_played_by_hotsocket_test(inspector) {
  const page = await inspector.open(inspector.echo);
  // Recorded as a server with a certificate would; the swap is to code that nobody knows any more.
  const text = await page.evaluate(async () => {
    const { conversation } = await import('/page/conversation.js');
    const bytes = (direction, what) => ({ direction, bytes: new TextEncoder().encode(what), missing: 0 });
    const event = (name, ...parts) => ({ record: { type: 'event', event: name, generation: 1, origin: name === 'open' ? 'accepted' : undefined }, parts });
    const mark = (name, more) => ({ record: { type: 'mark', mark: name, ...more }, parts: [] });
    const blocks = [
      event('open', bytes('out', '220 hotsocket\r\n')),
      event('data', bytes('in', 'STARTTLS\r\n'), bytes('out', '220 go ahead\r\n')),
      mark('secured'),
      mark('swap', { from: 1, to: 2 }),
      event('data', bytes('in', 'QUIT\r\n'), bytes('out', '221 bye\r\n')),
      mark('fin-sent'),
    ];
    return conversation({ blocks, forgotten: 0 }, 'made up');
  });
  assert.match(text, /^# Generation 2 is not known.*\npeer start-tls\nexpect "220/m);
  const script = join(inspector.dir, 'starttls.test');
  writeFileSync(script, text);
  assert.match(execFileSync(inspector.hotsocket, ['test', join(dirname(inspector.echo.guest), 'smtp.wasm'), script], { encoding: 'utf8' }), /^ok .* 1 swap/);
}

export async function a_backslash_is_no_escape_sequence(inspector) {
  const page = await inspector.open(inspector.echo);
  const peer = await inspector.peer(inspector.echo);
  await look(page, peer.name);
  const sent = 'a\\x1b \x1b\\\r\nb\r';
  await peer.ask(sent, sent.length);
  await hexOf(page, 'in', 1);
  await page.keyboard.press('x');
  await until(page, () => document.querySelector('.line.bytes.in .text').textContent === 'a\\\\x1b \\x1b\\\\\\r\\n');
  const box = await page.locator('.line.bytes.in .text').first().boundingBox();
  await page.mouse.click(box.x + 5, box.y + 8);
  await page.locator('stream-list').focus();
  await page.keyboard.press('c');
  await page.locator('.notice').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'a\\\\x1b \\x1b\\\\\n');
}

async function save(page, inspector, control) {
  const [file] = await Promise.all([page.waitForEvent('download'), page.click(control)]);
  const path = join(inspector.dir, file.suggestedFilename());
  await file.saveAs(path);
  return path;
}

export async function bytes_are_found_selected_and_copied(inspector) {
  const page = await inspector.open(inspector.echo);
  const peer = await inspector.peer(inspector.echo);
  await look(page, peer.name);
  // The second is found across the border of two events.
  await peer.ask('one two thr', 11);
  await peer.ask('ee four\xff', 9);
  await hexOf(page, 'out', 2);
  await page.keyboard.press('/');
  await page.keyboard.type('three');
  await until(page, () => document.querySelector('.found[role]').textContent === '1 of 2');
  await until(page, () => [...document.querySelectorAll('.line.bytes .ascii .found')].map((found) => found.textContent).join(' ') === 'thr thr ee ee');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('.found[role]').textContent === '2 of 2');
  await page.keyboard.press('Shift+Enter');
  await until(page, () => document.querySelector('.found[role]').textContent === '1 of 2');
  await page.fill('#search', 'c3 BF');
  await page.selectOption('[aria-label="What is searched for"]', 'hex');
  await until(page, () => document.querySelector('.found[role]').textContent === '1 of 2');
  await page.keyboard.press('Escape');
  await page.locator('stream-list').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('h');
  await page.locator('.notice').waitFor();
  const both = 'one two throne two thr';
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), hex(both));
  await page.keyboard.press('c');
  await until(page, () => document.querySelectorAll('.notice').length === 2);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), both);
  // With the pointer: from the second to the fourth byte in hex.
  const box = await page.locator('.line.bytes.in .hex').first().boundingBox();
  const each = box.width / 48;
  await page.mouse.move(box.x + each * 3.5, box.y + 8);
  await page.mouse.down();
  await page.mouse.move(box.x + each * 10, box.y + 8);
  await page.mouse.up();
  assert.deepEqual(await page.locator('.line.bytes .selected').allTextContents(), ['6e 65 20 ', 'ne ']);
}

export async function events_are_selected_one_by_one_in_both_ways(inspector) {
  const page = await inspector.open(inspector.echo);
  const peer = await inspector.peer(inspector.echo);
  await look(page, peer.name);
  for (const [i, text] of ['one ', 'two ', 'three '].entries()) {
    await peer.ask(text, text.length);
    await hexOf(page, 'out', i + 1);
  }
  await page.locator('stream-list').focus();
  const selected = (keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve()).then(() => page.evaluate(() => {
    const list = document.querySelector('stream-list');
    return new TextDecoder().decode(list.selection.bytes(list.recording.blocks).bytes);
  }));
  assert.equal(await selected(['j', 'j']), 'two two ');
  assert.equal(await selected(['K']), 'one one two two ');
  assert.equal(await selected(['J']), 'two two ', 'back to where it began');
  assert.equal(await selected(['J']), 'two two three three ');
  assert.equal(await selected(['K', 'K']), 'one one two two ');
}

export async function letters_are_found_as_they_are_written(inspector) {
  const page = await inspector.open(inspector.echo);
  const found = await page.evaluate(async () => {
    const { Search, needle } = await import('/page/search.js');
    const bytes = new TextEncoder().encode('äpfel ÄPFEL Äpfel');
    const search = new Search();
    search.begin(needle('ÄpFEL', false), false, [{ id: 1, parts: [{ direction: 'in', bytes, missing: 0 }] }]);
    return search.matches.map(([span]) => new TextDecoder().decode(bytes.subarray(span.from, span.to)));
  });
  assert.deepEqual(found, ['ÄPFEL', 'Äpfel'], 'only of ASCII the case does not matter');
}

export async function a_lease_that_is_not_renewed_ends_and_can_be_taken_again(inspector) {
  const page = await inspector.open(inspector.echo);
  const peer = await inspector.peer(inspector.echo);
  await page.route('**/api/tap/*', (route) => route.abort());
  await look(page, peer.name);
  await peer.ask('before', 6);
  await hexOf(page, 'out', 1);
  await page.locator('.banner.expired').waitFor();
  await page.unroute('**/api/tap/*');
  await peer.ask('unseen', 6);
  await page.getByRole('button', { name: 'Look again' }).click();
  await until(page, () => document.querySelector('connection-view[data-tap=running]'));
  await peer.ask('after', 5);
  assert.deepEqual(await hexOf(page, 'in', 2), [hex('before'), hex('after')]);
  assert.match((await rowsOf(page, '.mark-line')).join(), /nothing was recorded/);
}

export async function without_a_token_lists_are_shown_and_bytes_are_not(inspector) {
  const page = await inspector.open(inspector.echo, { token: false });
  const peer = await inspector.peer(inspector.echo);
  await page.locator('#connections .body .row', { hasText: peer.name }).click();
  await page.locator('.banner.token code', { hasText: 'hotsocket open' }).waitFor();
  await go(page, 'log');
  await page.locator('log-view .token code').waitFor();
  await go(page, 'swaps');
  await page.locator('#choose').click();
  await page.locator('.confirm .token', { hasText: 'swaps or rolls back' }).waitFor();
}

export async function a_connection_beyond_what_one_answer_has_is_not_over(inspector) {
  const page = await inspector.open(inspector.echo, { token: false });
  await page.route('**/api/connections*', (route) => route.fulfill({ json: { open: 10_001, matching: 10_001, connections: [] } }));
  await go(page, 'connection/7');
  for (let i = 0; i < 2; i += 1) await page.waitForResponse('**/api/connections*');
  assert.equal(await page.locator('connection-view .pill').textContent(), '');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

export async function a_token_that_comes_later_lets_the_connection_be_seen(inspector) {
  const page = await inspector.open(inspector.echo, { token: false });
  const peer = await inspector.peer(inspector.echo);
  await page.locator('#connections .body .row', { hasText: peer.name }).click();
  await page.locator('.banner.token').waitFor();
  const shown = await page.locator('.banner.token .lead').elementHandle();
  await page.waitForResponse('**/api/session');
  await page.waitForResponse('**/api/session');
  assert.ok(await shown.evaluate((element) => element.isConnected), 'what is read out once is not made again');
  const link = (token) => page.evaluate((hash) => { location.hash = hash; }, `#token=${token}`);
  await link('that-of-another-server');
  await page.locator('.banner.token', { hasText: 'token has changed' }).waitFor();
  await link(inspector.echo.token);
  await until(page, () => document.querySelector('connection-view[data-tap=running]'));
  assert.ok(page.url().includes('#/connection/'), page.url());
  await peer.ask('seen', 4);
  assert.deepEqual(await hexOf(page, 'out', 1), [hex('seen')]);
}

export async function a_stream_that_hangs_is_over_with_its_lease(inspector) {
  const page = await inspector.open(inspector.echo);
  // As when the machine slept for longer than its connection lasted, or woke and found it cut.
  const states = (isCut) => page.evaluate(async (cut) => {
    const { Tap } = await import('/page/tap.js');
    const lease = new TextEncoder().encode('{"type":"lease","tap":"1","lease_ms":30,"connection":null}\n');
    const fetched = window.fetch;
    window.fetch = async (path, options) => {
      if (path === '/api/tap?connection=1') return new Response(new ReadableStream({
        start: (stream) => {
          stream.enqueue(lease);
          if (cut) setTimeout(() => stream.error(new TypeError('network error')), 100);
        },
      }));
      // Nobody renews while the machine sleeps.
      if (path === '/api/tap/1' && cut) throw new TypeError('no network');
      return path === '/api/tap/1' ? new Response('{"error":"none"}', { status: 404 }) : fetched(path, options);
    };
    const tap = new Tap();
    const seen = [];
    const over = new Promise((done) => {
      setTimeout(done, 20_000);
      tap.addEventListener('state', ({ detail }) => {
        seen.push(detail.state);
        if (detail.state === 'expired' || detail.state === 'failed') done();
      });
    });
    tap.start('1');
    await over;
    window.fetch = fetched;
    return seen;
  }, isCut);
  assert.deepEqual(await states(false), ['waiting', 'running', 'expired']);
  assert.deepEqual(await states(true), ['waiting', 'running', 'expired']);
}

export async function a_token_that_is_not_right_any_more_is_told_from_none(inspector) {
  const page = await inspector.open({ ...inspector.echo, token: 'that-of-the-server-before' });
  const peer = await inspector.peer(inspector.echo);
  await page.locator('#connections .body .row', { hasText: peer.name }).click();
  await page.locator('.banner.token', { hasText: 'token has changed' }).waitFor();
  await go(page, 'log');
  await page.locator('log-view .token', { hasText: 'token has changed' }).waitFor();
}

export async function the_log_says_what_it_has_missed(inspector) {
  const page = await inspector.open(inspector.hostile);
  await goToLog(page);
  await go(page, 'swaps');
  await page.locator('swaps-view').waitFor();
  await go(page, 'log');
  await page.locator('log-view .lines p', { hasText: 'not recorded from' }).waitFor();
}

export async function a_token_leaves_the_address_and_is_sent_only_as_a_header(inspector) {
  const page = await inspector.open(inspector.echo);
  assert.ok(!page.url().includes(inspector.echo.token));
  const sent = [];
  page.on('request', (request) => sent.push(`${request.url()} ${request.postData() ?? ''} ${request.headers().referer ?? ''} ${request.headers().cookie ?? ''}`));
  await page.waitForResponse('**/api/session');
  assert.ok(sent.length > 0 && !sent.some((request) => request.includes(inspector.echo.token)));
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  await until(page, () => document.querySelector('page-head .pill.ready'));
  const session = await page.waitForResponse('**/api/session');
  assert.equal((await session.json()).token, true, 'it is kept for the tab');
}
