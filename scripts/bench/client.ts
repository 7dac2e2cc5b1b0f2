import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Filled, fill, type Sizes } from './client/fill.js';
import { measureHierarchy } from './client/hierarchy.js';
import { Report } from './client/report.js';
import { measureSearch } from './client/search.js';
import { measureSliding } from './client/sliding.js';
import { measureThumbnails } from './client/thumbnails.js';
import { shown } from './figures.js';
import { diskBytes, freePort, runnel, ServerProcess } from './process.js';
import { machine, publish } from './publish.js';
import { type User, World } from './workload/world.js';

/**
 * `npm run bench -- client`: what the heavier questions of clients cost over a large database: search, the hierarchy of a
 * space, sliding sync, thumbnails.
 */
const HELP = `npm run bench -- client [--quick] [--messages 1000000] [--only search,hierarchy,sliding,thumbnails] [--write]`;
const PROBE = join(import.meta.dirname, 'client/probe.js');

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    messages: { type: 'string' },
    only: { type: 'string', default: 'search,hierarchy,sliding,thumbnails' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const messages = Number(values.messages ?? (values.quick ? 20_000 : 1_000_000));
const sizes: Sizes = values.quick
  ? { messages, messageRooms: 20, spaceRooms: 100, syncedRooms: 150 }
  : { messages, messageRooms: 100, spaceRooms: 1_000, syncedRooms: 1_500 };
/** How often the cheaper things are asked for. */
const count = values.quick ? 10 : 50;

interface Users {
  readonly searcher: User;
  readonly syncer: User;
  readonly stranger: User;
}

async function measureAll(world: World, server: ServerProcess, users: Users, filled: Filled): Promise<string> {
  const report = new Report(server);
  const { searcher, syncer, stranger } = users;
  const parts: Readonly<Record<string, () => Promise<void>>> = {
    search: () => measureSearch(world, report, { viewer: searcher, messages, largestRoom: filled.largestRoom, count }),
    hierarchy: () =>
      measureHierarchy(world, report, { viewer: stranger, space: filled.space, rooms: sizes.spaceRooms, count: 5 }),
    sliding: () => measureSliding(world, report, { user: syncer, rooms: sizes.syncedRooms, count }),
    thumbnails: () => measureThumbnails(world, report, { user: stranger, count: count * 4 }),
  };
  for (const name of values.only.split(',')) {
    const part = parts[name];
    if (part === undefined) throw new Error(`there is no part '${name}'; ${HELP}`);
    await part();
  }
  return report.toString();
}

/** Makes accounts, fills the database behind the stopped server's back, and measures with the server started anew. */
async function run(directory: string): Promise<string> {
  const secret = randomBytes(16).toString('hex');
  const command = { ...runnel(directory, await freePort(), secret, ['--import', PROBE]), isProbed: true };
  const world = new World({ url: command.url, sharedSecret: secret });
  const empty = await ServerProcess.start(command);
  const users = {
    searcher: await world.user('searcher'),
    syncer: await world.user('syncer'),
    stranger: await world.user('stranger'),
  };
  await empty.stop();
  const filled = await fill(command.env, { searcher: users.searcher.id, syncer: users.syncer.id }, sizes);
  const bytes = await diskBytes(directory);
  const server = await ServerProcess.start(command);
  try {
    const resident = server.residentBytes();
    const table = await measureAll(world, server, users, filled);
    return [
      `${messages.toLocaleString('en')} messages in ${sizes.messageRooms} rooms, written at ${shown(filled.perSecond)} a second; `,
      `${shown(bytes / 1e6)} MB on disk with all rooms. The server answered ${shown(server.startMs)} ms after its start, and had `,
      `${shown(resident / 1e6)} MB resident then.\n\n${table}\n`,
    ].join('');
  } finally {
    await server.stop();
  }
}

const before = machine();
const directory = await mkdtemp(join(tmpdir(), 'runnel-bench-'));
try {
  const report = `${before}.\n\n${await run(directory)}`;
  console.log(report);
  if (values.write) await publish('client', report);
} finally {
  await rm(directory, { recursive: true, force: true });
}
