import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Reply } from './kind.js';

/** The Python process that asks Synapse. Answers come in the order of the questions. */
export class Reference {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = [];
  readonly #versions: Promise<{ synapse: string; python: string }>;

  constructor(python: string, script: string) {
    this.#process = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#process.stdout });
    this.#versions = new Promise((resolve, reject) => {
      let greeted = false;
      lines.on('line', (line) => {
        if (greeted) this.#waiting.shift()?.resolve(JSON.parse(line) as Reply);
        else resolve(JSON.parse(line) as { synapse: string; python: string });
        greeted = true;
      });
      const fail = (error: Error): void => {
        reject(error);
        for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
      };
      this.#process.once('error', fail);
      this.#process.once('close', (code) => fail(new Error(`the reference ended with code ${code}`)));
    });
  }

  versions(): Promise<{ synapse: string; python: string }> {
    return this.#versions;
  }

  /** Asks a batch of questions, each JSON text of one line that ends in `}`. */
  async ask(requests: readonly string[]): Promise<Reply[]> {
    const replies = requests.map(
      () => new Promise<Reply>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    const last = requests.length - 1;
    const text = requests.map((line, index) => (index === last ? `${line.slice(0, -1)},"last":true}` : line));
    const all = Promise.all(replies);
    if (!this.#process.stdin.write(`${text.join('\n')}\n`)) await once(this.#process.stdin, 'drain');
    return all;
  }

  close(): void {
    this.#process.removeAllListeners('close');
    this.#process.stdin.end();
  }
}
