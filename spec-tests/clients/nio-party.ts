import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { Person } from './encrypted-device.ts';

/** A device of a user on matrix-nio, in a Python process of its own (nio_party.py). */
export class NioParty {
  readonly userId: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { done(result: unknown): void; fail(error: Error): void }>();
  #requests = 0;
  #complaints = '';

  private constructor(userId: string, process: ChildProcess) {
    this.userId = userId;
    this.#process = process;
    createInterface({ input: process.stdout! }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.done(result);
      else waiting?.fail(new Error(`matrix-nio: ${error}`));
    });
    process.stderr!.on('data', (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString()).slice(-10_000);
    });
    process.once('exit', () => {
      for (const { fail } of this.#waiting.values()) fail(new Error(`matrix-nio ended:\n${this.#complaints}`));
    });
  }

  /** Starts the process and logs in; it ends with the test. `NIO_PYTHON` names a Python that has matrix-nio. */
  static async login(t: TestContext, url: string, person: Person): Promise<NioParty> {
    const store = await mkdtemp(join(tmpdir(), 'runnel-nio-'));
    const script = join(import.meta.dirname, 'nio_party.py');
    const child = spawn(process.env['NIO_PYTHON'] ?? 'python3', [script, url, person.userId, person.password, store]);
    t.after(async () => {
      child.stdin.end();
      child.kill('SIGTERM');
      await rm(store, { recursive: true, force: true });
    });
    const party = new NioParty(person.userId, child);
    await party.ask('login');
    return party;
  }

  /** Has the process do something by name. */
  async ask<T>(name: string, given: object = {}): Promise<T> {
    const id = ++this.#requests;
    const answer = new Promise<T>((done, fail) => {
      this.#waiting.set(id, { done: done as (result: unknown) => void, fail });
    });
    this.#process.stdin!.write(`${JSON.stringify({ ...given, id, do: name })}\n`);
    return answer;
  }

  async say(room: string, body: string): Promise<string> {
    return this.ask('say', { room, body });
  }

  /** Ids and texts of what came; null for what can't be decrypted. */
  async read(room: string): Promise<readonly (readonly [id: string, body: string | null])[]> {
    return this.ask('read', { room });
  }
}
