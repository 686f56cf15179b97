// New code from the page, under an open connection.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drop, go, hexOf, look, rowsOf, until } from '../harness.mjs';

export async function a_dropped_guest_is_swapped_to_under_a_connection_and_rolled_back(inspector) {
  const page = await inspector.open(inspector.counter);
  const peer = await inspector.peer(inspector.counter);
  await look(page, peer.name);
  await peer.ask('12345', 'n bytes so far\n'.length);
  await hexOf(page, 'out', 1);
  // The same guest, but with another text of the same length.
  const guest = readFileSync(inspector.counter.guest);
  guest.write('in all', guest.indexOf('so far'));
  await drop(page, 'counter <b>2.wasm', guest);
  const dialog = page.locator('dialog[open]');
  assert.match(await dialog.textContent(), /counter <b>2\.wasm/);
  await dialog.getByRole('button', { name: 'Swap' }).click();
  await dialog.locator('.answer.good').waitFor();
  const [, number] = (await dialog.locator('.answer').textContent()).match(/generation (\d+) is counter <b>2\.wasm/);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await peer.ask('678', 'n bytes in all\n'.length);
  await page.locator('.mark-line.swap').waitFor();
  assert.equal(peer.received.toString(), '5 bytes so far\n8 bytes in all\n');
  await until(page, () => [...document.querySelectorAll('.line.bytes.out .ascii')].some((row) => row.textContent.startsWith('8 bytes in all')));

  await go(page, 'swaps');
  await page.locator('.generations li.active', { hasText: 'counter <b>2.wasm' }).waitFor();
  await page.getByRole('button', { name: 'Roll back' }).click();
  await page.locator('.confirm', { hasText: `from generation ${number} to ${number - 1}` }).waitFor();
  const sent = page.waitForRequest('**/api/rollback?*');
  await page.locator('.confirm').getByRole('button', { name: 'Roll back' }).click();
  assert.equal(new URL((await sent).url()).searchParams.get('from'), number, 'the one that the question was about');
  await page.locator('swaps-view > .answer.good', { hasText: 'rolled back' }).waitFor();
  await page.locator('.generations li.active .number', { hasText: String(number - 1) }).waitFor();
  assert.deepEqual((await rowsOf(page, '.generations .number')).slice(0, 2), [number, String(number - 1)]);
  await peer.ask('9', 'n bytes so far\n'.length);
  assert.match(peer.received.toString(), /9 bytes so far\n$/);
}

export async function a_question_is_withdrawn_when_another_swap_comes_first(inspector) {
  const { admin, token, guest } = inspector.echo;
  const page = await inspector.open(inspector.echo, { view: 'swaps' });
  const rollback = page.locator('swaps-view .tools').getByRole('button', { name: 'Roll back' });
  await page.locator('.generations li.active').waitFor();
  assert.ok(await rollback.isDisabled(), 'there is nothing to go back to');
  const swap = async (note) => {
    const body = Buffer.concat([readFileSync(guest), Buffer.from([0, 3, 2, 110, note])]);
    const answer = await fetch(`http://${admin}/api/swap?name=echo.wasm`, { method: 'POST', body, headers: { Authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200);
  };
  await swap(1);
  await rollback.click();
  await page.locator('.confirm', { hasText: 'from generation 2 to 1' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.confirm').waitFor({ state: 'hidden' });
  await rollback.click();
  await page.locator('.confirm', { hasText: 'from generation 2 to 1' }).waitFor();
  await swap(2);
  await page.locator('.confirm').waitFor({ state: 'hidden' });
  await page.locator('.generations li.active .number', { hasText: '3' }).waitFor();
}

export async function what_is_no_guest_is_refused_in_the_words_of_the_command_line(inspector) {
  const page = await inspector.open(inspector.counter, { view: 'swaps' });
  await page.setInputFiles('#file', { name: 'notes.wasm', mimeType: 'application/wasm', buffer: Buffer.from('no component') });
  await page.locator('dialog[open]').getByRole('button', { name: 'Swap' }).click();
  await page.locator('dialog[open] .answer.bad').waitFor();
  const answer = await page.locator('dialog[open] .answer').textContent();
  assert.ok(answer.length > 20, answer);
  await page.keyboard.press('Escape');
  await page.locator('swaps-view > .answer.bad').waitFor();
}

export async function a_file_that_has_changed_since_is_said_to_have(inspector) {
  const page = await inspector.open(inspector.counter, { view: 'swaps' });
  const file = join(inspector.dir, 'built.wasm');
  writeFileSync(file, readFileSync(inspector.counter.guest));
  await page.setInputFiles('#file', file);
  await page.locator('dialog[open]').waitFor();
  // As by a compiler, in the meantime.
  writeFileSync(file, 'something else');
  await page.locator('dialog[open]').getByRole('button', { name: 'Swap' }).click();
  await page.locator('dialog[open] .answer.bad', { hasText: 'drop it again' }).waitFor();
}
