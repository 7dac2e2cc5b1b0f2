// Run by bundle.mjs: starts the bundled server over the directory that another start has made, asks it for something, stops
// it, and writes what V8 compiled until then beside the bundle, for `main.cts` to begin with. What only a first start needs, and
// the log's package, which comes when the start is over, would have to be taken back by each start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const WITHIN_MS = 30_000;

const directory = mkdtempSync(join(tmpdir(), 'runnel-compile-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const port = await freePort();
for (const name of Object.keys(process.env)) if (name.startsWith('RUNNEL_')) delete process.env[name];
Object.assign(process.env, { RUNNEL_DATA: directory, RUNNEL_LISTEN: `127.0.0.1:${port}`, RUNNEL_LOG: 'silent' });

const main = new URL('../dist/main.cjs', import.meta.url);
process.argv = [process.execPath, fileURLToPath(main), 'serve'];
const first = spawn(process.execPath, process.argv.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
const firstEnded = once(first, 'exit');
await answered(() => first.exitCode !== null);
first.kill();
await firstEnded;

const { program, CACHE_FILE } = (await import(main)).default;
const script = await program;
const { useCompilers } = await import('../dist/cli/compilers.js');

await answered(() => process.exitCode !== undefined);
process.once('exit', () => {
  useCompilers();
  // V8 of Node 22 takes this with TurboFan, and does not give it back with it.
  if (process.versions.v8.startsWith('12.')) setFlagsFromString('--osr-from-maglev');
  writeFileSync(CACHE_FILE, script.createCachedData());
});
process.kill(process.pid, 'SIGTERM');

async function answered(hasEnded) {
  const giveUpMs = performance.now() + WITHIN_MS;
  while (!(await answers())) {
    if (performance.now() > giveUpMs || hasEnded()) throw new Error('the bundled server does not answer');
    await new Promise((again) => setTimeout(again, 10));
  }
}

function answers() {
  return new Promise((resolve) => {
    get(`http://127.0.0.1:${port}/_matrix/client/versions`, { agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode === 200));
    }).once('error', () => resolve(false));
  });
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
}
