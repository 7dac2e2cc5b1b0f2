import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentHash, eventIdOf, eventSignedBytes } from '#core/event/hash.js';
import { redactPdu } from '#core/event/redact.js';
import { parseJson } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';
import { signingKeyFromSeed } from '#core/signing.js';
import { decodeBase64 } from '#util/base64.js';

const key = signingKeyFromSeed(decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')!, '1');

/** The hash and the signature that signing this event gives in room version 1. */
function signed(event: JsonObject): { hash: string; signature: string } {
  const hash = contentHash(event);
  const signature = key.sign(eventSignedBytes({ ...event, hashes: { sha256: hash } }, roomRules('1')!));
  return { hash, signature };
}

test('signing events: the vectors of the specification (T11)', () => {
  const minimal = {
    room_id: '!x:domain',
    sender: '@a:domain',
    origin: 'domain',
    origin_server_ts: 1000000,
    signatures: {},
    hashes: {},
    type: 'X',
    content: {},
    prev_events: [],
    auth_events: [],
    depth: 3,
    unsigned: { age_ts: 1000000 },
  };
  assert.deepEqual(signed(minimal), {
    hash: '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos',
    signature: 'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
  });
  const redactable = {
    content: { body: 'Here is the message content' },
    event_id: '$0:domain',
    origin: 'domain',
    origin_server_ts: 1000000,
    type: 'm.room.message',
    room_id: '!r:domain',
    sender: '@u:domain',
    signatures: {},
    unsigned: { age_ts: 1000000 },
  };
  assert.deepEqual(signed(redactable), {
    hash: 'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g',
    signature: 'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
  });
});

const event = {
  auth_events: ['$gbHO7IPUHybc7ULFnT7P0r3iWlZFHGmr6zBfEYCUyKw'],
  prev_events: ['$4FbpZrgPQTwoLD9H5y7jcikucCypUOn78mXhQX7WliY'],
  type: 'm.room.message',
  room_id: '!room:example.org',
  sender: '@user:example.org',
  content: { msgtype: 'm.text', body: 'hello' },
  depth: 24,
  origin_server_ts: 1731769874137,
  hashes: { sha256: 'FoYV1w3TW/B2mVT0gX2/BZKpCwrrvGXqXFdUhN9LZYU' },
  signatures: { 'example.org': { 'ed25519:a': 'abc' } },
};

test('event ids: chosen by the server in versions 1 and 2, base64 in 3, URL-safe base64 from 4 on', () => {
  for (const version of ROOM_VERSIONS) {
    const rules = roomRules(version)!;
    const id = eventIdOf({ ...event, event_id: '$chosen:example.org' }, rules);
    if (rules.eventIdFormat === 'server') {
      assert.equal(id, '$chosen:example.org');
      assert.equal(eventIdOf(event, rules), undefined);
      assert.equal(eventIdOf({ ...event, event_id: '$withoutserver' }, rules), undefined);
    } else {
      assert.match(id!, rules.eventIdFormat === 'base64' ? /^\$[A-Za-z0-9+/]{43}$/ : /^\$[A-Za-z0-9_-]{43}$/);
    }
  }
  const standard = eventIdOf(event, roomRules('3')!)!;
  const urlSafe = eventIdOf(event, roomRules('4')!)!;
  assert.equal(standard.replaceAll('+', '-').replaceAll('/', '_'), urlSafe);
});

test('event ids and signed bytes are the same before and after redaction, whatever unsigned and signatures say', () => {
  for (const version of ROOM_VERSIONS) {
    const rules = roomRules(version)!;
    const changed = { ...redactPdu(event, rules), signatures: {}, unsigned: { age: 3 } };
    assert.deepEqual(eventSignedBytes(changed, rules), eventSignedBytes(event, rules), version);
    assert.equal(eventIdOf(changed, rules), eventIdOf(event, rules), version);
    const other = { ...event, hashes: { sha256: 'x' } };
    assert.notDeepEqual(eventSignedBytes(other, rules), eventSignedBytes(event, rules), version);
  }
});

test('large integers and floats of old room versions are hashed as Python writes them (T5)', () => {
  const hashOf = (number: string): string =>
    contentHash(parseJson(`{"content":{"x":${number}},"unsigned":{"age":1e400}}`, { numbers: 'exact' }) as JsonObject);
  // Made with hashlib.sha256(json.dumps({"content": {"x": number}}, separators=(',', ':')).encode()).
  assert.equal(hashOf('1152921504606846976'), 'MqzALtooAcdJZbuvqiOdWCkRotj2CiW/Ke1QVZJogfU');
  assert.equal(hashOf('1152921504606846977'), 'wKXAhSr+ACiB15wKr19OVcK7p56F4vJ0nlMKJ6y0m3E');
  assert.equal(hashOf('1.0'), '15cpjWdgII2Nd8KRhUD3HxlIKN3fC/PojXjjA2rOpf8');
  assert.equal(hashOf('1E20'), 'wUPKaYcrDAOsa+ZFBTF99YQpDohdNRyc0ynYeoB+2k8');
  assert.equal(hashOf('0.00001'), 'pSrSKKzSOrH7UIOsXFaUhB2KxD92LSv06LM0dFbLE9I');
  assert.equal(hashOf('-0'), 'a/iIDwxd+y53zV+GD+ZoZ05B6W87iHk0WhYfmMNSVRM');
});
