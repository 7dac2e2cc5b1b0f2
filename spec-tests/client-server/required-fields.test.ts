// Fields of bodies that the specification's OpenAPI requires, where it takes more than a schema to say so.
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'abcdefg' } };

async function refused(client: Client, method: string, path: string, body: Body): Promise<void> {
  const answer = await client.request(method, path, body);
  const said = `${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`;
  const codes = ['M_MISSING_PARAM', 'M_BAD_JSON', 'M_INVALID_PARAM'];
  // The specification has this code for "a problem configuring this push rule".
  if (path.includes('/pushrules/')) codes.push('M_UNKNOWN');
  ok(answer.status === 400 && codes.includes(answer.body['errcode']), said);
}

test('a body without a field that is required is refused', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const rule = `${C}/pushrules/global/content/word`;
  await alice.ok('PUT', rule, { pattern: 'word', actions: [] });
  const requests: readonly (readonly [method: string, path: string, body: Body])[] = [
    ['POST', inRoom(room, 'invite'), {}],
    ['PUT', rule, { pattern: 'other' }],
    ['PUT', `${rule}/actions`, {}],
  ];
  for (const request of requests) await refused(alice, ...request);
});

test('a new password is required', synapseDiffers('answers 500'), async () => {
  const alice = await hs.user('alice');
  const { session } = (await alice.request('POST', `${C}/account/password`, {})).body;
  await refused(alice, 'POST', `${C}/account/password`, { auth: alice.passwordAuth(session) });
});

for (const field of ['algorithm', 'auth_data', 'rooms'] as const) {
  test(`a key backup without ${field} is refused`, synapseDiffers('answers 500 for some'), async () => {
    const alice = await hs.user('alice');
    const { version } = await alice.ok('POST', `${C}/room_keys/version`, backup);
    if (field === 'rooms') await refused(alice, 'PUT', `${C}/room_keys/keys${query({ version })}`, {});
    else await refused(alice, 'PUT', `${C}/room_keys/version/${version}`, { ...backup, version, [field]: undefined });
  });
}
