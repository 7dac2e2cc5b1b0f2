// Client-server API, Client config: account data, global and of rooms.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, ofUser } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const find = (events: Body[] | undefined, type: string): Body | undefined =>
  events?.find((event) => event['type'] === type)?.['content'];
const ignore = (client: Client, whom: Client): Promise<Body> =>
  client.ok('PUT', ofUser(client, 'account_data', 'm.ignored_user_list'), { ignored_users: { [whom.userId]: {} } });

test('data set on one device comes to the other, and only when it changes', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const room = await phone.createRoom();
  await laptop.sync();
  await phone.ok('PUT', ofUser(phone, 'account_data', 'org.example.a'), { n: 1 });
  assert.deepEqual(await laptop.syncUntil((body) => find(body['account_data']?.events, 'org.example.a')), { n: 1 });
  await phone.ok('PUT', ofUser(phone, 'rooms', room, 'account_data', 'org.example.b'), { n: 2 });
  const body = await laptop.syncUntil((b) => b['rooms']?.join?.[room]?.account_data?.events?.length > 0 && b);
  assert.deepEqual(find(body['rooms'].join[room].account_data.events, 'org.example.b'), { n: 2 });
  assert.equal(find(body['account_data']?.events, 'org.example.a'), undefined);
});

test('data is read back, and what is not there is not found', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  for (const type of ['org.example.x', 'constructor', '__proto__', 'hasOwnProperty']) {
    for (const where of [
      ['account_data', type],
      ['rooms', room, 'account_data', type],
    ]) {
      await alice.fails(404, 'M_NOT_FOUND', 'GET', ofUser(alice, ...where));
      await alice.ok('PUT', ofUser(alice, ...where), { type, deep: { list: [1, null] } });
      assert.deepEqual(await alice.ok('GET', ofUser(alice, ...where)), { type, deep: { list: [1, null] } });
    }
  }
});

test('what the server keeps itself cannot be written (T253)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.fails(405, 'M_BAD_JSON', 'PUT', ofUser(alice, 'account_data', 'm.push_rules'), {});
  await alice.fails(405, 'M_BAD_JSON', 'PUT', ofUser(alice, 'rooms', room, 'account_data', 'm.fully_read'), {});
  await alice.fails(405, 'M_BAD_JSON', 'PUT', ofUser(alice, 'account_data', 'm.fully_read'), {});
});

test('account data belongs to its user alone (T252, T286)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  await alice.ok('PUT', ofUser(alice, 'account_data', 'org.example.secret'), { s: 1 });
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', ofUser(alice, 'account_data', 'org.example.secret'));
  await mallory.fails(403, 'M_FORBIDDEN', 'PUT', ofUser(alice, 'account_data', 'org.example.secret'), {});
});

test('a body that is no object is a bad request', async () => {
  const alice = await hs.user('alice');
  for (const body of ['[]', '"x"', 'null', '1']) {
    const answer = await alice.request('PUT', ofUser(alice, 'account_data', 'org.example.x'), body);
    assert.equal(answer.status, 400, body);
  }
});

test('a user who is ignored is heard no more, and their invites do not arrive (T283)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({
    preset: 'public_chat',
    power_level_content_override: { events: { 'org.example.ignored': 0 } },
  });
  await mallory.join(room);
  await alice.sync();
  await ignore(alice, mallory);
  await mallory.say(room, 'can you hear me');
  await mallory.createRoom({ invite: [alice.userId] });
  await mallory.setState(room, 'org.example.ignored', '', { by: 'an ignored user' });
  await alice.say(room, 'peace');
  const laptop = await alice.login();
  for (const body of [await alice.sync(), await laptop.sync()]) {
    assert.equal(JSON.stringify(body).includes('can you hear me'), false);
    assert.deepEqual(Object.keys(body['rooms'].invite ?? {}), []);
    assert.ok(JSON.stringify(body).includes('peace'));
    assert.ok(JSON.stringify(body).includes('an ignored user'), 'state is told, whoever set it');
  }
  const history = JSON.stringify(await alice.messages(room));
  assert.equal(history.includes('can you hear me'), false);
  assert.ok(history.includes('an ignored user'));
  assert.deepEqual(await alice.state(room, 'org.example.ignored'), { by: 'an ignored user' });
});

test('nothing an ignored user says is notified of (T283)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await mallory.join(room);
  await ignore(alice, mallory);
  await mallory.say(room, 'can you hear me');
  assert.deepEqual((await alice.ok('GET', `${C}/notifications`))['notifications'], []);
});

test('no invite by an ignored user is notified of (T283)', synapseDiffers('lists it'), async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  await ignore(alice, mallory);
  await mallory.createRoom({ invite: [alice.userId] });
  assert.deepEqual((await alice.ok('GET', `${C}/notifications`))['notifications'], []);
});
