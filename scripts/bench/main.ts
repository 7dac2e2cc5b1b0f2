import { readdirSync } from 'node:fs';
import { basename } from 'node:path';

/** `npm run bench -- NAME …`: runs the benchmark of that name, a file beside this one, with the arguments after it. */
const PARTS = new Set(['main', 'figures', 'measure', 'process', 'publish', 'usage']);
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.js'))
  .map((file) => basename(file, '.js'))
  .filter((name) => !PARTS.has(name));

const name = process.argv[2];
if (name === undefined || !names.includes(name)) {
  console.error(`Usage: npm run bench -- NAME …, with one of these as NAME: ${names.join(', ')}`);
  process.exit(2);
}
process.argv.splice(2, 1);
await import(`./${name}.js`);
