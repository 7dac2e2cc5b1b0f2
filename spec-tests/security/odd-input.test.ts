// Tokens of nobody, NUL in texts, and secrets on disk: SECURITY-CASES 22, 42, 239, 253 and 279.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { C, inRoom, ofUser, query, seg, texts } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await startOwnServer();
test.after(() => hs.stop());

test('a token of nobody is a bad request wherever one is taken (T42)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  const relations = `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`;
  const odd = ['x', '1e9', '0x10', '1.5', '\0', 'constructor', '9'.repeat(40), '12 ', 's72594_4483_1934'];
  for (const token of odd) {
    for (const path of [
      `${C}/sync${query({ since: token })}`,
      `${C}/notifications${query({ from: token })}`,
      `${relations}${query({ from: token })}`,
      `${relations}${query({ to: token })}`,
      inRoom(room, 'messages') + query({ dir: 'b', to: token }),
      inRoom(room, 'members') + query({ at: token }),
      `/_matrix/client/v1/rooms/${seg(room)}/threads${query({ from: token })}`,
      `${C}/publicRooms${query({ since: token })}`,
    ]) {
      const { status } = await alice.request('GET', path);
      assert.equal(status, 400, path);
    }
  }
});

test('a token below zero leads nowhere (T42)', ourChoice('the form of tokens is ours'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  const relations = `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`;
  for (const token of ['-1', '-9', `-${'9'.repeat(15)}`]) {
    for (const path of [
      `${C}/sync${query({ since: token })}`,
      `${C}/events${query({ from: token, timeout: 0 })}`,
      `${C}/notifications${query({ from: token })}`,
      `${C}/publicRooms${query({ since: token })}`,
    ]) {
      await alice.fails(400, 'M_INVALID_PARAM', 'GET', path);
    }
    // What lies before the first event that is held has such a place in a room; here there is nothing.
    for (const path of [
      `${relations}${query({ from: token })}`,
      inRoom(room, 'messages') + query({ dir: 'b', from: token }),
      `/_matrix/client/v1/rooms/${seg(room)}/threads${query({ from: token })}`,
    ]) {
      assert.deepEqual((await alice.ok('GET', path))['chunk'], [], path);
    }
    const { status } = await alice.request('GET', inRoom(room, 'members') + query({ at: token }));
    assert.ok(status < 500, String(status));
  }
});

test('another user’s token shows what one may see, and no more (T42)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const before = (await alice.sync())['next_batch'] as string;
  const room = await alice.createRoom({ name: 'Hidden' });
  await alice.say(room, 'hidden');
  const own = await bob.createRoom();
  for (const since of [before, (await alice.sync())['next_batch'] as string]) {
    const answer = await bob.ok('GET', `${C}/sync${query({ since })}`);
    assert.doesNotMatch(JSON.stringify(answer), /hidden/i);
    const page = await bob.messages(own, { from: since });
    assert.doesNotMatch(JSON.stringify(page), /hidden/i);
    await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'messages') + query({ dir: 'b', from: since }));
    await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members') + query({ at: since }));
  }
});

test('NUL in any text neither cuts it off nor stops what reads it (T22)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat', name: 'be\0fore', topic: 'to\0pic' });
  await bob.join(room);
  assert.deepEqual((await bob.state(room, 'm.room.name'))['name'], 'be\0fore');
  assert.deepEqual((await bob.state(room, 'm.room.topic'))['topic'], 'to\0pic');
  await alice.setState(room, 'org.example.key', 'a\0b', { n: 1 });
  assert.deepEqual(await bob.state(room, 'org.example.key', 'a\0b'), { n: 1 });
  assert.ok((await alice.request('PUT', ofUser(alice, 'rooms', room, 'tags', 'u.\0'), {})).status < 500);
  for (const [field, text] of Object.entries({ displayname: 'n\0l', avatar_url: 'mxc://hs.test/n\0l' })) {
    const { status } = await alice.request('PUT', `${C}/profile/${seg(alice.userId)}/${field}`, { [field]: text });
    assert.ok(status === 200 || status === 400, `${field}: ${status}`);
  }
  await alice.say(room, 'nul\0 inside');
  await alice.say(room, 'findable afterwards');
  const search = await bob.ok('POST', `${C}/search`, {
    search_categories: { room_events: { search_term: 'findable', filter: { rooms: [room] } } },
  });
  assert.equal(search['search_categories'].room_events.count, 1);
  await bob.ok('POST', `${C}/user_directory/search`, { search_term: 'n\0l' });
  const { results } = await bob.ok('POST', `${C}/user_directory/search`, { search_term: alice.userId.split(':')[0] });
  assert.deepEqual(
    results.map(({ user_id }: { user_id: string }) => user_id),
    [alice.userId],
  );
  const alias = seg(`#nul\0:${hs.serverName}`);
  await alice.fails(400, 'M_INVALID_PARAM', 'PUT', `${C}/directory/room/${alias}`, { room_id: room });
  const { chunk } = await bob.messages(room, { dir: 'b', limit: 10 });
  assert.deepEqual(texts(chunk).slice(0, 2).sort(), ['findable afterwards', 'nul\0 inside']);
});

test('a password under way is never on disk (T232, T239)', async () => {
  const secret = 'correct-horse-battery-staple-239';
  const asked = await hs.anonymous().request('POST', `${C}/register`, { username: 'eve239', password: secret });
  assert.equal(asked.status, 401);
  const alice = await hs.user('alice');
  const changing = { new_password: secret, logout_devices: false };
  const { body } = await alice.request('POST', `${C}/account/password`, changing);
  const auth = alice.passwordAuth(body['session']);
  await alice.ok('POST', `${C}/account/password`, { ...changing, auth });
  const directory = join(hs.own!.directory, 'data');
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  const contents = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name))));
  assert.ok(
    contents.some((bytes) => bytes.includes(alice.userId)),
    'the rows are there to be seen',
  );
  for (const hidden of [secret, String(alice.password), String(alice.accessToken)]) {
    assert.equal(
      contents.some((bytes) => bytes.includes(hidden)),
      false,
      'a secret is on disk',
    );
  }
});

test('tags have a measure (T253)', ourChoice('the specification names none'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const tag = (name: string) => alice.request('PUT', ofUser(alice, 'rooms', room, 'tags', name), { order: 0.5 });
  assert.equal((await tag('u.'.padEnd(300, 'x'))).status, 400);
  let last = 200;
  for (let i = 0; i < 150 && last === 200; i++) last = (await tag(`u.${i}`)).status;
  assert.equal(last, 400);
});

test('to subscribe to a room one was never in tells nothing, not even that it is (T279)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ name: 'Hidden' });
  const never = `!${'x'.repeat(43)}`;
  const ask = async (id: string): Promise<unknown> => {
    const path = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';
    const subscription = { timeline_limit: 10, required_state: [['*', '*']] };
    const answer = await mallory.ok('POST', path, { room_subscriptions: { [id]: subscription } });
    return { rooms: answer['rooms'], lists: answer['lists'] };
  };
  assert.deepEqual(await ask(room), await ask(never));
  assert.equal(JSON.stringify(await ask(room)).includes('Hidden'), false);
  // Nor do the filters of a list, by what they let through.
  const own = await mallory.createRoom({ name: 'Own' });
  await alice.setState(room, 'm.space.child', own, { via: [hs.serverName] });
  const filtered = async (id: string): Promise<unknown> => {
    const path = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';
    const list = { ranges: [[0, 9]], timeline_limit: 1, required_state: [['*', '*']], filters: { spaces: [id] } };
    const answer = await mallory.ok('POST', path, { lists: { all: list } });
    return { rooms: answer['rooms'], lists: answer['lists'] };
  };
  assert.deepEqual(await filtered(room), await filtered(never));
});
