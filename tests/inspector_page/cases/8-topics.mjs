// What comes by topics: in downloaded conversations, and in the view of topics.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { go, look } from '../harness.mjs';

export async function what_topics_brought_is_played_by_hotsocket_test(inspector) {
  const server = inspector.messenger;
  const page = await inspector.open(server);
  const peer = await inspector.peer(server);
  await look(page, peer.name);
  await peer.ask('direct news\n', 3);
  await peer.ask('event rooms.a\n', 3);
  const publish = async (topic, bytes, heard) => {
    const comes = peer.ask('', heard.length);
    execFileSync(inspector.hotsocket, ['publish', topic], { input: bytes, env: { ...process.env, XDG_RUNTIME_DIR: dirname(server.guest) } });
    await comes;
  };
  await publish('news', 'hello "you"', 'hello "you"');
  await publish('news', '', '');
  await publish('rooms.a', 'hey', '1 rooms.a 0 hey\n');
  await publish('rooms.a', '', '2 rooms.a 0 \n');
  peer.socket.end();
  await page.locator('.mark-line.closed').waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#save-conversation')]);
  const script = join(inspector.dir, 'topics.test');
  await file.saveAs(script);
  assert.match(execFileSync(inspector.hotsocket, ['test', server.guest, script], { encoding: 'utf8' }), /^ok /);
}

export async function a_conversation_ends_before_a_topic_that_a_script_can_not_name(inspector) {
  const page = await inspector.open(inspector.messenger);
  const script = join(inspector.dir, 'unnamed.test');
  for (const topic of ['#lobby', 'a"b"']) {
    const text = await page.evaluate(async (named) => {
      const { conversation } = await import('/page/conversation.js');
      const bytes = (direction, what) => ({ direction, bytes: new TextEncoder().encode(what), missing: 0 });
      const blocks = [
        { record: { type: 'event', event: 'data', generation: 1 }, parts: [bytes('in', 'event a\n'), bytes('out', 'ok\n')] },
        { record: { type: 'direct', topic: named }, parts: [bytes('out', 'never')] },
        { record: { type: 'event', event: 'data', generation: 1 }, parts: [bytes('in', 'nor this\n'), bytes('out', 'never')] },
      ];
      return conversation({ blocks, forgotten: 0 }, 'made up');
    }, topic);
    assert.match(text, /send "event a\\n"\nexpect "ok\\n"\n# Here the recording has a gap/);
    writeFileSync(script, text);
    assert.match(execFileSync(inspector.hotsocket, ['test', inspector.messenger.guest, script], { encoding: 'utf8' }), /^ok /);
  }
}

export async function another_service_begins_without_a_rate(inspector) {
  const page = await inspector.open(inspector.messenger);
  // Two services that have the same topic.
  await page.route('**/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    const [service] = status.services;
    await route.fulfill({ response, json: { ...status, services: [service, { ...service, name: 'other' }] } });
  });
  await page.route('**/api/topics*', async (route) => {
    const isOther = new URL(route.request().url()).searchParams.get('service') === 'other';
    const row = { pattern: 'news', subscribers: 1, messages: isOther ? 900_000 : 1000 };
    await route.fulfill({ json: { topics: [row], count: 1, published: 0, delivered: 0, dropped: 0 } });
  });
  await go(page, 'topics');
  await page.locator('#topics .body .row [data-col=messages]', { hasText: /^1,000$/ }).waitFor();
  await page.locator('page-head select').waitFor();
  // What is shown at the first moment.
  const shown = page.waitForFunction(() => {
    const [messages, rate] = ['messages', 'rate'].map((name) => document.querySelector(`#topics .body .row [data-col=${name}]`)?.textContent);
    return messages === '900,000' && rate;
  });
  await page.locator('page-head select').selectOption('other');
  assert.equal(await (await shown).jsonValue(), '–');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}
