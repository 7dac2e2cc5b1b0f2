import test from 'node:test';
import { ENDPOINTS, FEDERATION_ENDPOINTS } from '#api/endpoints.js';
import type { ServerName } from '#core/ids.js';
import { landingEndpoints } from '#http/landing.js';
import { Routes } from '#http/routes.js';

test('each method and path of the table leads to one endpoint', () => {
  const landing = landingEndpoints({
    serverName: 'hs.test' as ServerName,
    baseUrl: undefined,
    registration: 'closed',
    problem: () => undefined,
  });
  new Routes<never>([...landing, ...ENDPOINTS, ...FEDERATION_ENDPOINTS]).grow();
});
