import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { StepArguments, StepName, StepResult } from './steps.js';
import type { Report } from './worker.js';
import type { Target } from './world.js';

/** A load generator in a process of its own, so that its work is not counted as the server's. */
export class Generator {
  readonly #child: ChildProcess;

  private constructor() {
    this.#child = fork(join(import.meta.dirname, 'worker.js'), { stdio: 'inherit' });
  }

  static async start(target: Target): Promise<Generator> {
    const generator = new Generator();
    await generator.#ask({ target });
    return generator;
  }

  run<Name extends StepName>(step: Name, given: StepArguments<Name>): Promise<StepResult<Name>> {
    return this.#ask({ step, given }) as Promise<StepResult<Name>>;
  }

  stop(): void {
    this.#child.kill();
  }

  #ask(order: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the load generator ended'));
      this.#child.once('exit', ended);
      this.#child.once('message', (report: Report) => {
        this.#child.off('exit', ended);
        if ('error' in report) reject(new Error(report.error));
        else resolve(report.result);
      });
      this.#child.send(order);
    });
  }
}
