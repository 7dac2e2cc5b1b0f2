import { type Done, drive, type Json, times, type User, type World } from './world.js';

/**
 * Plain client-server work, each step a function of its arguments; what a step returns are figures. A step that takes `withinMs`
 * begins nothing more after so long, and tells how much it has done.
 */
export const STEPS = {
  whoami,
  createRooms,
  fillAccount,
  initialSync,
  emptySync,
  prepareRooms,
  send,
  delivery,
  join,
  joinLarge,
  page,
  idle,
} as const;

export type StepName = keyof typeof STEPS;
export type StepArguments<Name extends StepName> = Parameters<(typeof STEPS)[Name]>[1];
export type StepResult<Name extends StepName> = Awaited<ReturnType<(typeof STEPS)[Name]>>;

const OWNER = 'owner';
const LARGE_ROOM = 'large room';
const SYNC = '/_matrix/client/v3/sync';
/** Requests before those that are timed, at most so many and so long. */
const WARM_UP = { count: 20_000, withinMs: 3_000 };

async function roomsOf(world: World, user: User, count: number): Promise<string[]> {
  const rooms = world.rooms.get(user.id) ?? [];
  world.rooms.set(user.id, rooms);
  const make = async (): Promise<void> => void rooms.push(await world.createRoom(user, { preset: 'private_chat' }));
  // The first one alone: tuwunel before 1.8.3 may give a user's first memberships, where they are made at once, two numbers.
  if (rooms.length === 0 && count > 0) await make();
  await drive(count - rooms.length, 4, make);
  return rooms.slice(0, count);
}

/** Work that can be cut short: `count` pieces of it, `atOnce` at a time. */
interface Boxed {
  readonly count: number;
  readonly atOnce: number;
  /** Without it, all of the work is done. */
  readonly withinMs?: number;
}

async function whoami(world: World, { count, atOnce, withinMs }: Boxed): Promise<Done> {
  const user = await world.user(OWNER);
  const work = (): Promise<Buffer> => world.bytes('GET', '/_matrix/client/v3/account/whoami', user);
  await drive(WARM_UP.count, atOnce, work, WARM_UP.withinMs);
  return drive(count, atOnce, work, withinMs);
}

/** Milliseconds of each creation, one after the other. */
async function createRooms(world: World, { count }: { count: number }): Promise<number[]> {
  const user = await world.user('creator');
  return times(count, () => world.createRoom(user, { preset: 'private_chat', name: 'A room' }));
}

/** Gives the account `name` this many rooms with one message each. */
async function fillAccount(world: World, { name, rooms }: { name: string; rooms: number }): Promise<void> {
  const user = await world.user(name);
  const made = await roomsOf(world, user, rooms);
  await drive(made.length, 4, (i) => world.send(user, made[i]!));
}

/**
 * Milliseconds of each sync without a token. A server may keep whole answers and give them again to the same request, so each
 * differs in its timeout, which means nothing here; those that repeat one are `isRepeated`.
 */
async function initialSync(
  world: World,
  given: { name: string; count: number; withinMs: number; isRepeated?: boolean },
): Promise<number[]> {
  const user = await world.user(given.name);
  const path = (): string => `${SYNC}?timeout=${given.isRepeated ? 0 : world.serial()}`;
  if (given.isRepeated) await world.bytes('GET', path(), user);
  return times(given.count, () => world.bytes('GET', path(), user), given.withinMs);
}

/** Milliseconds of each sync that has nothing to tell. */
async function emptySync(world: World, { name, count }: { name: string; count: number }): Promise<number[]> {
  const user = await world.user(name);
  let since = (await world.sync(user, 'timeout=0'))['next_batch'] as string;
  since = (await world.sync(user, `timeout=0&since=${encodeURIComponent(since)}`))['next_batch'] as string;
  return times(count, () => world.sync(user, `timeout=0&since=${encodeURIComponent(since)}`));
}

/** Makes the rooms that `send` sends into. */
async function prepareRooms(world: World, { rooms }: { rooms: number }): Promise<void> {
  await roomsOf(world, await world.user(OWNER), rooms);
}

/** Sends over `rooms` rooms, each done once it is acknowledged. */
async function send(world: World, given: Boxed & { rooms: number }): Promise<Done> {
  const user = await world.user(OWNER);
  const rooms = await roomsOf(world, user, given.rooms);
  return drive(given.count, given.atOnce, (i) => world.send(user, rooms[i % rooms.length]!), given.withinMs);
}

/**
 * Milliseconds from the start of a send, and from its acknowledgement (0 where the event came first), to the end of the
 * sync of another user who was waiting for it.
 */
async function delivery(
  world: World,
  { count, withinMs }: { count: number; withinMs: number },
): Promise<{ sent: number[]; acked: number[] }> {
  const [sender, reader] = [await world.user('sender'), await world.user('reader')];
  const room = await world.createRoom(sender, { preset: 'public_chat' });
  await world.ok('POST', `/_matrix/client/v3/join/${encodeURIComponent(room)}`, reader, {});
  let since = (await world.sync(reader, 'timeout=0'))['next_batch'] as string;
  const poll = async (): Promise<{ ids: string[]; atMs: number }> => {
    const body = await world.sync(reader, `timeout=10000&since=${encodeURIComponent(since)}`);
    since = body['next_batch'] as string;
    return { ids: eventIds(body, room), atMs: performance.now() };
  };
  const sent: number[] = [];
  const acked: number[] = [];
  const beganMs = performance.now();
  while (sent.length < count && performance.now() - beganMs < withinMs) {
    const waiting = poll();
    // The sync should be waiting on the server when the send arrives there.
    await new Promise((later) => setTimeout(later, 5));
    const fromMs = performance.now();
    const event = await world.send(sender, room);
    const ackedMs = performance.now();
    let got = await waiting;
    while (!got.ids.includes(event)) got = await poll();
    sent.push(got.atMs - fromMs);
    acked.push(Math.max(0, got.atMs - ackedMs));
  }
  return { sent, acked };
}

function eventIds(sync: Json, room: string): string[] {
  const rooms = sync['rooms'] as { join?: Record<string, { timeline?: { events?: { event_id: string }[] } }> };
  return (rooms?.join?.[room]?.timeline?.events ?? []).map((event) => event.event_id);
}

/** Joins into one public room, of users who exist already; those before `from` are in it. */
async function join(world: World, given: Boxed & { from: number }): Promise<Done> {
  const { from, count, atOnce, withinMs } = given;
  const room =
    world.rooms.get(LARGE_ROOM)?.[0] ?? (await world.createRoom(await world.user(OWNER), { preset: 'public_chat' }));
  world.rooms.set(LARGE_ROOM, [room]);
  const users = await newcomers(world, 'member', from + count);
  return drive(count, atOnce, (i) => joinRoom(world, room, users[from + i]!), withinMs);
}

/** Milliseconds of each join, one after the other, into the room that `join` has filled. */
async function joinLarge(world: World, { count }: { count: number }): Promise<number[]> {
  const [room] = world.rooms.get(LARGE_ROOM)!;
  const users = await newcomers(world, 'latecomer', count);
  return times(count, (i) => joinRoom(world, room!, users[i]!));
}

async function newcomers(world: World, name: string, count: number): Promise<User[]> {
  const users: User[] = [];
  await drive(count, 4, async (i) => {
    users[i] = await world.user(`${name}-${i}`);
  });
  return users;
}

async function joinRoom(world: World, room: string, user: User): Promise<void> {
  await world.bytes('POST', `/_matrix/client/v3/join/${encodeURIComponent(room)}`, user, {});
}

/** Events seen, paging back from the newest of the room that `send` with one room has filled, `count` of them at most. */
async function page(world: World, given: { count: number; limit: number; withinMs: number }): Promise<Done> {
  const { count, limit, withinMs } = given;
  const user = await world.user(OWNER);
  const [room] = await roomsOf(world, user, 1);
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room!)}/messages?dir=b&limit=${limit}`;
  const fromMs = performance.now();
  let seen = 0;
  for (let from = ''; seen < count && performance.now() - fromMs < withinMs; ) {
    const body = await world.ok('GET', path + from, user);
    seen += (body['chunk'] as unknown[]).length;
    if (typeof body['end'] !== 'string') break;
    from = `&from=${encodeURIComponent(body['end'])}`;
  }
  return { count: seen, seconds: (performance.now() - fromMs) / 1000 };
}

/** `clients` clients that wait for news with syncs of 30 s, as many seconds; nothing happens meanwhile. */
async function idle(world: World, { clients, seconds }: { clients: number; seconds: number }): Promise<void> {
  const untilMs = performance.now() + seconds * 1000;
  const wait = async (_: unknown, i: number): Promise<void> => {
    const user = await world.user(`idle-${i}`);
    let since = (await world.sync(user, 'timeout=0'))['next_batch'] as string;
    for (let leftMs = 1; leftMs > 0; ) {
      leftMs = untilMs - performance.now();
      const timeout = Math.max(0, Math.min(30_000, Math.round(leftMs)));
      since = (await world.sync(user, `timeout=${timeout}&since=${encodeURIComponent(since)}`))['next_batch'] as string;
    }
  };
  await Promise.all(Array.from({ length: clients }, wait));
}
