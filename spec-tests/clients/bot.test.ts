import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bot } from './bot.ts';
import { waitFor } from './encrypted-device.ts';
import { restartOf, stage } from './encrypted-stage.ts';

/** A context as the library gives it: each event in a wrapper. */
interface Context {
  readonly event: { readonly event: { readonly event_id: string } };
  readonly before: readonly Context['event'][];
}

/** What a bot answers, without the quotation of what it answers to. */
const answerOf = (body: unknown): string => String(body).replace(/^(?:> .*\n)+\n/, '');

/** A room of alice's that the bot joined by itself. */
async function roomOf(alice: Bot, bot: Bot): Promise<string> {
  const room = await alice.call('createRoom', { name: 'Workshop', preset: 'private_chat', invite: [bot.userId] });
  await alice.hears(
    room,
    'the bot join',
    ({ type, state_key, content }) =>
      type === 'm.room.member' && state_key === bot.userId && content['membership'] === 'join',
  );
  return room;
}

test('a bot on matrix-bot-sdk lives in a room: commands, messages, state, power', { timeout: 300_000 }, async (t) => {
  const { own, cast } = await stage(t);
  const alice = await Bot.login(t, own.url, cast.alice);
  const bot = await Bot.login(t, own.url, cast.bob);
  const room = await roomOf(alice, bot);
  assert.deepEqual((await bot.call('getJoinedRoomMembers', room)).sort(), [alice.userId, bot.userId].sort());
  assert.deepEqual(await bot.call('getJoinedRooms'), [room]);

  // Commands and their answers, which say what they answer to.
  const asked = await alice.call('sendText', room, '!echo good morning');
  const echo = await alice.hears(room, 'the echo', ({ sender, content }) => {
    return sender === bot.userId && answerOf(content['body']) === 'good morning';
  });
  assert.equal(echo.content['msgtype'], 'm.notice');
  assert.equal(echo.content['m.relates_to']['m.in_reply_to'].event_id, asked);
  await alice.call('sendText', room, '!members');
  await alice.hears(room, 'the count', ({ content }) => answerOf(content['body']) === '2 members');

  // What is done to messages, heard by the other and read back from the server.
  const said = await bot.call('sendHtmlText', room, '<b>a draft</b>');
  const draft = await alice.hears(room, 'the draft', ({ event_id }) => event_id === said);
  assert.equal(draft.content['formatted_body'], '<b>a draft</b>');
  const reaction = await alice.ask<string>('react', { room, event: said, key: '👍' });
  const heardReaction = await bot.hears(room, 'the reaction', ({ event_id }) => event_id === reaction);
  assert.deepEqual(heardReaction.content['m.relates_to'], { rel_type: 'm.annotation', event_id: said, key: '👍' });
  const edit = await bot.call('sendMessage', room, {
    msgtype: 'm.text',
    body: '* final',
    'm.new_content': { msgtype: 'm.text', body: 'final' },
    'm.relates_to': { rel_type: 'm.replace', event_id: said },
  });
  await alice.hears(room, 'the edit', ({ event_id }) => event_id === edit);
  assert.equal((await alice.call('getEvent', room, said)).unsigned['m.relations']['m.replace'].event_id, edit);
  const relations = async (type?: string): Promise<string[]> =>
    (await alice.call('getRelationsForEvent', room, said, type)).chunk.map(({ event_id }) => event_id);
  assert.deepEqual((await relations()).sort(), [reaction, edit].sort());
  assert.deepEqual(await relations('m.annotation'), [reaction]);
  await alice.call('redactEvent', room, reaction, 'a slip');
  await bot.hears(room, 'the redaction', ({ type, content, ...event }) => {
    return type === 'm.room.redaction' && (content['redacts'] ?? event['redacts']) === reaction;
  });
  assert.deepEqual(await relations('m.annotation'), []);
  const context = (await alice.call('getEventContext', room, said, 10)) as unknown as Context;
  assert.equal(context.event.event.event_id, said);
  assert.ok(context.before.some(({ event }) => event.event_id === echo.event_id));
  await alice.call('sendReadReceipt', room, said);
  await bot.call('setTyping', room, true, 5000);

  // State, and who may change it.
  await alice.call('sendStateEvent', room, 'm.room.topic', '', { topic: 'Tools' });
  await bot.hears(room, 'the topic', ({ type, content }) => type === 'm.room.topic' && content['topic'] === 'Tools');
  assert.deepEqual(await bot.call('getRoomStateEvent', room, 'm.room.topic', ''), { topic: 'Tools' });
  const types = (await bot.call('getRoomState', room)).map(({ type }) => type);
  for (const type of ['m.room.create', 'm.room.member', 'm.room.power_levels', 'm.room.topic']) {
    assert.ok(types.includes(type), type);
  }
  const rename = (): Promise<string> => bot.call('sendStateEvent', room, 'm.room.name', '', { name: 'Shed' });
  await assert.rejects(rename(), /403.*M_FORBIDDEN/);
  assert.equal(await bot.call('userHasPowerLevelFor', bot.userId, room, 'm.room.name', true), false);
  await alice.call('setUserPowerLevel', bot.userId, room, 50);
  assert.equal(await bot.call('userHasPowerLevelFor', bot.userId, room, 'm.room.name', true), true);
  await rename();
  await alice.hears(room, 'the name', ({ type, content }) => type === 'm.room.name' && content['name'] === 'Shed');

  // Aliases.
  const alias = '#shed:localhost';
  await bot.call('createRoomAlias', alias, room);
  assert.equal(await alice.call('resolveRoom', alias), room);
  assert.deepEqual(await alice.ask('aliases', { room }), [alias]);
  await bot.call('sendStateEvent', room, 'm.room.canonical_alias', '', { alias });
  assert.equal(await alice.call('getPublishedAlias', room), alias);
  await bot.call('deleteRoomAlias', alias);
  await assert.rejects(alice.call('resolveRoom', alias), /404.*M_NOT_FOUND/);

  // Leaving and coming back by a new invitation.
  await alice.call('kickUser', bot.userId, room, 'a break');
  await waitFor('the bot is out', async () => !(await bot.call('getJoinedRooms')).includes(room));
  await assert.rejects(bot.call('sendText', room, 'hello?'), /403.*M_FORBIDDEN/);
  await alice.call('inviteUser', bot.userId, room);
  await waitFor('the bot is back', async () => (await bot.call('getJoinedRooms')).includes(room));
  await alice.call('sendText', room, '!echo again');
  await alice.hears(room, 'the echo', ({ sender, content }) => {
    return sender === bot.userId && answerOf(content['body']) === 'again';
  });
});

test('a bot on matrix-bot-sdk has media, a profile, account data and spaces', { timeout: 300_000 }, async (t) => {
  // The library names the creator in the power levels of its spaces, which rooms of version 12 forbid.
  const { own, cast } = await stage(t, { RUNNEL_DEFAULT_ROOM_VERSION: '11' });
  const alice = await Bot.login(t, own.url, cast.alice);
  const bot = await Bot.login(t, own.url, cast.bob);

  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256)).toString('base64');
  const mxc = await bot.ask<string>('upload', { base64: bytes, type: 'application/zip', name: 'a plan.zip' });
  assert.match(mxc, /^mxc:\/\/localhost\//);
  assert.deepEqual(await alice.ask('download', { mxc }), { base64: bytes, type: 'application/zip' });

  await bot.call('setDisplayName', 'Handy 🛠');
  await bot.call('setAvatarUrl', mxc);
  assert.deepEqual(await alice.call('getUserProfile', bot.userId), { displayname: 'Handy 🛠', avatar_url: mxc });
  assert.equal((await bot.call('getWhoAmI')).user_id, bot.userId);

  const data = { jobs: [{ at: 'noon', done: false }] };
  await assert.rejects(bot.call('getAccountData', 'org.example.jobs'), /404.*M_NOT_FOUND/);
  await bot.call('setAccountData', 'org.example.jobs', data);
  assert.deepEqual(await bot.call('getAccountData', 'org.example.jobs'), data);
  assert.equal(await alice.call('getSafeAccountData', 'org.example.jobs', null), null, "nobody reads another's");
  const direct = await alice.ask<string>('dm', { user: bot.userId });
  assert.equal(await alice.ask('dm', { user: bot.userId }), direct, 'a direct room is found again');
  await alice.hears(direct, 'the bot join', ({ state_key, content }) => {
    return state_key === bot.userId && content['membership'] === 'join';
  });
  await bot.call('setRoomAccountData', 'org.example.mood', direct, { mood: 'fine' });
  assert.deepEqual(await bot.call('getRoomAccountData', 'org.example.mood', direct), { mood: 'fine' });

  const rooms = [
    await bot.call('createRoom', { name: 'Wood', preset: 'public_chat' }),
    await bot.call('createRoom', { name: 'Metal', preset: 'public_chat' }),
  ];
  const made = await bot.ask<{ space: string; nested: string; children: string[] }>('createSpace', {
    name: 'Crafts',
    children: rooms,
  });
  assert.deepEqual(made.children.sort(), [...rooms, made.nested].sort());
  const path = `/_matrix/client/v1/rooms/${encodeURIComponent(made.space)}/hierarchy`;
  const hierarchy = await bot.call('doRequest', 'GET', path);
  const listed = (hierarchy.rooms as { room_id: string; name: string; room_type?: string }[]).map(
    ({ room_id, name, room_type }) => [room_id, name, room_type],
  );
  assert.deepEqual(listed[0], [made.space, 'Crafts', 'm.space']);
  assert.deepEqual(
    listed.slice(1).sort(),
    [
      [rooms[0], 'Wood', undefined],
      [rooms[1], 'Metal', undefined],
      [made.nested, 'Crafts, nested', 'm.space'],
    ].sort(),
  );
  await assert.rejects(alice.call('doRequest', 'GET', path), /403.*M_FORBIDDEN/, 'the space is private');
});

test('bots on matrix-bot-sdk hear everything through kills of the server and of themselves', {
  timeout: 300_000,
}, async (t) => {
  const { own, cast } = await stage(t);
  const alice = await Bot.login(t, own.url, cast.alice);
  const bot = await Bot.login(t, own.url, cast.bob);
  const room = await roomOf(alice, bot);
  const restart = restartOf(own);

  /** Says it again until the server acknowledges it, and returns the id of the acknowledged message. */
  const say = async (body: string): Promise<string> =>
    waitFor('the server takes the line', () => alice.call('sendText', room, body).catch(() => undefined));
  const said: string[] = [];
  for (let kill = 1; kill <= 3; kill++) {
    let restarted: Promise<void> = Promise.resolve();
    for (let line = 1; line <= 10; line++) {
      if (line === 5) restarted = restart();
      said.push(await say(`line ${line} of round ${kill}`));
    }
    await restarted;
    await bot.hears(room, 'the last line', ({ event_id }) => event_id === said.at(-1));
  }
  const heard = (await bot.heard(room)).map(({ event_id }) => event_id);
  assert.equal(new Set(heard).size, heard.length, 'nothing is heard twice');
  assert.deepEqual(
    heard.filter((id) => said.includes(id)),
    said,
    'every acknowledged line is heard, in order',
  );

  // The process of the bot dies; the next one goes on from its storage, with the same token and where the old one was.
  await bot.kill();
  const missed = [await say('while you were out'), await say('!echo are you there?')];
  await restart();
  await bot.resume();
  await bot.hears(room, 'what it missed', ({ event_id }) => event_id === missed[1]);
  const afterwards = (await bot.heard(room)).map(({ event_id }) => event_id);
  assert.deepEqual(
    afterwards.filter((id) => missed.includes(id)),
    missed,
  );
  assert.ok(
    afterwards.every((id) => !said.includes(id)),
    'nothing from before is heard again',
  );
  await alice.hears(room, 'the answer', ({ sender, content }) => {
    return sender === bot.userId && answerOf(content['body']) === 'are you there?';
  });
});
