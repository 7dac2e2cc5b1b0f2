import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';

const BEGIN = '<!-- figures -->';
const END = '<!-- end of figures -->';

/** What a report says of the machine it was made on, and of what else that did. Call it before the work begins. */
export function machine(): string {
  const load = loadavg()[0]!.toFixed(1);
  const processor = cpus()[0]?.model ?? 'unknown processor';
  return `${availableParallelism()} × ${processor}, Node ${process.version}; load average before: ${load}`;
}

/** Puts `report` in place of the figures in docs/benchmarks/`name`.md, with the day and the command that made it. */
export async function publish(name: string, report: string): Promise<void> {
  const file = `docs/benchmarks/${name}.md`;
  const page = await readFile(file, 'utf8');
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for figures`);
  const command = ['npm run bench --', name, ...process.argv.slice(2).map(quoted)].join(' ');
  const head = `Made on ${new Date().toISOString().slice(0, 10)} by \`${command}\`.`;
  await writeFile(file, `${page.slice(0, from)}${BEGIN}\n${head}\n\n${report}\n${page.slice(to)}`);
}

const quoted = (argument: string): string => (/^[\w.,:/=-]+$/.test(argument) ? argument : `'${argument}'`);
