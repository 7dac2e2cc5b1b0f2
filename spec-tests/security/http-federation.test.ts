// Odd and large requests of another server: SECURITY-CASES, part B.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { type ClientEvent, inTimeline } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer } from '../support/peer.js';
import { canonical } from '../support/signing.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

const F = '/_matrix/federation/v1';
const e = encodeURIComponent;
const EVENT = `${F}/event/${e(`$${'a'.repeat(43)}`)}`;

/** What the server answers to a request whose target is sent as it is. */
function exact(target: string, authorization: string): Promise<number> {
  const { hostname, port } = new URL(hs.url);
  return new Promise((done, fail) => {
    const outgoing = request({ hostname, port, path: target, headers: { authorization } }, (answer) => {
      answer.resume();
      answer.once('end', () => done(answer.statusCode ?? 0));
    });
    outgoing.once('error', fail).end();
  });
}

test('a transaction of any content type, and of none, is read (T27)', async () => {
  for (const type of ['application/octet-stream', 'text/plain', 'application/json; charset=utf-8', undefined]) {
    const path = `${F}/send/type-${e(String(type))}`;
    const { status } = await peer.requestWith('PUT', path, canonical({ pdus: [] }), {
      authorization: peer.authorization('PUT', path, { pdus: [] }),
      ...(type !== undefined && { 'content-type': type }),
    });
    assert.equal(status, 200, type);
  }
});

test('the fullest transaction there is is taken, one beyond all measure is not (T29)', async () => {
  const alice = await hs.user('alice');
  const charlie = peer.user('charlie');
  const room = await peer.join(await alice.createRoom({ preset: 'public_chat' }), charlie);
  await alice.sync();
  const pdus: Pdu[] = [];
  for (let n = 0; n < 50; n++) pdus.push(peer.say(room, charlie, 'x'.repeat(64_000)));
  assert.ok(canonical(pdus.at(-1)).length > 64_500);
  const edus = Array.from({ length: 100 }, () => ({ edu_type: 'org.example', content: { x: 'x'.repeat(1_000) } }));
  const results = await peer.send(pdus, edus);
  assert.deepEqual(results, Object.fromEntries(pdus.map((pdu) => [eventId(pdu), {}])));
  await alice.syncUntil(inTimeline(room.id, (event: ClientEvent) => event.event_id === eventId(pdus.at(-1)!)));
  const huge = { pdus: [], x: 'x'.repeat(20_000_000) };
  // The server may close while we still send; what counts is that it says why, or goes on without it.
  const answer = await peer.request('PUT', `${F}/send/huge`, huge).catch(() => undefined);
  if (answer !== undefined) assert.deepEqual([answer.status, answer.body['errcode']], [413, 'M_TOO_LARGE']);
  assert.deepEqual(await peer.send([]), {});
});

test('a signature covers the target as it was sent, not what it means (T31, T32)', async () => {
  const plain = EVENT.replace('%24', '$');
  const escaped = EVENT.replace('aaa', '%61aa');
  for (const target of [EVENT, plain, escaped, `${EVENT}?a=%2f&a=/`]) {
    assert.equal(await exact(target, peer.authorization('GET', target)), 404, target);
  }
  for (const [sent, signed] of [
    [EVENT, plain],
    [plain, EVENT],
    [escaped, EVENT],
    [`${EVENT}?a=%2f`, `${EVENT}?a=%2F`],
    [`${EVENT}?`, EVENT],
  ] as const) {
    assert.equal(await exact(sent, peer.authorization('GET', signed)), 401, `${sent} signed as ${signed}`);
  }
});

test('a target in absolute form is refused, whatever is signed (T34)', async () => {
  for (const target of [`http://evil.test${EVENT}`, `${hs.url}${EVENT}`]) {
    for (const signed of [target, EVENT]) {
      assert.equal(await exact(target, peer.authorization('GET', signed)), 400, `${target} signed as ${signed}`);
    }
  }
});

test('a hundred events at most are given by backfill (T43)', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  let last = '';
  for (let n = 0; n < 110; n++) last = await alice.say(roomId, String(n));
  await peer.join(roomId, peer.user('charlie'));
  const path = `${F}/backfill/${e(roomId)}?v=${e(last)}`;
  const { pdus } = await peer.ok('GET', `${path}&limit=1000000000`);
  assert.deepEqual([(pdus as Pdu[]).length, eventId(pdus[0])], [100, last]);
  for (const limit of ['-1', 'abc', '1.5', '']) {
    assert.equal((await peer.request('GET', `${path}&limit=${limit}`)).status, 400, limit);
  }
  assert.equal((await peer.request('GET', `${path}&limit=1&limit=2`)).status, 400);
});
