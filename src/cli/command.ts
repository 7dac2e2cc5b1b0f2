import type { Config, Setting } from '#config';
import type { JsonObject } from '#core/json-value.js';
import type { Clock } from '#util/clock.js';
import type { Random } from '#util/random.js';

/** Exit codes: 0 it worked, 1 it did not, 2 the command was not understood. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** What the process gives to a command; tests give their own. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Reads a text file; `-` is standard input. Throws what the system says. */
  readonly readFile: (path: string) => string;
  /** Calls `listener` at each SIGTERM and SIGINT; returns the function that ends it. */
  readonly onStopSignal: (listener: (signal: string) => void) => () => void;
  /** Calls `listener` with what a promise was rejected with that nobody handles; without one the process would end. */
  readonly onUnhandledRejection: (listener: (error: unknown) => void) => void;
  /** Ends the process without further ado. */
  readonly exit: (code: number) => void;
}

/** A parsed command line. */
export interface Invocation {
  readonly words: readonly string[];
  /** The command's own flags, by name. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly config: Config;
  readonly settings: readonly Setting[];
}

/** What a command has to say, in both forms. */
export interface Output {
  readonly json: JsonObject;
  /** Lines for people; a line feed is added at the end. */
  readonly text: string;
  readonly exitCode?: number;
}

export interface Flag {
  /** Placeholder of the value, such as `FILE`; absent for a switch. */
  readonly value?: string;
  readonly doc: string;
}

/** One command: `cli/commands.ts` lists them all. */
export interface Command {
  /** `user create`, `check`. */
  readonly name: string;
  /** Names of the words that follow, all required. */
  readonly words: readonly string[];
  readonly summary: string;
  /** More about it, for its own help page. */
  readonly details?: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Runs without reading the configuration: it must work where the configuration is wrong. */
  readonly withoutConfig?: true;
  run(context: Context, invocation: Invocation): Promise<Output | undefined>;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command could not do what it was asked to, and the message says why: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The value of a flag that is not a switch. */
export function textFlag(invocation: Invocation, name: string): string | undefined {
  const value = invocation.flags[name];
  return typeof value === 'string' ? value : undefined;
}
