import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerName } from '#core/ids.js';
import { Discovery, type SrvRecord } from '#remote/discovery.js';
import { type HttpClient, RemoteError, type RemoteResponse } from '#remote/http.js';
import { SimulatedClock } from '#util/clock.js';

interface World {
  /** By URL: what is answered there, or undefined where nobody is. */
  readonly web?: Readonly<Record<string, Partial<RemoteResponse> & { readonly text?: string }>>;
  readonly srv?: Readonly<Record<string, readonly Partial<SrvRecord>[]>>;
}

function discover(world: World) {
  const clock = new SimulatedClock();
  const asked: string[] = [];
  const http: HttpClient = {
    async request({ url }) {
      asked.push(url);
      await Promise.resolve();
      const answer = world.web?.[url];
      if (answer === undefined) throw new RemoteError('unreachable', 'nobody there');
      return { status: 200, headers: {}, body: Buffer.from(answer.text ?? ''), ...answer };
    },
    async close() {},
  };
  const resolveSrv = async (name: string): Promise<readonly SrvRecord[]> => {
    asked.push(name);
    const records = world.srv?.[name];
    if (records === undefined) throw new Error('ENOTFOUND');
    return records.map((record) => ({ name: 'srv.example', port: 1, priority: 0, weight: 0, ...record }));
  };
  const discovery = new Discovery({ http, clock, resolveSrv });
  return { clock, asked, find: (name: string) => discovery.find(name as ServerName) };
}

const wellKnown = (server: unknown, headers = {}) => ({ text: JSON.stringify({ 'm.server': server }), headers });
const at = (host: string) => `https://${host}/.well-known/matrix/server`;

test('names that say where they are need no look-up (steps 1 and 2)', async () => {
  const { find, asked } = discover({});
  const cases: Record<string, [target: string, host: string]> = {
    '192.0.2.1': ['192.0.2.1:8448', '192.0.2.1'],
    '192.0.2.1:5': ['192.0.2.1:5', '192.0.2.1:5'],
    '[2001:db8::1]': ['[2001:db8::1]:8448', '[2001:db8::1]'],
    '[2001:db8::1]:5': ['[2001:db8::1]:5', '[2001:db8::1]:5'],
    'a.example:443': ['a.example:443', 'a.example:443'],
  };
  for (const [name, [target, host]] of Object.entries(cases)) {
    assert.deepEqual(await find(name), { targets: [target], host }, name);
  }
  assert.deepEqual(asked, []);
});

test('what .well-known delegates to (step 3)', async () => {
  const cases: [string, World['srv'], readonly string[], string][] = [
    ['192.0.2.9', {}, ['192.0.2.9:8448'], '192.0.2.9'],
    ['[2001:db8::9]:7', {}, ['[2001:db8::9]:7'], '[2001:db8::9]:7'],
    ['m.example:7', {}, ['m.example:7'], 'm.example:7'],
    ['m.example', { '_matrix-fed._tcp.m.example': [{ port: 9 }] }, ['srv.example:9'], 'm.example'],
    ['m.example', { '_matrix._tcp.m.example': [{ port: 8 }] }, ['srv.example:8'], 'm.example'],
    ['m.example', {}, ['m.example:8448'], 'm.example'],
  ];
  for (const [server, srv = {}, targets, host] of cases) {
    const { find } = discover({ web: { [at('a.example')]: wellKnown(server) }, srv });
    assert.deepEqual(await find('a.example'), { targets, host }, server);
  }
});

test('without .well-known: SRV records of the name itself, or its port 8448 (steps 4 to 6)', async () => {
  const both = { '_matrix-fed._tcp.a.example': [{ port: 9 }], '_matrix._tcp.a.example': [{ port: 8 }] };
  assert.deepEqual(await discover({ srv: both }).find('a.example'), { targets: ['srv.example:9'], host: 'a.example' });
  const old = { '_matrix._tcp.a.example': [{ port: 8 }] };
  assert.deepEqual(await discover({ srv: old }).find('a.example'), { targets: ['srv.example:8'], host: 'a.example' });
  assert.deepEqual(await discover({}).find('a.example'), { targets: ['a.example:8448'], host: 'a.example' });
});

test('an answer of .well-known that makes no sense is none', async () => {
  const answers = [
    { status: 404 },
    { text: '<html>' },
    { text: '[]' },
    wellKnown(5),
    wellKnown('m.example/path'),
    wellKnown('user@m.example'),
    wellKnown('m.example\r\nx: y'),
    wellKnown(''),
    { status: 301, headers: {} },
    { status: 302, headers: { location: 'http://plain.example/' } },
    { status: 302, headers: { location: at('a.example') } },
  ];
  for (const answer of answers) {
    const { find, asked } = discover({ web: { [at('a.example')]: answer } });
    assert.deepEqual(await find('a.example'), { targets: ['a.example:8448'], host: 'a.example' });
    assert.ok(asked.length < 10, 'no loop goes on');
  }
});

test('redirects are followed', async () => {
  const { find } = discover({
    web: {
      [at('a.example')]: { status: 301, headers: { location: '/other' } },
      'https://a.example/other': { status: 307, headers: { location: at('b.example') } },
      [at('b.example')]: wellKnown('m.example:1'),
    },
  });
  assert.deepEqual(await find('a.example'), { targets: ['m.example:1'], host: 'm.example:1' });
});

test('SRV targets are tried by priority and weight; those that are no host, or no port, not at all', async () => {
  const records = [
    { name: 'c.example', port: 3, priority: 20 },
    { name: 'b.example', port: 2, priority: 10, weight: 1 },
    { name: 'a.example', port: 1, priority: 10, weight: 9 },
    { name: '.', port: 1 },
    { name: 'd.example', port: 0 },
    { name: 'e/f', port: 1 },
  ];
  const { find } = discover({ srv: { '_matrix-fed._tcp.x.example': records } });
  assert.deepEqual((await find('x.example')).targets, ['a.example:1', 'b.example:2', 'c.example:3']);
});

test('answers are kept as long as they say, within bounds; failures shorter', async () => {
  const HOUR = 3_600_000;
  const cases: [object, stillMs: number, goneMs: number][] = [
    [{}, 23 * HOUR, 25 * HOUR],
    [{ 'cache-control': 'public, max-age=7200' }, 1.9 * HOUR, 2.2 * HOUR],
    [{ 'cache-control': 'max-age=99999999' }, 47 * HOUR, 49 * HOUR],
    [{ 'cache-control': 'no-store' }, 60_000, 11 * 60_000],
  ];
  for (const [headers, stillMs, goneMs] of cases) {
    const { find, asked, clock } = discover({ web: { [at('a.example')]: wellKnown('m.example:1', headers) } });
    await find('a.example');
    clock.advance(stillMs);
    await find('a.example');
    assert.equal(asked.length, 1, JSON.stringify(headers));
    clock.advance(goneMs - stillMs);
    await find('a.example');
    assert.equal(asked.length, 2, JSON.stringify(headers));
  }
  const failing = discover({});
  await failing.find('a.example');
  failing.clock.advance(2 * HOUR);
  await failing.find('a.example');
  assert.equal(failing.asked.filter((url) => url.startsWith('https:')).length, 2);
});

test('many who look for one server at once share one look-up', async () => {
  const { find, asked } = discover({ web: { [at('a.example')]: wellKnown('m.example:1') } });
  await Promise.all(Array.from({ length: 20 }, () => find('a.example')));
  assert.equal(asked.length, 1);
});
