import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Level } from 'level';
import { parseJson } from '#core/json.js';
import { sha256, signingKeyFromSeed } from '#core/signing.js';
import { type Figures, table } from './figures.js';
import { freePort, ServerProcess } from './process.js';
import { machine, publish } from './publish.js';
import { Connection } from './workload/connection.js';
import { drive, rate, times } from './workload/world.js';

/**
 * `npm run bench -- limits`: what this machine gives at best for the pieces that requests are made of, with as little around
 * each as can be. What the server does can't be quicker than the pieces it needs.
 */
const HELP = 'npm run bench -- limits [--runs 3] [--write]';
const ROW = Buffer.alloc(700, 'x');
const MB = 1e6;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const middle = (taken: number[]): number => taken.sort((a, b) => a - b)[taken.length >> 1]!;

/** How often a second `work` runs, one after the other, after a warm-up. */
function repeated(count: number, work: (index: number) => unknown): number {
  for (let i = 0; i < count / 10; i++) work(i);
  const from = performance.now();
  for (let i = 0; i < count; i++) work(i);
  return (count / (performance.now() - from)) * 1000;
}

/** A bare HTTP server in a process of its own. */
async function http(figures: Figures): Promise<void> {
  const port = await freePort();
  const server = await ServerProcess.start({
    command: process.execPath,
    args: [join(import.meta.dirname, 'limits/bare-server.js')],
    env: { PORT: String(port) },
    url: `http://127.0.0.1:${port}`,
  });
  try {
    figures['bare server: start, ms'] = server.startMs;
    figures['bare server: resident, MB'] = server.residentBytes() / MB;
    const lanes = Array.from({ length: 64 }, () => new Connection(server.url));
    const idle = [...lanes];
    const ask = async (method: string, body?: unknown): Promise<void> => {
      const lane = idle.pop()!;
      await lane.request(method, '/', { token: 'x'.repeat(40), body });
      idle.push(lane);
    };
    const message = { msgtype: 'm.text', body: 'x'.repeat(40) };
    await drive(3_000, 16, () => ask('GET'));
    figures['bare server: GET, 16 at once, a second'] = rate(await drive(20_000, 16, () => ask('GET')));
    figures['bare server: PUT, 64 at once, a second'] = rate(await drive(20_000, 64, () => ask('PUT', message)));
    figures['bare server: GET, one at a time, ms'] = middle(await times(3_000, () => ask('GET')));
    for (const lane of lanes) lane.close();
  } finally {
    await server.stop();
  }
}

/** LevelDB with a disk sync for each write. */
async function disk(figures: Figures): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-limits-'));
  const level = new Level<string, Buffer>(directory, { valueEncoding: 'buffer' });
  try {
    let next = 0;
    const key = (): string => String(next++).padStart(12, '0');
    const one = (): Promise<void> => level.put(key(), ROW, { sync: true });
    await drive(200, 1, one);
    figures['synced writes, one at a time, a second'] = rate(await drive(1_000, 1, one));
    const batch = (): Promise<void> =>
      level.batch(
        Array.from({ length: 64 }, () => ({ type: 'put', key: key(), value: ROW }) as const),
        { sync: true },
      );
    figures['synced writes of 64 rows, rows a second'] = 64 * rate(await drive(300, 1, batch));
    figures['point reads of what is there, a second'] = repeated(50_000, (i) =>
      level.getSync(String(i % next).padStart(12, '0')),
    );
    figures['point reads of what is not, a second'] = repeated(50_000, (i) => level.getSync(`none ${i}`));
  } finally {
    await level.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function processor(figures: Figures): void {
  const key = signingKeyFromSeed(Buffer.alloc(32, 7));
  const event = Buffer.alloc(600, 'e');
  figures['Ed25519 signatures a second'] = repeated(10_000, () => key.sign(event));
  figures['SHA-256 of 600 bytes a second'] = repeated(50_000, () => sha256(event));
  const message = {
    content: { msgtype: 'm.text', body: 'x'.repeat(40) },
    event_id: `$${'e'.repeat(43)}`,
    origin_server_ts: 1_700_000_000_000,
    room_id: `!${'r'.repeat(43)}`,
    sender: '@someone:localhost',
    type: 'm.room.message',
    unsigned: { age: 12_345, membership: 'join' },
  };
  const page = { chunk: Array.from({ length: 100 }, () => message), start: 't1', end: 't2' };
  const text = JSON.stringify(page);
  figures['pages of 100 messages as JSON, messages a second'] = 100 * repeated(2_000, () => JSON.stringify(page));
  figures['bodies of requests read strictly, a second'] = repeated(50_000, () =>
    parseJson('{"msgtype":"m.text","body":"hello"}'),
  );
  figures['a large answer as UTF-8, MB a second'] = (repeated(5_000, () => Buffer.from(text)) * text.length) / MB;
}

const about = machine();
const runs: Figures[] = [];
for (let run = 0; run < Number(values.runs); run++) {
  const figures: Figures = {};
  await http(figures);
  await disk(figures);
  processor(figures);
  runs.push(figures);
}
const report = `${about}; ${runs.length} runs.\n\n${table(runs)}\n`;
console.log(report);
if (values.write) await publish('limits', report);
