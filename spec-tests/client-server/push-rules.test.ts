// Client-server API, Push rules.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const rule = (kind: string, id: string, ...rest: string[]): string =>
  `${C}/pushrules/global/${[kind, id, ...rest].map(seg).join('/')}`;
const ids = async (client: Client, kind: string): Promise<string[]> =>
  (await client.ok('GET', `${C}/pushrules/`))['global'][kind].map((r: Body) => r['rule_id']);
const content = { pattern: 'cake*', actions: ['notify'] };

test('a new account has the rules of the specification, in their order', async () => {
  const alice = await hs.user('alice');
  assert.deepEqual((await ids(alice, 'override')).filter((id) => id.startsWith('.m.rule.')).slice(0, 4), [
    '.m.rule.master',
    '.m.rule.suppress_notices',
    '.m.rule.invite_for_me',
    '.m.rule.member_event',
  ]);
  const underride = await ids(alice, 'underride');
  for (const id of ['.m.rule.call', '.m.rule.room_one_to_one', '.m.rule.message'])
    assert.ok(underride.includes(id), id);
  assert.equal((await alice.ok('GET', rule('override', '.m.rule.master')))['enabled'], false);
});

test('a rule is made, read, switched off, changed and deleted', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', rule('content', 'cake'), content);
  const made = await alice.ok('GET', rule('content', 'cake'));
  assert.deepEqual(
    [made['pattern'], made['actions'], made['enabled'], made['default']],
    ['cake*', ['notify'], true, false],
  );
  await alice.ok('PUT', rule('content', 'cake', 'enabled'), { enabled: false });
  assert.deepEqual(await alice.ok('GET', rule('content', 'cake', 'enabled')), { enabled: false });
  await alice.ok('PUT', rule('content', 'cake', 'actions'), { actions: [] });
  assert.deepEqual(await alice.ok('GET', rule('content', 'cake', 'actions')), { actions: [] });
  await alice.ok('DELETE', rule('content', 'cake'));
  await alice.fails(404, 'M_NOT_FOUND', 'GET', rule('content', 'cake'));
  await alice.fails(404, 'M_NOT_FOUND', 'DELETE', rule('content', 'cake'));
});

test('new rules come first, or where before and after say', async () => {
  const alice = await hs.user('alice');
  for (const id of ['one', 'two']) await alice.ok('PUT', rule('content', id), content);
  await alice.ok('PUT', `${rule('content', 'three')}?after=two`, content);
  await alice.ok('PUT', `${rule('content', 'four')}?before=one`, content);
  assert.deepEqual(
    (await ids(alice, 'content')).filter((id) => !id.startsWith('.')),
    ['two', 'three', 'four', 'one'],
  );
  assert.equal((await alice.request('PUT', `${rule('content', 'x')}?before=nowhere`, content)).status, 400);
});

test('a change comes by sync to every device', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  await laptop.sync();
  await phone.ok('PUT', rule('room', '!r:example.org'), { actions: [] });
  const rules = await laptop.syncUntil<Body>(
    (body) => body['account_data']?.events?.find((e: Body) => e['type'] === 'm.push_rules')?.content,
  );
  assert.ok(rules['global'].room.some((r: Body) => r['rule_id'] === '!r:example.org'));
});

test('the rules of the server can be switched and changed, but neither made nor deleted', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', rule('override', '.m.rule.master', 'enabled'), { enabled: true });
  await alice.ok('PUT', rule('underride', '.m.rule.message', 'actions'), { actions: [] });
  assert.equal((await alice.request('PUT', rule('content', '.mine'), content)).status, 400);
  const answer = await alice.request('DELETE', rule('override', '.m.rule.master'));
  assert.ok([400, 404].includes(answer.status), String(answer.status));
});

for (const [what, path, body] of [
  ['an unknown kind', rule('sometimes', 'x'), content],
  ['actions that are no list', rule('content', 'x'), { pattern: 'x', actions: 'notify' }],
  ['a content rule without a pattern', rule('content', 'x'), { actions: [] }],
  ['conditions that are no list', rule('override', 'x'), { conditions: 5, actions: [] }],
  ['an unknown action', rule('override', 'x'), { conditions: [], actions: ['shout'] }],
] as const) {
  test(
    `${what} is a bad request`,
    what.startsWith('conditions') ? synapseDiffers('answers 500 for some') : {},
    async () => {
      const alice = await hs.user('alice');
      const answer = await alice.request('PUT', path, body);
      assert.ok([400, 404].includes(answer.status), `${answer.status} ${JSON.stringify(answer.body)}`);
    },
  );
}

test('rules decide what counts as unread', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('PUT', rule('room', room), { actions: [] });
  await bob.ok('PUT', rule('content', 'cake'), { pattern: 'cake', actions: ['notify', { set_tweak: 'highlight' }] });
  await alice.say(room, 'nothing of note');
  await alice.say(room, 'there is Cake!');
  await alice.say(room, 'cakewalk');
  const { unread_notifications: unread } = (await bob.sync())['rooms'].join[room];
  assert.deepEqual([unread.notification_count, unread.highlight_count], [1, 1]);
});

test('an event_match on any property, and event_property_is, work', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('PUT', rule('override', 'deep'), {
    conditions: [
      { kind: 'event_match', key: 'content.org\\.example.level', pattern: 'h?gh' },
      { kind: 'event_property_is', key: 'content.urgent', value: true },
    ],
    actions: ['notify', { set_tweak: 'highlight' }],
  });
  await alice.send(room, 'org.example.alarm', { 'org.example': { level: 'high' }, urgent: true });
  await alice.send(room, 'org.example.alarm', { 'org.example': { level: 'high' }, urgent: 'true' });
  await alice.send(room, 'org.example.alarm', { 'org.example': { level: 'low' }, urgent: true });
  const { unread_notifications: unread } = (await bob.sync())['rooms'].join[room];
  assert.equal(unread.highlight_count, 1);
});
