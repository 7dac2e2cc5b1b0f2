import { median, percentile } from './figures.js';
import { diskBytes, type ServerProcess } from './process.js';
import type { Generator } from './workload/generator.js';

/** How much work a measurement does. */
export interface Amounts {
  /** Sends at each concurrency, by the number of requests at once. */
  readonly sends: Readonly<Record<number, number>>;
  readonly deliveries: number;
  readonly members: number;
  readonly manyRooms: number;
  readonly idleSeconds: number;
  readonly whoami: number;
}

export const FULL: Amounts = {
  sends: { 1: 1_000, 16: 4_000, 64: 6_000, 128: 6_000 },
  deliveries: 300,
  members: 300,
  manyRooms: 1_500,
  idleSeconds: 60,
  whoami: 10_000,
};
export const QUICK: Amounts = {
  sends: { 1: 200, 16: 1_000, 64: 2_000, 128: 2_000 },
  deliveries: 50,
  members: 50,
  manyRooms: 200,
  idleSeconds: 5,
  whoami: 2_000,
};

/** Figures by their names, which carry their units. */
export type Figures = Record<string, number>;

const MB = 1e6;
const SETTLE_MS = 1_500;

/**
 * Drives a homeserver that has just started through the whole workload, and reads what it costs. `directory` is where its
 * data lies; without one there is no figure for the disk.
 */
export async function measure(
  server: ServerProcess,
  generator: Generator,
  amounts: Amounts,
  directory: string | undefined,
): Promise<Figures> {
  const figures: Figures = { 'start, ms': server.startMs };
  await settled();
  figures['resident idle, MB'] = server.residentBytes() / MB;

  figures['whoami/s'] = await generator.run('whoami', { count: amounts.whoami, atOnce: 16 });
  figures['create a room, ms'] = median(await generator.run('createRooms', { count: 100 }));
  await generator.run('fillAccount', { name: 'hundred', rooms: 100 });
  figures['initial sync, 100 rooms, ms'] = median(await generator.run('initialSync', { name: 'hundred', count: 15 }));
  figures['empty sync, 100 rooms, ms'] = median(await generator.run('emptySync', { name: 'hundred', count: 200 }));
  await settled();
  figures['resident after 100 rooms, MB'] = server.residentBytes() / MB;

  await sends(server, generator, amounts, directory, figures);

  const { sent, acked } = await generator.run('delivery', { count: amounts.deliveries });
  figures['send to waiting sync, median ms'] = median(sent);
  figures['send to waiting sync, p99 ms'] = percentile(sent, 99);
  figures['acknowledgement to waiting sync, median ms'] = median(acked);
  figures['acknowledgement to waiting sync, p99 ms'] = percentile(acked, 99);
  figures['joins/s'] = await generator.run('join', { count: amounts.members, atOnce: 8 });
  figures['messages paged/s'] = await generator.run('page', { count: 10_000, limit: 100 });

  const many = amounts.manyRooms.toLocaleString('en');
  await generator.run('fillAccount', { name: 'many', rooms: amounts.manyRooms });
  figures[`initial sync, ${many} rooms, ms`] = median(await generator.run('initialSync', { name: 'many', count: 5 }));
  figures[`empty sync, ${many} rooms, ms`] = median(await generator.run('emptySync', { name: 'many', count: 200 }));
  await settled();
  figures['resident after the load, MB'] = server.residentBytes() / MB;

  const before = server.cpuSeconds();
  await generator.run('idle', { clients: 3, seconds: amounts.idleSeconds });
  figures['three idle clients, % of a core'] = ((server.cpuSeconds() - before) / amounts.idleSeconds) * 100;
  return figures;
}

async function sends(
  server: ServerProcess,
  generator: Generator,
  { sends }: Amounts,
  directory: string | undefined,
  figures: Figures,
): Promise<void> {
  const diskBefore = directory === undefined ? 0 : await diskBytes(directory);
  const cpuBefore = server.cpuSeconds();
  let events = 0;
  for (const rooms of [1, 16]) {
    for (const [atOnce, count] of Object.entries(sends)) {
      if (rooms > Number(atOnce)) continue;
      const name = `sends/s, ${rooms === 1 ? 'one room' : `${rooms} rooms`}, ${atOnce} at once`;
      figures[name] = await generator.run('send', { count, atOnce: Number(atOnce), rooms });
      events += count;
    }
  }
  figures['CPU s per 10,000 sends'] = ((server.cpuSeconds() - cpuBefore) / events) * 10_000;
  if (directory !== undefined) {
    figures['disk bytes per event'] = ((await diskBytes(directory)) - diskBefore) / events;
  }
}

const settled = (): Promise<void> => new Promise((later) => setTimeout(later, SETTLE_MS));
