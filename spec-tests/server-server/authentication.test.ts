// Server-server API, Authentication, and what else a request must be before anything is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOwnServer } from '../support/homeserver.js';
import { federating, Peer } from '../support/peer.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

const PATH = '/_matrix/federation/v1/event/$none';

test('a rightly signed request is let in', async () => {
  const { status, body } = await peer.request('GET', PATH);
  assert.deepEqual([status, body['errcode']], [404, 'M_NOT_FOUND']);
});

test('whatever is wrong with the signature is answered 401', async () => {
  const right = peer.authorization('GET', PATH);
  const wrong: Record<string, string> = {
    'no scheme': 'Bearer abc',
    'no signature': right.replace(/,sig="[^"]*"/, ''),
    'no key': right.replace(/,key="[^"]*"/, ''),
    'another key id': right.replace('ed25519:peer', 'ed25519:other'),
    'no base64': right.replace(/sig="../, 'sig="!!'),
    'another uri': peer.authorization('GET', `${PATH}?a=b`),
    'another method': peer.authorization('PUT', PATH),
    'a body that is not there': peer.authorization('GET', PATH, {}),
    'another destination': peer.authorization('GET', PATH, undefined, 'elsewhere.example'),
    'this server as origin': right.replace(`origin="${peer.name}"`, `origin="${hs.serverName}"`),
    'no server name': right.replace(`origin="${peer.name}"`, 'origin="a/b"'),
    'a path as server name': right.replace(`origin="${peer.name}"`, 'origin=".."'),
    'a parameter twice': `${right},origin="${peer.name}"`,
  };
  for (const [what, authorization] of Object.entries(wrong)) {
    const { status, body } = await peer.request('GET', PATH, undefined, authorization);
    assert.deepEqual([status, body['errcode']], [401, 'M_UNAUTHORIZED'], what);
  }
  const without = await fetch(hs.url + PATH);
  assert.equal(without.status, 401);
});

test('the body is signed too', async () => {
  const path = '/_matrix/federation/v1/send/changed';
  const authorization = peer.authorization('PUT', path, { pdus: [] });
  const { status } = await peer.request('PUT', path, { pdus: [], edus: [] }, authorization);
  assert.equal(status, 401);
});

test('a request without a destination is let in, as of servers before version 1.3', async () => {
  const right = peer.authorization('GET', PATH);
  const { status } = await peer.request('GET', PATH, undefined, right.replace(/destination="[^"]*",/, ''));
  assert.equal(status, 404);
});

test('keys that a server does not sign itself count for nothing', async (t) => {
  const forger = await Peer.start(hs);
  t.after(() => forger.stop());
  forger.answers.set('/_matrix/key/v2/server', () => ({ ...forger.keys(), signatures: {} }));
  assert.equal((await forger.request('GET', PATH)).status, 401);
});

test('keys that claim to be of another server count for nothing', async (t) => {
  const forger = await Peer.start(hs);
  t.after(() => forger.stop());
  forger.answers.set('/_matrix/key/v2/server', () => peer.keys());
  assert.equal((await forger.request('GET', PATH)).status, 401);
});

test('an expired key counts for nothing, and is asked for once only', async (t) => {
  const late = await Peer.start(hs);
  t.after(() => late.stop());
  late.answers.set('/_matrix/key/v2/server', () => {
    const { signatures: _, ...keys } = late.keys();
    return late.key.sign({ ...keys, valid_until_ts: Date.now() - 1_000 }, late.name, late.keyId);
  });
  assert.equal((await late.request('GET', PATH)).status, 401);
  assert.equal((await late.request('GET', PATH)).status, 401);
  assert.equal(late.asked.length, 1);
});

test('many requests at once ask for the keys once', async (t) => {
  const busy = await Peer.start(hs);
  t.after(() => busy.stop());
  const answers = await Promise.all(Array.from({ length: 10 }, () => busy.request('GET', PATH)));
  assert.ok(answers.every(({ status }) => status === 404));
  assert.equal(busy.asked.length, 1);
});

test('a server has to show a certificate for its own name', async (t) => {
  const [right, wrong] = [await Peer.start(hs, '127.0.0.1'), await Peer.start(hs, '127.0.0.2')];
  t.after(() => Promise.all([right.stop(), wrong.stop()]));
  assert.equal((await right.request('GET', PATH)).status, 404);
  assert.equal((await wrong.request('GET', PATH)).status, 401);
  assert.equal(wrong.asked.length, 0, 'nothing is asked of who can not show one');
});

test('a server certified by nobody known is asked nothing', async (t) => {
  const strict = await startOwnServer({ ...federating(), RUNNEL_FEDERATION_CA: '' });
  const unknown = await Peer.start(strict);
  t.after(() => Promise.all([unknown.stop(), strict.stop()]));
  assert.equal((await unknown.request('GET', PATH)).status, 401);
  assert.equal(unknown.asked.length, 0);
});

test('a server in a private network is asked nothing unless that is allowed', async (t) => {
  const strict = await startOwnServer({ ...federating(), RUNNEL_FEDERATION_ALLOW: '' });
  const inside = await Peer.start(strict);
  t.after(() => Promise.all([inside.stop(), strict.stop()]));
  assert.equal((await inside.request('GET', PATH)).status, 401);
  assert.equal(inside.asked.length, 0);
});

test('without the option the endpoints are not there', async (t) => {
  const closed = await startOwnServer();
  t.after(() => closed.stop());
  const answer = await fetch(`${closed.url}/_matrix/federation/v1/send/1`, { method: 'PUT', body: '{}' });
  assert.equal(answer.status, 404);
  assert.equal(((await answer.json()) as { errcode: string }).errcode, 'M_UNRECOGNIZED');
});
