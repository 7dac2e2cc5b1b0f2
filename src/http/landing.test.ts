import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { ServerName } from '#core/ids.js';
import { landingEndpoints, landingPage } from '#http/landing.js';
import { serve } from '#http/testing.js';

const landing = {
  serverName: 'hs.test' as ServerName,
  baseUrl: 'https://matrix.hs.test',
  registration: 'token',
  problem: () => undefined,
} as const;

test('the page says whose server it is and how to log in, and loads nothing (T247)', async (t) => {
  const hs = await serve(t, landingEndpoints(landing));
  const { status, headers, text } = await hs.call('GET', '/', { headers: { host: 'evil.test' } });
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/html; charset=utf-8');
  for (const shown of ['hs.test', 'https://matrix.hs.test', 'registration token', 'It works', 'Element']) {
    assert.ok(text.includes(shown), shown);
  }
  assert.doesNotMatch(text, /evil\.test/, 'T46: a forged Host is nowhere on the page');
  assert.doesNotMatch(text, /<script|<img|<link|src=|url\(|@import/i);
  const style = /<style>(.*)<\/style>/s.exec(text)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = headers['content-security-policy'];
  assert.equal(
    policy,
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('what comes from the configuration is escaped (T247)', () => {
  const page = landingPage({ ...landing, serverName: `"><script>'&` as ServerName, baseUrl: '<b>' });
  assert.doesNotMatch(page, /<script|<b>/);
  assert.ok(page.includes('&quot;&gt;&lt;script&gt;&#39;&amp;'));
});

test('health answers while the process lives, ready only while the store takes writes', async (t) => {
  let problem: string | undefined;
  const hs = await serve(t, landingEndpoints({ ...landing, problem: () => problem }));
  assert.equal((await hs.call('GET', '/ready')).status, 200);
  problem = 'The disk is full';
  assert.equal((await hs.call('GET', '/health')).status, 200);
  const { status, json } = await hs.call('GET', '/ready');
  assert.deepEqual([status, json.error], [503, 'The disk is full']);
});
