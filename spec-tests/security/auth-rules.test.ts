// Authorisation rules as a client meets them: SECURITY-CASES, part E.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const VERSIONS = ['6', '10', '11', '12'] as const;
const FORBIDDEN = ['M_FORBIDDEN', 'M_BAD_STATE'];

/** A room of `alice` with `bob` at level 50 and `carol` at 0. */
async function ranked(
  version: string,
  override: Body = {},
): Promise<{ alice: Client; bob: Client; carol: Client; room: string }> {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({
    preset: 'public_chat',
    room_version: version,
    power_level_content_override: {
      users: { ...(version === '12' ? {} : { [alice.userId]: 100 }), [bob.userId]: 50 },
      ...override,
    },
  });
  await Promise.all([bob.join(room), carol.join(room)]);
  return { alice, bob, carol, room };
}
const LEVELS = (room: string): string => inRoom(room, 'state', 'm.room.power_levels', '');

for (const version of VERSIONS) {
  test(`levels bound what is sent (version ${version}) (T93)`, async () => {
    const { bob, carol, room } = await ranked(version, { events_default: 50, events: { 'org.example.free': 0 } });
    await bob.say(room, 'may');
    const path = inRoom(room, 'send', 'm.room.message', 't');
    await carol.fails(403, 'M_FORBIDDEN', 'PUT', path, { msgtype: 'm.text', body: 'may not' });
    await carol.send(room, 'org.example.free', {});
  });

  test(`nobody raises themselves, or touches their equals (version ${version}) (T95)`, async () => {
    const { alice, bob, carol, room } = await ranked(version, { events: { 'm.room.power_levels': 50 } });
    const levels = await alice.state(room, 'm.room.power_levels');
    const refused = (client: Client, users: Body, more: Body = {}): Promise<Body> =>
      client.fails(403, 'M_FORBIDDEN', 'PUT', LEVELS(room), {
        ...levels,
        ...more,
        users: { ...levels['users'], ...users },
      });
    await refused(bob, { [bob.userId]: 51 });
    await refused(bob, { [carol.userId]: 51 });
    await refused(bob, {}, { users_default: 51 });
    await refused(bob, {}, { ban: 51 });
    await refused(bob, {}, { notifications: { room: 51 } });
    await refused(bob, {}, { events: { ...levels['events'], 'org.example.x': 51 } });
    await refused(carol, { [carol.userId]: 1 });
    const promoted = { ...levels, users: { ...levels['users'], [carol.userId]: 50 } };
    await bob.ok('PUT', LEVELS(room), promoted);
    await carol.fails(403, 'M_FORBIDDEN', 'PUT', LEVELS(room), {
      ...promoted,
      users: { ...promoted.users, [bob.userId]: 0 },
    });
    await carol.ok('PUT', LEVELS(room), { ...promoted, users: { ...promoted.users, [carol.userId]: 0 } });
  });

  test(`kicks and bans reach only those below (version ${version}) (T97, T101)`, async () => {
    const { alice, bob, carol, room } = await ranked(version);
    const dave = await hs.user('dave');
    await dave.join(room);
    const levels = await alice.state(room, 'm.room.power_levels');
    await alice.ok('PUT', LEVELS(room), { ...levels, users: { ...levels['users'], [dave.userId]: 50 } });
    for (const action of ['kick', 'ban']) {
      for (const target of [alice, dave]) {
        await bob.fails(403, FORBIDDEN, 'POST', inRoom(room, action), { user_id: target.userId });
      }
    }
    const stranger = await hs.user('stranger');
    await bob.fails(403, FORBIDDEN, 'POST', inRoom(room, 'kick'), { user_id: stranger.userId });
    await bob.kick(room, carol.userId);
    await bob.fails(403, FORBIDDEN, 'POST', inRoom(room, 'kick'), { user_id: carol.userId });
    await bob.ban(room, carol.userId);
    await carol.fails(403, FORBIDDEN, 'POST', inRoom(room, 'join'), {});
    await alice.ban(room, dave.userId);
    await bob.fails(403, FORBIDDEN, 'POST', inRoom(room, 'unban'), { user_id: dave.userId });
    await bob.unban(room, carol.userId);
    const now = await alice.state(room, 'm.room.power_levels');
    await alice.ok('PUT', LEVELS(room), { ...now, ban: 60 });
    await alice.ban(room, carol.userId);
    for (const action of ['kick', 'unban']) {
      await bob.fails(403, FORBIDDEN, 'POST', inRoom(room, action), { user_id: carol.userId });
    }
    assert.equal(await alice.membership(room, carol.userId), 'ban');
  });

  test(`a state key that is a user id is that user’s (version ${version}) (T102)`, async () => {
    const { alice, bob, carol, room } = await ranked(version, { state_default: 0 });
    await carol.setState(room, 'org.example.own', carol.userId, { mine: true });
    for (const client of [alice, bob]) {
      await client.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', 'org.example.own', carol.userId), {});
    }
    await carol.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', 'org.example.own', '@not-me'), {});
  });

  test(`the creation is never made again nor taken away (version ${version}) (T91, T105, T122)`, async () => {
    const { alice, room } = await ranked(version);
    const again = await alice.request('PUT', inRoom(room, 'state', 'm.room.create', ''), { room_version: '1' });
    assert.ok([400, 403].includes(again.status), String(again.status));
    await alice.request('PUT', inRoom(room, 'send', 'm.room.create', 't'), { room_version: '1' });
    await alice.request('PUT', inRoom(room, 'state', 'm.room.create', 'x'), { room_version: '1' });
    const events = (await alice.ok('GET', inRoom(room, 'state'))) as unknown as Body[];
    const create = events.find((event) => event['type'] === 'm.room.create')!;
    await alice.request('PUT', inRoom(room, 'redact', create['event_id'], 't'), {});
    assert.equal((await alice.state(room, 'm.room.create'))['room_version'], version);
    await alice.say(room, 'still works');
  });

  for (const [kind, key] of [
    ['send', 't'],
    ['state', 'x'],
  ] as const) {
    const differs = kind === 'send' ? synapseDiffers('answers 500') : {};
    test(`a second creation is refused by ${kind} (version ${version}) (T91)`, differs, async () => {
      const { alice, room } = await ranked(version);
      const path = inRoom(room, kind, 'm.room.create', key);
      const { status } = await alice.request('PUT', path, { room_version: '1' });
      assert.ok([400, 403].includes(status), String(status));
    });
  }

  test(`a member event is of a known kind and about whom it may be (version ${version}) (T97, T103)`, async () => {
    const { alice, bob, carol, room } = await ranked(version);
    const member = (of: Client): string => inRoom(room, 'state', 'm.room.member', of.userId);
    for (const membership of ['foo', 5, null, {}]) {
      const answer = await alice.request('PUT', member(bob), { membership });
      assert.ok([400, 403].includes(answer.status), `${JSON.stringify(membership)}: ${answer.status}`);
    }
    const none = await alice.request('PUT', member(bob), { displayname: 'none' });
    assert.ok([400, 403].includes(none.status), `no membership: ${none.status}`);
    await alice.fails(403, FORBIDDEN, 'PUT', member(await hs.user('eve')), { membership: 'join' });
    await carol.fails(403, FORBIDDEN, 'PUT', member(bob), { membership: 'leave' });
    assert.equal(await alice.membership(room, bob.userId), 'join');
  });
}

for (const [what, levels] of Object.entries({
  'text for a number': { ban: '50' },
  'a fraction': { ban: 50.5 },
  'null for a number': { ban: null },
  'truth for a number': { ban: true },
  'a list for a number': { ban: [] },
  'a number that is too large': { ban: 2 ** 53 },
  'a user that is none': { users: { bob: 50 } },
  'a level of a user that is text': { users: { '@bob:localhost': '50' } },
  'events that are no object': { events: [] },
  'notifications that are no object': { notifications: 5 },
} as Record<string, Body>)) {
  test(`from version 10 on, power levels take no ${what} (T94)`, async () => {
    const { alice, room } = await ranked('10');
    const now = await alice.state(room, 'm.room.power_levels');
    const answer = await alice.request('PUT', LEVELS(room), { ...now, ...levels });
    assert.ok([400, 403].includes(answer.status), `${answer.status}`);
    assert.deepEqual(await alice.state(room, 'm.room.power_levels'), now);
  });
}

test('from version 10 on, power levels take no number that is written as a fraction (T94)', async () => {
  const { alice, room } = await ranked('10');
  const now = await alice.state(room, 'm.room.power_levels');
  const text = JSON.stringify({ ...now, ban: 50 }).replace('"ban":50', '"ban":50.0');
  await alice.fails(400, 'M_BAD_JSON', 'PUT', LEVELS(room), text);
  assert.deepEqual(await alice.state(room, 'm.room.power_levels'), now);
});

test('one joins only for oneself, by a rule that is known (T97)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (const join_rule of ['invite', 'private', 'unheard_of']) {
    const room = await alice.createRoom();
    const set = await alice.request('PUT', inRoom(room, 'state', 'm.room.join_rules', ''), { join_rule });
    assert.ok([200, 400].includes(set.status), String(set.status));
    const answer = await bob.request('POST', inRoom(room, 'join'), {});
    assert.equal(answer.status, 403, join_rule);
  }
});

test('a redaction of what is in another room is refused (T107)', async () => {
  const alice = await hs.user('alice');
  const [room, other] = [await alice.createRoom(), await alice.createRoom()];
  const eventId = await alice.say(other, 'elsewhere');
  for (const [path, body] of [
    [inRoom(room, 'redact', eventId, 'a'), {}],
    [inRoom(room, 'send', 'm.room.redaction', 'b'), { redacts: eventId }],
  ] as const) {
    const { status } = await alice.request('PUT', path, body);
    assert.ok([400, 404].includes(status), `${path}: ${status}`);
  }
  assert.equal((await alice.event(other, eventId)).content['body'], 'elsewhere');
});

test('two redactions that name each other, and one that names itself, end well (T106)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const eventId = await alice.say(room, 'x');
  const first = await alice.redact(room, eventId);
  const second = await alice.redact(room, first);
  await alice.request('PUT', inRoom(room, 'redact', second, 't'), {});
  await alice.messages(room, { limit: 50 });
  await (await alice.login()).sync();
  assert.deepEqual((await alice.event(room, eventId)).content, {});
  await alice.ok('GET', `${C}/joined_rooms`);
});
