import { type Json, times, type User, type World } from '../workload/world.js';
import type { Report } from './report.js';

const PAGE = 50;

async function page(world: World, viewer: User, space: string, from: string | undefined): Promise<Json> {
  const query = from === undefined ? '' : `&from=${encodeURIComponent(from)}`;
  return world.ok(
    'GET',
    `/_matrix/client/v1/rooms/${encodeURIComponent(space)}/hierarchy?limit=${PAGE}${query}`,
    viewer,
  );
}

/** All pages, one after the other; the tokens of all but the first. */
async function walk(world: World, viewer: User, space: string, rooms: number): Promise<string[]> {
  const tokens: string[] = [];
  let seen = 0;
  for (let from: string | undefined; ; tokens.push(from)) {
    const body = await page(world, viewer, space, from);
    seen += (body['rooms'] as unknown[]).length;
    if (typeof body['next_batch'] !== 'string') break;
    from = body['next_batch'];
  }
  if (seen !== rooms + 1) throw new Error(`the walk came to ${seen} rooms, not to all ${rooms + 1}`);
  return tokens;
}

/** Walks through a space for one who is in none of its rooms: the first time since the server was started, and again. */
export async function measureHierarchy(
  world: World,
  report: Report,
  { viewer, space, rooms, count }: { viewer: User; space: string; rooms: number; count: number },
): Promise<void> {
  const name = `hierarchy of ${rooms.toLocaleString('en')} rooms`;
  let tokens: string[] = [];
  await report.times(`${name}, all pages of ${PAGE}, first time`, () =>
    times(1, async () => {
      tokens = await walk(world, viewer, space, rooms);
    }),
  );
  await report.times(`${name}, all pages, again`, () => times(count, () => walk(world, viewer, space, rooms)));
  await report.times(`${name}, first page`, () => times(count * 3, () => page(world, viewer, space, undefined)));
  await report.times(`${name}, last page`, () => times(count * 3, () => page(world, viewer, space, tokens.at(-1))));
}
