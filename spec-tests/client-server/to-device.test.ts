// Client-server API, Send-to-device messaging.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

let transactions = 0;

async function send(from: Client, messages: Body, txn = `t${transactions++}`, type = 'm.test'): Promise<void> {
  await from.ok('PUT', `${C}/sendToDevice/${type}/${txn}`, { messages });
}
const to = (client: Client, content: Body): Body => ({ [client.userId]: { [client.deviceId]: content } });
const got = (body: Body): Body[] => body['to_device']?.events ?? [];
const numbers = (body: Body): number[] => got(body).map(({ content }) => content.n);

test('a message reaches one device, with its sender, type and content', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const other = await bob.login();
  for (const each of [bob, other, alice]) await each.sync();
  await send(alice, to(bob, { n: 1 }));
  assert.deepEqual(got(await bob.sync()), [{ type: 'm.test', sender: alice.userId, content: { n: 1 } }]);
  assert.deepEqual(got(await bob.sync()), []);
  for (const each of [other, alice]) assert.deepEqual(got(await each.sync()), []);
});

test('messages come in the order in which they were sent, also to a device that was away', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (let n = 0; n < 5; n++) await send(alice, to(bob, { n }));
  assert.deepEqual(numbers(await bob.sync()), [0, 1, 2, 3, 4], 'in the first sync too');
});

test('the same place in the stream gives the same messages until a later one is presented', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.sync();
  const since = bob.since!;
  await send(alice, to(bob, { n: 1 }));
  const first = await bob.sync();
  // The answer got lost: the client asks again from where it was.
  assert.deepEqual(numbers(await bob.sync({ since })), [1]);
  await send(alice, to(bob, { n: 2 }));
  assert.deepEqual(numbers(await bob.sync({ since })), [1, 2]);
  assert.deepEqual(numbers(await bob.sync({ since: first['next_batch'] })), [2]);
});

test('many messages come in several answers, every one of them once', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.sync();
  const count = 250;
  for (let n = 0; n < count; n++) await send(alice, to(bob, { n }));
  const all: number[] = [];
  for (let answers = 0; all.length < count && answers < 20; answers++) all.push(...numbers(await bob.sync()));
  assert.deepEqual(
    all,
    Array.from({ length: count }, (_, n) => n),
  );
  assert.deepEqual(numbers(await bob.sync()), []);
});

test('a star stands for all devices', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const other = await bob.login();
  await send(alice, { [bob.userId]: { '*': { n: 1 } } });
  for (const each of [bob, other]) assert.deepEqual(numbers(await each.sync()), [1]);
});

test('a transaction that is repeated sends nothing again; under another type it is another (T265)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await send(alice, to(bob, { n: 1 }), 'same');
  await send(alice, to(bob, { n: 1 }), 'same');
  await send(alice, to(bob, { n: 2 }), 'same', 'm.other');
  const laptop = await alice.login();
  await send(laptop, to(bob, { n: 3 }), 'same');
  assert.deepEqual(numbers(await bob.sync()), [1, 2, 3]);
});

test('unknown devices and users are passed over', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const nobody = bob.userId.replace('@bob', '@nobody');
  await send(alice, {
    [bob.userId]: { NEVERWAS: { n: 1 }, [bob.deviceId]: { n: 2 } },
    [nobody]: { '*': { n: 3 } },
  });
  assert.deepEqual(numbers(await bob.sync()), [2]);
});

test('messages of another shape are refused, and none is sent', synapseDiffers('answers 500'), async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const bad = [
    null,
    [],
    { [bob.userId]: 'x' },
    { 'no user': { D: {} } },
    { [bob.userId]: { [bob.deviceId]: { n: 1 }, D: 'text' } },
  ];
  for (const [i, messages] of bad.entries()) {
    const answer = await alice.request('PUT', `${C}/sendToDevice/m.test/bad${i}`, { messages } as Body);
    assert.equal(answer.status, 400, JSON.stringify(messages));
  }
  await alice.fails(400, ['M_MISSING_PARAM', 'M_BAD_JSON'], 'PUT', `${C}/sendToDevice/m.test/bad`, {});
  assert.deepEqual(got(await bob.sync()), []);
});

test('a waiting sync answers when a message comes', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await bob.sync();
  await bob.sync();
  const began = performance.now();
  // The user's own presence may be told late, in an answer of its own.
  const waiting = bob.syncUntil((body) => got(body).length > 0 && numbers(body), { timeout: '30000' });
  await send(alice, to(bob, { n: 1 }));
  assert.deepEqual(await waiting, [1]);
  assert.ok(performance.now() - began < 15_000);
});

test('the inbox goes with its device', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const [first, second] = await Promise.all([bob.login(), bob.login()]);
  for (const each of [first, second]) await send(alice, to(each, { n: 1 }));
  await first.ok('POST', `${C}/logout`, {});
  await bob.withPassword('DELETE', `${C}/devices/${second.deviceId}`);
  for (const each of [first, second]) {
    const again = await bob.login({ device_id: each.deviceId });
    assert.deepEqual(got(await again.sync()), []);
  }
});
