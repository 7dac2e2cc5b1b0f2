/** Figures by their names, which carry their units: more is better where that is `/s`, otherwise less. */
export type Figures = Record<string, number>;

/** The middle of a list of figures. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The smallest value that `percent` of all are not above. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** A figure with some three digits that mean something. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A table in Markdown: each row's name, its median over the runs, and the least and the largest. */
export function table(runs: readonly Readonly<Record<string, number>>[]): string {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run)))];
  const rows = names.map((name) => {
    const values = runs.flatMap((run) => run[name] ?? []);
    const spread = runs.length === 1 ? '' : `${shown(Math.min(...values))} … ${shown(Math.max(...values))}`;
    return `| ${name} | ${shown(median(values))} | ${spread} |`;
  });
  return ['| | median | spread |', '|---|---:|---|', ...rows].join('\n');
}
