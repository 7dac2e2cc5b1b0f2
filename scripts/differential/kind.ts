import type { Dice } from './dice.js';

/** What the reference said to one question: one answer a part, and what went wrong with a part, where something did. */
export interface Reply {
  readonly answers: readonly string[];
  /** By part, the exception that the reference ended in; empty where none. */
  readonly notes: readonly string[];
}

/** One question with our own answers to it. */
export interface Case {
  /** The request as JSON text of one line; without `kind`, which the runner adds. */
  readonly request: string;
  /** Our answers, one a part. Most cases have one part; rooms have one an event or resolution. */
  readonly answers: readonly string[];
  /** How often each part counts as a case. */
  readonly count: number;
  /**
   * The name of the exception that explains why the reference may differ in a part; undefined where nothing does. Each
   * is written down, with the sentence of the specification, in docs/decisions/0004-differential.md.
   */
  excuse?(part: number, theirs: string, note: string): string | undefined;
  /** What a reader of the report wants to see of a part. */
  describe?(part: number): string;
}

/** A kind of random case. */
export interface Kind {
  readonly name: string;
  make(dice: Dice): Case;
}
