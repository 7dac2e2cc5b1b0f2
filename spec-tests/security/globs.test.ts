// Patterns and names made to hurt: SECURITY-CASES, part Q.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

/** A room in which `bob` has a content rule with `pattern`, unless the server finds it too large. */
async function withRule(pattern: string): Promise<{ alice: Client; bob: Client; room: string }> {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const rule = { pattern, actions: ['notify', { set_tweak: 'highlight' }] };
  const answer = await bob.request('PUT', `${C}/pushrules/global/content/glob`, rule);
  assert.ok(answer.status === 200 || (pattern.length > 1000 && answer.status < 500), JSON.stringify(answer.body));
  return { alice, bob, room };
}
const highlights = async (bob: Client, room: string): Promise<number> =>
  (await bob.sync())['rooms'].join[room].unread_notifications.highlight_count;

for (const [what, pattern, text] of [
  ['stars between letters', 'a*a*a*a*a*a*a*a*a*b', 'a'.repeat(20_000)],
  ['stars and question marks', '?*?*?*?*?*?*?*?*x', 'y'.repeat(20_000)],
  ['ten thousand stars', '*'.repeat(10_000), 'z'.repeat(1000)],
] as const) {
  test(`a pattern of ${what} costs no time (T291)`, async () => {
    const { alice, bob, room } = await withRule(pattern);
    const began = performance.now();
    await alice.say(room, text);
    await bob.sync();
    assert.ok(performance.now() - began < 5_000, `${performance.now() - began} ms`);
  });
}

for (const [pattern, text, matches] of [
  ['[abc]', 'a', false],
  ['(', 'x ( y', true],
  ['a.c', 'abc', false],
  ['\\d', '5', false],
  ['+', 'x + y', true],
  ['c?ke', 'a cake', true],
  ['cake', 'pancakes', false],
  ['cake', 'CAKE!', true],
  ['c*e', 'a nice cake', true],
  ['x?y', 'x🦊y', true],
] as const) {
  test(`the pattern ${pattern} ${matches ? 'finds' : 'does not find'} ${text} (T291, T293)`, async () => {
    const { alice, bob, room } = await withRule(pattern);
    await alice.say(room, text);
    assert.equal(await highlights(bob, room), matches ? 1 : 0);
  });
}

test('letters whose case changes their length do no harm (T293)', async () => {
  for (const pattern of ['İ', 'ſ', '\u212A', 'ß']) {
    const { alice, bob, room } = await withRule(pattern);
    for (const text of ['İİİ', 'ſſ', 'K k \u212A', 'ß ss SS']) await alice.say(room, text);
    await bob.sync();
  }
});

test('a name with the signs of a regular expression is only a name (T294)', async () => {
  const name = ['.*+?^$', '{}()|[]\\'].join('');
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.ok('PUT', `${C}/profile/${seg(bob.userId)}/displayname`, { displayname: name });
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.say(room, 'anything at all');
  assert.equal(await highlights(bob, room), 0);
});

test('what names our server in capitals is not of our server (T299)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom();
  const elsewhere = hs.serverName.toUpperCase();
  const his = bob.userId.replace(`:${hs.serverName}`, `:${elsewhere}`);
  await alice.request('POST', inRoom(room, 'invite'), { user_id: his });
  assert.equal((await bob.sync())['rooms']?.invite, undefined);
  const alias = `#capitals-${bob.userId.slice(-12).split(':')[0]}`;
  const named = await alice.request('PUT', `${C}/directory/room/${seg(`${alias}:${elsewhere}`)}`, { room_id: room });
  assert.equal(named.status, 400);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${C}/directory/room/${seg(`${alias}:${hs.serverName}`)}`);
  const ours = await alice.request('PUT', `${C}/profile/${seg(alice.userId.replace(hs.serverName, elsewhere))}/m.tz`, {
    'm.tz': 'Europe/London',
  });
  assert.ok([400, 403, 404].includes(ours.status), String(ours.status));
});

test('user ids differ by every byte (T297, T299)', async () => {
  const alice = await hs.user('alice');
  const path = (id: string): string => `${C}/profile/${seg(id)}`;
  await alice.ok('GET', path(alice.userId));
  for (const id of [
    alice.userId.replace('alice', 'ALICE'),
    alice.userId.replace('alice', 'аlice'),
    alice.userId.replace('alice', 'alice\u200B'),
    alice.userId.replace(`:${hs.serverName}`, `:${hs.serverName.toUpperCase()}`),
  ]) {
    const answer = await alice.request('GET', path(id));
    // Where it is a server of its own it cannot be asked.
    const elsewhere = id.startsWith(`${alice.userId.split(':')[0]}:`) ? [502, 504] : [];
    assert.ok([400, 403, 404, ...elsewhere].includes(answer.status), `${id}: ${answer.status}`);
  }
});
