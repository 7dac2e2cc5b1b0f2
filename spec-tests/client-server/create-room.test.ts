// Client-server API, Creation; room versions 1 to 12.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alice = await hs.user('alice');

const PRESETS = {
  private_chat: { joinRule: 'invite', guests: 'can_join' },
  trusted_private_chat: { joinRule: 'invite', guests: 'can_join' },
  public_chat: { joinRule: 'public', guests: 'forbidden' },
} as const;

async function create(client: Client, status: number, body: Body): Promise<Body> {
  const answer = await client.request('POST', `${C}/createRoom`, body);
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return answer.body;
}

for (const [preset, { joinRule, guests }] of Object.entries(PRESETS)) {
  test(`preset ${preset}`, async () => {
    const room = await alice.createRoom({ preset });
    assert.equal((await alice.state(room, 'm.room.join_rules'))['join_rule'], joinRule);
    assert.equal((await alice.state(room, 'm.room.history_visibility'))['history_visibility'], 'shared');
    const guestAccess = await alice.request('GET', inRoom(room, 'state', 'm.room.guest_access', ''));
    assert.equal(guestAccess.status === 404 ? 'forbidden' : guestAccess.body['guest_access'], guests);
  });
}

test('without a preset the visibility decides: private by default, public where asked for', async () => {
  assert.equal((await alice.state(await alice.createRoom(), 'm.room.join_rules'))['join_rule'], 'invite');
  const shown = await alice.createRoom({ visibility: 'public' });
  assert.equal((await alice.state(shown, 'm.room.join_rules'))['join_rule'], 'public');
});

test('a trusted private chat gives its invitees the power of the creator', async () => {
  const bob = await hs.user('bob');
  for (const version of ['11', '12']) {
    const room = await alice.createRoom({
      preset: 'trusted_private_chat',
      invite: [bob.userId],
      room_version: version,
    });
    if (version === '11') {
      assert.equal((await alice.state(room, 'm.room.power_levels'))['users'][bob.userId], 100);
    } else {
      assert.ok((await alice.state(room, 'm.room.create'))['additional_creators'].includes(bob.userId));
    }
  }
});

for (const version of ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']) {
  test(`a room of version ${version} can be made, joined and talked in`, async () => {
    const bob = await hs.user('bob');
    const room = await alice.createRoom({ room_version: version, preset: 'public_chat', name: `v${version}` });
    assert.equal((await alice.state(room, 'm.room.create'))['room_version'] ?? '1', version);
    assert.match(room, version === '12' ? /^![A-Za-z0-9_-]{43}$/ : new RegExp(`^![^:]+:${hs.serverName}$`));
    await bob.join(room);
    const eventId = await bob.say(room, 'hello');
    const form =
      Number(version) < 3
        ? new RegExp(`^\\$.+:${hs.serverName}$`)
        : version === '3'
          ? /^\$[A-Za-z0-9+/]{43}$/
          : /^\$[A-Za-z0-9_-]{43}$/;
    assert.match(eventId, form);
    assert.equal((await alice.event(room, eventId)).content['body'], 'hello');
    await alice.redact(room, eventId);
    assert.deepEqual((await bob.event(room, eventId)).content, {});
  });
}

test('the default version of the capabilities is what a new room gets', async () => {
  const { capabilities } = await alice.ok('GET', `${C}/capabilities`);
  const create = await alice.state(await alice.createRoom(), 'm.room.create');
  assert.equal(create['room_version'], capabilities['m.room_versions'].default);
});

test('name, topic, alias and initial state are in the room from the start', async () => {
  const localpart = `den-${randomBytes(4).toString('hex')}`;
  const room = await alice.createRoom({
    name: 'The den',
    topic: 'Nothing in particular',
    room_alias_name: localpart,
    initial_state: [{ type: 'm.room.avatar', state_key: '', content: { url: 'mxc://example.org/fox' } }],
  });
  assert.equal((await alice.state(room, 'm.room.name'))['name'], 'The den');
  assert.equal((await alice.state(room, 'm.room.topic'))['topic'], 'Nothing in particular');
  assert.equal((await alice.state(room, 'm.room.avatar'))['url'], 'mxc://example.org/fox');
  const alias = `#${localpart}:${hs.serverName}`;
  assert.equal((await alice.state(room, 'm.room.canonical_alias'))['alias'], alias);
  assert.equal((await alice.ok('GET', `${C}/directory/room/${seg(alias)}`))['room_id'], room);
});

test('initial state overrides what the preset says', async () => {
  const room = await alice.createRoom({
    preset: 'public_chat',
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
      { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
    ],
  });
  assert.equal((await alice.state(room, 'm.room.history_visibility'))['history_visibility'], 'joined');
  assert.equal((await alice.state(room, 'm.room.join_rules'))['join_rule'], 'knock');
});

test('invitees are invited, directly where the room is direct', async () => {
  const [bob, carol] = await hs.users('bob', 'carol');
  const room = await alice.createRoom({ invite: [bob.userId, carol.userId], is_direct: true });
  for (const guest of [bob, carol]) {
    const content = await alice.state(room, 'm.room.member', guest.userId);
    assert.equal(content['membership'], 'invite');
    assert.equal(content['is_direct'], true);
  }
});

test('creation_content reaches the create event, except what the server decides (T258)', async () => {
  const room = await alice.createRoom({
    room_version: '10',
    creation_content: { 'm.federate': false, type: 'm.space', room_version: '1', creator: '@mallory:example.org' },
  });
  const create = await alice.state(room, 'm.room.create');
  assert.equal(create['m.federate'], false);
  assert.equal(create['type'], 'm.space');
  assert.equal(create['room_version'], '10');
  assert.equal(create['creator'], alice.userId);
});

test('an override of the power levels holds, and keeps the other defaults', async () => {
  const room = await alice.createRoom({ power_level_content_override: { events_default: 40, invite: 30 } });
  const levels = await alice.state(room, 'm.room.power_levels');
  assert.equal(levels['events_default'], 40);
  assert.equal(levels['invite'], 30);
  assert.equal(levels['ban'], 50);
});

for (const [what, room_version] of [
  ['unknown', 'no-such-version'],
  ['empty', ''],
] as const) {
  test(`an ${what} room version is not supported (T258)`, async () => {
    const error = await create(alice, 400, { room_version });
    assert.equal(error['errcode'], 'M_UNSUPPORTED_ROOM_VERSION');
  });
}

test('a room version that is a number is bad JSON (T258)', async () => {
  const error = await create(alice, 400, { room_version: 11 });
  assert.match(error['errcode'], /^M_(BAD_JSON|UNSUPPORTED_ROOM_VERSION|INVALID_PARAM)$/);
});

test('a taken alias is refused, and no room is made', async () => {
  const bob = await hs.user('bob');
  const request = { room_alias_name: `twice-${randomBytes(4).toString('hex')}` };
  await bob.createRoom(request);
  const error = await create(bob, 400, request);
  assert.equal(error['errcode'], 'M_ROOM_IN_USE');
  assert.equal((await bob.ok('GET', `${C}/joined_rooms`))['joined_rooms'].length, 1);
});

for (const [what, body] of Object.entries({
  'an unknown preset': { preset: 'no_such_chat' },
  'an unknown visibility': { visibility: 'secret' },
  'an invitee that is no user id': { invite: ['bob'] },
  'a name that is no text': { name: 5 },
  'initial state that is no list': { initial_state: {} },
  'initial state without a type': { initial_state: [{ content: {} }] },
  'power levels that are no object': { power_level_content_override: [] },
  'an alias with a colon': { room_alias_name: 'a:b' },
})) {
  const differs = /visibility|initial state|power levels/.test(what)
    ? synapseDiffers('makes the room, or answers 500')
    : {};
  test(`${what} is a bad request`, differs, async () => {
    const error = await create(alice, 400, body);
    assert.match(error['errcode'], /^M_(BAD_JSON|MISSING_PARAM|INVALID_PARAM|INVALID_ROOM_STATE|UNKNOWN)$/);
  });
}

test('the creator has the room at once, in order, in the next sync', async () => {
  const bob = await hs.user('bob');
  await bob.sync();
  const room = await bob.createRoom({ name: 'News', topic: 'All of it' });
  const body = await bob.sync();
  const joined = body['rooms'].join[room];
  const types = [...(joined.state?.events ?? []), ...joined.timeline.events].map((e: Body) => e['type']);
  assert.equal(types[0], 'm.room.create');
  assert.equal(types[1], 'm.room.member');
  for (const type of ['m.room.power_levels', 'm.room.join_rules', 'm.room.name', 'm.room.topic']) {
    assert.ok(types.includes(type), type);
  }
});
