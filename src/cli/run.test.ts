import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '#cli/commands.js';
import { testCommandLine } from '#cli/testing.js';

test('help names every command, and each has a page with its flags', async () => {
  await using cli = await testCommandLine();
  const general = await cli.run('help');
  assert.equal(general.code, 0);
  for (const command of COMMANDS) {
    assert.ok(general.out.includes(`  ${command.name}`), command.name);
    const page = await cli.run(...command.name.split(' '), '--help');
    assert.equal(page.code, 0);
    for (const flag of Object.keys(command.flags)) assert.ok(page.out.includes(`--${flag}`), flag);
    assert.equal((await cli.run('help', ...command.name.split(' '))).out, page.out);
  }
});

test('a command line that is not understood ends with 2 and a hint', async () => {
  await using cli = await testCommandLine();
  for (const [args, hint] of [
    [['srve'], /unknown command 'srve'; did you mean 'serve'/],
    [['user'], /needs one of: create, list, password, deactivate/],
    [['user', 'create'], /takes NAME, not 0 words/],
    [['user', 'list', 'extra'], /takes no further words/],
    [['user', 'list', '--dta', 'x'], /unknown flag '--dta'; did you mean '--data'/],
    [['user', 'list', '--data'], /--data needs a value/],
    [['user', 'list', '--data', '--json'], /--data needs a value/],
    [['user', 'list', '--json=yes'], /--json takes no value/],
    [['user', 'list', '--__proto__'], /unknown flag/],
    [['token', 'create', '--expires-in', 'soon'], /is no duration/],
    [['token', 'create', '--uses', '0'], /no whole number/],
  ] as const) {
    const { code, err } = await cli.run(...args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, hint);
  }
});

test('a wrong configuration ends with 1 and names all that is wrong', async () => {
  await using cli = await testCommandLine({ RUNNEL_REGISTRATION: 'perhaps', RUNNEL_SERVRE_NAME: 'x' });
  const { code, err } = await cli.run('config', 'check');
  assert.equal(code, 1);
  assert.match(err, /RUNNEL_SERVRE_NAME.*RUNNEL_SERVER_NAME/);
  assert.match(err, /'perhaps' is none of closed, token, open/);
});

test('config show says what is in force and from where, and no secret', async () => {
  await using cli = await testCommandLine({ RUNNEL_REGISTRATION_SHARED_SECRET: 'hunter2' });
  const { out } = await cli.run('config', 'show', '--registration', 'open');
  assert.match(out, /registration +=.* open {2}\(--registration\)/);
  assert.match(out, /registration_shared_secret = \(secret, set\)/);
  const { out: json } = await cli.run('config', 'show', '--json');
  assert.doesNotMatch(out + json, /hunter2/);
  assert.equal(JSON.parse(json)['data'].value, cli.data);
});

test('version works even where the configuration does not', async () => {
  await using cli = await testCommandLine({ RUNNEL_REGISTRATION: 'perhaps' });
  assert.match((await cli.run('version')).out, /^runnel \d+\.\d+\.\d+$/);
});
