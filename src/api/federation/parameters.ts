import type { App } from '#api/app.js';
import type { Federation } from '#rooms/federation.js';
import { assert } from '#util/assert.js';

/** Federation, which is opened wherever its endpoints are served. */
export function federationOf(app: App): Federation {
  assert(app.federation !== undefined, 'endpoints of federation are served without it');
  return app.federation;
}
