import { median, percentile, shown } from '../figures.js';
import type { ServerProcess } from '../process.js';

interface Row {
  readonly name: string;
  readonly median: number;
  readonly p99: number;
  readonly heldMs: number;
  readonly peakBytes: number;
}

/** The table of what was measured, with what each piece of work asked of the server's process while it was done. */
export class Report {
  readonly #rows: Row[] = [];
  readonly #server: ServerProcess;

  constructor(server: ServerProcess) {
    this.#server = server;
  }

  /** Does some work that gives times in milliseconds, and notes them. */
  async times(name: string, work: () => Promise<readonly number[]>): Promise<void> {
    await this.#note(`${name}, ms`, async () => {
      const times = await work();
      return { median: median(times), p99: times.length > 1 ? percentile(times, 99) : Number.NaN };
    });
  }

  /** Does some work that gives a rate, and notes it. */
  async rate(name: string, work: () => Promise<number>): Promise<void> {
    await this.#note(name, async () => ({ median: await work(), p99: Number.NaN }));
  }

  async #note(name: string, work: () => Promise<Pick<Row, 'median' | 'p99'>>): Promise<void> {
    await this.#server.heldMs();
    this.#server.usage.forgetPeak();
    const figures = await work();
    this.#rows.push({
      name,
      ...figures,
      heldMs: await this.#server.heldMs(),
      peakBytes: this.#server.usage.peakBytes(),
    });
    console.error(`${name}: ${shown(figures.median)}`);
  }

  toString(): string {
    return [
      '| | median | p99 | event loop held for at most, ms | peak memory, MB |',
      '|---|---:|---:|---:|---:|',
      ...this.#rows.map(({ name, median, p99, heldMs, peakBytes }) => {
        return `| ${name} | ${shown(median)} | ${shown(p99)} | ${shown(heldMs)} | ${shown(peakBytes / 1e6)} |`;
      }),
    ].join('\n');
  }
}
