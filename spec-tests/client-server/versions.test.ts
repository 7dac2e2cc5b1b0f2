// Client-server API, API versions; Capabilities negotiation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('versions are named in the form of the specification, with or without a token, even a bad one', async () => {
  const alice = await hs.user('alice');
  const stranger = hs.anonymous();
  stranger.accessToken = 'made-up';
  for (const client of [hs.anonymous(), alice]) {
    const { versions } = await client.ok('GET', '/_matrix/client/versions');
    assert.ok(versions.length > 0);
    for (const version of versions) assert.match(version, /^(r0\.\d+\.\d+|v1\.\d+)$/);
  }
});

test(
  'the newest version of the specification is served, and what clients look for by the names of proposals',
  ourChoice('which versions a server serves'),
  async () => {
    const { versions, unstable_features } = await hs.anonymous().ok('GET', '/_matrix/client/versions');
    for (let minor = 1; minor <= 19; minor++) assert.ok(versions.includes(`v1.${minor}`), `v1.${minor}`);
    for (const name of ['org.matrix.simplified_msc3575', 'org.matrix.msc4140', 'org.matrix.msc4028']) {
      assert.equal(unstable_features[name], true, name);
    }
  },
);

test('capabilities name the room versions, among them 12 as stable', async () => {
  const alice = await hs.user('alice');
  const { capabilities } = await alice.ok('GET', `${C}/capabilities`);
  const rooms = capabilities['m.room_versions'];
  assert.equal(rooms.available['12'], 'stable');
  assert.ok(rooms.default in rooms.available);
  assert.equal(capabilities['m.change_password'].enabled, true);
});

test('capabilities need a token', async () => {
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${C}/capabilities`);
});
