// Authorisation rules for what another server sends: SECURITY-CASES, part E.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, type ClientEvent, inRoom, inTimeline } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type NewEvent, type Pdu, Peer, type PeerRoom } from '../support/peer.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

interface Scene {
  readonly alice: Client;
  readonly charlie: string;
  readonly room: PeerRoom;
}

/** A room of alice with charlie, of the other server, at `level`. */
async function scene(level = 0, levels: Body = {}): Promise<Scene> {
  const alice = await hs.user('alice');
  const charlie = peer.user('charlie');
  const users = { [alice.userId]: 100, [charlie]: level };
  const roomId = await alice.createRoom({
    preset: 'public_chat',
    power_level_content_override: { users, ...levels },
  });
  const room = await peer.join(roomId, charlie);
  await alice.sync();
  return { alice, charlie, room };
}

const seenBy = (alice: Client, room: PeerRoom, id: string): Promise<ClientEvent> =>
  alice.syncUntil(inTimeline(room.id, (event) => event.event_id === id));

/** Sends events that must be refused one by one, and a good one after them that must not. */
async function refuses({ alice, charlie, room }: Scene, bad: Readonly<Record<string, Pdu>>): Promise<void> {
  const good = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'good' } });
  const results = await peer.send([...Object.values(bad), good]);
  assert.deepEqual(results[eventId(good)], {});
  for (const [what, pdu] of Object.entries(bad)) {
    assert.equal(typeof results[eventId(pdu)]?.error, 'string', what);
    await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'event', eventId(pdu)));
  }
  room.add(good);
  const seen = await seenBy(alice, room, eventId(good));
  assert.equal(seen.content['body'], 'good');
}

test('auth events that are two for one key, of no use, or of another room, make an event unacceptable (T88, T89)', async () => {
  const at = await scene();
  const { alice, charlie, room } = at;
  const elsewhere = await peer.join(await alice.createRoom({ preset: 'public_chat' }), charlie);
  const authority = [room.idOf('m.room.create')!, room.idOf('m.room.power_levels')!];
  const joined = room.idOf('m.room.member', charlie)!;
  const content = { membership: 'join', displayname: 'C' };
  const renamed = peer.event(room, { type: 'm.room.member', sender: charlie, stateKey: charlie, content });
  assert.deepEqual(await peer.send([renamed]), { [eventId(renamed)]: {} });
  room.add(renamed);
  const message = (...auth: string[]): Pdu =>
    peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'bad' }, auth });
  await refuses(at, {
    'two for one key': message(...authority, joined, eventId(renamed)),
    'one twice': message(...authority, joined, joined),
    'another member': message(...authority, joined, room.idOf('m.room.member', alice.userId)!),
    'the join rules': message(...authority, joined, room.idOf('m.room.join_rules')!),
    'a message': message(...authority, joined, room.latest[0]!),
    'the member of another room': message(...authority, elsewhere.idOf('m.room.member', charlie)!),
    'the levels of another room': message(authority[0]!, elsewhere.idOf('m.room.power_levels')!, joined),
    'no create event': message(authority[1]!, joined),
    'no member': message(...authority),
  });
});

test('no create event ever comes into a room that is there (T91, T105)', async () => {
  const at = await scene(100);
  const { alice, charlie, room } = at;
  const before = await alice.state(room.id, 'm.room.create');
  const create = (content: Body, more: Partial<NewEvent> = {}): Pdu =>
    peer.event(room, { type: 'm.room.create', sender: charlie, stateKey: '', content, ...more });
  await refuses(at, {
    'on top of it': create({ room_version: '11' }),
    'beside it': create({ room_version: '11' }, { prev: [], auth: [] }),
    'of an unknown version': create({ room_version: 'unheard-of' }, { prev: [], auth: [] }),
  });
  const redaction = peer.event(room, {
    type: 'm.room.redaction',
    sender: charlie,
    content: { redacts: room.idOf('m.room.create')! },
  });
  const after = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'after' } });
  await peer.send([redaction, after]);
  await seenBy(alice, room, eventId(after));
  assert.deepEqual(await alice.state(room.id, 'm.room.create'), before);
  await alice.say(room.id, 'and goes on');
});

test('levels bound what another server’s users send and set (T93, T95, T102)', async () => {
  const at = await scene(50, {
    events_default: 60,
    events: { 'm.room.message': 0, 'm.room.power_levels': 50, 'm.room.topic': 51 },
  });
  const { alice, charlie, room } = at;
  const levels = await alice.state(room.id, 'm.room.power_levels');
  const change = (more: Body): Pdu =>
    peer.event(room, {
      type: 'm.room.power_levels',
      sender: charlie,
      stateKey: '',
      content: { ...levels, ...more },
    });
  const own = (stateKey: string): Pdu => peer.event(room, { type: 'org.example.own', sender: charlie, stateKey });
  await refuses(at, {
    'a message of a type above': peer.event(room, { type: 'org.example.loud', sender: charlie }),
    'state above': peer.event(room, { type: 'm.room.topic', sender: charlie, stateKey: '', content: { topic: 'x' } }),
    'raises itself': change({ users: { ...levels['users'], [charlie]: 51 } }),
    'raises another': change({ users: { ...levels['users'], [peer.user('dora')]: 51 } }),
    'lowers one above': change({ users: { ...levels['users'], [alice.userId]: 50 } }),
    'takes one above away': change({ users: { [charlie]: 50 } }),
    'raises everyone': change({ users_default: 51 }),
    'raises a notification': change({ notifications: { room: 51 } }),
    'raises an event': change({ events: { ...levels['events'], 'm.room.message': 51 } }),
    'the state of another user': own(alice.userId),
    'the state of a user that is none': own('@nobody'),
  });
  assert.deepEqual(await alice.state(room.id, 'm.room.power_levels'), levels);
});

test('levels of another server are integers, of users, in objects (T94)', async () => {
  const at = await scene(100);
  const { alice, charlie, room } = at;
  const levels = await alice.state(room.id, 'm.room.power_levels');
  const change = (more: Body): Pdu =>
    peer.event(room, {
      type: 'm.room.power_levels',
      sender: charlie,
      stateKey: '',
      content: { ...levels, ...more },
    });
  await refuses(at, {
    'a text': change({ ban: '50' }),
    'a fraction': change({ ban: 50.5 }),
    nothing: change({ ban: null }),
    'a truth value': change({ ban: true }),
    'a list': change({ ban: [] }),
    'too much': change({ ban: 2n ** 53n }),
    'a user that is none': change({ users: { ...levels['users'], bob: 5 } }),
    'a text for a user': change({ users: { ...levels['users'], [charlie]: '100' } }),
    'no object of events': change({ events: [] }),
    'no object of notifications': change({ notifications: 5 }),
    'a text for an event': change({ events: { 'm.room.message': '0' } }),
  });
  assert.deepEqual(await alice.state(room.id, 'm.room.power_levels'), levels);
});

test('members of another server change no membership that is not theirs to change (T97, T98, T101, T103)', async () => {
  const at = await scene(50);
  const { alice, charlie, room } = at;
  const [bob, dora, eve] = [await hs.user('bob'), peer.user('dora'), peer.user('eve')];
  await bob.join(room.id);
  await alice.setState(room.id, 'm.room.power_levels', '', {
    ...(await alice.state(room.id, 'm.room.power_levels')),
    users: { [alice.userId]: 100, [charlie]: 50, [bob.userId]: 50 },
    ban: 60,
  });
  await alice.ban(room.id, eve);
  const last = await alice.say(room.id, 'as it is');
  room.add(await peer.untilSent(last));
  for (const { pdus } of peer.received as { pdus: Pdu[] }[]) {
    for (const pdu of pdus) if (pdu['room_id'] === room.id && pdu['state_key'] !== undefined) room.add(pdu);
  }
  room.latest = [last];
  const member = (sender: string, stateKey: string, content: Body): Pdu =>
    peer.event(room, { type: 'm.room.member', sender, stateKey, content });
  await refuses(at, {
    'a join for another': member(charlie, dora, { membership: 'join' }),
    'a join of one who is banned': member(eve, eve, { membership: 'join' }),
    'a knock where the room is open': member(dora, dora, { membership: 'knock' }),
    'a knock of one who is in': member(charlie, charlie, { membership: 'knock' }),
    'a knock of one who is banned': member(eve, eve, { membership: 'knock' }),
    'a kick of an equal': member(charlie, bob.userId, { membership: 'leave' }),
    'a kick of one above': member(charlie, alice.userId, { membership: 'leave' }),
    'a ban below the level for it': member(charlie, bob.userId, { membership: 'ban' }),
    'a kick that would lift a ban': member(charlie, eve, { membership: 'leave' }),
    'an unknown membership': member(charlie, charlie, { membership: 'foo' }),
    'a number': member(charlie, charlie, { membership: 5 }),
    none: member(charlie, charlie, {}),
    'an authorising user that is none': member(dora, dora, {
      membership: 'join',
      join_authorised_via_users_server: 5,
    }),
    'an authorising user whose server has not signed': member(dora, dora, {
      membership: 'join',
      join_authorised_via_users_server: alice.userId,
    }),
  });
  assert.deepEqual(await Promise.all([bob.userId, charlie, eve].map((user) => alice.membership(room.id, user))), [
    'join',
    'join',
    'ban',
  ]);
  await alice.setState(room.id, 'm.room.join_rules', '', { join_rule: 'invite' });
  room.add(await peer.untilSent(await alice.say(room.id, 'closed')));
  const uninvited = member(dora, dora, { membership: 'join' });
  assert.equal(typeof (await peer.send([uninvited]))[eventId(uninvited)].error, 'string');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'state', 'm.room.member', dora));
});

test('a redaction that names an event of another room leaves that as it is (T107)', async () => {
  const { alice, charlie, room } = await scene(100);
  const other = await peer.join(await alice.createRoom({ preset: 'public_chat' }), charlie);
  const kept = peer.say(other, charlie, 'stays');
  const redaction = peer.event(room, {
    type: 'm.room.redaction',
    sender: charlie,
    content: { redacts: eventId(kept) },
  });
  const after = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'after' } });
  await peer.send([kept]);
  await peer.send([redaction, after]);
  await seenBy(alice, room, eventId(after));
  assert.equal((await alice.event(other.id, eventId(kept))).content['body'], 'stays');
});

test('what is soft-failed is not told, not counted, not built upon, and yet there for servers (T109, T110)', async () => {
  const { alice, charlie, room } = await scene();
  const fork = [...room.latest];
  const other = peer.user('dora');
  const both = await peer.join(room.id, other);
  await alice.ban(room.id, charlie);
  const highlight = { body: `${alice.userId} look`, msgtype: 'm.text', 'm.mentions': { user_ids: [alice.userId] } };
  const late = (prev: readonly string[]): Pdu =>
    peer.event(room, { type: 'm.room.message', sender: charlie, content: highlight, prev });
  const first = late(fork);
  const second = late([eventId(first)]);
  for (const pdu of [first, second]) assert.deepEqual(await peer.send([pdu]), { [eventId(pdu)]: {} });

  const own = await alice.say(room.id, 'ours');
  const sent = await peer.untilSent(own);
  for (const pdu of [first, second]) assert.ok(!sent['prev_events'].includes(eventId(pdu)), 'nothing of ours cites it');
  const after = peer.event(both, {
    type: 'm.room.message',
    sender: other,
    content: { body: 'after', msgtype: 'm.text' },
    prev: [own, eventId(second)],
  });
  assert.deepEqual(await peer.send([after]), { [eventId(after)]: {} });
  const ids = new Set<string>();
  const unread = await alice.syncUntil((body) => {
    const joined = body['rooms']?.join?.[room.id];
    for (const event of (joined?.timeline.events ?? []) as ClientEvent[]) ids.add(event.event_id);
    return ids.has(eventId(after)) ? joined.unread_notifications : undefined;
  });
  for (const pdu of [first, second]) assert.ok(!ids.has(eventId(pdu)));
  assert.deepEqual([unread.notification_count, unread.highlight_count], [1, 0]);
  const { notifications } = await alice.ok('GET', '/_matrix/client/v3/notifications');
  const told = (notifications as { event: ClientEvent }[]).map(({ event }) => event.event_id);
  assert.ok(told.includes(eventId(after)) && !told.includes(eventId(first)) && !told.includes(eventId(second)));
  for (const pdu of [first, second]) {
    const path = `/_matrix/federation/v1/event/${encodeURIComponent(eventId(pdu))}`;
    assert.deepEqual(((await peer.ok('GET', path))['pdus'] as Pdu[]).map(eventId), [eventId(pdu)]);
  }
});
