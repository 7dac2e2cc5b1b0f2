// Writes the pages in docs/ that are made from tables in the sources.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pages } from './pages.js';

const root = join(import.meta.dirname, '../..');
for (const page of pages(root)) {
  if (page.now === page.wanted) continue;
  writeFileSync(join(root, 'docs', page.name), page.wanted);
  console.log(`docs/${page.name}`);
}
