import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildPdu } from '#core/event/build.js';
import { parsePdu, pduFromTrusted } from '#core/event/format.js';
import type { Draft, Pdu } from '#core/event/pdu.js';
import { redactPdu } from '#core/event/redact.js';
import { contentHashMatches, requiredSigners, signatureJobs, signaturesValid } from '#core/event/verify.js';
import { EventId, RoomId, ServerName, UserId } from '#core/ids.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';
import { signingKeyFromSeed, withSignature } from '#core/signing.js';

const HASH = 'A'.repeat(43);
const alice = UserId.parse('@alice:a.example')!;
const a = ServerName.parse('a.example')!;
const key = signingKeyFromSeed(Buffer.alloc(32, 1), '1');
const otherKey = signingKeyFromSeed(Buffer.alloc(32, 2), '2');
const keyOf = (server: ServerName, id: string): string | undefined =>
  server === a && id === key.id ? key.publicKey : undefined;

function build(rules: RoomRules, draft: Partial<Draft> = {}, serverName = a): Pdu {
  const id = EventId.of(rules.eventIdFormat === 'server' ? '$p:a.example' : `$${HASH}`);
  return buildPdu(
    { type: 'm.room.message', sender: alice, content: { body: 'hello' }, ...draft },
    {
      rules,
      roomId: RoomId.parse(`!${HASH}`),
      prevEvents: [id],
      authEvents: [id],
      depth: 2,
      originServerTs: 1_700_000_000_000,
      serverName,
      key,
      opaqueId: 'e',
      prevHashes: () => HASH,
    },
  );
}

const eachVersion = (act: (rules: RoomRules) => void): void => {
  for (const version of ROOM_VERSIONS) act(roomRules(version)!);
};

test('an event we build passes our own checks, as does its redacted copy', () => {
  eachVersion((rules) => {
    const pdu = build(rules);
    assert.ok(contentHashMatches(pdu.json));
    assert.ok(signaturesValid(pdu, rules, keyOf));
    const redacted = pduFromTrusted(redactPdu(pdu.json, rules), rules, pdu.event_id);
    assert.ok(signaturesValid(redacted, rules, keyOf));
    assert.ok(!contentHashMatches(redacted.json));
  });
});

test('changed content breaks the hash and not the signature; changed essentials break the signature', () => {
  eachVersion((rules) => {
    const pdu = build(rules);
    const content = pduFromTrusted({ ...pdu.json, content: { body: 'changed' } }, rules, pdu.event_id);
    assert.ok(!contentHashMatches(content.json));
    assert.ok(signaturesValid(content, rules, keyOf));
    for (const change of [
      { depth: 3 },
      { sender: '@eve:a.example' },
      { origin_server_ts: 1 },
      { hashes: { sha256: HASH } },
    ]) {
      const parsed = parsePdu({ ...pdu.json, ...change }, rules);
      assert.ok('pdu' in parsed);
      assert.ok(!signaturesValid(parsed.pdu, rules, keyOf), JSON.stringify(change));
    }
  });
});

test('a padded content hash is as good; another spelling of it is not base64', () => {
  const pdu = build(roomRules('10')!);
  const sha256 = (pdu.json['hashes'] as { sha256: string }).sha256;
  assert.ok(contentHashMatches({ ...pdu.json, hashes: { sha256: `${sha256}=` } }));
  for (const hashes of [{}, { sha256: '' }, { sha256: ` ${sha256}` }, { sha256: 5 }, null, [sha256]]) {
    assert.ok(!contentHashMatches({ ...pdu.json, hashes }));
  }
});

test('without a valid signature of the sender’s server by a known key, an event is dropped', () => {
  eachVersion((rules) => {
    const pdu = build(rules);
    const withSignatures = (signatures: unknown): Pdu =>
      pduFromTrusted({ ...pdu.json, signatures } as Pdu['json'], rules, pdu.event_id);
    const good = (pdu.json['signatures'] as Record<string, Record<string, string>>)['a.example']![key.id]!;
    for (const signatures of [
      {},
      { 'a.example': {} },
      { 'b.example': { [key.id]: good } },
      { 'a.example': { 'ed25519:unknown': good } },
      { 'a.example': { [key.id]: '' } },
      { 'a.example': { [key.id]: 5 } },
      { 'a.example': { [key.id]: `${good} ` } },
      { 'a.example': { [key.id]: otherKey.sign(Buffer.from('x')) } },
    ]) {
      assert.ok(!signaturesValid(withSignatures(signatures), rules, keyOf), JSON.stringify(signatures));
    }
    const unknownToo = withSignatures({ 'a.example': { 'ed25519:unknown': 'x', [key.id]: good }, b: { x: 'y' } });
    assert.ok(signaturesValid(unknownToo, rules, keyOf), 'signatures by unknown keys are ignored');
  });
});

test('of two known keys of a server both signatures have to be valid', () => {
  const rules = roomRules('12')!;
  const pdu = build(rules);
  const both = (server: ServerName, id: string): string | undefined =>
    id === otherKey.id ? otherKey.publicKey : keyOf(server, id);
  const wrong = pduFromTrusted(
    withSignature(pdu.json, a, otherKey.id, key.sign(Buffer.from('x'))),
    rules,
    pdu.event_id,
  );
  assert.ok(signaturesValid(wrong, rules, keyOf));
  assert.ok(!signaturesValid(wrong, rules, both));
  assert.equal(signatureJobs(wrong, rules, both)?.length, 2);
});

test('who must sign: the sender’s server, but for a third-party invite (T99)', () => {
  const member = (content: Draft['content']): Partial<Draft> => ({
    type: 'm.room.member',
    state_key: '@b:b.example',
    content,
  });
  eachVersion((rules) => {
    const signers = (draft: Partial<Draft>): string[] => requiredSigners(build(rules, draft), rules);
    const idServer = rules.eventIdFormat === 'server' ? ['a.example'] : [];
    assert.deepEqual(signers({}), ['a.example']);
    assert.deepEqual(signers(member({ membership: 'invite' })), ['a.example']);
    assert.deepEqual(signers(member({ membership: 'invite', third_party_invite: {} })), idServer);
    assert.deepEqual(signers(member({ membership: 'leave', third_party_invite: {} })), ['a.example']);
    assert.deepEqual(signers({ content: { membership: 'invite', third_party_invite: {} } }), ['a.example']);
    const restricted = member({ membership: 'join', join_authorised_via_users_server: '@c:c.example:8448' });
    assert.deepEqual(signers(restricted), rules.restrictedJoin ? ['a.example', 'c.example:8448'] : ['a.example']);
  });
});

test('versions 1 and 2: the server in the event id must sign as well', () => {
  const b = ServerName.parse('b.example')!;
  eachVersion((rules) => {
    const fromB = build(rules, {}, b);
    const expected = rules.eventIdFormat === 'server' ? ['a.example', 'b.example'] : ['a.example'];
    assert.deepEqual(requiredSigners(fromB, rules), expected);
    assert.ok(!signaturesValid(fromB, rules, () => key.publicKey), 'the sender’s server has not signed');
  });
});
