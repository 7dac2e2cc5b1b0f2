// Standard error response: what operations refuse that no other test here tries (`scripts/coverage.ts` finds those).
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, inRoom, ofUser, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { LEGACY, MEDIA } from '../support/media.js';

const hs = await homeserver();
test.after(() => hs.stop());

const V1 = '/_matrix/client/v1';
const UNSTABLE = '/_matrix/client/unstable';
const DELAYED = `${UNSTABLE}/org.matrix.msc4140`;
const BAD_INPUT = ['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM'];

type Refusal = readonly [status: number, code: string | readonly string[], method: string, path: string, body?: Body];

test('what has the wrong form or names nothing is refused with the error of the specification', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const rule = `${C}/pushrules/global/content/none`;
  const refusals: readonly Refusal[] = [
    [400, BAD_INPUT, 'GET', `${V1}/register/m.login.registration_token/validity`],
    [400, BAD_INPUT, 'POST', `${V1}/login/get_token`, { auth: 'none' }],
    [400, BAD_INPUT, 'POST', `${C}/refresh`, {}],
    [400, BAD_INPUT, 'POST', `${C}/keys/signatures/upload`, { [alice.userId]: 'none' }],
    [404, 'M_NOT_FOUND', 'GET', `${rule}/enabled`],
    [404, 'M_NOT_FOUND', 'PUT', `${rule}/enabled`, { enabled: true }],
    [404, 'M_NOT_FOUND', 'GET', `${rule}/actions`],
    [404, 'M_NOT_FOUND', 'PUT', `${rule}/actions`, { actions: [] }],
    [400, BAD_INPUT, 'POST', inRoom(room, 'report'), { reason: 5 }],
    [400, BAD_INPUT, 'POST', `${C}/users/${seg(alice.userId)}/report`, { reason: 5 }],
    [404, 'M_NOT_FOUND', 'GET', `${MEDIA}/download/${seg(hs.serverName)}/none/name.png`],
  ];
  for (const refusal of refusals) await alice.fails(...refusal);
});

for (const [path, body] of [
  ['read_markers', { 'm.fully_read': 5 }],
  ['publicRooms', { filter: 5 }],
] as const) {
  test(`${path} with ${JSON.stringify(body)} is refused`, synapseDiffers('answers 404 or 500'), async () => {
    const alice = await hs.user('alice');
    const whole = path === 'publicRooms' ? `${C}/${path}` : inRoom(await alice.createRoom(), path);
    await alice.fails(400, BAD_INPUT, 'POST', whole, body);
  });
}

test('relations of each kind are those of an event that is there', synapseDiffers('answers M_UNKNOWN'), async () => {
  const alice = await hs.user('alice');
  const none = `${V1}/rooms/${seg(await alice.createRoom())}/relations/${seg('$none')}`;
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${none}/m.thread`);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${none}/m.thread/m.room.message`);
});

test('what is outside the specification refuses in the same way', ourChoice('not every server has these'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const other = await hs.user('other');
  const data = 'org.matrix.msc3391/user';
  const refusals: readonly Refusal[] = [
    [403, 'M_FORBIDDEN', 'DELETE', `${UNSTABLE}/${data}/${seg(other.userId)}/account_data/org.example`],
    [403, 'M_FORBIDDEN', 'DELETE', `${UNSTABLE}/${data}/${seg(other.userId)}/rooms/${seg(room)}/account_data/x.y`],
    [400, 'M_UNKNOWN_POS', 'POST', `${UNSTABLE}/org.matrix.simplified_msc3575/sync${query({ pos: 'none' })}`, {}],
    [400, 'M_UNKNOWN_POS', 'POST', '/_matrix/client/v4/sync', { conn_id: 'one', pos: 'none' }],
    [400, BAD_INPUT, 'GET', `${UNSTABLE}/uk.half-shot.msc2666/user/mutual_rooms${query({ user_id: 'none' })}`],
    [400, BAD_INPUT, 'GET', `${LEGACY}/preview_url`],
    [403, 'M_FORBIDDEN', 'POST', '/_synapse/admin/v1/media/unquarantine/localhost/none'],
    [403, 'M_FORBIDDEN', 'PUT', '/_synapse/admin/v1/send_server_notice/1', { user_id: alice.userId, content: {} }],
    [400, BAD_INPUT, 'PUT', `${DELAYED}/rooms/${seg(room)}/delayed_event/m.room.message/1`, { content: {} }],
    [404, 'M_NOT_FOUND', 'GET', `${DELAYED}/delayed_events/none`],
    [404, 'M_NOT_FOUND', 'POST', `${DELAYED}/delayed_events/none/send`],
    [404, 'M_NOT_FOUND', 'POST', `${DELAYED}/delayed_events/none/cancel`],
    [404, 'M_NOT_FOUND', 'POST', `${DELAYED}/delayed_events/none/restart`],
    [400, BAD_INPUT, 'POST', `${DELAYED}/delayed_events/none`, { action: 'other' }],
    [400, BAD_INPUT, 'POST', '/_matrix/key/v2/query', { server_keys: 5 }],
    [400, BAD_INPUT, 'GET', '/_matrix/federation/v1/openid/userinfo'],
  ];
  for (const refusal of refusals) await alice.fails(...refusal);
});

test('what takes nothing that could be wrong is refused without an access token (T233)', async () => {
  const requests: readonly (readonly [method: string, path: string])[] = [
    ['GET', `${C}/capabilities`],
    ['GET', `${C}/account/whoami`],
    ['GET', `${C}/account/3pid`],
    ['GET', `${C}/devices`],
    ['GET', `${C}/joined_rooms`],
    ['GET', `${C}/pushrules/`],
    ['GET', `${C}/pushrules/global/`],
    ['GET', `${C}/pushers`],
    ['GET', `${MEDIA}/config`],
    ['GET', `${LEGACY}/config`],
    ['POST', '/_matrix/media/v1/create'],
    ['POST', `${C}/logout`],
    ['POST', `${C}/logout/all`],
  ];
  for (const [method, path] of requests) {
    await hs.anonymous().fails(401, 'M_MISSING_TOKEN', method, path);
    const stranger = hs.anonymous();
    stranger.accessToken = 'made-up';
    await stranger.fails(401, 'M_UNKNOWN_TOKEN', method, path);
  }
});

test('delayed events are listed for who has a token', ourChoice('not every server has these'), async () => {
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${DELAYED}/delayed_events`);
});

test('a delayed event is looked at, and sent before its time', ourChoice('not every server has these'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const path = `${DELAYED}/rooms/${seg(room)}/delayed_event/m.room.message/1`;
  const content = { msgtype: 'm.text', body: 'soon' };
  const { delay_id } = await alice.ok('PUT', path, { delay_ms: 600_000, content });
  const event = await alice.ok('GET', `${DELAYED}/delayed_events/${delay_id}`);
  equal(event['delay_id'], delay_id);
  await hs.anonymous().ok('POST', `${DELAYED}/delayed_events/${delay_id}/send`);
  const { chunk } = await alice.messages(room, { limit: 1 });
  equal(chunk[0].content.body, 'soon');
});

test('account data is deleted by its own method', ourChoice('MSC3391 is behind a switch elsewhere'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  for (const parts of [[], ['rooms', room]]) {
    const path = ofUser(alice, ...parts, 'account_data', 'org.example');
    await alice.ok('PUT', path, { a: 1 });
    await alice.ok('DELETE', path.replace(C, `${UNSTABLE}/org.matrix.msc3391`));
    await alice.fails(404, 'M_NOT_FOUND', 'GET', path);
  }
});

test('the global push rules are had by themselves', async () => {
  const alice = await hs.user('alice');
  const global = await alice.ok('GET', `${C}/pushrules/global/`);
  ok(Array.isArray(global['override']));
});

test('the server tells other servers its version and the keys of its own', ourChoice('its own shapes'), async () => {
  const version = await hs.anonymous().ok('GET', '/_matrix/federation/v1/version');
  equal(typeof version['server'].version, 'string');
  const keys = await hs.anonymous().ok('GET', `/_matrix/key/v2/query/${seg(hs.serverName)}`);
  equal(keys['server_keys'][0].server_name, hs.serverName);
  await hs.anonymous().fails(400, BAD_INPUT, 'GET', `/_matrix/key/v2/query/${seg('no name')}`);
});
