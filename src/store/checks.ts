import { isDeepStrictEqual } from 'node:util';
import type { Events } from '#store/events.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { type AnyKeyspace, untyped } from '#store/kv.js';
import type { StateTrees } from '#store/state.js';
import type { Reader, Store, Tx } from '#store/types.js';

/** One thing that is not as it must be. */
export interface StoreProblem {
  /** Name of the keyspace, or `database` where no keyspace is concerned. */
  readonly keyspace: string;
  /** The row's key. */
  readonly key: readonly KeyPart[];
  readonly problem: string;
}

/** What checks are given besides rows. */
export interface CheckGround {
  readonly store: Store;
  readonly events: Events;
  readonly trees: StateTrees;
  readonly serverName: string;
  /** No position in use is larger. */
  readonly reserved: number;
}

/** What a check of a row finds: a sentence about this row, or a problem of another one. */
export type Finding = string | StoreProblem;

type Findings = Iterable<Finding> | AsyncIterable<Finding>;

/**
 * A part of what must hold, declared beside the layer that writes the rows. All checks are gathered in one table
 * (`cli/keyspace-checks.ts`), in which no keyspace may be missing. None holds more in memory than the rows of one room,
 * one thread or one slice.
 */
export interface Check {
  /** The keyspaces whose rows it answers for. */
  readonly covers: readonly AnyKeyspace[];
  /** Asked for each row of one keyspace, in the one walk over the database. */
  readonly row?: {
    readonly of: AnyKeyspace;
    problems(ground: CheckGround, key: readonly KeyPart[], value: unknown): Findings;
  };
  /** Asked once, after the walk: for what needs an order of its own. */
  readonly whole?: (ground: CheckGround) => AsyncIterable<StoreProblem>;
  /** Makes derived rows anew, where others write them as well: no server may run. Gives how many rows changed. */
  readonly rebuild?: (ground: CheckGround) => Promise<number>;
}

/** A problem of the row `key` of `keyspace`. */
export function problemOf<K extends readonly KeyPart[], V>(
  keyspace: Keyspace<K, V>,
  key: K,
  problem: string,
): StoreProblem {
  return { keyspace: keyspace.name, key, problem };
}

/** A check that each row of a keyspace must pass. */
export function rowCheck<K extends readonly KeyPart[], V>(
  keyspace: Keyspace<K, V>,
  problems: (ground: CheckGround, key: K, value: V) => Findings,
): Check {
  return {
    covers: [untyped(keyspace)],
    row: {
      of: untyped(keyspace),
      problems: (ground, key, value) => problems(ground, key as unknown as K, value as V),
    },
  };
}

/** A row that others say must be there. */
export interface DerivedRow {
  readonly keyspace: AnyKeyspace;
  readonly key: readonly KeyPart[];
  readonly value: unknown;
}

export function derivedRow<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K, value: V): DerivedRow {
  return { keyspace: untyped(keyspace), key, value };
}

/** Whether some row that stands makes this one; otherwise it is a stray. */
type IsMade<K, V> = (ground: CheckGround, key: K, value: V) => boolean | Promise<boolean>;

/** A check for strays of a derived keyspace, which a rebuild deletes. */
export function strayCheck<K extends readonly KeyPart[], V>(
  keyspace: Keyspace<K, V>,
  made: string,
  isMade: IsMade<K, V>,
): Check {
  return {
    ...rowCheck(keyspace, async function* (ground, key, value) {
      if (!(await isMade(ground, key, value))) yield `is not made by ${made}`;
    }),
    async rebuild(ground) {
      const mender = new Mender(ground.store);
      for await (const [key, value] of ground.store.range(keyspace)) {
        if (!(await isMade(ground, key, value))) await mender.remove(keyspace, key);
      }
      return mender.end();
    },
  };
}

/**
 * The checks of rows that follow from single rows of another keyspace: each that `rows` gives must stand, and each that
 * stands must be `isMade` by one. A rebuild deletes and puts accordingly.
 */
export function derivedFrom<SK extends readonly KeyPart[], SV, K extends readonly KeyPart[], V>(rule: {
  readonly from: Keyspace<SK, SV>;
  readonly into: Keyspace<K, V>;
  readonly rows: (ground: CheckGround, key: SK, value: SV) => Iterable<DerivedRow>;
  readonly isMade: IsMade<NoInfer<K>, NoInfer<V>>;
}): Check[] {
  const { from, into, rows, isMade } = rule;
  const complete: Check = {
    ...rowCheck(from, function* (ground, key, value) {
      for (const row of rows(ground, key, value)) yield* differences(ground.store, row);
    }),
    covers: [untyped(into)],
    async rebuild(ground) {
      const mender = new Mender(ground.store);
      for await (const [key, value] of ground.store.range(from)) {
        for (const row of rows(ground, key, value)) await mender.mend(row);
      }
      return mender.end();
    },
  };
  return [strayCheck(into, `any row of ${from.name}`, isMade), complete];
}

/** The check of rows that follow from several rows at once, which `rows` reads in an order of its own. */
export function derivedWhole(
  into: readonly AnyKeyspace[],
  rows: (ground: CheckGround) => AsyncIterable<DerivedRow>,
): Check {
  return {
    covers: into,
    async *whole(ground) {
      for await (const row of rows(ground)) yield* differences(ground.store, row);
    },
    async rebuild(ground) {
      const mender = new Mender(ground.store);
      for await (const row of rows(ground)) await mender.mend(row);
      return mender.end();
    },
  };
}

/**
 * The checks of sums: a row of `into` must say what `expected` makes of the rows below it (undefined: there must be no
 * row; `held`: no sum can be asked for), and every row of `from` must have its sum.
 */
export function tally<SK extends readonly KeyPart[], SV, K extends readonly KeyPart[], V>(rule: {
  readonly from: Keyspace<SK, SV>;
  readonly into: Keyspace<K, V>;
  readonly keyOf: (key: SK, value: SV) => NoInfer<K> | undefined;
  readonly expected: (
    ground: CheckGround,
    key: NoInfer<K>,
    held: NoInfer<V> | undefined,
  ) => Promise<NoInfer<V> | undefined>;
}): Check[] {
  const { from, into, keyOf, expected } = rule;
  const isRight: Check = {
    ...rowCheck(into, async function* (ground, key, held) {
      const right = await expected(ground, key, held);
      if (!isDeepStrictEqual(held, right)) yield `says ${brief(held)}, and by ${from.name} it is ${brief(right)}`;
    }),
    async rebuild(ground) {
      const mender = new Mender(ground.store);
      for await (const [key, held] of ground.store.range(into)) {
        const right = await expected(ground, key, held);
        if (right === undefined) await mender.remove(into, key);
        else await mender.mend(derivedRow(into, key, right));
      }
      return mender.end();
    },
  };
  const isThere: Check = {
    ...rowCheck(from, function* ({ store }, key, value) {
      const to = keyOf(key, value);
      if (to !== undefined && !store.has(into, to))
        yield problemOf(into, to, `is missing: ${from.name} has rows for it`);
    }),
    covers: [untyped(into)],
    async rebuild(ground) {
      const mender = new Mender(ground.store);
      for await (const [key, value] of ground.store.range(from)) {
        const to = keyOf(key, value);
        if (to === undefined || ground.store.has(into, to)) continue;
        const right = await expected(ground, to, undefined);
        if (right !== undefined) await mender.mend(derivedRow(into, to, right));
      }
      return mender.end();
    },
  };
  return [isRight, isThere];
}

function* differences(reader: Reader, { keyspace, key, value }: DerivedRow): Generator<StoreProblem> {
  const held = reader.get(keyspace, key);
  if (held === undefined) yield problemOf(keyspace, key, 'is missing');
  else if (!isDeepStrictEqual(held, value)) yield problemOf(keyspace, key, `says ${brief(held)}, not ${brief(value)}`);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 160 ? text : `${text.slice(0, 160)}…`;
}

/** Rows changed in one transaction of a rebuild. */
const MEND_ROWS = 500;

/** Gathers the writes of a rebuild into transactions of bounded size. */
export class Mender {
  readonly #store: Store;
  #jobs: ((tx: Tx) => void)[] = [];
  #changed = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Puts a row unless it stands so. */
  async mend({ keyspace, key, value }: DerivedRow): Promise<void> {
    if (isDeepStrictEqual(this.#store.get(keyspace, key), value)) return;
    await this.#later((tx) => tx.put(keyspace, key, value));
  }

  async remove<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): Promise<void> {
    await this.#later((tx) => tx.delete(keyspace, key));
  }

  /** Writes what is left; gives how many rows were changed in all. */
  async end(): Promise<number> {
    const jobs = this.#jobs;
    this.#jobs = [];
    if (jobs.length > 0) {
      await this.#store.commit((tx) => {
        for (const job of jobs) job(tx);
      });
    }
    this.#changed += jobs.length;
    return this.#changed;
  }

  async #later(job: (tx: Tx) => void): Promise<void> {
    if (this.#jobs.push(job) >= MEND_ROWS) await this.end();
  }
}
