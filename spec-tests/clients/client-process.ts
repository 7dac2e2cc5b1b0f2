import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

/**
 * A client in a process of its own, driven by lines of JSON: each request is `{id, do: name, ...}` on its standard
 * input, each answer `{id, result}` or `{id, error: text}` on its standard output.
 */
export class ClientProcess {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { done(result: unknown): void; fail(error: Error): void }>();
  #requests = 0;
  #complaints = '';

  /** Starts `command` with its arguments; it ends with the test. `name` stands in the messages of errors. */
  constructor(t: TestContext, name: string, [command, ...rest]: readonly [string, ...string[]]) {
    this.#name = name;
    this.#process = spawn(command, rest);
    t.after(() => this.kill());
    this.#process.stdin!.on('error', () => {}); // What is written to a process that has ended fails at its exit.
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.done(result);
      else waiting?.fail(new Error(`${name}: ${error}`));
    });
    this.#process.stderr!.on('data', (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString()).slice(-10_000);
    });
    this.#process.once('error', (error) => this.#failAll(error.message));
    this.#process.once('exit', () => this.#failAll(`it ended:\n${this.#complaints}`));
  }

  #failAll(why: string): void {
    for (const { fail } of this.#waiting.values()) fail(new Error(`${this.#name}: ${why}`));
    this.#waiting.clear();
  }

  /** Has the process do something by name. Rejects with what the process says where it fails or ends before it is done. */
  async ask<T>(name: string, given: object = {}): Promise<T> {
    const id = ++this.#requests;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      throw new Error(`${this.#name} has ended:\n${this.#complaints}`);
    }
    const answer = new Promise<T>((done, fail) => {
      this.#waiting.set(id, { done: done as (result: unknown) => void, fail });
    });
    this.#process.stdin!.write(`${JSON.stringify({ ...given, id, do: name })}\n`);
    return answer;
  }

  /** Ends the process with SIGKILL, as the user of a phone would, and resolves when it is gone. */
  async kill(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#process;
    if (exitCode !== null || signalCode !== null || pid === undefined) return;
    const gone = new Promise<void>((done) => this.#process.once('exit', () => done()));
    this.#process.kill('SIGKILL');
    await gone;
  }
}
