import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogOptions, openLog } from '#log';
import { SimulatedClock } from '#util/clock.js';

function capture(format: LogOptions['format'], level: LogOptions['level'] = 'debug') {
  const lines: string[] = [];
  const clock = new SimulatedClock(Date.UTC(2026, 0, 2, 3, 4, 5));
  return { log: openLog({ level, format, clock, write: (line) => void lines.push(line) }), lines };
}

test('a text line has time, level, message and fields', () => {
  const { log, lines } = capture('text');
  log.warn('slow request', { path: '/_matrix/client/v3/sync', tookMs: 12 });
  assert.deepEqual(lines, ['03:04:05 warn  slow request  path=/_matrix/client/v3/sync  tookMs=12\n']);
});

test('the level holds back what is below it', () => {
  const { log, lines } = capture('text', 'warn');
  log.info('no');
  log.debug('no');
  log.error('yes');
  assert.equal(lines.length, 1);
});

for (const format of ['text', 'json'] as const) {
  test(`secrets in URLs, headers and fields are masked (${format})`, () => {
    const { log, lines } = capture(format);
    log.info('x', {
      url: '/sync?since=1&access_token=s3cret1&access%5Ftoken=s3cret2&client%5fsecret=s3cret3&%61ccess%255Ftoken=s3cret4&a=b',
      headers: { authorization: 'Bearer s3cret5', Cookie: 's3cret6' },
      password: 's3cret7',
      newPassword: 's3cret8',
      note: 'got Authorization: Bearer s3cret9',
      error: new Error('failed at /x?refresh_token=s3cret10'),
    });
    assert.doesNotMatch(lines.join(''), /s3cret/);
    assert.match(lines.join(''), /since=1/);
    assert.match(lines.join(''), /a=b/);
  });

  test(`text from outside can not make a line of its own nor command a terminal (${format})`, () => {
    const { log, lines } = capture(format);
    log.info('hello\n03:04:05 error forged', { name: 'x\r\n\u001b[2J\u009b31m\u2028\u202e', 'k\ney': 1 });
    assert.equal(lines.length, 1);
    assert.equal(lines[0]!.trimEnd().split(/[\r\n\u2028]/).length, 1);
    assert.doesNotMatch(lines[0]!.trimEnd(), /[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
}

test('an error is written with its stack, its message unable to look like a line', () => {
  const { log, lines } = capture('text');
  log.error('failed', { error: new Error('boom\n03:04:05 info  all is well', { cause: new Error('disk') }) });
  const written = lines.join('').trimEnd().split('\n');
  assert.match(written[0]!, /^03:04:05 error failed$/);
  assert.ok(written.length > 2);
  assert.ok(written.slice(1).every((line) => line.startsWith('    ')));
  assert.match(lines.join(''), /caused by Error: disk/);
});

test('json lines parse', () => {
  const { log, lines } = capture('json');
  log.info('hi', { n: 1 });
  assert.deepEqual(JSON.parse(lines[0]!), { level: 'info', time: '2026-01-02T03:04:05.000Z', n: 1, msg: 'hi' });
});
