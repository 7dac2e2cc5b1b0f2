// Client-server API, Web browser clients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const origin = { origin: 'https://chat.example' };

function checkCors(answer: Response, what: string): void {
  assert.equal(answer.headers.get('access-control-allow-origin'), '*', what);
  const methods = answer.headers.get('access-control-allow-methods') ?? '';
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
    assert.ok(methods.includes(method), `${what}: ${method}`);
  const headers = (answer.headers.get('access-control-allow-headers') ?? '').toLowerCase();
  for (const header of ['authorization', 'content-type', 'x-requested-with']) {
    assert.ok(headers.includes(header), `${what}: ${header}`);
  }
}

for (const path of [
  `${C}/sync`,
  `${C}/rooms/!x:y/send/m.room.message/1`,
  `${C}/login`,
  '/_matrix/client/versions',
  `${C}/no/such`,
]) {
  test(`a preflight of ${path} is answered without doing anything (T36)`, async () => {
    const answer = await fetch(hs.url + path, {
      method: 'OPTIONS',
      headers: {
        ...origin,
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    assert.ok([200, 204].includes(answer.status), String(answer.status));
    checkCors(answer, path);
    await answer.body?.cancel();
  });
}

test('answers and errors of every kind carry the headers (T35)', async () => {
  const alice = await hs.user('alice');
  const token = { authorization: `Bearer ${alice.accessToken}` };
  const requests: readonly (readonly [number, string, RequestInit])[] = [
    [200, '/_matrix/client/versions', {}],
    [200, `${C}/account/whoami`, { headers: token }],
    [401, `${C}/account/whoami`, {}],
    [400, `${C}/login`, { method: 'POST', body: '{bad' }],
    [404, `${C}/no/such`, {}],
    [405, `${C}/login`, { method: 'DELETE' }],
  ];
  for (const [status, path, init] of requests) {
    const answer = await fetch(hs.url + path, { ...init, headers: { ...origin, ...init.headers } });
    assert.equal(answer.status, status, path);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', `${status} ${path}`);
    await answer.body?.cancel();
  }
});
