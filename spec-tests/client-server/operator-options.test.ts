// What answers only where the operator has set it: the well-known files, and media by the older names.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seg } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { LEGACY, transfer, uploaded } from '../support/media.js';

const set = await startOwnServer({
  RUNNEL_PUBLIC_URL: 'https://hs.chat.example',
  RUNNEL_FEDERATION_ADDRESS: 'hs.chat.example:8448',
  RUNNEL_SUPPORT_PAGE: 'https://chat.example/help',
  RUNNEL_LEGACY_MEDIA: 'on',
});
test.after(() => set.stop());
const unset = await startOwnServer();
test.after(() => unset.stop());

/** A picture of one pixel. */
const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

test('the well-known files say what the operator has given, and nothing is found without', async () => {
  const client = set.anonymous();
  assert.equal(
    (await client.ok('GET', '/.well-known/matrix/client'))['m.homeserver'].base_url,
    'https://hs.chat.example',
  );
  assert.equal((await client.ok('GET', '/.well-known/matrix/server'))['m.server'], 'hs.chat.example:8448');
  const support = await client.ok('GET', '/.well-known/matrix/support');
  assert.equal(support['support_page'], 'https://chat.example/help');
  for (const name of ['client', 'server', 'support']) {
    await unset.anonymous().fails(404, 'M_NOT_FOUND', 'GET', `/.well-known/matrix/${name}`);
  }
});

test('media is had by the older names where the operator left them open', async () => {
  const alice = await set.user('alice');
  const id = await uploaded(alice, GIF, 'image/gif');
  const named = await transfer(set.anonymous(), 'GET', `${LEGACY}/download/${id}/${seg('a name.gif')}`);
  assert.equal(named.status, 200);
  assert.match(named.headers.get('content-disposition') ?? '', /a(%20| )name\.gif/);
  const small = await transfer(set.anonymous(), 'GET', `${LEGACY}/thumbnail/${id}?width=32&height=32`);
  assert.equal(small.status, 200);
  assert.match(small.headers.get('content-type') ?? '', /^image\//);
});

test('administrators give withdrawn media back, and see who is locked', async () => {
  const [alice, admin] = await Promise.all([set.user('alice'), set.user('admin', { admin: true })]);
  const id = await uploaded(alice, GIF, 'image/gif');
  await admin.ok('POST', `/_synapse/admin/v1/media/quarantine/${id}`, {});
  assert.equal((await transfer(alice, 'GET', `${LEGACY}/download/${id}`)).status, 404);
  await admin.ok('POST', `/_synapse/admin/v1/media/unquarantine/${id}`, {});
  assert.equal((await transfer(alice, 'GET', `${LEGACY}/download/${id}`)).status, 200);
  const lock = `/_matrix/client/v1/admin/lock/${seg(alice.userId)}`;
  assert.deepEqual(await admin.ok('GET', lock), { locked: false });
  await admin.ok('PUT', lock, { locked: true });
  assert.deepEqual(await admin.ok('GET', lock), { locked: true });
});
