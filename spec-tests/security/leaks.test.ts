// What must not be told: SECURITY-CASES, part P.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, query, saying, seg, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { MEDIA, transfer, uploaded } from '../support/media.js';

const SLIDING = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';

const hs = await homeserver();
test.after(() => hs.stop());

test('after a ban nothing of the room comes by sync any more (T278)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await alice.ban(room, bob.userId);
  const secret = await alice.say(room, 'now that he is gone');
  await alice.setState(room, 'm.room.topic', '', { topic: 'hidden topic' });
  await alice.setTyping(room, true);
  await alice.receipt(room, 'm.read', secret);
  const seen = [await bob.sync()];
  seen.push(await bob.sync(), await bob.sync({ full_state: 'true' }), await (await bob.login()).sync());
  for (const body of seen) {
    const text = JSON.stringify(body['rooms'] ?? {});
    for (const hidden of ['now that he is gone', 'hidden topic', 'm.typing', 'm.receipt']) {
      assert.equal(text.includes(hidden), false, hidden);
    }
    assert.equal(body['rooms']?.join?.[room], undefined);
  }
});

for (const how of ['kick', 'ban', 'leave'] as const) {
  /** What sliding sync with `extensions` tells someone who went by `how`, at once, later and on a new device. */
  const afterwards = async (...extensions: string[]): Promise<{ room: string; seen: Body[]; hidden: string[] }> => {
    const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
    const room = await alice.createRoom({ preset: 'public_chat', name: 'Before' });
    await bob.join(room);
    const wanted = { timeline_limit: 20, required_state: [['*', '*']] };
    const slide = (client: Client, pos?: string): Promise<Body> =>
      client.ok('POST', SLIDING + query({ timeout: 0, ...(pos === undefined ? {} : { pos }) }), {
        conn_id: 'one',
        lists: { all: { ranges: [[0, 99]], ...wanted } },
        room_subscriptions: { [room]: wanted },
        extensions: Object.fromEntries(extensions.map((name) => [name, { enabled: true }])),
      });
    const first = await slide(bob);
    assert.ok(first['rooms'][room]);
    if (how === 'leave') await bob.leave(room);
    else await alice[how](room, bob.userId);
    const secret = await alice.say(room, 'now that he is gone');
    await alice.setState(room, 'm.room.name', '', { name: 'hidden name' });
    await alice.setState(room, 'm.room.topic', '', { topic: 'hidden topic' });
    await carol.join(room);
    await alice.setTyping(room, true);
    await alice.receipt(room, 'm.read', secret);
    const second = await slide(bob, first['pos']);
    const last = second['rooms'][room].timeline.at(-1);
    assert.deepEqual(
      [last.type, last.state_key, last.content.membership],
      ['m.room.member', bob.userId, how === 'ban' ? 'ban' : 'leave'],
      'who went is told so',
    );
    const seen = [second, await slide(bob, second['pos']), await slide(await bob.login())];
    const hidden = ['now that he is gone', 'hidden name', 'hidden topic', alice.deviceId, carol.userId, secret];
    return { room, seen, hidden };
  };

  test(`after a ${how} nothing of the room comes by sliding sync any more (T278)`, async () => {
    const { room, seen, hidden } = await afterwards('account_data', 'to_device');
    for (const text of hidden) assert.equal(JSON.stringify(seen).includes(text), false, text);
    for (const body of seen) assert.equal(body['rooms']?.[room]?.joined_count ?? 1, 1);
  });

  test(
    `after a ${how} sliding sync tells no more who types, reads and comes there (T278)`,
    synapseDiffers('tells it'),
    async () => {
      const { room, seen, hidden } = await afterwards('typing', 'receipts', 'e2ee');
      for (const text of hidden) assert.equal(JSON.stringify(seen).includes(text), false, text);
      for (const body of seen) {
        for (const name of ['typing', 'receipts']) {
          assert.equal(body['extensions']?.[name]?.rooms?.[room], undefined, name);
        }
      }
    },
  );
}

test('a private room and one that never was look alike (T277)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ name: 'Hidden' });
  const eventId = await alice.say(room, 'hidden');
  const never = `!${'x'.repeat(43)}`;
  const ask = async (path: (room: string) => string): Promise<unknown[]> =>
    Promise.all(
      [room, never].map(async (where) => {
        const { status, body } = await mallory.request('GET', path(where));
        return [status, body['errcode']];
      }),
    );
  for (const path of [
    (where: string) => inRoom(where, 'state'),
    (where: string) => inRoom(where, 'members'),
    (where: string) => inRoom(where, 'joined_members'),
    (where: string) => `${inRoom(where, 'messages')}?dir=b`,
    (where: string) => inRoom(where, 'event', eventId),
    (where: string) => inRoom(where, 'state', 'm.room.name', ''),
  ]) {
    const [real, unreal] = await ask(path);
    assert.deepEqual(real, unreal, path('!room'));
  }
});

test('a run of events one may not see does not end the pages (T281)', async () => {
  const [alice, bob, mallory] = await hs.users('alice', 'bob', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.say(room, 'the oldest');
  await mallory.join(room);
  for (let i = 0; i < 50; i++) await mallory.say(room, `noise ${i}`);
  await bob.join(room);
  await bob.ok('PUT', ofUser(bob, 'account_data', 'm.ignored_user_list'), { ignored_users: { [mallory.userId]: {} } });
  const seen: string[] = [];
  let from: string | undefined;
  for (let n = 0; n < 40; n++) {
    const page = await bob.messages(room, { limit: 5, ...(from === undefined ? {} : { from }) });
    seen.push(...texts(page['chunk']));
    from = page['end'];
    if (from === undefined) break;
  }
  assert.deepEqual(seen, ['the oldest']);
});

test('fifty messages said while one was away do not end the pages, nor hide what was before (T281)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  await bob.join(room);
  await alice.say(room, 'when he was there');
  await bob.leave(room);
  for (let i = 0; i < 50; i++) await alice.say(room, `behind his back ${i}`);
  await bob.join(room);
  await alice.say(room, 'welcome back');
  const seen: string[] = [];
  let from: string | undefined;
  for (let n = 0; n < 60; n++) {
    const page = await bob.messages(room, { limit: 5, ...(from === undefined ? {} : { from }) });
    seen.push(...texts(page['chunk']));
    from = page['end'];
    if (from === undefined) break;
  }
  assert.deepEqual(seen, ['welcome back', 'when he was there']);
});

test('private account data and receipts are in nobody else’s answers (T286)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const eventId = await alice.say(room, 'x');
  await bob.receipt(room, 'm.read.private', eventId);
  await bob.ok('PUT', ofUser(bob, 'rooms', room, 'account_data', 'org.example.diary'), { dear: 'diary' });
  await bob.ok('PUT', ofUser(bob, 'account_data', 'org.example.diary'), { dear: 'diary' });
  const text = JSON.stringify(await alice.sync());
  assert.equal(text.includes('org.example.diary'), false);
  assert.equal(text.includes('m.read.private'), false);
});

test('bundled relations leave out what was redacted and who is ignored (T255, T282)', async () => {
  const [alice, bob, mallory] = await hs.users('alice', 'bob', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await Promise.all([bob.join(room), mallory.join(room)]);
  const root = await alice.say(room, 'root');
  const inThread = (body: string): Body => ({
    msgtype: 'm.text',
    body,
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });
  const reply = await bob.send(room, 'm.room.message', inThread('a kind word'));
  const rude = await mallory.send(room, 'm.room.message', inThread('a rude word'));
  await mallory.redact(room, rude);
  const after = (await alice.event(room, root))['unsigned']['m.relations']['m.thread'];
  assert.equal(after.latest_event.event_id, reply);
  await mallory.send(room, 'm.room.message', inThread('another rude word'));
  await bob.ok('PUT', ofUser(bob, 'account_data', 'm.ignored_user_list'), { ignored_users: { [mallory.userId]: {} } });
  const forBob = JSON.stringify(await bob.event(room, root));
  assert.equal(forBob.includes('another rude word'), false);
});

test('an edit by someone else, or of another type, is never shown for the event (T267)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await mallory.join(room);
  const root = await alice.say(room, 'as I said');
  const edit = (body: string): Body => ({
    msgtype: 'm.text',
    body,
    'm.new_content': { msgtype: 'm.text', body },
    'm.relates_to': { rel_type: 'm.replace', event_id: root },
  });
  await mallory.send(room, 'm.room.message', edit('as I never said'));
  await alice.send(room, 'org.example.other', edit('of another type'));
  const event = await alice.event(room, root);
  assert.equal(event['unsigned']?.['m.relations']?.['m.replace'], undefined);
});

test('membership in unsigned is the viewer’s own (T287)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const eventId = await alice.say(room, 'before bob');
  await bob.join(room);
  assert.equal((await alice.event(room, eventId))['unsigned'].membership, 'join');
  assert.equal((await bob.event(room, eventId))['unsigned'].membership, 'leave');
});

test('answers are not kept for others: the same request of two users has two answers (T290)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom();
  const path = `${C}/sync${query({ timeout: 0 })}`;
  const [mine, his] = await Promise.all([alice.ok('GET', path), bob.ok('GET', path)]);
  assert.ok(mine['rooms'].join[room]);
  assert.equal(his['rooms']?.join?.[room], undefined);
  // One request was refused, the next is not, with the same path.
  const topic = inRoom(room, 'state', 'm.room.topic', '');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', topic);
  await bob.fails(403, 'M_FORBIDDEN', 'GET', topic);
  await alice.setState(room, 'm.room.topic', '', { topic: 'set now' });
  assert.deepEqual(await alice.state(room, 'm.room.topic'), { topic: 'set now' });
  await bob.fails(403, 'M_FORBIDDEN', 'GET', topic);
});

test('a large sync that is asked for again is one’s own, and as it would be made now (T290)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const large = (text: string): string => `${text} ${'x'.repeat(40_000)}`;
  const shared = await alice.createRoom({ preset: 'public_chat' });
  await Promise.all([bob.join(shared), carol.join(shared)]);
  const own = await alice.createRoom();
  await alice.say(own, large('of alice alone'));
  const redacted = await alice.say(shared, large('soon redacted'));
  await carol.say(shared, large('soon ignored'));
  const initial = async (client: Client): Promise<string> => JSON.stringify(await client.ok('GET', `${C}/sync`));
  const tablet = await bob.login();
  const ask = async (): Promise<string> => {
    const asked: string[] = [];
    for (const client of [alice, bob, alice, bob, tablet]) asked.push(await initial(client));
    assert.ok(asked[0]!.includes('of alice alone') && asked[2]!.includes('of alice alone'));
    for (const his of [asked[1]!, asked[3]!, asked[4]!]) assert.equal(his.includes('of alice alone'), false);
    return asked[1]! + asked[3]! + asked[4]!;
  };
  assert.ok((await ask()).includes('soon redacted'));
  await alice.redact(shared, redacted);
  const after = await ask();
  assert.equal(after.includes('soon redacted'), false);
  assert.ok(after.includes('soon ignored'));
  await bob.ok('PUT', ofUser(bob, 'account_data', 'm.ignored_user_list'), { ignored_users: { [carol.userId]: {} } });
  assert.equal((await ask()).includes('soon ignored'), false);
  await alice.say(shared, large('before he goes'));
  assert.ok((await ask()).includes('before he goes'));
  await alice.ban(shared, bob.userId);
  await alice.say(shared, large('after he went'));
  assert.equal((await ask()).includes('after he went'), false);
  // A server may go on to tell of a room that one was banned from, as of one that was left.
  for (const client of [bob, tablet]) {
    assert.equal((await client.ok('GET', `${C}/sync`))['rooms']?.join?.[shared], undefined);
  }
  await bob.ok('POST', `${C}/logout`, {});
  await bob.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/sync`);
});

test(
  'no cache between is told to keep an answer or an error (T290)',
  ourChoice('others leave it to caches'),
  async () => {
    const alice = await hs.user('alice');
    for (const [client, path] of [
      [alice, `${C}/sync`],
      [alice, `${C}/account/whoami`],
      [alice, inRoom('!nowhere:localhost', 'state')],
      [alice, '/_matrix/client/v1/media/download/localhost/none'],
      [hs.anonymous(), '/_matrix/client/v1/media/download/localhost/none'],
      [hs.anonymous(), `${C}/sync`],
      [hs.anonymous(), `${C}/no/such/thing`],
    ] as const) {
      const { headers } = await client.request('GET', path);
      assert.equal(headers.get('cache-control'), 'no-store', path);
    }
  },
);

test('who has a file already shows their token all the same to be told so (T290)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const path = `${MEDIA}/download/${await uploaded(alice, 'text', 'text/plain')}`;
  const { headers } = await transfer(alice, 'GET', path);
  const known = { 'if-none-match': headers.get('etag') ?? '"x"', 'if-modified-since': new Date().toUTCString() };
  assert.ok([200, 304].includes((await transfer(alice, 'GET', path, undefined, known)).status));
  assert.equal((await transfer(hs.anonymous(), 'GET', path, undefined, known)).status, 401);
  await mallory.ok('POST', `${C}/logout`, {});
  assert.equal((await transfer(mallory, 'GET', path, undefined, known)).status, 401);
});

test('the name one has in a private room is not one’s name elsewhere (T285)', async () => {
  const [alice, stranger] = await hs.users('alice', 'stranger');
  const room = await alice.createRoom();
  await alice.setState(room, 'm.room.member', alice.userId, { membership: 'join', displayname: 'Secret nick' });
  const profile = await stranger.request('GET', `${C}/profile/${seg(alice.userId)}`);
  assert.equal(JSON.stringify(profile.body).includes('Secret nick'), false);
});

test('presence stops with the last shared room (T286)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const [room, own] = [await alice.createRoom({ preset: 'public_chat' }), await bob.createRoom()];
  await bob.join(room);
  await bob.sync();
  await bob.leave(room);
  await bob.sync();
  const status = (client: Client): string => `${C}/presence/${seg(client.userId)}/status`;
  await alice.ok('PUT', status(alice), { presence: 'online', status_msg: 'in private now' });
  await bob.say(own, 'a sign');
  let leaked = false;
  await bob.syncUntil((body) => {
    leaked ||= JSON.stringify(body).includes('in private now');
    return saying(own, 'a sign')(body);
  });
  assert.equal(leaked, false);
});
