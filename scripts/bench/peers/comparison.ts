import { type Figures, median, shown } from '../figures.js';

/** The figures of each run of each server, by the server's name. */
export type Results = ReadonlyMap<string, readonly Figures[]>;

/**
 * A table in Markdown with a row for each figure and a column for each server: the median over its runs, with the least and the
 * largest. `of` is then compared with each other one: how many times better its median is.
 */
export function comparison(results: Results, of: string): string {
  const servers = [...results.keys()];
  const compared = results.has(of) ? servers.filter((name) => name !== of) : [];
  const heads = [...servers, ...compared.map((name) => `${of} better than ${name}`)];
  return [
    `| | ${heads.join(' | ')} |`,
    `|---|${heads.map(() => '---:|').join('')}`,
    ...rowsOf(results).map((row) => {
      const own = medianOf(results, of, row);
      const cells = [
        ...servers.map((server) => cell(valuesOf(results, server, row))),
        ...compared.map((other) => ratio(row, own, medianOf(results, other, row))),
      ];
      return `| ${row} | ${cells.join(' | ')} |`;
    }),
  ].join('\n');
}

/** A line with the rows in which another server's median is better than that of `of`, or `of` has no figure, with the best. */
export function notLed(results: Results, of: string): string {
  const behind = rowsOf(results)
    .filter((row) => !isOfDatabaseAlone(row))
    .flatMap((row) => {
      const [best] = [...results.keys()]
        .map((name) => ({ name, value: medianOf(results, name, row) }))
        .filter(({ value }) => Number.isFinite(value))
        .sort((a, b) => (isMoreBetter(row) ? b.value - a.value : a.value - b.value));
      const own = medianOf(results, of, row);
      if (best === undefined || best.value === own) return [];
      return `${row}: ${shown(own)} vs ${shown(best.value)} (${best.name})`;
    });
  return `Not led by ${of}: ${behind.join('; ') || 'none'}.`;
}

function rowsOf(results: Results): string[] {
  // The longest list first: what only some servers have then stands where it belongs.
  const lists = [...results.values()].flat().map((figures) => Object.keys(figures));
  return [...new Set(lists.sort((a, b) => b.length - a.length).flat())];
}

function valuesOf(results: Results, server: string, row: string): number[] {
  return (results.get(server) ?? []).flatMap((figures) => figures[row] ?? []);
}

/** Not a number where the server has no such figure. */
const medianOf = (results: Results, server: string, row: string): number => median(valuesOf(results, server, row));

const isMoreBetter = (row: string): boolean => row.includes('/s');

const isOfDatabaseAlone = (row: string): boolean => row.includes(' alone') && !row.includes('private alone');

function cell(values: readonly number[]): string {
  if (values.length < 2) return values.length === 0 ? '–' : shown(values[0]!);
  return `${shown(median(values))} (${shown(Math.min(...values))} … ${shown(Math.max(...values))})`;
}

function ratio(row: string, own: number, other: number): string {
  // A server that delivers before it acknowledges has a 0 that nothing can be a multiple of.
  if (own === 0 || other === 0) return '–';
  const times = isMoreBetter(row) ? own / other : other / own;
  return Number.isFinite(times) ? `${shown(times)} ×` : '–';
}
