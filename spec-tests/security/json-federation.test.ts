// Bad and odd JSON from another server: one event spoils nothing but itself. SECURITY-CASES, part A.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, type ClientEvent, inRoom, inTimeline } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer, type PeerRoom } from '../support/peer.js';
import { canonical } from '../support/signing.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'] as const;
let txns = 0;
const sendPath = (): string => `/_matrix/federation/v1/send/json-${txns++}`;

async function scene(): Promise<{ alice: Client; charlie: string; room: PeerRoom }> {
  const alice = await hs.user('alice');
  const charlie = peer.user('charlie');
  const room = await peer.join(await alice.createRoom({ preset: 'public_chat' }), charlie);
  await alice.sync();
  return { alice, charlie, room };
}

const seenBy = (alice: Client, room: PeerRoom, id: string): Promise<ClientEvent> =>
  alice.syncUntil(inTimeline(room.id, (event) => event.event_id === id));

/** A transaction sent as `text`, signed as if it read `content`. */
async function sendText(text: string | Buffer, content: Pdu): Promise<{ status: number; errcode: string; pdus: Pdu }> {
  const path = sendPath();
  const authorization = peer.authorization('PUT', path, content);
  const { status, body } = await peer.requestWith('PUT', path, text, { authorization });
  return { status, errcode: body['errcode'] ?? '', pdus: body['pdus'] ?? {} };
}

test('a transaction that is no JSON, or no object, is refused, and the next one is taken (T1, T2, T8, T16, T19)', async () => {
  const { alice, charlie, room } = await scene();
  const message = canonical(peer.event(room, { type: 'm.room.message', sender: charlie, content: { body: 'x' } }));
  const deep = `${'['.repeat(200)}${']'.repeat(200)}`;
  for (const [text, errcode] of [
    [Buffer.concat([Buffer.from('{"pdus":[],"x":"'), Buffer.from([0xff]), Buffer.from('"}')]), 'M_NOT_JSON'],
    ['{"pdus":[],"x":NaN}', 'M_NOT_JSON'],
    [`{"pdus":[${message}],"x":Infinity}`, 'M_NOT_JSON'],
    [`{"pdus":[${message}`, 'M_NOT_JSON'],
    // Nobody can have signed what has no canonical form.
    ['{"pdus":[{"x":1e400}]}', 'M_BAD_JSON'],
    ['{"pdus":[{"x":"\\ud800"}]}', 'M_BAD_JSON'],
    [`{"pdus":[{"x":${deep}}]}`, 'M_BAD_JSON'],
    ['[]', 'M_BAD_JSON'],
    ['"x"', 'M_BAD_JSON'],
    ['null', 'M_BAD_JSON'],
    ['1', 'M_BAD_JSON'],
  ] as const) {
    const answer = await sendText(text, {});
    assert.deepEqual([answer.status, answer.errcode], [400, errcode], text.toString().slice(0, 60));
  }
  const good = peer.say(room, charlie, 'good');
  assert.deepEqual(await peer.send([good]), { [eventId(good)]: {} });
  await seenBy(alice, room, eventId(good));
});

test('an event with a number that canonical JSON has not is dropped, and the others are taken (T3, T4)', async () => {
  const { alice, charlie, room } = await scene();
  const with_ = (n: unknown): Pdu =>
    peer.event(room, { type: 'org.example.number', sender: charlie, content: { deep: [{ n }] } });
  const bad = [2n ** 53n, -(2n ** 53n), 2n ** 60n, 1.5, 10n ** 30n].map(with_);
  const good = with_(9007199254740991);
  const negative = with_(-9007199254740991);
  const results = await peer.send([...bad, good, negative]);
  for (const id of [eventId(good), eventId(negative)]) assert.deepEqual(results[id], {});
  for (const pdu of bad) assert.equal(typeof results[eventId(pdu)]?.error, 'string');
  const seen = await seenBy(alice, room, eventId(negative));
  assert.deepEqual(seen.content, { deep: [{ n: -9007199254740991 }] });
  assert.deepEqual((await alice.event(room.id, eventId(good))).content, { deep: [{ n: 9007199254740991 }] });
  const served = await peer.ok('GET', `/_matrix/federation/v1/event/${encodeURIComponent(eventId(good))}`);
  assert.equal(canonical(served['pdus'][0]), canonical(good), 'byte by byte what was signed');
  for (const pdu of bad) await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'event', eventId(pdu)));
});

test('an age without measure does no harm (T6)', async () => {
  const { alice, charlie, room } = await scene();
  const ages = [BigInt('9'.repeat(400)), 2n ** 200n, -(2n ** 200n)];
  const pdus = ages.map((age) => ({ ...peer.say(room, charlie, 'old'), unsigned: { age } }));
  const results = await peer.send(pdus);
  for (const pdu of pdus) assert.deepEqual(results[eventId(pdu)], {});
  const seen = await seenBy(alice, room, eventId(pdus.at(-1)!));
  assert.ok(Number.isSafeInteger(seen['unsigned']?.age ?? 0));
});

test('of a key that comes twice in an event the last value counts, for all (T7)', async () => {
  const { alice, charlie, room } = await scene();
  const pdu = peer.say(room, charlie, 'once');
  const content = { pdus: [pdu] };
  const text = canonical(content);
  const doubled = text
    .replace(`"sender":"${charlie}"`, `"sender":"${alice.userId}","sender":"${charlie}"`)
    .replace(`"room_id":"${room.id}"`, `"room_id":"!other:hs.test","room_id":"${room.id}"`)
    .replace('"body":"once"', '"body":"twice","body":"once"');
  assert.ok(doubled.includes('twice') && doubled.includes('!other'));
  assert.deepEqual((await sendText(doubled, content)).pdus, { [eventId(pdu)]: {} });
  const seen = await seenBy(alice, room, eventId(pdu));
  assert.deepEqual([seen.sender, seen.content['body']], [charlie, 'once']);
  const path = `/_matrix/federation/v1/event/${encodeURIComponent(eventId(pdu))}`;
  const served = await fetch(hs.url + path, { headers: { authorization: peer.authorization('GET', path) } });
  const kept = await served.text();
  assert.deepEqual([kept.split('"sender"').length, kept.includes('twice')], [2, false], 'our own form of it');

  // The other way round the event is read as one that nobody signed.
  const next = peer.event(room, { type: 'm.room.member', sender: charlie, stateKey: charlie });
  const joined = peer.signed({ ...next, content: { membership: 'join', displayname: 'C' } });
  const forged = { pdus: [{ ...joined, sender: alice.userId, content: { membership: 'ban' } }] };
  const reversed = canonical({ pdus: [joined] })
    .replace(`"sender":"${charlie}"`, `"sender":"${charlie}","sender":"${alice.userId}"`)
    .replace('{"displayname":"C","membership":"join"}', '{"membership":"join","membership":"ban"}');
  const { status, pdus } = await sendText(reversed, forged);
  assert.equal(status, 200);
  assert.ok(Object.values(pdus).every((result) => typeof result.error === 'string'));
  assert.equal(await alice.membership(room.id, charlie), 'join');
});

test('keys that mean something to JavaScript are data in an event, in its names and its signatures (T12, T13, T15)', async () => {
  const { alice, charlie, room } = await scene();
  const pdus: Pdu[] = [];
  for (const name of NAMES) {
    const content = JSON.parse(`{"${name}":{"sender":"x"},"a":{"constructor":{"prototype":{}}}}`) as Pdu;
    const pdu = peer.event(room, { type: name, sender: charlie, content });
    // Signatures of others and of keys that nobody has are allowed beside the one that counts.
    const others = JSON.parse(`{"${name}":{"${name}":"AA"}}`) as Pdu;
    const own = { ...(JSON.parse(`{"ed25519:${name}":"AA"}`) as Pdu), ...pdu['signatures'][peer.name] };
    pdus.push({ ...pdu, signatures: { ...others, [peer.name]: own } });
    room.add(pdu);
  }
  const good = peer.say(room, charlie, 'good');
  const results = await peer.send([...pdus, good]);
  assert.deepEqual(results[eventId(good)], {});
  await seenBy(alice, room, eventId(good));
  for (const pdu of pdus) {
    assert.deepEqual(results[eventId(pdu)], {}, pdu['type']);
    const event = await alice.event(room.id, eventId(pdu));
    assert.deepEqual(Object.keys(event.content).toSorted(), Object.keys(pdu['content']).toSorted());
    assert.equal(canonical(event.content), canonical(pdu['content']));
  }
});

test('a membership that content only seems to inherit is none (T14)', async () => {
  const { alice, room } = await scene();
  const dora = peer.user('dora');
  const content = JSON.parse('{"__proto__":{"membership":"join"}}') as Pdu;
  const wanted = { type: 'm.room.member', sender: dora, stateKey: dora, content };
  // Authorised as a join, and as what it is.
  const auth = ['m.room.create', 'm.room.power_levels'].map((type) => room.idOf(type)!);
  const joins = [peer.event(room, wanted), peer.event(room, { ...wanted, auth })];
  const results = await peer.send(joins);
  for (const join of joins) assert.equal(typeof results[eventId(join)].error, 'string');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room.id, 'state', 'm.room.member', dora));
});
