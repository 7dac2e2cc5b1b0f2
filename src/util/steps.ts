/** Runs a sliced computation to its end at once. */
export function drive<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Resolves once the event loop has come round: what waits by now has run. */
export function nextTurn(): Promise<void> {
  return new Promise((next) => setImmediate(next));
}

/** Runs a sliced computation to its end, and lets whatever else waits run after every `slice` steps. */
export async function driveInTurns<T>(steps: Generator<void, T, void>, slice: number): Promise<T> {
  for (let taken = 1; ; taken++) {
    const { done, value } = steps.next();
    if (done) return value;
    if (taken % slice === 0) await nextTurn();
  }
}

/** `work` on every item in their order, as a computation of one step each. */
export function* mapSteps<T, R>(items: readonly T[], work: (item: T) => R): Generator<void, R[], void> {
  const results: R[] = [];
  for (const item of items) {
    results.push(work(item));
    yield;
  }
  return results;
}
