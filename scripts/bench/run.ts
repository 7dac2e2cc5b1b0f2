import { type Figures, shown } from './figures.js';
import { type Done, rate } from './workload/world.js';

/** What one run of one server gave so far. Each figure is told on stderr at once: a run that breaks off has told something. */
export class Run {
  readonly figures: Figures = {};
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  note(row: string, value: number): void {
    this.figures[row] = value;
    this.#tell(`${row}: ${shown(value)}`);
  }

  /** Notes how much was done a second, and tells where that was less than `asked`. */
  noteRate(row: string, done: Done, asked: number): void {
    this.note(row, rate(done));
    this.tellCut(row, done.count, asked);
  }

  /** Tells of a `step` that did less than `asked`, for want of time or of what to do it with. */
  tellCut(step: string, done: number, asked: number): void {
    if (done < asked) this.#tell(`${step}: cut at ${done.toLocaleString('en')} of ${asked.toLocaleString('en')}`);
  }

  #tell(text: string): void {
    console.error(`${this.#server}: ${text}`);
  }
}
