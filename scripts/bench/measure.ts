import { median, percentile } from './figures.js';
import { type Command, ServerProcess } from './process.js';
import type { Run } from './run.js';
import type { Usage } from './usage.js';
import type { Generator } from './workload/generator.js';

/** How much work a measurement does. */
export interface Amounts {
  /** Sends at each concurrency, by the number of requests at once: in one room, and over 16. */
  readonly sends: Readonly<Record<number, number>>;
  readonly sendsOverRooms: Readonly<Record<number, number>>;
  readonly deliveries: number;
  /** Messages that are paged through; the room is filled up to as many. */
  readonly paged: number;
  readonly members: number;
  readonly manyRooms: number;
  readonly idleSeconds: number;
  readonly whoami: number;
  /** After so long a step that gives a rate, or is repeated as often as wanted, begins nothing more. */
  readonly withinMs: number;
}

/** So long that only a server that is broken is cut short. */
const GENEROUS_MS = 600_000;

export const FULL: Amounts = {
  sends: { 1: 1_000, 16: 4_000, 64: 6_000, 128: 6_000 },
  sendsOverRooms: { 1: 1_000, 16: 4_000, 64: 6_000, 128: 6_000 },
  deliveries: 1_000,
  paged: 10_000,
  members: 1_000,
  manyRooms: 1_500,
  idleSeconds: 60,
  whoami: 10_000,
  withinMs: GENEROUS_MS,
};
export const QUICK: Amounts = {
  sends: { 1: 200, 16: 1_000, 64: 2_000, 128: 2_000 },
  sendsOverRooms: { 1: 200, 16: 1_000, 64: 2_000, 128: 2_000 },
  deliveries: 100,
  paged: 4_000,
  members: 50,
  manyRooms: 200,
  idleSeconds: 5,
  whoami: 2_000,
  withinMs: GENEROUS_MS,
};

/** A homeserver under measurement; what is not known of it is left out of the figures. */
export interface Subject {
  readonly usage?: Usage | undefined;
  /** A database that is a program of its own, whose use is counted in and also shown apart. */
  readonly database?: { readonly name: string; readonly usage: Usage };
  /** What its data takes on disk now. */
  diskBytes?(): Promise<number>;
}

const MB = 1e6;
const SETTLE_MS = 1_500;
/** As long as servers take to tidy up once a load is over: that is not idling. */
const IDLE_SETTLE_MS = 4_000;
const SEVERAL = 16;
/** Sends before those that are timed, at most so many and so long: no server has only just been started for most of its life. */
const WARM_UP = { count: 5_000, atOnce: 16, rooms: SEVERAL, withinMs: 5_000 };

/** One start is a tenth of a second, in which a machine that does other things too may be anywhere. */
const STARTS = 5;

/**
 * Starts a homeserver on its empty directory, stops it, and starts it several times over what it has made there, as it starts on
 * every other day of its life.
 */
export async function startAgain(run: Run, command: Command): Promise<ServerProcess> {
  let server = await ServerProcess.start(command);
  run.note('first start, ms', server.startMs);
  const starts: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    await server.stop();
    server = await ServerProcess.start(command);
    starts.push(server.startMs);
  }
  run.note('start, ms', median(starts));
  return server;
}

/** Drives a homeserver, which has just been started, through the whole workload, and notes what it costs. */
export async function measure(run: Run, subject: Subject, generator: Generator, amounts: Amounts): Promise<void> {
  const { whoami, withinMs, idleSeconds } = amounts;
  await noteResident(run, subject, 'idle');

  run.noteRate('whoami/s', await generator.run('whoami', { count: whoami, atOnce: 16, withinMs }), whoami);
  run.note('create a room, ms', median(await generator.run('createRooms', { count: 100 })));
  await accounts(run, generator, 'hundred', 100, 15, withinMs);
  await noteResident(run, subject, 'after 100 rooms');

  const inOneRoom = await sends(run, subject, generator, amounts);
  await deliveries(run, generator, amounts);
  await joins(run, generator, amounts);
  await paging(run, generator, amounts, inOneRoom);
  await accounts(run, generator, 'many', amounts.manyRooms, 5, withinMs);
  await noteResident(run, subject, 'after the load');
  await idle(run, subject, generator, idleSeconds);
  await noteResident(run, subject, `after ${idleSeconds} s of rest`);
}

const counted = (count: number): string => count.toLocaleString('en');

/** Notes the memory that a homeserver holds when its work of before is over. */
export async function noteResident(run: Run, { usage, database }: Subject, when: string): Promise<void> {
  await new Promise((later) => setTimeout(later, SETTLE_MS));
  if (usage === undefined) return;
  const apart = database?.usage;
  run.note(`resident ${when}, MB`, (usage.residentBytes() + (apart?.residentBytes() ?? 0)) / MB);
  run.note(`resident ${when}, private alone, MB`, (usage.privateBytes() + (apart?.privateBytes() ?? 0)) / MB);
  if (database !== undefined) {
    run.note(`resident ${when}, ${database.name} alone, MB`, database.usage.residentBytes() / MB);
  }
}

async function accounts(
  run: Run,
  generator: Generator,
  name: string,
  rooms: number,
  count: number,
  withinMs: number,
): Promise<void> {
  const of = `${counted(rooms)} rooms`;
  await generator.run('fillAccount', { name, rooms });
  const initial = await generator.run('initialSync', { name, count, withinMs });
  run.note(`initial sync, ${of}, ms`, median(initial));
  run.tellCut(`initial sync, ${of}`, initial.length, count);
  const repeated = await generator.run('initialSync', { name, count, withinMs, isRepeated: true });
  run.note(`initial sync repeated, ${of}, ms`, median(repeated));
  run.tellCut(`initial sync repeated, ${of}`, repeated.length, count);
  run.note(`empty sync, ${of}, ms`, median(await generator.run('emptySync', { name, count: 200 })));
}

/** Resolves with how many messages there are now in the one room. */
async function sends(run: Run, subject: Subject, generator: Generator, amounts: Amounts): Promise<number> {
  const { usage, database } = subject;
  await generator.run('prepareRooms', { rooms: SEVERAL });
  const diskBefore = await subject.diskBytes?.();
  const warmUp = await generator.run('send', WARM_UP);
  const cpuBefore = usage?.cpuSeconds();
  const databaseBefore = database?.usage.cpuSeconds() ?? 0;
  const inOneRoom = await sendsInto(run, generator, 1, amounts.sends, amounts.withinMs);
  const events = inOneRoom + (await sendsInto(run, generator, SEVERAL, amounts.sendsOverRooms, amounts.withinMs));
  if (usage !== undefined && cpuBefore !== undefined) {
    const apart = (database?.usage.cpuSeconds() ?? 0) - databaseBefore;
    run.note('CPU s per 10,000 sends', ((usage.cpuSeconds() - cpuBefore + apart) / events) * 10_000);
    if (database !== undefined) run.note(`CPU s per 10,000 sends, ${database.name} alone`, (apart / events) * 10_000);
  }
  if (subject.diskBytes !== undefined && diskBefore !== undefined) {
    run.note('disk bytes per event', ((await subject.diskBytes()) - diskBefore) / (warmUp.count + events));
  }
  return inOneRoom;
}

/** Sends at each concurrency of `counts`; resolves with how many sends that were. */
async function sendsInto(
  run: Run,
  generator: Generator,
  rooms: number,
  counts: Amounts['sends'],
  withinMs: number,
): Promise<number> {
  let events = 0;
  for (const [atOnce, count] of Object.entries(counts)) {
    const row = `sends/s, ${rooms === 1 ? 'one room' : `${rooms} rooms`}, ${atOnce} at once`;
    const done = await generator.run('send', { count, atOnce: Number(atOnce), rooms, withinMs });
    run.noteRate(row, done, count);
    events += done.count;
  }
  return events;
}

async function deliveries(run: Run, generator: Generator, { deliveries: count, withinMs }: Amounts): Promise<void> {
  const { sent, acked } = await generator.run('delivery', { count, withinMs });
  run.tellCut('send to waiting sync', sent.length, count);
  run.note('send to waiting sync, median ms', median(sent));
  run.note('send to waiting sync, p99 ms', percentile(sent, 99));
  run.note('acknowledgement to waiting sync, median ms', median(acked));
  run.note('acknowledgement to waiting sync, p99 ms', percentile(acked, 99));
}

async function joins(run: Run, generator: Generator, { members, withinMs }: Amounts): Promise<void> {
  const timed = await generator.run('join', { from: 0, count: members, atOnce: 8, withinMs });
  run.noteRate('joins/s', timed, members);
  // The next row is of a room of the same size on every server: who is still missing joins untimed, where that does not take long.
  const missing = { from: timed.count, count: members - timed.count };
  const untimed = await generator.run('join', { ...missing, atOnce: 8, withinMs: 2 * withinMs });
  const row = `join of a room of ${counted(members)}, ms`;
  run.tellCut(`filling the room, without which there is no '${row}'`, timed.count + untimed.count, members);
  if (untimed.count < missing.count) return;
  run.note(row, median(await generator.run('joinLarge', { count: 20 })));
}

async function paging(run: Run, generator: Generator, { paged, withinMs }: Amounts, inOneRoom: number): Promise<void> {
  const missing = Math.max(0, paged - inOneRoom);
  const filled = await generator.run('send', { count: missing, atOnce: 16, rooms: 1, withinMs });
  run.tellCut('filling the room to page through', inOneRoom + filled.count, paged);
  const seen = await generator.run('page', { count: paged, limit: 100, withinMs });
  run.noteRate(`messages paged/s, ${counted(paged)} by 100`, seen, paged);
}

async function idle(run: Run, { usage, database }: Subject, generator: Generator, seconds: number): Promise<void> {
  if (usage === undefined) return;
  // Once without waiting, so that making the accounts is not counted; nor is what a server does once the work is over.
  await generator.run('idle', { clients: 3, seconds: 0 });
  const waiting = generator.run('idle', { clients: 3, seconds: IDLE_SETTLE_MS / 1_000 + seconds });
  await new Promise((later) => setTimeout(later, IDLE_SETTLE_MS));
  const used = [usage, database?.usage].map((one) => one?.countCpu() ?? (() => 0));
  await waiting;
  run.note('three idle clients, % of a core', (used.reduce((sum, one) => sum + one(), 0) / seconds) * 100);
}
