// Client-server API, User-interactive authentication.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const device = (client: Client): string => `${C}/devices/${client.deviceId}`;
const stages = (body: { flows?: { stages: string[] }[] }): string[] => (body.flows ?? []).flatMap((f) => f.stages);

test('deleting a device asks for the password, and does it with the right one (T237, T238)', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const challenge = await phone.request('DELETE', device(laptop), {});
  assert.equal(challenge.status, 401);
  assert.ok(stages(challenge.body).includes('m.login.password'));
  assert.ok(!stages(challenge.body).includes('m.login.dummy'));
  await laptop.ok('GET', `${C}/account/whoami`);
  await phone.ok('DELETE', device(laptop), { auth: phone.passwordAuth(challenge.body['session']) });
  await laptop.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
});

test('a wrong password leaves the session open for another try', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const session = (await phone.request('DELETE', device(laptop), {})).body['session'];
  const wrong = await phone.request('DELETE', device(laptop), { auth: phone.passwordAuth(session, 'a guess') });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.body['errcode'], 'M_FORBIDDEN');
  assert.equal(wrong.body['session'], session);
  await phone.ok('DELETE', device(laptop), { auth: phone.passwordAuth(session) });
});

test('an empty auth, an unknown stage, the dummy stage and an empty password open nothing (T237, T238)', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const session = (await phone.request('DELETE', device(laptop), {})).body['session'];
  for (const auth of [
    {},
    { type: 'm.login.telepathy', session },
    { type: 'm.login.dummy', session },
    phone.passwordAuth(session, ''),
  ]) {
    const answer = await phone.request('DELETE', device(laptop), { auth });
    assert.ok([400, 401, 403].includes(answer.status), `${JSON.stringify(auth)}: ${answer.status}`);
  }
  await laptop.ok('GET', `${C}/account/whoami`);
});

test('a session begun for one device does not delete another (T237)', async () => {
  const phone = await hs.user('alice');
  const [laptop, tablet] = await Promise.all([phone.login(), phone.login()]);
  const session = (await phone.request('DELETE', device(laptop), {})).body['session'];
  const answer = await phone.request('DELETE', device(tablet), { auth: phone.passwordAuth(session) });
  assert.ok([400, 401, 403].includes(answer.status), String(answer.status));
  await tablet.ok('GET', `${C}/account/whoami`);
});

test('a session of one user is of no use to another, nor is another user’s password (T237)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const laptop = await alice.login();
  const session = (await alice.request('DELETE', device(laptop), {})).body['session'];
  const other = await mallory.request('DELETE', device(mallory), { auth: mallory.passwordAuth(session) });
  assert.ok([400, 401, 403].includes(other.status), String(other.status));
  const mixed = await alice.request('DELETE', device(laptop), { auth: mallory.passwordAuth(session) });
  assert.ok([401, 403].includes(mixed.status), String(mixed.status));
  await laptop.ok('GET', `${C}/account/whoami`);
  await mallory.ok('GET', `${C}/account/whoami`);
});

test(
  'a session is bound to the body it was begun with (T237)',
  synapseDiffers('binds it to method and path only'),
  async () => {
    const phone = await hs.user('alice');
    const [laptop, tablet] = await Promise.all([phone.login(), phone.login()]);
    const begun = await phone.request('POST', `${C}/delete_devices`, { devices: [laptop.deviceId] });
    const answer = await phone.request('POST', `${C}/delete_devices`, {
      devices: [tablet.deviceId],
      auth: phone.passwordAuth(begun.body['session']),
    });
    assert.ok([400, 401, 403].includes(answer.status), String(answer.status));
    await tablet.ok('GET', `${C}/account/whoami`);
  },
);
