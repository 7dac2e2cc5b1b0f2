import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '#cli/command.js';
import { COMMANDS } from '#cli/commands.js';
import { run } from '#cli/run.js';
import type { JsonObject } from '#core/json-value.js';
import { SystemClock } from '#util/clock.js';
import { seededRandom } from '#util/random.js';

/** A command line with a data directory of its own, for tests. */
export interface TestCommandLine extends AsyncDisposable {
  readonly data: string;
  /** Runs `runnel ARGS` on the data directory; resolves with what it printed and its exit code. */
  run(...args: string[]): Promise<{ code: number; out: string; err: string }>;
  /** As `run` with `--json`; the command must succeed. */
  json(...args: string[]): Promise<JsonObject>;
  /** `runnel serve`, running. */
  serve(...args: string[]): {
    out(): string;
    signal(name: string): void;
    readonly ended: Promise<number>;
    exits: number[];
  };
  /** Files that commands can read by these names. */
  readonly files: Map<string, string>;
}

/** Gives a fresh command line. Its surroundings are real but for random numbers, which repeat. */
export async function testCommandLine(env: Readonly<Record<string, string>> = {}): Promise<TestCommandLine> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-cli-'));
  const data = join(directory, 'data');
  const files = new Map<string, string>();
  const random = seededRandom('cli');
  const context = (out: string[], err: string[]): Context => ({
    env: { RUNNEL_DATA: data, RUNNEL_LISTEN: '127.0.0.1:0', ...env },
    clock: new SystemClock(),
    random,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    readFile(path) {
      const text = files.get(path);
      if (text === undefined) throw new Error(`there is no file ${path}`);
      return text;
    },
    onStopSignal: () => () => {},
    onUnhandledRejection: () => {},
    exit: () => {},
  });
  const runIt = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await run(args, COMMANDS, context(out, err));
    return { code, out: out.join('\n'), err: err.join('\n') };
  };
  return {
    data,
    files,
    run: runIt,
    async json(...args) {
      const { code, out, err } = await runIt(...args, '--json');
      if (code !== 0) throw new Error(`exit code ${code}: ${err}`);
      return JSON.parse(out) as JsonObject;
    },
    serve(...args) {
      const out: string[] = [];
      const exits: number[] = [];
      let listener: (signal: string) => void = () => {};
      const ended = run(['serve', ...args], COMMANDS, {
        ...context(out, out),
        onStopSignal(given) {
          listener = given;
          return () => {};
        },
        exit: (code) => void exits.push(code),
      });
      return { out: () => out.join('\n'), signal: (name) => listener(name), ended, exits };
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
