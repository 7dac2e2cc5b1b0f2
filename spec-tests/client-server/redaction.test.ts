// Client-server API, Redactions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type ClientEvent, inRoom, inTimeline, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

for (const version of ['1', '10', '11', '12']) {
  test(`what a user redacts is gone for everyone, everywhere (version ${version}) (T255)`, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
    await bob.join(room);
    const eventId = await bob.say(room, 'a secret');
    await alice.sync();
    const redaction = await bob.redact(room, eventId, 'slip of the tongue');
    const seen = await alice.syncUntil(inTimeline(room, (e) => e.type === 'm.room.redaction'));
    assert.equal(seen.event_id, redaction);
    assert.equal(seen.content['redacts'] ?? seen['redacts'], eventId);
    assert.equal(seen['redacts'], eventId, 'old clients read it at the top');
    assert.equal(seen.content['reason'], 'slip of the tongue');

    const event = await alice.event(room, eventId);
    assert.deepEqual(event.content, {});
    assert.equal(event['unsigned'].redacted_because.event_id, redaction);
    const pages = [
      (await alice.messages(room))['chunk'],
      (await alice.ok('GET', inRoom(room, 'context', redaction)))['events_before'],
      (await (await alice.login()).sync())['rooms'].join[room].timeline.events,
    ];
    for (const events of pages as ClientEvent[][]) {
      assert.ok(!JSON.stringify(events).includes('a secret'));
      assert.deepEqual(events.find((e) => e.event_id === eventId)?.content, {});
    }
  });
}

test('redacting someone else’s event needs power (T255)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await Promise.all([bob.join(room), carol.join(room)]);
  const eventId = await bob.say(room, 'keep this');
  await carol.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'redact', eventId, '1'), {});
  assert.equal((await alice.event(room, eventId)).content['body'], 'keep this');
  await alice.redact(room, eventId);
  assert.deepEqual((await bob.event(room, eventId)).content, {});
});

test('an event of another room cannot be redacted (T255)', async () => {
  const alice = await hs.user('alice');
  const [room, other] = [await alice.createRoom(), await alice.createRoom()];
  const eventId = await alice.say(other, 'elsewhere');
  const answer = await alice.request('PUT', inRoom(room, 'redact', eventId, 'txn'), {});
  assert.ok([400, 404].includes(answer.status), String(answer.status));
  assert.equal((await alice.event(other, eventId)).content['body'], 'elsewhere');
});

test('an event that is not known cannot be redacted', ourChoice('it could come later'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const answer = await alice.request('PUT', inRoom(room, 'redact', '$nosuchevent', 'txn'), {});
  assert.ok([400, 404].includes(answer.status), String(answer.status));
});

test('a transaction id redacts once', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const eventId = await alice.say(room, 'x');
  const path = inRoom(room, 'redact', eventId, 'txn');
  assert.equal((await alice.ok('PUT', path, {}))['event_id'], (await alice.ok('PUT', path, {}))['event_id']);
});

test('a redacted state event keeps what the rules need and loses the rest', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const topic = await alice.setState(room, 'm.room.topic', '', { topic: 'gone soon' });
  await alice.redact(room, topic);
  assert.deepEqual(await alice.state(room, 'm.room.topic'), {});
  const rules = await alice.setState(room, 'm.room.join_rules', '', { join_rule: 'public', note: 'extra' });
  await alice.redact(room, rules);
  assert.deepEqual(await alice.state(room, 'm.room.join_rules'), { join_rule: 'public' });
});

test('a redacted reaction can be made again, and no longer counts', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const target = await alice.say(room, 'react');
  const reaction = { 'm.relates_to': { rel_type: 'm.annotation', event_id: target, key: '👍' } };
  const first = await alice.send(room, 'm.reaction', reaction);
  await alice.redact(room, first);
  const path = `/_matrix/client/v1/rooms/${encodeURIComponent(room)}/relations/${encodeURIComponent(target)}`;
  assert.deepEqual((await alice.ok('GET', path + query({ dir: 'b' })))['chunk'], []);
  await alice.send(room, 'm.reaction', reaction);
});

test('what was redacted is in no list and in no bundle any more (T255, T284)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const root = await alice.say(room, 'the root');
  const inThread = {
    msgtype: 'm.text',
    body: 'zyzzyva unsaid',
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  };
  const edit = {
    ...{ msgtype: 'm.text', body: 'zyzzyva edited', 'm.new_content': { msgtype: 'm.text', body: 'zyzzyva new' } },
    'm.relates_to': { rel_type: 'm.replace', event_id: root },
  };
  const gone = [
    await alice.say(room, 'zyzzyva alone'),
    await alice.send(room, 'm.room.message', inThread),
    await alice.send(room, 'm.room.message', edit),
  ];
  const roomPath = `/_matrix/client/v1/rooms/${encodeURIComponent(room)}`;
  const lists = async (): Promise<string> =>
    JSON.stringify(
      await Promise.all([
        bob.ok('GET', `${C}/notifications`),
        bob.ok('GET', `${roomPath}/relations/${encodeURIComponent(root)}`),
        bob.ok('GET', `${roomPath}/threads`),
        bob.ok('POST', `${C}/search`, { search_categories: { room_events: { search_term: 'zyzzyva' } } }),
        bob.event(room, root),
        bob.messages(room, { limit: 50 }),
        bob.ok('GET', inRoom(room, 'context', root)),
        bob.ok('GET', inRoom(room, 'initialSync')),
        (await bob.login()).sync(),
      ]),
    );
  assert.ok((await lists()).includes('zyzzyva alone'), 'it is there to be seen');
  for (const eventId of gone) await alice.redact(room, eventId);
  assert.equal((await lists()).replaceAll('"zyzzyva"', '').match(/zyzzyva \w+/), null);
});
