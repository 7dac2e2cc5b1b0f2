import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStore } from '#store/db.js';
import { profiles } from '#store/schema.js';
import { verifyStore } from '#store/verify.js';
import { STORE_CHECKS } from '#store/verify-rows.js';
import { SystemClock } from '#util/clock.js';

const ROUNDS = 10;

/**
 * The victim, in a process of its own: this file run with a data directory and a first row. It commits as fast as it can
 * until it is killed. Each transaction puts two rows that must appear together; what was acknowledged goes to standard
 * output as `row position` a line.
 */
async function writeUntilKilled(directory: string, first: number): Promise<void> {
  const store = await openStore({ directory, clock: new SystemClock(), serverName: 'test' });
  let row = first;
  process.stdout.write(`tip ${store.tip}\n`);
  const write = async (): Promise<never> => {
    for (;;) {
      const mine = row++;
      const position = await store.commit((tx) => {
        const at = tx.position();
        tx.put(profiles, [`@u${mine}:test`, 'one'], at);
        tx.put(profiles, [`@u${mine}:test`, 'two'], `${at} `.repeat(mine % 100));
        tx.fact(at, { kind: 'profile', user: `@u${mine}:test` });
        return at;
      });
      process.stdout.write(`${mine} ${position}\n`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, write));
}

/** Runs the writer until it acknowledged `lines` rows, kills it, and gives everything it said. */
async function runAndKill(directory: string, first: number, lines: number): Promise<string[]> {
  const writer = spawn(process.execPath, [fileURLToPath(import.meta.url), directory, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let count = 0;
  writer.stdout.setEncoding('utf8');
  writer.stdout.on('data', (text: string) => {
    said += text;
    count += text.split('\n').length - 1;
    if (count >= lines) writer.kill('SIGKILL');
  });
  const [code, signal] = (await once(writer, 'close')) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', `the writer ended by itself with ${code}`);
  // The last line may be cut.
  return said.split('\n').slice(0, -1);
}

async function surviveKills(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-crash-'));
  try {
    const acknowledged = new Map<number, number>();
    let highest = 0;
    let next = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const [tipLine, ...lines] = await runAndKill(directory, next, 100 + ((round * 397) % 900));
      const tip = Number(tipLine!.split(' ')[1]);
      assert.ok(tip >= highest, `the tip went back from ${highest} to ${tip}`);
      for (const line of lines) {
        const [row, position] = line.split(' ').map(Number) as [number, number];
        assert.ok(position > tip && !acknowledged.has(row));
        acknowledged.set(row, position);
        highest = Math.max(highest, position);
        // Rows that were written and not acknowledged any more may reach a little further.
        next = Math.max(next, row + 1_000);
      }
    }
    const store = await openStore({ directory, clock: new SystemClock(), serverName: 'test' });
    assert.ok(store.tip >= highest);
    for (const [row, position] of acknowledged) {
      assert.equal(store.get(profiles, [`@u${row}:test`, 'one']), position);
    }
    let rows = 0;
    for await (const [[user, field], value] of store.range(profiles)) {
      const other = store.get(profiles, [user, field === 'one' ? 'two' : 'one']);
      assert.notEqual(other, undefined, `${user} is half there`);
      if (field === 'one') assert.equal((await store.log((value as number) - 1, value as number, 2)).length, 1);
      rows++;
    }
    assert.ok(rows >= acknowledged.size * 2);
    for await (const problem of verifyStore(store, STORE_CHECKS)) assert.fail(JSON.stringify(problem));
    await store.close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const [victimDirectory, firstRow] = process.argv.slice(2);
if (victimDirectory !== undefined) {
  await writeUntilKilled(victimDirectory, Number(firstRow));
} else {
  test('kill -9 under load: what was acknowledged is there, whole and once, and positions never go back', surviveKills);
}
