// Server-server API, Transactions: what this server sends to others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer } from '../support/peer.js';

const hs = await startOwnServer(federating());
test.after(() => hs.stop());

const sentTo = (peer: Peer): Pdu[] => peer.received.flatMap((txn) => txn['pdus'] as Pdu[]);

test('the servers in a room are told what happens there, in order and once', async (t) => {
  const peer = await Peer.start(hs);
  t.after(() => peer.stop());
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await alice.say(roomId, 'before anyone came');
  await peer.join(roomId, peer.user('charlie'));
  const ids: string[] = [];
  for (const text of ['one', 'two', 'three']) ids.push(await alice.say(roomId, text));
  await peer.untilSent(ids[2]!);
  assert.deepEqual(sentTo(peer).map(eventId), ids, 'and nothing from before the join, nor the join itself');
  for (const txn of peer.received) {
    assert.equal(txn['origin'], hs.serverName);
    assert.equal(typeof txn['origin_server_ts'], 'number');
  }
});

test('a join by way of this server is told to the other servers', async (t) => {
  const [one, two] = [await Peer.start(hs), await Peer.start(hs)];
  t.after(() => Promise.all([one.stop(), two.stop()]));
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await one.join(roomId, one.user('charlie'));
  const room = await two.join(roomId, two.user('dora'));
  const joined = await one.untilSent(room.idOf('m.room.member', two.user('dora'))!);
  assert.equal(joined['sender'], two.user('dora'));
  const said = two.say(room, two.user('dora'), 'hello');
  await two.send([said]);
  const last = await alice.say(roomId, 'welcome');
  await one.untilSent(last);
  assert.ok(!sentTo(one).some((pdu) => eventId(pdu) === eventId(said)), 'each server tells of its own events');
});

test('who is removed is told so, and nothing after that', async (t) => {
  const peer = await Peer.start(hs);
  t.after(() => peer.stop());
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const other = await alice.createRoom({ preset: 'public_chat' });
  const charlie = peer.user('charlie');
  await peer.join(roomId, charlie);
  await peer.join(other, charlie);
  await alice.ban(roomId, charlie);
  await alice.say(roomId, 'they are gone');
  const sentinel = await alice.say(other, 'still here');
  await peer.untilSent(sentinel);
  const sent = sentTo(peer).filter((pdu) => pdu['room_id'] === roomId);
  assert.deepEqual(
    sent.map((pdu) => [pdu['type'], pdu['content'].membership]),
    [['m.room.member', 'ban']],
  );
});

test('a server that was down gets everything when it is back, also over a restart of this one', async (t) => {
  const own = await startOwnServer(federating());
  const peer = await Peer.start(own);
  t.after(async () => {
    await peer.stop();
    await own.stop();
  });
  const alice = await own.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const room = await peer.join(roomId, peer.user('charlie'));
  peer.isDown = true;
  const ids: string[] = [];
  for (let n = 0; n < 60; n++) ids.push(await alice.say(roomId, `while you were out ${n}`));
  const refused = await peer.until(() => peer.asked.find(({ path }) => path.includes('/send/')), 'a transaction');
  await own.own?.end('SIGKILL');
  await own.own?.start();
  peer.isDown = false;
  // It has sent something: it is there again.
  await peer.send([peer.say(room, peer.user('charlie'), 'back')]);
  await peer.untilSent(ids.at(-1)!);
  assert.deepEqual(sentTo(peer).map(eventId), ids);
  assert.ok(peer.received.every((txn) => (txn['pdus'] as Pdu[]).length <= 50));
  const paths = peer.asked.filter(({ path }) => path.includes('/send/')).map(({ path }) => path);
  assert.ok(paths.filter((path) => path === refused.path).length > 1, 'the transaction is repeated as it was');
});
