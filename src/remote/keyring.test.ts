import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerName } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { roomRules } from '#core/room-versions.js';
import { signingKeyFromSeed, signJson } from '#core/signing.js';
import { Health } from '#remote/health.js';
import { RemoteError } from '#remote/http.js';
import { Keyring, readKeyResponse } from '#remote/keyring.js';
import { openTestStore } from '#store/testing.js';
import { silentLog } from '#util/log.js';

const ORIGIN = 'origin.example' as ServerName;
const key = signingKeyFromSeed(Buffer.alloc(32, 1), 'one');
const other = signingKeyFromSeed(Buffer.alloc(32, 2), 'two');

function response(change: JsonObject = {}): JsonObject {
  const keys: JsonObject = {
    server_name: ORIGIN,
    valid_until_ts: 2_000_000_000_000,
    verify_keys: { [key.id]: { key: key.publicKey } },
    old_verify_keys: { [other.id]: { key: other.publicKey, expired_ts: 1_000 } },
    ...change,
  };
  return signJson(keys, ORIGIN, key);
}

test('a key response is taken where the server signed it itself', () => {
  const keys = readKeyResponse(response(), ORIGIN);
  assert.deepEqual(keys?.get(key.id), { publicKey: key.publicKey, validUntilTs: 2_000_000_000_000 });
  assert.deepEqual(keys?.get(other.id), { publicKey: other.publicKey, expiredTs: 1_000 });
});

test('any other is not', () => {
  const { signatures: _, ...unsigned } = response();
  const wrong: Record<string, JsonObject> = {
    unsigned,
    'of another server': response({ server_name: 'elsewhere.example' }),
    'without an end': response({ valid_until_ts: '5' }),
    'without keys': response({ verify_keys: {} }),
    'keys that are a list': response({ verify_keys: [] }),
    'no keys at all': response({ verify_keys: null }),
    'signed by an old key only': signJson(unsigned, ORIGIN, other),
    'changed afterwards': { ...response(), valid_until_ts: 3_000_000_000_000 },
    'one signature of two wrong': {
      ...signJson(
        response({ verify_keys: { [key.id]: { key: key.publicKey }, [other.id]: { key: key.publicKey } } }),
        ORIGIN,
        other,
      ),
    },
    'far too many': response({
      verify_keys: Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`ed25519:k${n}`, { key: key.publicKey }])),
    }),
  };
  for (const [what, answer] of Object.entries(wrong)) assert.equal(readKeyResponse(answer, ORIGIN), undefined, what);
});

test('keys are asked for once, kept over a restart, and not asked for again of one that does not answer', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  let asked = 0;
  let isDown = true;
  const open = (): Keyring =>
    new Keyring({
      ...{ store, clock, health: new Health(clock), log: silentLog },
      serverName: 'test' as ServerName,
      signingKey: other,
      client: {
        async request() {
          asked++;
          if (isDown) throw new RemoteError('timeout', 'no answer');
          return response({ valid_until_ts: clock.now() + 3_600_000 });
        },
      },
    });
  const keyring = open();
  assert.equal(await keyring.forRequest(ORIGIN, key.id), undefined);
  assert.equal(await keyring.forRequest(ORIGIN, key.id), undefined);
  assert.equal(asked, 1, 'it is left alone for a while');
  isDown = false;
  clock.advance(60_000);
  const found = await Promise.all([keyring.forRequest(ORIGIN, key.id), keyring.forRequest(ORIGIN, key.id)]);
  assert.deepEqual(found, [key.publicKey, key.publicKey]);
  assert.equal(asked, 2);

  const again = open();
  assert.equal(await again.forRequest(ORIGIN, key.id), key.publicKey);
  assert.equal(await again.forRequest(ORIGIN, other.id), undefined, 'a former key signs no requests');
  assert.equal(asked, 3);
  const rules = roomRules('11')!;
  assert.equal(again.forEvent(ORIGIN, other.id, 999, rules), other.publicKey);
  assert.equal(again.forEvent(ORIGIN, other.id, 1_001, rules), undefined);
  assert.equal(again.forEvent(ORIGIN, key.id, clock.now(), rules), key.publicKey);
  assert.equal(again.forEvent('test' as ServerName, other.id, clock.now(), rules), other.publicKey, 'our own');
  clock.advance(2 * 3_600_000);
  assert.equal(await again.forRequest(ORIGIN, key.id), key.publicKey, 'past its end it is asked for anew');
  assert.equal(asked, 4);
});
