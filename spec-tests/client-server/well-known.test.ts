// Client-server API, Well-known URIs; server-server API, Server discovery.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeserver, startOwnServer } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('what the operator has not given is not found, with CORS, and never an error of the server', async () => {
  for (const name of ['client', 'server', 'support']) {
    const answer = await fetch(`${hs.url}/.well-known/matrix/${name}`, { headers: { origin: 'https://chat.example' } });
    assert.ok([200, 404].includes(answer.status), `${name}: ${answer.status}`);
    if (name === 'client') assert.equal(answer.headers.get('access-control-allow-origin'), '*', name);
    if (answer.status === 200) assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
    await answer.body?.cancel();
  }
});

test('what the operator has given is there', async (t) => {
  const ours = await startOwnServer({
    RUNNEL_SERVER_NAME: 'chat.example',
    RUNNEL_PUBLIC_URL: 'https://hs.chat.example',
  });
  t.after(() => ours.stop());
  const client = await ours.anonymous().ok('GET', '/.well-known/matrix/client');
  assert.deepEqual(client['m.homeserver'], { base_url: 'https://hs.chat.example' });
});
