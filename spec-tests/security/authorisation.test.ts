// Who may do what: SECURITY-CASES, part O.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('who is not in the room, only invited, knocking, gone or banned, changes nothing in it (T254)', async () => {
  const [alice, stranger, invited, knocking, left, banned] = await hs.users('alice', 'str', 'inv', 'kno', 'lef', 'ban');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await left.join(room);
  const eventId = await alice.say(room, 'target');
  await left.leave(room);
  await alice.invite(room, invited.userId);
  await alice.ban(room, banned.userId);
  await alice.setState(room, 'm.room.join_rules', '', { join_rule: 'knock' });
  await knocking.knock(room);
  const bob = await hs.user('bob');
  for (const client of [stranger, invited, knocking, left, banned]) {
    for (const [method, path, body] of [
      ['PUT', inRoom(room, 'send', 'm.room.message', 't'), { msgtype: 'm.text', body: 'x' }],
      ['PUT', inRoom(room, 'state', 'm.room.topic', ''), { topic: 'x' }],
      ['PUT', inRoom(room, 'redact', eventId, 't'), {}],
      ['PUT', inRoom(room, 'typing', client.userId), { typing: true, timeout: 1000 }],
      ['POST', inRoom(room, 'invite'), { user_id: bob.userId }],
      ['POST', inRoom(room, 'kick'), { user_id: alice.userId }],
      ['POST', inRoom(room, 'ban'), { user_id: alice.userId }],
      ['POST', inRoom(room, 'upgrade'), { new_version: '12' }],
    ] as const) {
      const answer = await client.request(method, path, body);
      assert.equal(answer.status, 403, `${client.userId} ${method} ${path}`);
    }
  }
  assert.equal((await alice.event(room, eventId)).content['body'], 'target');
});

test(
  'who is not in the room leaves no receipts and no read markers in it (T254)',
  ourChoice('the specification does not say'),
  async () => {
    const [alice, stranger, invited, left, banned] = await hs.users('alice', 'stranger', 'invited', 'left', 'banned');
    const knocking = await hs.user('knocking');
    const room = await alice.createRoom({ preset: 'public_chat' });
    const eventId = await alice.say(room, 'x');
    await left.join(room);
    await left.leave(room);
    await alice.invite(room, invited.userId);
    await alice.ban(room, banned.userId);
    await alice.setState(room, 'm.room.join_rules', '', { join_rule: 'knock' });
    await knocking.knock(room);
    await alice.sync();
    for (const client of [stranger, invited, knocking, left, banned]) {
      for (const type of ['m.read', 'm.read.private', 'm.fully_read']) {
        await client.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'receipt', type, eventId), {});
      }
      const markers = { 'm.fully_read': eventId, 'm.read': eventId, 'm.read.private': eventId };
      await client.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'read_markers'), markers);
    }
    assert.equal(JSON.stringify(await alice.sync()).includes('m.receipt'), false);
  },
);

test('nobody reads or writes what is another user’s (T252)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await mallory.join(room);
  const as = (...rest: string[]): string => ofUser(alice, ...rest);
  for (const [method, path, body] of [
    ['GET', as('account_data', 'm.direct'), undefined],
    ['PUT', as('account_data', 'm.direct'), {}],
    ['GET', as('rooms', room, 'account_data', 'm.x'), undefined],
    ['PUT', as('rooms', room, 'account_data', 'm.x'), {}],
    ['GET', as('rooms', room, 'tags'), undefined],
    ['DELETE', as('rooms', room, 'tags', 'u.x'), undefined],
    ['POST', as('filter'), {}],
    ['PUT', `${C}/presence/${seg(alice.userId)}/status`, { presence: 'offline' }],
    ['PUT', inRoom(room, 'typing', alice.userId), { typing: false }],
  ] as const) {
    const answer = await mallory.request(method, path, body);
    assert.ok([400, 403].includes(answer.status), `${method} ${path}: ${answer.status}`);
  }
});

test('account data has a measure (T253)', ourChoice('the specification names no measure'), async () => {
  const alice = await hs.user('alice');
  const answer = await alice
    .request('PUT', ofUser(alice, 'account_data', 'org.example.big'), {
      x: 'x'.repeat(20_000_000),
    })
    .catch(() => ({ status: 413 }));
  assert.ok([400, 413].includes(answer.status), String(answer.status));
});

test(
  'createRoom gives no more power than the rules do (T258)',
  synapseDiffers('answers 500 for a second m.room.create'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const forged = [
      { type: 'm.room.member', state_key: bob.userId, content: { membership: 'join' } },
      { type: 'm.room.create', state_key: '', content: { creator: bob.userId } },
    ];
    for (const event of forged) {
      const answer = await alice.request('POST', `${C}/createRoom`, { initial_state: [event] });
      assert.ok([200, 400, 403].includes(answer.status), `${event.type}: ${answer.status}`);
      if (answer.status !== 200) continue;
      const room = answer.body['room_id'] as string;
      const member = await alice.request('GET', inRoom(room, 'state', 'm.room.member', bob.userId));
      assert.notEqual(member.body['membership'], 'join', 'nobody is made to join');
      assert.equal(
        (await alice.request('GET', inRoom(room, 'event', room.replace('!', '$')))).body['sender'] ?? alice.userId,
        alice.userId,
      );
    }
    const tooMany = await alice.request('POST', `${C}/createRoom`, {
      invite: Array.from({ length: 10_000 }, (_, i) => `@nobody${i}:${hs.serverName}`),
    });
    assert.ok(tooMany.status >= 400 && tooMany.status < 500, `ten thousand invites: ${tooMany.status}`);
  },
);

test('a message to devices is from who sent it, and bounded (T265)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.sync();
  await alice.ok('PUT', `${C}/sendToDevice/org.example.x/1`, {
    messages: { [bob.userId]: { [bob.deviceId]: { sender: '@someone:else' } } },
  });
  const { to_device: mail } = await bob.sync();
  assert.equal(mail.events[0].sender, alice.userId);
});

test('messages to many devices, or of many megabytes, end soon (T265)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.sync();
  const path = (txn: string): string => `${C}/sendToDevice/org.example.x/${txn}`;
  const big = { messages: { [bob.userId]: { [bob.deviceId]: { n: 1, x: 'x'.repeat(10_000_000) } } } };
  const refused = await alice.request('PUT', path('big'), big).catch(() => ({ status: 413 }));
  assert.equal(refused.status, 413);
  const users = Array.from({ length: 5_000 }, (_, n) => `@nobody${n}:${hs.serverName}`);
  const began = performance.now();
  const many = Object.fromEntries([...users, bob.userId].map((user) => [user, { '*': { n: 2 } }]));
  const { status } = await alice.request('PUT', path('many'), { messages: many });
  assert.ok(status === 200 || status === 413, String(status));
  assert.ok(performance.now() - began < 15_000, `${performance.now() - began} ms`);
  const { to_device: mail } = await bob.sync();
  assert.ok((mail?.events ?? []).every(({ content }: Body) => content.n === 2));
});

test('what relates to what relates, however deep and however wide, is listed in bounds (T268)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  let last = root;
  for (let n = 0; n < 30; n++) {
    const relation = { rel_type: 'm.reference', event_id: last };
    last = await alice.send(room, 'org.example.link', { 'm.relates_to': relation });
    await alice.send(room, 'org.example.link', { 'm.relates_to': { ...relation, event_id: root } });
  }
  const relations = `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`;
  const seen = new Set<string>();
  let from: string | undefined;
  for (let pages = 0; pages < 40; pages++) {
    const page = await alice.ok(
      'GET',
      relations + query({ recurse: true, limit: 5, ...(from === undefined ? {} : { from }) }),
    );
    assert.ok(page['recursion_depth'] <= 10, String(page['recursion_depth']));
    for (const event of page['chunk']) {
      assert.ok(!seen.has(event.event_id), 'each once');
      seen.add(event.event_id);
    }
    from = page['next_batch'];
    if (from === undefined) break;
  }
  assert.equal(from, undefined, 'the pages end');
  assert.ok(seen.size >= 31, 'what relates to the root itself is all there');
  assert.ok(!seen.has(last), 'the end of a long chain is not');
});

test('what a report names must be there for the one who reports (T271)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom();
  const eventId = await alice.say(room, 'harmless');
  await alice.ok('POST', inRoom(room, 'report', eventId), { reason: 'testing' });
  await mallory.fails(404, 'M_NOT_FOUND', 'POST', inRoom(room, 'report', eventId), { reason: 'x' });
  await alice.fails(404, 'M_NOT_FOUND', 'POST', inRoom(room, 'report', '$unknown'), { reason: 'x' });
});

test('the directory lists a room only for who may publish it (T257)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await mallory.join(room);
  const path = `${C}/directory/list/room/${seg(room)}`;
  await mallory.fails(403, 'M_FORBIDDEN', 'PUT', path, { visibility: 'public' });
  const left: Client = mallory;
  await left.leave(room);
  await left.fails(403, 'M_FORBIDDEN', 'PUT', path, { visibility: 'public' });
});
