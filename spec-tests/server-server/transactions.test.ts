// Server-server API, Transactions, and what becomes of the events in them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, type ClientEvent, inRoom, inTimeline } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer, type PeerRoom } from '../support/peer.js';

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

async function scene(more: Record<string, unknown> = {}): Promise<Scene> {
  const alice = await hs.user('alice');
  const charlie = peer.user('charlie');
  const room = await peer.join(await alice.createRoom({ preset: 'public_chat', ...more }), charlie);
  await alice.sync();
  return { alice, charlie, room };
}

const seenBy = (alice: Client, room: PeerRoom, id: string): Promise<ClientEvent> =>
  alice.syncUntil(inTimeline(room.id, (e) => e.event_id === id));

async function bodies(alice: Client, room: PeerRoom): Promise<(string | undefined)[]> {
  const events = (await alice.messages(room.id, { limit: 100 }))['chunk'] as ClientEvent[];
  return events.filter((e) => e.type === 'm.room.message').map((e) => e.content['body'] as string | undefined);
}

test('what another server sends is seen, in its order, and answered event by event', async () => {
  const { alice, charlie, room } = await scene();
  const pdus = ['one', 'two', 'three'].map((text) => peer.say(room, charlie, text));
  assert.deepEqual(await peer.send(pdus), Object.fromEntries(pdus.map((pdu) => [eventId(pdu), {}])));
  await seenBy(alice, room, eventId(pdus[2]!));
  assert.deepEqual(await bodies(alice, room), ['three', 'two', 'one']);
});

test('a transaction with too much in it is refused whole', async () => {
  const send = (txn: string, content: Pdu) => peer.request('PUT', `/_matrix/federation/v1/send/${txn}`, content);
  const edus = Array.from({ length: 101 }, () => ({ edu_type: 'm.x', content: {} }));
  assert.equal((await send('p51', { pdus: Array.from({ length: 51 }, () => ({})) })).status, 400);
  assert.equal((await send('e101', { pdus: [], edus })).status, 400);
  assert.equal((await send('p50', { pdus: Array.from({ length: 50 }, () => ({})), edus: edus.slice(1) })).status, 200);
  assert.equal((await send('list', { pdus: {} })).status, 400);
});

test('a repeated transaction gets the same answer and does nothing more', async () => {
  const { alice, charlie, room } = await scene();
  const first = peer.say(room, charlie, 'first');
  const second = peer.say(room, charlie, 'second');
  const send = (pdus: Pdu[]) => peer.request('PUT', `/_matrix/federation/v1/send/same-${room.depth}`, { pdus });
  const [answer, twin] = await Promise.all([send([first]), send([first])]);
  assert.deepEqual(answer.body, twin.body);
  assert.deepEqual((await send([first, second])).body, answer.body, 'what is new in it is not looked at');
  assert.deepEqual(await bodies(alice, room), ['first']);
});

test('bad events are refused one by one, and the good one among them is taken (T91)', async () => {
  const { alice, charlie, room } = await scene();
  const base = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'bad' } });
  const huge = { sender: charlie, type: 'm.room.message', content: { body: 'x'.repeat(66_000) } };
  const bad: Record<string, Pdu> = {
    unsigned: { ...base, signatures: {} },
    'signed by nobody known': { ...base, signatures: { [peer.name]: { 'ed25519:none': 'A'.repeat(86) } } },
    'signature of other bytes': { ...base, origin_server_ts: 1 },
    'in the name of a user here': peer.signed({ ...base, sender: alice.userId }),
    'of a stranger to the room': peer.event(room, { type: 'm.room.message', sender: peer.user('mallory') }),
    'too large': peer.event(room, huge),
    'a depth out of range': peer.signed({ ...base, depth: 2 ** 53 }),
    'a depth that is no number': peer.signed({ ...base, depth: '5' }),
    'content that is no object': peer.signed({ ...base, content: [] }),
    'without parents': peer.signed({ ...base, prev_events: [] }),
    'auth events that are none': peer.signed({ ...base, auth_events: [`$${'c'.repeat(43)}`] }),
    'a second create event': peer.event(room, { type: 'm.room.create', sender: charlie, stateKey: '' }),
  };
  const good = peer.say(room, charlie, 'good');
  const results = await peer.send([...Object.values(bad), good, { type: 'm.x' }, {}]);
  assert.deepEqual(results[eventId(good)], {});
  assert.ok(Object.values(results).every((result) => Object.keys(result).every((key) => key === 'error')));
  await seenBy(alice, room, eventId(good));
  assert.deepEqual(await bodies(alice, room), ['good']);
  assert.equal(await alice.membership(room.id, charlie), 'join');
});

test('an event whose content was changed on the way is kept without it', async () => {
  const { alice, charlie, room } = await scene();
  const pdu = peer.say(room, charlie, 'what was said');
  await peer.send([{ ...pdu, content: { msgtype: 'm.text', body: 'what was never said' } }]);
  const seen = await seenBy(alice, room, eventId(pdu));
  assert.deepEqual(seen.content, {});
});

test('events of a server that the room denies are not taken', async () => {
  const { alice, charlie, room } = await scene();
  const before = peer.say(room, charlie, 'before');
  await peer.send([before]);
  await alice.setState(room.id, 'm.room.server_acl', '', { allow: ['*'], deny: ['localhost'] });
  const after = peer.say(room, charlie, 'after');
  const results = await peer.send([after]);
  assert.equal(typeof results[eventId(after)].error, 'string');
  assert.deepEqual(await bodies(alice, room), ['before']);
});

test('an event that the room no longer allows is kept from clients, and what builds on it is not (T289)', async () => {
  const { alice, charlie, room } = await scene();
  const fork = [...room.latest];
  const other = peer.user('dora');
  const both = await peer.join(room.id, other);
  await alice.kick(room.id, charlie);
  const late = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'late' }, prev: fork });
  await peer.send([late]);
  const after = peer.event(both, {
    type: 'm.room.message',
    sender: other,
    content: { body: 'after' },
    prev: [...both.latest, eventId(late)],
  });
  assert.deepEqual(await peer.send([after]), { [eventId(after)]: {} });
  await seenBy(alice, room, eventId(after));
  assert.deepEqual(await bodies(alice, room), ['after']);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'event', eventId(late)));
  const { unread_notifications: unread } = (await (await alice.login()).sync())['rooms'].join[room.id];
  assert.equal(unread.notification_count, 1);
  const { notifications } = await alice.ok('GET', `${C}/notifications`);
  assert.deepEqual(
    notifications.map((one: Pdu) => one['event'].event_id),
    [eventId(after)],
  );
});

test('what is missing in between is asked for', async () => {
  const { alice, charlie, room } = await scene();
  const missing = ['one', 'two', 'three'].map((text) => peer.say(room, charlie, text));
  peer.answers.set('/_matrix/federation/v1/get_missing_events', ({ body }) => {
    assert.equal(body['latest_events'].length, 1);
    assert.ok(body['limit'] > 0);
    return { events: missing };
  });
  const last = peer.say(room, charlie, 'four');
  assert.deepEqual(await peer.send([last]), { [eventId(last)]: {} });
  await seenBy(alice, room, eventId(last));
  assert.deepEqual(await bodies(alice, room), ['four', 'three', 'two', 'one']);
  peer.answers.clear();
});

test('where the gap stays, the state behind it is asked for, and resolved with ours', async () => {
  const { alice, charlie, room } = await scene({
    power_level_content_override: { state_default: 0, events: { 'm.room.name': 0, 'm.room.topic': 0 } },
  });
  const topic = peer.event(room, { type: 'm.room.topic', sender: charlie, stateKey: '', content: { topic: 'there' } });
  room.add(topic);
  const lost = peer.say(room, charlie, 'lost');
  await alice.setState(room.id, 'm.room.name', '', { name: 'here' });
  peer.answers.set('/_matrix/federation/v1/get_missing_events', () => ({ events: [] }));
  peer.answers.set('/_matrix/federation/v1/state_ids', ({ path }) => {
    assert.ok(path.includes(encodeURIComponent(eventId(lost))));
    const ids = [...room.state.values()];
    return { pdu_ids: ids, auth_chain_ids: ids };
  });
  peer.answers.set('/_matrix/federation/v1/event/', ({ path }) => {
    const pdu = room.events.get(decodeURIComponent(path.split('/').at(-1)!));
    return pdu && { origin: peer.name, origin_server_ts: 1, pdus: [pdu] };
  });
  const last = peer.say(room, charlie, 'found');
  assert.deepEqual(await peer.send([last]), { [eventId(last)]: {} });
  await seenBy(alice, room, eventId(last));
  assert.equal((await alice.state(room.id, 'm.room.topic'))['topic'], 'there');
  assert.equal((await alice.state(room.id, 'm.room.name'))['name'], 'here');
  peer.answers.clear();
});

test('state from elsewhere that nobody signed does not get in', async () => {
  const { alice, charlie, room } = await scene();
  const forged = peer.signed({
    ...room.events.get(room.idOf('m.room.power_levels')!),
    content: { users: { [charlie]: 100 } },
    origin_server_ts: 5,
  });
  const lost = peer.say(room, charlie, 'lost');
  peer.answers.set('/_matrix/federation/v1/get_missing_events', () => ({ events: [] }));
  peer.answers.set('/_matrix/federation/v1/state_ids', () => {
    const ids = [...room.state.values()].filter((id) => id !== room.idOf('m.room.power_levels'));
    return { pdu_ids: [...ids, eventId(forged)], auth_chain_ids: [...room.state.values()] };
  });
  peer.answers.set('/_matrix/federation/v1/event/', ({ path }) => {
    const id = decodeURIComponent(path.split('/').at(-1)!);
    const pdu = id === eventId(forged) ? forged : room.events.get(id);
    return pdu && { origin: peer.name, origin_server_ts: 1, pdus: [pdu] };
  });
  await peer.send([peer.say(room, charlie, 'grab')]);
  const levels = await alice.state(room.id, 'm.room.power_levels');
  assert.equal(levels['users'][charlie], undefined);
  assert.ok(!(await bodies(alice, room)).includes('lost'));
  void lost;
  peer.answers.clear();
});

test('an event behind a gap that nobody closes is refused, and taken when it comes again with what was missing (T111)', async () => {
  const { alice, charlie, room } = await scene();
  const lost = peer.say(room, charlie, 'lost');
  const last = peer.say(room, charlie, 'last');
  const refused = await peer.send([last]);
  assert.equal(typeof refused[eventId(last)].error, 'string');
  assert.deepEqual(await peer.send([lost, last]), { [eventId(lost)]: {}, [eventId(last)]: {} });
  await seenBy(alice, room, eventId(last));
  assert.deepEqual(await bodies(alice, room), ['last', 'lost']);
});

test('an event that a rejected one authorises is rejected, and what builds on it is not (T90)', async () => {
  const { alice, charlie, room } = await scene();
  const rejected = peer.event(room, { type: 'm.room.power_levels', sender: charlie, stateKey: '', content: {} });
  const refused = await peer.send([rejected]);
  assert.equal(typeof refused[eventId(rejected)].error, 'string');
  const authority = ['m.room.create', 'm.room.join_rules'].map((type) => room.idOf(type)!);
  const auth = [...authority, eventId(rejected), room.idOf('m.room.member', charlie)!];
  const content = { membership: 'join', displayname: 'C' };
  const outlier = peer.event(room, { type: 'm.room.member', sender: charlie, stateKey: charlie, content, auth });
  peer.answers.set('/_matrix/federation/v1/event_auth', () => {
    return { auth_chain: [...auth.flatMap((id) => room.events.get(id) ?? []), rejected, outlier] };
  });
  const base = [room.idOf('m.room.create')!, room.idOf('m.room.power_levels')!];
  const tainted = peer.event(room, {
    type: 'm.room.message',
    sender: charlie,
    content: { body: 'tainted' },
    auth: [...base, eventId(outlier)],
  });
  assert.equal(typeof (await peer.send([tainted]))[eventId(tainted)].error, 'string');
  peer.answers.clear();
  const clean = { type: 'm.room.message', sender: charlie, content: { body: 'clean' }, prev: [eventId(tainted)] };
  const after = peer.event(room, clean);
  assert.deepEqual(await peer.send([after]), { [eventId(after)]: {} });
  await seenBy(alice, room, eventId(after));
  assert.deepEqual(await bodies(alice, room), ['clean']);
  for (const one of [rejected, outlier, tainted]) {
    await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'event', eventId(one)));
  }
});

test('a room that nobody here is in is left alone', async () => {
  const { alice, charlie, room } = await scene();
  await alice.leave(room.id);
  const pdu = peer.say(room, charlie, 'echo');
  const results = await peer.send([pdu]);
  assert.equal(typeof results[eventId(pdu)].error, 'string');
  const elsewhere = peer.signed({ ...pdu, room_id: '!elsewhere:far.example' });
  assert.deepEqual(await peer.send([elsewhere]), {});
});

test('a redaction waits for its event, and is shown only where it takes effect (T104)', async () => {
  const { alice, charlie, room } = await scene();
  const hers = await alice.say(room.id, 'mine');
  const target = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'secret' } });
  const redaction = (of: string) =>
    peer.event(room, { type: 'm.room.redaction', sender: charlie, content: { redacts: of } });
  const early = redaction(eventId(target));
  const unknown = redaction('$12345');
  const forbidden = redaction(hers);
  const sentinel = peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'sentinel' } });
  await peer.send([early, unknown, forbidden, sentinel]);
  await seenBy(alice, room, eventId(sentinel));
  const ids = async (): Promise<string[]> =>
    ((await alice.messages(room.id, { limit: 100 }))['chunk'] as ClientEvent[]).map((e) => e.event_id);
  for (const one of [early, unknown, forbidden]) assert.ok(!(await ids()).includes(eventId(one)));
  assert.equal((await alice.event(room.id, hers)).content['body'], 'mine');
  await peer.send([target]);
  const seen = await seenBy(alice, room, eventId(target));
  assert.deepEqual(seen.content, {});
  assert.ok((await ids()).includes(eventId(early)));
});

test('typing and receipts count for users of the sending server only', async () => {
  const { alice, charlie, room } = await scene();
  const said = await alice.say(room.id, 'read this');
  const typing = (user: string) => ({
    edu_type: 'm.typing',
    content: { room_id: room.id, user_id: user, typing: true },
  });
  const receipt = (user: string) => ({
    edu_type: 'm.receipt',
    content: { [room.id]: { 'm.read': { [user]: { event_ids: [said], data: { ts: 5 } } } } },
  });
  const odd = [
    {},
    { edu_type: 5 },
    { edu_type: 'm.typing', content: [] },
    { edu_type: 'm.receipt', content: { a: 1 } },
  ];
  const others = ['@eve:elsewhere.example', peer.user('absent'), alice.userId];
  await peer.send([], [...odd, ...others.map(typing), ...others.map(receipt), typing(charlie), receipt(charlie)]);
  const ephemeral = new Map<string, ClientEvent>();
  await alice.syncUntil((body) => {
    const events = (body['rooms']?.join?.[room.id]?.ephemeral.events ?? []) as ClientEvent[];
    for (const event of events) ephemeral.set(event.type, event);
    return ephemeral.has('m.typing') && ephemeral.has('m.receipt') ? true : undefined;
  });
  assert.deepEqual(ephemeral.get('m.typing')?.content['user_ids'], [charlie]);
  assert.deepEqual(ephemeral.get('m.receipt')?.content, { [said]: { 'm.read': { [charlie]: { ts: 5 } } } });
});
