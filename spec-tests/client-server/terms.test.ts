// Terms of service at registration (client-server API), and the page for clients that do not know the stage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, query } from '../support/client.js';
import { runnel, startOwnServer } from '../support/homeserver.js';
import { recordAnswer } from '../support/record.js';

const hs = await startOwnServer({
  RUNNEL_REGISTRATION: 'open',
  RUNNEL_TERMS: [
    'privacy 1.2 en https://hs.test/privacy?a=1&b Privacy policy',
    'privacy 1.2 de https://hs.test/datenschutz Datenschutz <gut>',
    'rules 3 en https://hs.test/rules House rules',
  ].join(','),
});
test.after(() => hs.stop());

const FALLBACK = `${C}/auth/m.login.terms/fallback/web`;
const register = (body: Body) => hs.anonymous().request('POST', `${C}/register`, body);

async function begun(body: Body): Promise<string> {
  const asked = await register(body);
  assert.equal(asked.status, 401);
  return asked.body['session'];
}

test('whoever registers is asked to agree, in every language that there is', async () => {
  const { status, body } = await register({});
  assert.equal(status, 401);
  assert.ok(body['flows'].every(({ stages }: Body) => stages.includes('m.login.terms')));
  assert.deepEqual(body['params']['m.login.terms'].policies, {
    privacy: {
      version: '1.2',
      en: { name: 'Privacy policy', url: 'https://hs.test/privacy?a=1&b' },
      de: { name: 'Datenschutz <gut>', url: 'https://hs.test/datenschutz' },
    },
    rules: { version: '3', en: { name: 'House rules', url: 'https://hs.test/rules' } },
  });
});

test('no account is made without agreeing, and what was agreed to is kept', async () => {
  const wanted = { username: 'alice', password: 'long enough' };
  const session = await begun(wanted);
  assert.equal((await register({ ...wanted, auth: { type: 'm.login.dummy', session } })).status, 401);
  assert.equal((await register({ ...wanted, auth: { session } })).status, 401);
  assert.equal((await register({ ...wanted, auth: { type: 'm.login.terms', session } })).status, 200);
  await hs.own!.end('SIGKILL');
  await hs.own!.start();
  const { users } = await runnel(hs, 'user', 'list');
  const made = users.find(({ user_id: id }: Body) => id.startsWith('@alice:'));
  assert.deepEqual(made['terms'], { privacy: '1.2', rules: '3' });
});

test('a client that does not know the stage shows a page, and goes on when it was agreed to', async () => {
  const wanted = { username: 'bob', password: 'long enough' };
  const session = await begun(wanted);
  const url = `${hs.url}${FALLBACK}${query({ session })}`;
  const shown = await fetch(url, { headers: { 'accept-language': 'de-AT,de;q=0.9' } });
  const html = await shown.text();
  recordAnswer('GET', FALLBACK, shown.status, undefined);
  assert.equal(shown.status, 200);
  assert.match(shown.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(html, /href="https:\/\/hs\.test\/datenschutz"[^>]*>Datenschutz &lt;gut&gt;</);
  assert.match(html, /House rules/, 'English where there is nothing else');
  assert.equal((await register({ ...wanted, auth: { session } })).status, 401, 'to have read it is not to agree');
  const agreed = await fetch(url, { method: 'POST', body: new URLSearchParams({ agree: 'yes' }) });
  recordAnswer('POST', FALLBACK, agreed.status, undefined);
  assert.equal(agreed.status, 200);
  assert.match(await agreed.text(), /onAuthDone/);
  assert.equal((await register({ ...wanted, auth: { session } })).status, 200);
});

test('the page can not be framed or made to run anything, whatever the session is called (T247)', async () => {
  const session = `"><script>alert(1)</script>`;
  for (const method of ['GET', 'POST']) {
    const answer = await fetch(`${hs.url}${FALLBACK}${query({ session })}`, { method });
    recordAnswer(method, FALLBACK, answer.status, undefined);
    assert.equal(answer.status, 400, method);
    assert.equal(answer.headers.get('x-frame-options'), 'DENY');
    const policy = answer.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(await answer.text(), /alert\(1\)/);
  }
});

test('the pages of registration lead nowhere but to the documents (T247)', async () => {
  const session = await begun({ username: 'carol', password: 'long enough' });
  const more = { session, redirectUrl: 'https://evil.test', displayname: '<b>evil</b>' };
  const html = await (await fetch(`${hs.url}${FALLBACK}${query(more)}`)).text();
  assert.doesNotMatch(html, /evil/);
});

test('other stages have no page', async () => {
  for (const stage of ['m.login.password', 'm.login.dummy', 'x']) {
    const answer = await hs.anonymous().request('GET', `${C}/auth/${stage}/fallback/web?session=x`);
    assert.equal(answer.status, 404);
    assert.equal(answer.body['errcode'], 'M_UNRECOGNIZED');
  }
  assert.equal((await hs.anonymous().request('GET', FALLBACK)).status, 400);
});

test('the session of somebody who is logged in is not for this page', async () => {
  const session = await begun({ username: 'dora', password: 'long enough' });
  const wanted = { username: 'dora', password: 'long enough', auth: { type: 'm.login.terms', session } };
  const dora = hs.anonymous().with((await register(wanted)).body);
  const asked = await dora.request('POST', `${C}/account/deactivate`, {});
  const page = await fetch(`${hs.url}${FALLBACK}${query({ session: asked.body['session'] })}`);
  assert.equal(page.status, 400);
});
