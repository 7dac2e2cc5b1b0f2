// Checks the walls of the house (docs/ARCHITECTURE.md) and that the generated pages are current. Part of `npm test`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as schema from '#store/schema.js';
import { pages } from './pages.js';
import { findingsOf, type Keyspaces, longFiles, missingWriters } from './rules.js';
import { securityCases, untestedCases } from './security-cases.js';
import type { Source } from './source.js';

const root = join(import.meta.dirname, '../..');
const sources: Source[] = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.c?ts$/.test(path))
  .sort()
  .map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join(root, 'src', path), 'utf8') }));

const keyspaces: Keyspaces = Object.fromEntries(
  Object.entries(schema).flatMap(([name, value]) =>
    schema.KEYSPACES.some((keyspace) => (keyspace as unknown) === value)
      ? [[name, { writer: (value as (typeof schema.KEYSPACES)[number]).writer }]]
      : [],
  ),
);

const problems = [
  ...sources.flatMap((source) => findingsOf(source, keyspaces)),
  ...missingWriters(
    sources.map(({ path }) => path),
    keyspaces,
  ),
].map(({ path, line, message }) => `src/${path}:${line}: ${message}`);

for (const page of pages(root)) {
  if (page.now !== page.wanted) problems.push(`docs/${page.name} is not current; run: npm run docs`);
}

for (const { number, behaviour } of untestedCases(securityCases(root))) {
  problems.push(`no test names security case T${number} in its title: ${behaviour}`);
}

for (const long of longFiles(sources)) console.warn(`wants a split: src/${long}`);
for (const problem of problems) console.error(problem);
console.log(`tidy: ${sources.length} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
