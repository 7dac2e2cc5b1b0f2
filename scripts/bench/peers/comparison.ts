import { type Figures, median, shown } from '../figures.js';

/** The figures of each run of each server, by the server's name. */
export type Results = ReadonlyMap<string, readonly Figures[]>;

/**
 * A table in Markdown with a row for each figure and a column for each server: the median over its runs, with the least and the
 * largest. `of` is then compared with each of `against`: how many times better its median is, more being better where the
 * figure is so much `/s`, less elsewhere.
 */
export function comparison(results: Results, of: string, against: readonly string[]): string {
  // The longest list first: what only some servers have then stands where it belongs.
  const lists = [...results.values()].flat().map((figures) => Object.keys(figures));
  const rows = [...new Set(lists.sort((a, b) => b.length - a.length).flat())];
  const compared = results.has(of) ? against.filter((name) => results.has(name)) : [];
  const values = (server: string, row: string): number[] =>
    results.get(server)!.flatMap((figures) => figures[row] ?? []);
  const cell = (server: string, row: string): string => {
    const found = values(server, row);
    if (found.length < 2) return found.length === 0 ? '–' : shown(found[0]!);
    return `${shown(median(found))} (${shown(Math.min(...found))} … ${shown(Math.max(...found))})`;
  };
  const ratio = (other: string, row: string): string => {
    const [own, others] = [median(values(of, row)), median(values(other, row))];
    const times = row.includes('/s') ? own / others : others / own;
    return Number.isFinite(times) ? `${shown(times)} ×` : '–';
  };
  const heads = [...results.keys(), ...compared.map((name) => `${of} better than ${name}`)];
  return [
    `| | ${heads.join(' | ')} |`,
    `|---|${heads.map(() => '---:|').join('')}`,
    ...rows.map((row) => {
      const cells = [
        ...[...results.keys()].map((server) => cell(server, row)),
        ...compared.map((other) => ratio(other, row)),
      ];
      return `| ${row} | ${cells.join(' | ')} |`;
    }),
  ].join('\n');
}
