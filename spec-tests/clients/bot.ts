import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MatrixClient } from 'matrix-bot-sdk';
import type { ClientEvent } from '../../build/spec-tests/support/client.js';
import { ClientProcess } from './client-process.ts';
import { type Person, waitFor } from './encrypted-device.ts';

/** Methods of matrix-bot-sdk's client, whose arguments and results are JSON where the tests call them. */
type Methods = {
  [K in keyof MatrixClient as MatrixClient[K] extends (...args: never[]) => Promise<unknown>
    ? K
    : never]: MatrixClient[K] extends (...args: infer A) => Promise<infer R> ? { args: A; result: R } : never;
};

/** A user on matrix-bot-sdk, whose process (bot-process.ts) can be killed and started again over its storage. */
export class Bot {
  userId = '';
  readonly #start: () => ClientProcess;
  #process: ClientProcess;

  private constructor(start: () => ClientProcess) {
    this.#start = start;
    this.#process = start();
  }

  /** Starts a process that logs in with a password and syncs; it ends with the test. */
  static async login(t: TestContext, url: string, person: Person): Promise<Bot> {
    const directory = await mkdtemp(join(tmpdir(), 'runnel-bot-'));
    const script = join(import.meta.dirname, 'bot-process.ts');
    const command = [process.execPath, '--no-warnings', script, url, join(directory, 'storage.json')] as const;
    const bot = new Bot(() => new ClientProcess(t, `the bot of ${person.userId}`, command));
    t.after(() => rm(directory, { recursive: true, force: true }));
    bot.userId = await bot.#process.ask('login', { user: person.userId, password: person.password });
    return bot;
  }

  /** Ends the process with SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts a new process over the storage of the last one, without logging in again. */
  async resume(): Promise<void> {
    this.#process = this.#start();
    this.userId = await this.#process.ask('resume');
  }

  /** Has the process do something by name. */
  async ask<T>(name: string, given: object = {}): Promise<T> {
    return this.#process.ask(name, given);
  }

  /** Calls a method of matrix-bot-sdk's client. */
  async call<M extends keyof Methods>(method: M, ...args: Methods[M]['args']): Promise<Methods[M]['result']> {
    return this.ask('call', { method, args });
  }

  /** What this process heard in a room since it started, in order. */
  async heard(room: string): Promise<ClientEvent[]> {
    return this.ask('heard', { room });
  }

  /** Waits until an event of the room is heard for which `holds`, and returns it. */
  async hears(room: string, what: string, holds: (event: ClientEvent) => boolean): Promise<ClientEvent> {
    return waitFor(`${this.userId} hears ${what}`, async () => (await this.heard(room)).find(holds));
  }

  async hearsText(room: string, body: string): Promise<ClientEvent> {
    return this.hears(room, body, ({ type, content }) => type === 'm.room.message' && content['body'] === body);
  }
}
