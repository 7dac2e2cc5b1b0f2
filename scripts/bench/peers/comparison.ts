import { type Figures, median, shown } from '../figures.js';

/** The figures of each turn of each server, by the server's name; who takes part in fewer took part in the first ones. */
export type Results = ReadonlyMap<string, readonly Figures[]>;

/**
 * A table in Markdown with a row for each figure and a column for each server: the median over its turns, with the least and the
 * largest. `of` is then compared with each other one: how many times better it is.
 */
export function comparison(results: Results, of: string): string {
  const servers = [...results.keys()];
  const compared = results.has(of) ? servers.filter((name) => name !== of) : [];
  const heads = [...servers, ...compared.map((name) => `${of} better than ${name}`)];
  return [
    `| | ${heads.join(' | ')} |`,
    `|---|${heads.map(() => '---:|').join('')}`,
    ...rowsOf(results).map((row) => {
      const cells = [
        ...servers.map((server) => cell(valuesOf(results, server, row))),
        ...compared.map((other) => ratio(timesBetter(results, of, other, row))),
      ];
      return `| ${row} | ${cells.join(' | ')} |`;
    }),
  ].join('\n');
}

/** A line with the rows in which another server is better than `of`, or `of` has no figure, with the best of them. */
export function notLed(results: Results, of: string): string {
  const behind = rowsOf(results)
    .filter((row) => !isOfDatabaseAlone(row))
    .flatMap((row) => {
      if (valuesOf(results, of, row).length === 0) return [`${row}: no figure`];
      const [best] = [...results.keys()]
        .filter((name) => name !== of)
        .map((name) => ({ name, times: timesBetter(results, of, name, row) ?? Infinity }))
        .sort((a, b) => a.times - b.times);
      if (best === undefined || best.times >= 1) return [];
      return `${row}: ${best.times === 0 ? '0 for' : ratio(best.times)} ${best.name}`;
    });
  return `Not led by ${of}: ${behind.join('; ') || 'none'}.`;
}

/**
 * How many times better `of` is: the median over the turns in which both took part, since a machine may be faster in one turn than
 * in the next. Undefined where there is none.
 */
function timesBetter(results: Results, of: string, other: string, row: string): number | undefined {
  const others = results.get(other) ?? [];
  const times = (results.get(of) ?? []).flatMap((figures, turn) => {
    const [own, theirs] = [figures[row], others[turn]?.[row]];
    if (own === undefined || theirs === undefined) return [];
    if (own === theirs) return 1;
    return isMoreBetter(row) ? own / theirs : theirs / own;
  });
  if (times.length === 0) return undefined;
  // Of an even number the middle between the middle two, so that nobody is favoured.
  return Math.sqrt(median(times) / median(times.map((one) => 1 / one)));
}

function rowsOf(results: Results): string[] {
  // The longest list first: what only some servers have then stands where it belongs.
  const lists = [...results.values()].flat().map((figures) => Object.keys(figures));
  return [...new Set(lists.sort((a, b) => b.length - a.length).flat())];
}

function valuesOf(results: Results, server: string, row: string): number[] {
  return (results.get(server) ?? []).flatMap((figures) => figures[row] ?? []);
}

const isMoreBetter = (row: string): boolean => row.includes('/s');

const isOfDatabaseAlone = (row: string): boolean => row.includes(' alone') && !row.includes('private alone');

function cell(values: readonly number[]): string {
  if (values.length < 2) return values.length === 0 ? '–' : shown(values[0]!);
  return `${shown(median(values))} (${shown(Math.min(...values))} … ${shown(Math.max(...values))})`;
}

/** A server that delivers before it acknowledges has a 0 that nothing can be a multiple of. */
function ratio(times: number | undefined): string {
  return times === undefined || times === 0 || !Number.isFinite(times) ? '–' : `${shown(times)} ×`;
}
