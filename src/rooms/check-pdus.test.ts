import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes } from '#core/canonical-json.js';
import type { RawPdu } from '#core/event/pdu.js';
import { ServerName } from '#core/ids.js';
import { roomRules } from '#core/room-versions.js';
import { signingKeyFromSeed } from '#core/signing.js';
import { authorizeRequest, parseXMatrix, type SignedRequest } from '#core/x-matrix.js';
import type { Keyring } from '#remote/keyring.js';
import { checkPdus } from '#rooms/check-pdus.js';
import { type Federation, verifyRequest } from '#rooms/federation.js';

const key = signingKeyFromSeed(Buffer.alloc(32, 9), '1');
const keyring = {
  prepare: async () => {},
  forEvent: () => key.publicKey,
  forRequest: async () => key.publicKey,
} as Partial<Keyring> as Keyring;

/** Fifty events of 64 KiB, of some thousand keys each. */
function widest(): RawPdu[] {
  const hash = 'A'.repeat(43);
  const keys = Array.from({ length: 6_300 }, (_, n) => [`k${(n * 7919) % 6_300}`, n % 10] as const);
  return Array.from({ length: 50 }, (_, n) => ({
    type: 'x',
    room_id: '!r:a.example',
    sender: '@a:a.example',
    content: Object.fromEntries(keys),
    origin_server_ts: n,
    depth: 7,
    prev_events: [`$${hash}`],
    auth_events: [`$${hash}`],
    hashes: { sha256: hash },
    signatures: { 'a.example': { [key.id]: 'A'.repeat(86) } },
  }));
}

/** How often the event loop came round while `work` went on. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const count = (): void => {
    turns++;
    if (running) setImmediate(count);
  };
  setImmediate(count);
  await work;
  running = false;
  return turns;
}

test('the widest transaction is checked a few events at a time, and others are served between them (T18)', async () => {
  const pdus = widest();
  assert.ok(canonicalBytes(pdus[0]!).length > 60_000);
  const request: SignedRequest = {
    method: 'PUT',
    uri: '/_matrix/federation/v1/send/1',
    origin: ServerName.parse('a.example')!,
    destination: ServerName.parse('b.example')!,
    content: { pdus },
  };
  const header = parseXMatrix(authorizeRequest(request, key))!;
  const verified = verifyRequest({ keyring } as Partial<Federation> as Federation, header, request);
  const turns = await turnsDuring(verified);
  assert.equal(await verified, true);
  assert.ok(turns >= 12, `${turns} turns for the signature of the request`);

  const checked = checkPdus(keyring, roomRules('11')!, pdus);
  const more = await turnsDuring(checked);
  assert.ok((await checked).every((one) => 'problem' in one && /signature/.test(one.problem)));
  assert.ok(more >= 12, `${more} turns for the events`);
});
