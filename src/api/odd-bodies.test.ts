import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

/** Path parameters in form, by name; for all others anything will do. */
const PARAMS: Readonly<Record<string, string>> = {
  userId: '@alice:test',
  roomId: '!room:test',
  roomIdOrAlias: '!room:test',
  roomAlias: '#alias:test',
  eventId: '$event',
  threadRootId: '$event',
  redactEventId: '$event',
  receiptType: 'm.read',
  kind: 'override',
  attr: 'actions',
  serverName: 'test',
};
/** Query parameters without which the body is not looked at. */
const QUERY = 'version=1&pos=0&filename=x&session=x';

test('no endpoint takes a body that is JSON but no object, whichever it is (T19)', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const { access_token: token } = await api.register('alice');
  let tried = 0;
  for (const endpoint of ENDPOINTS) {
    if (endpoint.method === 'GET' || endpoint.rawBody === true) continue;
    const path = endpoint.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(PARAMS[name] ?? name));
    for (const body of [[], 'x', null, 1, true]) {
      const answer = await api.call(endpoint.method, `${path}?${QUERY}`, { token, body });
      const what = `${endpoint.id} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`;
      // Administrators' endpoints are closed to alice before anything of the request is looked at.
      const expected = endpoint.caller === 'admin' ? [403, 'M_FORBIDDEN'] : [400, 'M_BAD_JSON'];
      assert.deepEqual([answer.status, answer.body.errcode], expected, what);
    }
    tried++;
  }
  assert.ok(tried > 80, `${tried} endpoints take a body`);
});
