// Run by bundle.mjs: starts the bundled server on an empty directory, asks it for something, stops it, and writes what V8
// compiled until then beside the bundle, for `main.cts` to begin with.
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
Object.assign(process.env, { RUNNEL_DATA: directory, RUNNEL_LISTEN: `127.0.0.1:${port}`, RUNNEL_LOG: 'info' });

const main = new URL('../dist/main.cjs', import.meta.url);
process.argv = [process.execPath, fileURLToPath(main), 'serve'];
const { program, CACHE_FILE } = (await import(main)).default;
const script = await program;
const { useCompilers } = await import('../dist/cli/compilers.js');

const giveUpMs = performance.now() + WITHIN_MS;
while (!(await answers())) {
  if (performance.now() > giveUpMs || process.exitCode !== undefined)
    throw new Error('the bundled server does not answer');
  await new Promise((again) => setTimeout(again, 10));
}
process.once('exit', () => {
  useCompilers();
  // V8 of Node 22 takes this with TurboFan, and does not give it back with it.
  if (process.versions.v8.startsWith('12.')) setFlagsFromString('--osr-from-maglev');
  writeFileSync(CACHE_FILE, script.createCachedData());
});
process.kill(process.pid, 'SIGTERM');

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
