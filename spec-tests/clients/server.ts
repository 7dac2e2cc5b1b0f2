import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type OwnServer, startOwnServer } from '../../build/spec-tests/support/homeserver.js';

const MAIN = resolve(import.meta.dirname, '../../dist/main.cjs');

/** A server of ours where one registers with a token, as `npm start` serves it: policy and rate limits are the default. */
export async function startServer(): Promise<OwnServer> {
  const { own } = await startOwnServer({ RUNNEL_REGISTRATION: 'token', RUNNEL_RATE_LIMITS: 'on' });
  assert.ok(own);
  return own;
}

/** The token that the first start of `server` prints, which makes an administrator. */
export async function firstToken(server: OwnServer): Promise<string> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    // A whole line of it: the server answers requests before all that it printed is read here.
    const token = /one-time registration token:\s+(\S+)\n/.exec(server.output)?.[1];
    if (token !== undefined) return token;
    assert.ok(performance.now() < deadline, `the first start prints a token:\n${server.output}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

/** Makes a token for one registration with the command line, while the server runs. */
export async function createToken(server: OwnServer): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.env['SPEC_NODE'] ?? process.execPath,
    [MAIN, 'token', 'create', '--json'],
    { env: { PATH: process.env['PATH'], RUNNEL_DATA: join(server.directory, 'data') } },
  );
  return JSON.parse(stdout).token;
}
