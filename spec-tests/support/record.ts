import { appendFileSync } from 'node:fs';

/** File into which each answer is written, for `scripts/coverage.ts` to see which operations the tests tried. */
const FILE = process.env['HS_ANSWERS'];
const lines: string[] = [];

if (FILE !== undefined) process.once('exit', () => appendFileSync(FILE, lines.join('')));

/** Remembers an answer: a line with method, path without its query, status, and the error code or `-`. */
export function recordAnswer(method: string, path: string, status: number, errcode: unknown): void {
  if (FILE === undefined) return;
  const code = typeof errcode === 'string' && errcode !== '' ? errcode.replace(/\s/g, '_') : '-';
  lines.push(`${method} ${path.split('?')[0]} ${status} ${code}\n`);
}
