/** Number of single-character insertions, deletions and substitutions between two short strings. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const LONGEST = 200;

/** The name in `known` that `given` was most likely meant to be; undefined where none is near. Case does not count. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  if (given.length > LONGEST) return undefined;
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const apart = distance(given.toLowerCase(), name.toLowerCase());
    if (apart < least && apart <= Math.max(2, Math.floor(name.length / 2))) {
      best = name;
      least = apart;
    }
  }
  return best;
}
