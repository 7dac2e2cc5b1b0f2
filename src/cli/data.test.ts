import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type TestCommandLine, testCommandLine } from '#cli/testing.js';
import { openStore } from '#store/db.js';
import { inboxCounts, profiles } from '#store/schema.js';
import { SystemClock } from '#util/clock.js';

/** Runs the same story without a server, on the store itself, and against a server, through its socket. */
function both(name: string, story: (cli: TestCommandLine) => Promise<void>): void {
  test(`${name} (no server runs)`, async () => {
    await using cli = await testCommandLine();
    await story(cli);
  });
  test(`${name} (a server runs)`, async (t) => {
    await using cli = await testCommandLine();
    const server = await serving(t, cli);
    await story(cli);
    server.signal('SIGTERM');
    assert.equal(await server.ended, 0);
  });
}

async function serving(t: TestContext, cli: TestCommandLine, ...args: string[]) {
  const server = cli.serve(...args);
  t.after(async () => {
    server.signal('SIGTERM');
    await server.ended;
  });
  const failed = server.ended.then((code) => assert.fail(`ended with ${code}: ${server.out()}`));
  failed.catch(() => {});
  const up = async (): Promise<void> => {
    while (!/serves|Listening/.test(server.out())) await new Promise((again) => setImmediate(again));
  };
  await Promise.race([up(), failed]);
  return server;
}

both('accounts are made, listed, given a password and deactivated', async (cli) => {
  const made = await cli.json('user', 'create', 'Alice', '--admin');
  assert.equal(made['user_id'], '@alice:localhost');
  assert.ok(String(made['password']).length >= 16);
  cli.files.set('pw', 'correct horse\n');
  const bob = await cli.json('user', 'create', 'bob', '--password-file', 'pw');
  assert.equal(bob['password'], undefined);
  assert.match((await cli.run('user', 'list')).out, /@alice:localhost .*admin\n@bob:localhost/);
  assert.match((await cli.run('user', 'password', '@bob:localhost')).out, /new password of @bob:localhost is \S{16}/);
  assert.equal((await cli.run('user', 'deactivate', 'bob')).code, 0);
  assert.match((await cli.run('user', 'list')).out, /@bob:localhost .*deactivated/);
});

both('what can not be done ends with 1 and says why', async (cli) => {
  await cli.json('user', 'create', 'alice');
  for (const [args, why] of [
    [['user', 'create', 'alice'], /taken/],
    [['user', 'create', 'a b'], /characters/],
    [['user', 'password', 'nobody'], /no account nobody/],
    [['user', 'deactivate', '@alice:elsewhere'], /no account @alice:elsewhere/],
    [['token', 'revoke', 'none'], /no such token/],
    [['user', 'create', 'carol', '--password-file', 'absent'], /absent/],
  ] as const) {
    const { code, out, err } = await cli.run(...args);
    assert.equal(code, 1, args.join(' '));
    assert.equal(out, '');
    assert.match(err, why);
  }
  assert.deepEqual(Object.keys(JSON.parse((await cli.run('user', 'create', 'alice', '--json')).err)), [
    'errcode',
    'error',
  ]);
});

both('registration tokens are made with uses and expiry, listed and revoked', async (cli) => {
  const made = await cli.json('token', 'create', '--token', 'welcome', '--uses', '3', '--expires-in', '7d');
  assert.equal(made['token'], 'welcome');
  assert.equal(made['uses_allowed'], 3);
  assert.equal((await cli.json('token', 'create', '--unlimited'))['uses_allowed'], null);
  const rows = async () => (await cli.json('token', 'list'))['registration_tokens'] as { token: string }[];
  assert.ok((await rows()).some(({ token }) => token === 'welcome'));
  assert.equal((await cli.run('token', 'revoke', 'welcome')).code, 0);
  assert.ok(!(await rows()).some(({ token }) => token === 'welcome'));
});

both('check finds a sound store', async (cli) => {
  await cli.json('user', 'create', 'alice');
  const { code, out } = await cli.run('check');
  assert.equal(out, 'The store is sound.');
  assert.equal(code, 0);
});

test('check names each row that is wrong, and a rebuild mends what follows from others', async () => {
  await using cli = await testCommandLine();
  await cli.json('user', 'create', 'alice');
  const store = await openStore({ directory: cli.data, clock: new SystemClock(), serverName: 'localhost' });
  await store.commit((tx) => {
    tx.put(inboxCounts, ['@alice:localhost', 'D'], 3);
    tx.put(profiles, ['@nobody:localhost', 'displayname'], 'Nobody');
  });
  await store.close();
  const inbox = 'inboxCounts ["@alice:localhost","D"]: says 3, and by toDevice it is nothing';
  const profile = 'profiles ["@nobody:localhost","displayname"]: there is no account @nobody:localhost';
  assert.deepEqual(await cli.run('check'), { code: 1, out: `${profile}\n${inbox}\n2 problems.`, err: '' });
  const { code, out } = await cli.run('check', '--rebuild', '--json');
  assert.equal(code, 1);
  const { rows_rebuilt, ok, problems } = JSON.parse(out);
  assert.deepEqual([rows_rebuilt, ok, problems.length], [1, false, 1]);
  assert.deepEqual(problems[0].key, ['@nobody:localhost', 'displayname']);
});

test('a mistyped data directory is not made into an empty server', async () => {
  await using cli = await testCommandLine();
  for (const args of [['user', 'list'], ['check'], ['token', 'list']]) {
    const { code, err } = await cli.run(...args);
    assert.equal(code, 1);
    assert.match(err, /no database/);
  }
  assert.equal(existsSync(cli.data), false);
});

test('the control socket is for its owner only, and goes with the server', async (t) => {
  await using cli = await testCommandLine();
  const server = await serving(t, cli);
  const socket = join(cli.data, 'control.sock');
  assert.equal((await stat(socket)).mode & 0o777, 0o600);
  assert.equal((await stat(cli.data)).mode & 0o077, 0);
  server.signal('SIGTERM');
  await server.ended;
  assert.equal(existsSync(socket), false);
});

test('rebuilding is refused while a server runs', async (t) => {
  await using cli = await testCommandLine();
  await serving(t, cli);
  assert.match((await cli.run('check', '--rebuild')).err, /stop it first/);
});

test('a second server on the same data is refused', async (t) => {
  await using cli = await testCommandLine();
  await serving(t, cli);
  const second = cli.serve();
  assert.equal(await second.ended, 1);
  assert.match(second.out(), /another Runnel is using this directory/);
});

test('the first start prints a one-time token; it stays the same until there is an account', async (t) => {
  await using cli = await testCommandLine();
  const token = async (): Promise<string | undefined> => {
    const server = await serving(t, cli);
    const printed = server.out();
    server.signal('SIGTERM');
    await server.ended;
    return /^ {4}(\S+)$/m.exec(printed)?.[1];
  };
  const first = await token();
  assert.ok(first !== undefined);
  assert.equal(await token(), first);
  await cli.json('user', 'create', 'alice', '--admin');
  assert.equal(await token(), undefined);
});

test('with json lines, the first token is there too', async (t) => {
  await using cli = await testCommandLine();
  const server = await serving(t, cli, '--log-format', 'json');
  const lines = server
    .out()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.match(String(lines.at(-1)?.['oneTimeAdministratorToken']), /^[\w-]{8,}$/);
});

test('the server name can not change', async () => {
  await using cli = await testCommandLine();
  await cli.json('user', 'create', 'alice');
  const { code, err } = await cli.run('user', 'list', '--server-name', 'other.example');
  assert.equal(code, 1);
  assert.match(err, /belongs to the server localhost, not other\.example/);
});

test('the same signal twice at once, as Ctrl-C under npm gives it, is one wish to stop', async (t) => {
  await using cli = await testCommandLine();
  const server = await serving(t, cli);
  server.signal('SIGINT');
  server.signal('SIGINT');
  assert.equal(await server.ended, 0);
  assert.deepEqual(server.exits, []);
});
