// Who may call what, asked of every endpoint that there is.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { App } from '#api/app.js';
import { ENDPOINTS, FEDERATION_ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import type { Endpoint } from '#http/endpoint.js';
import { setFlags } from '#users/accounts.js';

/** Alice's id stands wherever a path names a user. */
const ALICE = '@alice:test';

/** Where a user may name another one: what is public, or asks about others. */
const ABOUT_OTHERS: ReadonlySet<string> = new Set([
  'getUserProfile',
  'getProfileField',
  // Whom one shares a room with.
  'getPresence',
  'reportUser',
]);

/** What guests may call (client-server API, Guest access), and what goes with it: filters, media, redacting by an event. */
const FOR_GUESTS = [
  ...['logout', 'logout_all', 'getTokenOwner', 'getDevices', 'getDevice', 'updateDevice', 'setProfileField'],
  ...['deleteProfileField', 'defineFilter', 'getFilter', 'sendToDevice', 'uploadKeys', 'queryKeys', 'claimKeys'],
  ...['getJoinedRooms', 'joinRoomById', 'joinRoom', 'leaveRoom', 'sendMessage', 'setRoomStateWithKey'],
  ...['getRoomStateWithKey', 'getRoomState', 'getMembersByRoom', 'getRoomEvents', 'getEventContext', 'getOneRoomEvent'],
  ...['getRelatingEvents', 'getRelatingEventsWithRelType', 'getRelatingEventsWithRelTypeAndEventType', 'sync'],
  ...['peekEvents', 'roomInitialSync', 'getSpaceHierarchy', 'getConfigAuthed', 'getConfig', 'getContentAuthed'],
  ...['getContentOverrideNameAuthed', 'getContentThumbnailAuthed', 'msc4140Schedule', 'msc4140List', 'msc4140Get'],
];

/** What changes something, and suspended accounts may not: they join, invite, say, upload and show nothing any more. */
const NOT_WHILE_SUSPENDED = [
  ...['createRoom', 'joinRoom', 'joinRoomById', 'knockRoom', 'inviteUser', 'kick', 'ban', 'unban', 'upgradeRoom'],
  ...['sendMessage', 'setRoomStateWithKey', 'msc4140Schedule', 'setTyping', 'setPresence'],
  ...['setProfileField', 'deleteProfileField', 'uploadContent', 'uploadContentToMXC', 'createContent'],
  ...['setRoomAlias', 'deleteRoomAlias', 'setRoomVisibilityOnDirectory'],
];

function address(endpoint: Endpoint<App>, room: string): string {
  return endpoint.path
    .replace('{userId}', ALICE)
    .replace('{roomId}', encodeURIComponent(room))
    .replaceAll(/\{\w+\}/g, 'x');
}

function api(t: TestContext) {
  return serveApi(t, ENDPOINTS, { guests: true });
}

/** What calling each endpoint with `token` gives: its id with status and error code. */
async function answers(
  served: Awaited<ReturnType<typeof serveApi>>,
  endpoints: readonly Endpoint<App>[],
  token?: string,
  { room = '!x:test', body = {} }: { room?: string; body?: object } = {},
): Promise<string[]> {
  const found: string[] = [];
  for (const endpoint of endpoints) {
    const { method } = endpoint;
    const sent = method === 'GET' || endpoint.rawBody ? {} : { body };
    const answer = await served.call(method, address(endpoint, room), {
      ...(token !== undefined && { token }),
      ...sent,
    });
    found.push(`${endpoint.id} ${answer.status} ${answer.body?.errcode}`);
  }
  return found;
}
const all = (endpoints: readonly Endpoint<App>[], outcome: string): string[] =>
  endpoints.map(({ id }) => `${id} ${outcome}`);

const closed = ENDPOINTS.filter(({ caller }) => caller === 'user' || caller === 'guest' || caller === 'admin');

test('every endpoint that is not open to all wants a token, and one that is known (T233, T252)', async (t) => {
  const served = await api(t);
  assert.ok(closed.length > 100);
  assert.deepEqual(await answers(served, closed), all(closed, '401 M_MISSING_TOKEN'));
  assert.deepEqual(await answers(served, closed, 'made-up'), all(closed, '401 M_UNKNOWN_TOKEN'));
});

test('every endpoint of administrators refuses other accounts, and guests (T251)', async (t) => {
  const served = await api(t);
  const { access_token: token } = await served.register('alice');
  const guest = (await served.call('POST', 'register?kind=guest', { body: {} })).body.access_token;
  const admins = ENDPOINTS.filter(
    ({ id, path, caller }) => caller === 'admin' || (/\/admin\//.test(path) && closed.some((one) => one.id === id)),
  );
  assert.ok(admins.length >= 9);
  // Whoever asks about themselves is answered; about others see moderation.test.ts.
  const without = admins.filter(({ id }) => id !== 'getWhoIs');
  assert.deepEqual(await answers(served, without, token), all(without, '403 M_FORBIDDEN'));
  assert.deepEqual(await answers(served, without, guest), all(without, '403 M_GUEST_ACCESS_FORBIDDEN'));
});

test('every endpoint refuses guests but those that the specification opens to them (T250)', async (t) => {
  const served = await api(t);
  const guest = (await served.call('POST', 'register?kind=guest', { body: {} })).body.access_token;
  const full = closed.filter(({ id }) => !FOR_GUESTS.includes(id));
  assert.deepEqual(await answers(served, full, guest), all(full, '403 M_GUEST_ACCESS_FORBIDDEN'));
  for (const id of FOR_GUESTS)
    assert.ok(
      closed.some((one) => one.id === id),
      id,
    );
});

test('every endpoint that names a user is closed to other users (T252)', async (t) => {
  const served = await api(t);
  await served.register('alice');
  const { access_token: token } = await served.register('mallory');
  const named = ENDPOINTS.filter(({ id, path }) => path.includes('{userId}') && !ABOUT_OTHERS.has(id));
  assert.ok(named.length > 15);
  const room = await served.room(ALICE, '@mallory:test');
  const body = { presence: 'online', typing: true };
  assert.deepEqual(await answers(served, named, token, { room, body }), all(named, '403 M_FORBIDDEN'));
});

test('a locked account may call nothing but logout (T242)', async (t) => {
  const served = await api(t);
  const { access_token: token } = await served.register('alice');
  await setFlags(served.users, ALICE as UserId, { locked: true });
  const others = closed.filter(({ id }) => id !== 'logout' && id !== 'logout_all');
  assert.deepEqual(await answers(served, others, token), all(others, '401 M_USER_LOCKED'));
});

test('a suspended account joins, invites, says, uploads and shows nothing (T242)', async (t) => {
  const served = await api(t);
  const { access_token: token } = await served.register('alice');
  await setFlags(served.users, ALICE as UserId, { suspended: true });
  const refused = NOT_WHILE_SUSPENDED.map((id) => ENDPOINTS.find((one) => one.id === id) ?? assert.fail(id));
  // A message may be a redaction of one's own event, which is allowed: rooms.test.ts.
  const whole = refused.filter(({ id }) => id !== 'sendMessage');
  assert.deepEqual(await answers(served, whole, token), all(whole, '403 M_USER_SUSPENDED'));
  const path = `rooms/${encodeURIComponent(await served.room(ALICE))}/send/m.room.message/1`;
  const body = { msgtype: 'm.text', body: 'x' };
  assert.equal((await served.call('PUT', path, { token, body })).body.errcode, 'M_USER_SUSPENDED');
});

test('every endpoint that writes has a limit, except for administrators (T273)', () => {
  const free = [...ENDPOINTS, ...FEDERATION_ENDPOINTS].filter(({ limit }) => limit === 'free');
  assert.deepEqual(
    free.filter(({ caller }) => caller !== 'admin'),
    [],
  );
});
