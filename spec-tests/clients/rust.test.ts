import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { OwnServer } from '../../build/spec-tests/support/homeserver.js';
import type { Cast } from './encrypted-conversation.ts';
import { waitFor } from './encrypted-device.ts';
import { restartOf, stage } from './encrypted-stage.ts';
import { Recorder } from './recorder.ts';
import { RustParty } from './rust-party.ts';

/** scripts/clients-rust.sh builds the program and names it. */
const skip = process.env['RUST_PARTY'] === undefined && 'needs the program on matrix-rust-sdk';

interface Scene {
  readonly own: OwnServer;
  readonly cast: Cast;
  /** What the devices ask of the server goes through it. */
  readonly recorder: Recorder;
  readonly alice: RustParty;
  readonly bob: RustParty;
  readonly room: string;
}

/** Two people in a room that alice made and bob found in his room list. */
async function meet(t: TestContext, encrypted: boolean): Promise<Scene> {
  const { own, cast } = await stage(t);
  const recorder = await Recorder.before(t, own.url);
  const alice = await RustParty.login(t, recorder.url, cast.alice);
  const bob = await RustParty.login(t, recorder.url, cast.bob);
  const room = await alice.ask<string>('create_room', { name: 'The garden', invite: [bob.userId], encrypted });
  await bob.lists(room, 'the invite', ({ membership, name }) => membership === 'Invited' && name === 'The garden');
  await bob.ask('join', { room });
  for (const user of [alice, bob]) {
    await user.lists(room, 'the room', (listed) => listed.membership === 'Joined' && listed.name === 'The garden');
    await user.lists(room, 'whether it is encrypted', (listed) => listed.encrypted === encrypted);
    // Who writes while the SDK merges the answer to its subscription can end up with lines that it shows twice.
    const before = recorder.exchanges.length;
    await user.history({ room });
    await waitFor('the subscription to the room is answered', () =>
      recorder.exchanges.slice(before).some(({ body }) => body.includes('"room_subscriptions"')),
    );
  }
  return { own, cast, recorder, alice, bob, room };
}

test('two users of matrix-rust-sdk talk over simplified sliding sync', { timeout: 300_000, skip }, async (t) => {
  const { recorder, alice, bob, room } = await meet(t, false);
  const main = { room };

  const hello = await alice.say(main, 'hello');
  await bob.lists(room, 'the last line, unread', ({ latest, unread }) => latest === 'hello' && unread === 1);
  await bob.sees(main, hello, 'hello', ({ body, sender }) => body === 'hello' && sender === alice.userId);
  assert.equal(await bob.ask('read', main), true);
  await alice.sees(main, hello, 'that bob has read it', ({ readBy }) => readBy.includes(bob.userId));
  await bob.lists(room, 'nothing unread', ({ unread, notifications }) => unread === 0 && notifications === 0);

  await bob.ask('type', { room, typing: true });
  await waitFor('alice sees bob type', async () => (await alice.ask<string[]>('typing', main)).includes(bob.userId));

  const reply = await bob.ask<string>('reply', { ...main, event: hello, body: 'hello yourself' });
  await alice.sees(main, reply, 'the reply', ({ repliesTo }) => repliesTo === hello);
  await waitFor('nobody types', async () => (await alice.ask<string[]>('typing', main)).length === 0);

  await alice.ask('edit', { ...main, event: hello, body: 'hello, bob' });
  await bob.sees(main, hello, 'the edit', ({ body, edited }) => edited && body === 'hello, bob');
  await alice.ask('react', { ...main, event: reply, key: '👍' });
  for (const user of [bob, alice]) {
    await user.sees(main, reply, 'the reaction', ({ reactions }) => reactions['👍']?.join() === alice.userId);
  }
  await alice.ask('react', { ...main, event: reply, key: '👍' });
  await bob.sees(main, reply, 'it withdrawn', ({ reactions }) => Object.keys(reactions).length === 0);
  const slip = await bob.say(main, 'a slip');
  await alice.sees(main, slip, 'the slip');
  await bob.ask('redact', { ...main, event: slip });
  await alice.sees(main, slip, 'it gone', ({ kind, body }) => kind === 'redacted' && body === null);

  const notified = await alice.say(main, 'do you hear me?');
  assert.deepEqual(await bob.ask('notification', { room, event: notified }), {
    room: 'The garden',
    sender: alice.userId,
    noisy: true,
  });
  const members = await bob.ask<string[]>('members', main);
  assert.deepEqual(members.sort(), [alice.userId, bob.userId].sort());
  assert.deepEqual(await bob.ask('search_users', { term: alice.userId.slice(1, 10) }), [alice.userId]);
  await bob.ask('leave', main);
  await waitFor('alice sees bob go', async () => (await alice.ask<string[]>('members', main)).join() === alice.userId);
  assert.deepEqual(recorder.unserved, []);
});

test('threads of matrix-rust-sdk: replies, summary, list, their own receipts', {
  timeout: 300_000,
  skip,
}, async (t) => {
  const { recorder, alice, bob, room } = await meet(t, false);
  const main = { room };
  const root = await alice.say(main, 'what do you think of this?');
  await bob.sees(main, root, 'the question');
  const thread = { room, thread: root };
  await bob.history(thread);
  const first = await bob.say(thread, 'of what?');
  await alice.sees(main, root, 'a reply in the thread', (line) => line.threadReplies === 1);
  await alice.sees(thread, first, 'the reply', ({ threadRoot }) => threadRoot === root);
  await alice.history(thread);
  const second = await alice.say(thread, 'of the roses');
  await bob.sees(thread, second, 'the answer', ({ threadRoot }) => threadRoot === root);
  for (const user of [alice, bob]) {
    await user.sees(main, root, 'two replies', (line) => {
      return line.threadReplies === 2 && line.latestReply === 'of the roses';
    });
    const bodies = (await user.history(main)).map(({ body }) => body);
    assert.deepEqual(bodies, ['what do you think of this?'], 'replies stay in their thread');
    const all = (await user.history(thread)).map(({ id }) => id);
    assert.deepEqual(all, [root, first, second]);
    assert.deepEqual(await user.ask('threads', main), [{ root, replies: 2, latest: 'of the roses' }]);
  }
  assert.equal(await bob.ask('read', thread), true);
  await alice.sees(thread, second, 'that bob has read it', ({ readBy }) => readBy.includes(bob.userId));
  assert.deepEqual(recorder.unserved, []);
});

test('matrix-rust-sdk in secret: two users, a second device, the backup', { timeout: 300_000, skip }, async (t) => {
  const { cast, recorder, alice, bob, room } = await meet(t, true);
  const main = { room };
  const said = new Map<string, string>();
  const say = async (who: RustParty, body: string): Promise<void> => {
    said.set(await who.say(main, body), body);
  };
  const allRead = async (...readers: readonly RustParty[]): Promise<void> => {
    for (const reader of readers) {
      for (const [id, body] of said) {
        await reader.sees(main, id, body, (line) => line.body === body && line.encrypted);
      }
    }
  };
  for (const who of [alice, bob]) await say(who, `${who.userId} says hello`);
  await allRead(alice, bob);
  const key = await alice.ask<string>('enable_recovery');
  assert.equal(await alice.ask('verification'), 'Verified');

  // A new device reads what comes from now on; the rest, once it has the recovery key.
  const laptop = await RustParty.login(t, recorder.url, cast.alice);
  await laptop.lists(room, 'the room', ({ membership }) => membership === 'Joined');
  assert.equal(await laptop.ask('verification'), 'Unverified');
  await waitFor('the laptop is known', async () => {
    await say(bob, `is this your laptop? (${said.size})`);
    const last = [...said.keys()].at(-1);
    return (await laptop.lines(main)).some(({ id, kind }) => id === last && kind === 'message');
  });
  // Lines that the SDK fetches while it fetches their keys from the backup stay unreadable: they are there before.
  await laptop.history(main);
  await laptop.ask('recover', { key });
  await waitFor('the laptop is verified', async () => (await laptop.ask('verification')) === 'Verified');
  await say(laptop, 'it is');
  await allRead(alice, bob, laptop);
  const pushed = await bob.say(main, 'good');
  assert.deepEqual(await laptop.ask('notification', { room, event: pushed }), {
    room: 'The garden',
    sender: bob.userId,
    noisy: true,
  });
  assert.deepEqual(recorder.unserved, []);
});

test('matrix-rust-sdk goes on after kills of the server and of itself', { timeout: 300_000, skip }, async (t) => {
  const { own, recorder, alice, bob, room } = await meet(t, true);
  const main = { room };
  const restart = restartOf(own);
  const said: string[] = [];
  for (let kill = 1; kill <= 3; kill++) {
    let restarted: Promise<void> = Promise.resolve();
    for (let line = 1; line <= 6; line++) {
      if (line === 3) restarted = restart();
      const who = line % 2 === 0 ? alice : bob;
      said.push(await who.say(main, `line ${line} of round ${kill}`));
    }
    await restarted;
  }
  const bothSee = async (): Promise<void> => {
    for (const user of [alice, bob]) {
      let shown: unknown[] = [];
      // While the SDK puts a gap of its timeline together, it shows lines twice or not at all.
      await waitFor(`${user.userId} sees every line`, async () => {
        shown = (await user.history(main)).filter(({ kind }) => kind === 'message').map(({ id }) => id);
        return isDeepStrictEqual(shown, said);
      }).catch(() => {});
      assert.deepEqual(shown, said, `${user.userId} sees every line once, in order`);
    }
  };
  await bothSee();

  // The app dies; it comes back with its session, its keys and the position of its syncs, while the server restarts too.
  await bob.kill();
  said.push(await alice.say(main, 'where are you?'));
  const before = recorder.exchanges.length;
  await bob.resume();
  await bob.lists(room, 'what it missed', ({ latest }) => latest === 'where are you?');
  await restart();
  said.push(await bob.say(main, 'here again'));
  await bothSee();
  const lost = recorder.exchanges.filter(({ errcode }) => errcode === 'M_UNKNOWN_POS');
  assert.deepEqual(lost, [], 'every connection goes on where it was');
  const syncs = recorder.exchanges.slice(before).filter(({ path }) => path.endsWith('/sync'));
  const anew = syncs.filter(({ query, body }) => query.get('pos') === null && body.includes('"room-list"'));
  assert.deepEqual(anew, [], 'no connection of a room list begins anew');
  assert.deepEqual(recorder.unserved, []);
});
