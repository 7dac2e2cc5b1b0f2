import assert from 'node:assert/strict';
import type { OwnServer } from '../../build/spec-tests/support/homeserver.js';
import { createToken, firstToken } from './server.ts';
import type { Account, Line, Session, Standing } from './session.ts';

const ROUNDS = 10;
const LINES_A_ROUND = 10;
const WAIT_MS = 60_000;
const POLL_MS = 50;

/** Asks until `ask` answers with something true, and returns that. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    assert.ok(performance.now() < deadline, `in vain waited until ${what}`);
    await new Promise((again) => setTimeout(again, POLL_MS));
  }
}

/** A function whose callers all wait until the last of `count` called it. */
function meeting(count: number): () => Promise<void> {
  let missing = count;
  let open = (): void => {};
  const complete = new Promise<void>((done) => {
    open = done;
  });
  return () => {
    missing--;
    if (missing === 0) open();
    return complete;
  };
}

/** A user of the conversation. */
interface User {
  readonly session: Session;
  readonly account: Account;
  /** Ids of what they said in the main timeline, in order. */
  readonly said: string[];
}

const expected = (users: readonly User[]): Map<string, string> =>
  new Map(users.flatMap((user) => user.said.map((id, index) => [id, bodyOf(user, index)] as const)));
const bodyOf = (user: User, index: number): string => `${user.account.userId} says line ${index + 1}`;

async function seen(user: User, room: string, what: string, holds: (standing: Standing) => boolean): Promise<void> {
  await until(`${user.account.userId} sees ${what}`, async () => holds(await user.session.standing(room)));
}

/** One user says the lines of a round, once the other saw them typing; awaits `onSaid` after each that is acknowledged. */
async function sayRound(
  user: User,
  other: User,
  room: string,
  onSaid: (lines: number) => Promise<void> | void,
): Promise<void> {
  await user.session.type(room, true);
  await seen(other, room, 'the other write', ({ typing }) => typing.includes(user.account.userId));
  for (let line = 1; line <= LINES_A_ROUND; line++) {
    user.said.push(await user.session.say(room, bodyOf(user, user.said.length)));
    await onSaid(line);
  }
  await user.session.type(room, false);
}

/** Reads up to the last line of the other, and waits until they see it. */
async function readRound(reader: User, writer: User, room: string): Promise<void> {
  const last = writer.said.at(-1) as string;
  await until(`${reader.account.userId} knows the last line`, () => reader.session.knows(room, last));
  await reader.session.read(room, last);
  await seen(writer, room, 'the receipt', ({ readUpTo }) => readUpTo[reader.account.userId] === last);
}

/**
 * Two people register, meet in a room and talk, and the server dies amidst and comes back. `session` makes a device
 * with empty hands; what it holds stays until the end.
 */
export async function converse(server: OwnServer, session: () => Promise<Session>): Promise<void> {
  const sessions: Session[] = [];
  try {
    await play(server, async () => {
      const made = await session();
      sessions.push(made);
      return made;
    });
  } finally {
    await Promise.allSettled(sessions.map((made) => made.stop()));
  }
}

async function play(server: OwnServer, newSession: () => Promise<Session>): Promise<void> {
  const token = await createToken(server);
  const join = async (name: string, with_: string): Promise<User> => {
    const device = await newSession();
    return { session: device, account: await device.register(server.url, name, `pw of ${name}`, with_), said: [] };
  };
  const alice = await join('alice', await firstToken(server));
  const bob = await join('bob', token);
  assert.deepEqual([alice.account.userId, bob.account.userId], ['@alice:localhost', '@bob:localhost']);
  await assert.rejects(join('mallory', token), /M_UNAUTHORIZED|M_FORBIDDEN/, 'a used token makes no second account');
  await assert.rejects(join('bob', await createToken(server)), /M_USER_IN_USE/, 'nobody takes a name that is taken');
  const both = [alice, bob] as const;

  const room = await alice.session.createRoom('The garden', bob.account.userId);
  await until('bob is invited', async () => (await bob.session.invitedTo()).includes(room));
  await bob.session.join(room);
  const members = both.map((user) => user.account.userId).sort();
  for (const user of both) {
    await seen(user, room, 'both in the room', ({ joined }) => [...joined].sort().join() === members.join());
    await seen(user, room, 'the name of the room', ({ name }) => name === 'The garden');
  }

  // A hundred lines each way. In the middle of it the server is killed while both send, and started again.
  for (let round = 0; round < ROUNDS; round++) {
    let restarted: Promise<void> | undefined;
    // Both wait for each other at half of their lines, so that the other sends one when the first has sent the next.
    const bothAtHalf = meeting(both.length);
    const amidst = (lines: number): Promise<void> | void => {
      if (lines === LINES_A_ROUND / 2) return bothAtHalf();
      if (lines > LINES_A_ROUND / 2) restarted ??= server.end('SIGKILL').then(() => server.start());
    };
    const onSaid = round === ROUNDS / 2 ? amidst : () => {};
    await Promise.all([sayRound(alice, bob, room, onSaid), sayRound(bob, alice, room, onSaid)]);
    await restarted;
    if (round === 0) {
      for (const user of both) await seen(user, room, 'nobody write', ({ typing }) => typing.length === 0);
      for (const user of both) await seen(user, room, 'ten unread lines', ({ unread }) => unread === LINES_A_ROUND);
    }
    await Promise.all([readRound(alice, bob, room), readRound(bob, alice, room)]);
    for (const user of both) await seen(user, room, 'nothing unread', ({ unread }) => unread === 0);
    if (round === 2) await decorate(alice, bob, room, 'before');
    if (round === ROUNDS - 2) await decorate(bob, alice, room, 'after');
  }

  // Every session noticed that the server was away, came back by itself, and is the session that it was.
  for (const user of both) {
    const standing = await user.session.standing(room);
    assert.ok(standing.syncStates.includes('RECONNECTING'), `${standing.syncStates}`);
    assert.equal(standing.syncStates.at(-1), 'SYNCING');
    assert.equal(standing.loggedOut, false);
    assert.deepEqual(standing.pending, [], 'nothing waits to be sent');
    assert.equal(new Set(standing.arrived).size, standing.arrived.length, 'no message arrived twice');
  }

  const [hers, his] = await Promise.all(both.map((user) => user.session.history(room)));
  assert.ok(hers && his);
  checkHistory(hers, both);
  assert.deepEqual(his, hers, 'both have the same timeline');
  await checkThreads(both, room, hers);

  // A device that comes afterwards reads the same from the server.
  const late = await newSession();
  await late.login(server.url, 'alice', 'pw of alice');
  assert.deepEqual(await late.history(room), hers, 'a new device has the same timeline');
  await checkThreads([{ session: late }], room, hers);
}

/** Lines that `decorate` works on, counted back from the last one of the speaker. */
const EDITED = 3;
const REACTED = 4;
const REDACTED = 5;
const ROOT = 6;

/** What else people do with messages; both see the outcome of each. */
async function decorate(speaker: User, listener: User, room: string, when: string): Promise<void> {
  const line = (back: number): string => speaker.said.at(-back) as string;
  const lineOf = async (user: User, back: number): Promise<Line> => {
    const found = (await user.session.history(room)).find(({ id }) => id === line(back));
    assert.ok(found);
    return found;
  };
  const bothSee = async (what: string, back: number, holds: (line: Line) => boolean): Promise<void> => {
    for (const user of [speaker, listener]) {
      await until(`${user.account.userId} sees ${what}`, async () => holds(await lineOf(user, back)));
    }
  };

  await speaker.session.edit(room, line(EDITED), 'a first thought');
  await speaker.session.edit(room, line(EDITED), `edited ${when} the restart`);
  await bothSee('the last edit', EDITED, ({ body }) => body === `edited ${when} the restart`);

  await listener.session.react(room, line(REACTED), '👍');
  await speaker.session.react(room, line(REACTED), '👍');
  const mistaken = await listener.session.react(room, line(REACTED), '👎');
  await bothSee('three reactions', REACTED, ({ reactions }) => reactions['👎']?.length === 1);
  await listener.session.redact(room, mistaken);
  await bothSee('a reaction withdrawn', REACTED, ({ reactions }) => Object.keys(reactions).join() === '👍');
  await bothSee('whose the others are', REACTED, ({ reactions }) => reactions['👍']?.length === 2);

  await speaker.session.redact(room, line(REDACTED));
  await bothSee('the redaction', REDACTED, ({ body }) => body === null);

  // A thread: its replies notify by themselves until they are read.
  const root = line(ROOT);
  await listener.session.sayInThread(room, root, `${when}: what do you mean?`);
  await seen(speaker, room, 'an unread reply', ({ unread }) => unread === 1);
  const answer = await speaker.session.sayInThread(room, root, `${when}: what I say`);
  const thread = async (user: User): Promise<Line[]> => user.session.thread(room, root);
  for (const user of [speaker, listener]) {
    await until(`${user.account.userId} sees the thread`, async () => (await thread(user)).length === 3);
  }
  await seen(listener, room, 'an unread answer', ({ unread }) => unread === 1);
  await listener.session.read(room, answer);
  await seen(listener, room, 'nothing unread', ({ unread }) => unread === 0);
  const question = (await thread(speaker))[1] as Line;
  await speaker.session.read(room, question.id);
  await seen(speaker, room, 'nothing unread', ({ unread }) => unread === 0);

  const reply = await listener.session.reply(room, line(1), `reply ${when} the restart`);
  await until('the speaker knows the reply', () => speaker.session.knows(room, reply));
  await speaker.session.read(room, reply);
  await seen(speaker, room, 'nothing unread', ({ unread }) => unread === 0);
}

/** Every line that anybody said is there once, in its speaker's order, with what was done to it. */
function checkHistory(history: readonly Line[], users: readonly User[]): void {
  const bodies = expected(users);
  for (const user of users) {
    const own = history.filter(({ sender, repliesTo }) => sender === user.account.userId && repliesTo === null);
    assert.deepEqual(
      own.map(({ id }) => id),
      user.said,
      `${user.account.userId}'s lines are there once, in order`,
    );
    assert.equal(own.length, ROUNDS * LINES_A_ROUND);
  }
  const plain = history.filter(({ edited, body, repliesTo }) => !edited && body !== null && repliesTo === null);
  for (const { id, body } of plain) assert.equal(body, bodies.get(id));
  assert.equal(plain.length, bodies.size - 4, 'two lines are edited and two redacted');
  const [alice, bob] = users.map((user) => user.account.userId);
  assert.deepEqual(
    history.filter(({ edited }) => edited).map(({ body, sender }) => [sender, body]),
    [
      [alice, 'edited before the restart'],
      [bob, 'edited after the restart'],
    ],
  );
  assert.deepEqual(
    history.filter(({ repliesTo }) => repliesTo !== null).map(({ body, sender }) => [sender, body]),
    [
      [bob, 'reply before the restart'],
      [alice, 'reply after the restart'],
    ],
  );
  assert.deepEqual(
    history.filter(({ reactions }) => Object.keys(reactions).length > 0).map(({ reactions }) => reactions),
    [{ '👍': [alice, bob] }, { '👍': [alice, bob] }],
  );
}

/** The two threads have two replies each; a device that only just learnt of them may still be fetching. */
async function checkThreads(
  users: readonly Pick<User, 'session'>[],
  room: string,
  history: readonly Line[],
): Promise<void> {
  const expected = ['before', 'after'].map((when) => [`${when}: what do you mean?`, `${when}: what I say`]);
  for (const { session } of users) {
    const threads = async (): Promise<(string | null)[][]> => {
      const all = await Promise.all(history.map(({ id }) => session.thread(room, id)));
      return all.filter((lines) => lines.length > 0).map((lines) => lines.slice(1).map(({ body }) => body));
    };
    const deadline = performance.now() + WAIT_MS;
    while ((await threads()).flat().length < expected.flat().length && performance.now() < deadline) {
      await new Promise((again) => setTimeout(again, POLL_MS));
    }
    assert.deepEqual(await threads(), expected);
  }
}
