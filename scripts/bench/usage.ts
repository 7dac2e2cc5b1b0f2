import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What Linux knows of a process and all that descend from it. */
export class Usage {
  readonly pid: number;
  readonly #isShared: boolean;

  /**
   * `isShared` is for processes that share much memory, as PostgreSQL's do: each page is then counted once, in shares of all
   * processes that have it mapped, in place of once a process.
   */
  constructor(pid: number, { isShared = false } = {}) {
    this.pid = pid;
    this.#isShared = isShared;
  }

  /** Resident memory, in bytes. */
  residentBytes(): number {
    return this.#sum((pid) =>
      this.#isShared ? kilobytes(pid, 'smaps_rollup', 'Pss') : kilobytes(pid, 'status', 'VmRSS'),
    );
  }

  /**
   * Resident memory that nobody else can share and that the system can't drop, as it drops pages that a file has, in bytes. Where
   * memory is shared among the processes themselves, that part of it counts too, and each page once: PostgreSQL's buffers are as
   * much its own as a cache in another program's heap.
   */
  privateBytes(): number {
    return this.#sum((pid) =>
      this.#isShared
        ? kilobytes(pid, 'smaps_rollup', 'Pss_Anon') + kilobytes(pid, 'smaps_rollup', 'Pss_Shmem')
        : kilobytes(pid, 'status', 'RssAnon'),
    );
  }

  /** The sum of each process's own largest resident memory since its start or `forgetPeak`, in bytes. */
  peakBytes(): number {
    return this.#sum((pid) => kilobytes(pid, 'status', 'VmHWM'));
  }

  /** From here on `peakBytes` begins with what is resident now. */
  forgetPeak(): void {
    for (const pid of family(this.pid)) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  }

  /** Processor time so far, in the programs and in the kernel for them, with that of children that have ended, in seconds. */
  cpuSeconds(): number {
    return this.#sum((pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      return ticks / TICKS_PER_SECOND;
    });
  }

  /**
   * Begins to count processor time: what is returned gives the seconds since, of the threads that run then. For times in which little
   * happens, since `cpuSeconds` goes in ticks of 10 ms; a thread that ends meanwhile takes with it what it has used.
   */
  countCpu(): () => number {
    const before = this.#threadNanoseconds();
    return () => {
      let nanoseconds = 0;
      for (const [thread, now] of this.#threadNanoseconds()) nanoseconds += now - (before.get(thread) ?? 0);
      return nanoseconds / 1e9;
    };
  }

  /** What was written to the disk so far, or is to be, in bytes: a page that is written anew counts again. */
  writtenBytes(): number {
    return this.#sum((pid) => {
      const io = readFileSync(`/proc/${pid}/io`, 'utf8');
      const figure = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0);
      return figure('write_bytes') - figure('cancelled_write_bytes');
    });
  }

  /** Processor time of each thread so far, in nanoseconds, by its id. Throws where there is none, or the kernel does not count it. */
  #threadNanoseconds(): Map<string, number> {
    const used = new Map<string, number>();
    for (const pid of family(this.pid)) {
      for (const thread of threads(pid)) {
        const [nanoseconds] = told(`/proc/${pid}/task/${thread}/schedstat`).split(' ');
        if (nanoseconds) used.set(thread, Number(nanoseconds));
      }
    }
    if (used.size === 0) throw new Error(`the kernel tells no processor time of the threads of process ${this.pid}`);
    return used;
  }

  #sum(figure: (pid: number) => number): number {
    let total = 0;
    for (const pid of family(this.pid)) {
      try {
        total += figure(pid);
      } catch {
        // It ended meanwhile.
      }
    }
    return total;
  }
}

function kilobytes(pid: number, file: string, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/** The threads of a process, by their ids; none where it is gone. */
function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** What a file of /proc says; nothing where what it is about has ended. */
function told(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A process and all that descend from it, by their ids. */
function family(pid: number): number[] {
  const children = threads(pid).flatMap((thread) =>
    told(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean),
  );
  return [pid, ...children.map(Number).flatMap(family)];
}
