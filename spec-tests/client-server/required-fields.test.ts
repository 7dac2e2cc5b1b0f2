// Fields of bodies that the specification's OpenAPI requires, where it takes more than a schema to say so.
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, inRoom, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'abcdefg' } };

test('a body without a field that is required is refused', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const version = (await alice.ok('POST', `${C}/room_keys/version`, backup))['version'];
  const rule = `${C}/pushrules/global/content/word`;
  await alice.ok('PUT', rule, { pattern: 'word', actions: [] });
  const { session } = (await alice.request('POST', `${C}/account/password`, {})).body;
  const requests: readonly (readonly [method: string, path: string, body: Body])[] = [
    ['POST', inRoom(room, 'invite'), {}],
    ['PUT', `${C}/room_keys/version/${version}`, { version, auth_data: backup.auth_data }],
    ['PUT', `${C}/room_keys/version/${version}`, { version, algorithm: backup.algorithm }],
    ['PUT', `${C}/room_keys/keys${query({ version })}`, {}],
    ['POST', `${C}/account/password`, { auth: alice.passwordAuth(session) }],
    ['PUT', rule, { pattern: 'other' }],
    ['PUT', `${rule}/actions`, {}],
  ];
  for (const [method, path, body] of requests) {
    const answer = await alice.request(method, path, body);
    const said = `${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`;
    ok(
      answer.status === 400 && ['M_MISSING_PARAM', 'M_BAD_JSON', 'M_INVALID_PARAM'].includes(answer.body['errcode']),
      said,
    );
  }
});
