import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mediaEndpoints } from '#api/client/media.js';

test('every path of media is limited in rate, and none but the frozen ones is open to strangers (T207, T216)', () => {
  for (const { id, limit } of mediaEndpoints) assert.notEqual(limit, 'free', id);
  const open = mediaEndpoints.filter(({ caller }) => caller === 'none').map(({ id }) => id);
  assert.deepEqual(open, ['getContent', 'getContentOverrideName', 'getContentThumbnail']);
});
