import { median, percentile } from './figures.js';
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
}

export const FULL: Amounts = {
  sends: { 1: 1_000, 16: 4_000, 64: 6_000, 128: 6_000 },
  sendsOverRooms: { 1: 1_000, 16: 4_000, 64: 6_000, 128: 6_000 },
  deliveries: 300,
  paged: 10_000,
  members: 1_000,
  manyRooms: 1_500,
  idleSeconds: 60,
  whoami: 10_000,
};
export const QUICK: Amounts = {
  sends: { 1: 200, 16: 1_000, 64: 2_000, 128: 2_000 },
  sendsOverRooms: { 1: 200, 16: 1_000, 64: 2_000, 128: 2_000 },
  deliveries: 50,
  paged: 4_000,
  members: 50,
  manyRooms: 200,
  idleSeconds: 5,
  whoami: 2_000,
};

/** Figures by their names, which carry their units: more is better where that is `/s`, otherwise less. */
export type Figures = Record<string, number>;

/** A homeserver under measurement; what is not known of it is left out of the figures. */
export interface Subject {
  /** From the start of its process to its first answer. */
  readonly startMs?: number;
  readonly usage?: Usage | undefined;
  /** A database that is a program of its own, whose use is counted in and also shown apart. */
  readonly database?: { readonly name: string; readonly usage: Usage };
  /** What its data takes on disk now. */
  diskBytes?(): Promise<number>;
}

const MB = 1e6;
const SETTLE_MS = 1_500;
const SEVERAL = 16;

/** Drives a homeserver through the whole workload, and reads what it costs. */
export async function measure(subject: Subject, generator: Generator, amounts: Amounts): Promise<Figures> {
  const figures: Figures = {};
  if (subject.startMs !== undefined) figures['start, ms'] = subject.startMs;
  await noteResident(figures, subject, 'idle');

  figures['whoami/s'] = await generator.run('whoami', { count: amounts.whoami, atOnce: 16 });
  figures['create a room, ms'] = median(await generator.run('createRooms', { count: 100 }));
  await accounts(figures, generator, 'hundred', 100, 15);
  await noteResident(figures, subject, 'after 100 rooms');

  await sends(figures, subject, generator, amounts);
  await deliveries(figures, generator, amounts.deliveries);
  figures['joins/s'] = await generator.run('join', { count: amounts.members, atOnce: 8 });
  figures[`join of a room of ${counted(amounts.members)}, ms`] = median(
    await generator.run('joinLarge', { count: 20 }),
  );
  await paging(figures, generator, amounts);
  await accounts(figures, generator, 'many', amounts.manyRooms, 5);
  await noteResident(figures, subject, 'after the load');
  await idle(figures, subject, generator, amounts.idleSeconds);
  return figures;
}

const counted = (count: number): string => count.toLocaleString('en');

async function noteResident(figures: Figures, { usage, database }: Subject, when: string): Promise<void> {
  await new Promise((later) => setTimeout(later, SETTLE_MS));
  if (usage === undefined) return;
  const apart = database === undefined ? 0 : database.usage.residentBytes();
  figures[`resident ${when}, MB`] = (usage.residentBytes() + apart) / MB;
  if (database !== undefined) figures[`resident ${when}, ${database.name} alone, MB`] = apart / MB;
}

async function accounts(
  figures: Figures,
  generator: Generator,
  name: string,
  rooms: number,
  count: number,
): Promise<void> {
  const of = `${counted(rooms)} rooms`;
  await generator.run('fillAccount', { name, rooms });
  const initial = await generator.run('initialSync', { name, count });
  figures[`initial sync, ${of}, ms`] = median(initial);
  const repeated = await generator.run('initialSync', { name, count, isRepeated: true });
  figures[`initial sync repeated, ${of}, ms`] = median(repeated);
  figures[`empty sync, ${of}, ms`] = median(await generator.run('emptySync', { name, count: 200 }));
}

async function sends(figures: Figures, subject: Subject, generator: Generator, amounts: Amounts): Promise<void> {
  const { usage, database } = subject;
  await generator.run('prepareRooms', { rooms: SEVERAL });
  const diskBefore = await subject.diskBytes?.();
  const cpuBefore = usage?.cpuSeconds();
  const databaseBefore = database?.usage.cpuSeconds() ?? 0;
  let events = 0;
  for (const [rooms, counts] of [
    [1, amounts.sends],
    [SEVERAL, amounts.sendsOverRooms],
  ] as const) {
    for (const [atOnce, count] of Object.entries(counts)) {
      const name = `sends/s, ${rooms === 1 ? 'one room' : `${rooms} rooms`}, ${atOnce} at once`;
      figures[name] = await generator.run('send', { count, atOnce: Number(atOnce), rooms });
      events += count;
    }
  }
  if (usage !== undefined && cpuBefore !== undefined) {
    const apart = (database?.usage.cpuSeconds() ?? 0) - databaseBefore;
    figures['CPU s per 10,000 sends'] = ((usage.cpuSeconds() - cpuBefore + apart) / events) * 10_000;
    if (database !== undefined) figures[`CPU s per 10,000 sends, ${database.name} alone`] = (apart / events) * 10_000;
  }
  if (subject.diskBytes !== undefined && diskBefore !== undefined) {
    figures['disk bytes per event'] = ((await subject.diskBytes()) - diskBefore) / events;
  }
}

async function deliveries(figures: Figures, generator: Generator, count: number): Promise<void> {
  const { sent, acked } = await generator.run('delivery', { count });
  figures['send to waiting sync, median ms'] = median(sent);
  figures['send to waiting sync, p99 ms'] = percentile(sent, 99);
  figures['acknowledgement to waiting sync, median ms'] = median(acked);
  figures['acknowledgement to waiting sync, p99 ms'] = percentile(acked, 99);
}

async function paging(figures: Figures, generator: Generator, { sends, paged }: Amounts): Promise<void> {
  const missing = paged - Object.values(sends).reduce((sum, count) => sum + count, 0);
  if (missing > 0) await generator.run('send', { count: missing, atOnce: 16, rooms: 1 });
  const perSecond = await generator.run('page', { count: paged, limit: 100 });
  figures[`messages paged/s, ${counted(paged)} by 100`] = perSecond;
}

async function idle(
  figures: Figures,
  { usage, database }: Subject,
  generator: Generator,
  seconds: number,
): Promise<void> {
  if (usage === undefined) return;
  const now = (): number => usage.cpuSeconds() + (database?.usage.cpuSeconds() ?? 0);
  const before = now();
  await generator.run('idle', { clients: 3, seconds });
  figures['three idle clients, % of a core'] = ((now() - before) / seconds) * 100;
}
