import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One case of the catalogue of attacks and failures that the project keeps as tests. */
export interface SecurityCase {
  readonly number: number;
  /** What is right. */
  readonly behaviour: string;
  /** What of it is not tested, and why; empty where all of it is. */
  readonly remark: string;
  /** Test files with a test whose title names the case, below the project's folder. */
  readonly tests: readonly string[];
}

/** The cases in scripts/security-cases.tsv, each with the tests that name it as `(T1, T2)`. Throws on a malformed row. */
export function securityCases(root: string): SecurityCase[] {
  const tests = testsByCase(root);
  return readFileSync(join(root, 'scripts/security-cases.tsv'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [number, behaviour, remark] = line.split('\t');
      if (!/^\d+$/.test(number ?? '') || !behaviour || remark === undefined) throw new Error(`malformed row: ${line}`);
      return { number: Number(number), behaviour, remark, tests: tests.get(Number(number)) ?? [] };
    })
    .sort((a, b) => a.number - b.number);
}

function testsByCase(root: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const folder of ['src', 'spec-tests']) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort();
    for (const file of files.filter((name) => name.endsWith('.test.ts'))) {
      const path = `${folder}/${file.replaceAll('\\', '/')}`;
      const text = readFileSync(join(root, path), 'utf8');
      const numbers = [...text.matchAll(/\((T\d+(?:, T\d+)*)\)/g)].flatMap(([, list]) => list!.match(/\d+/g)!);
      for (const number of new Set(numbers.map(Number))) found.set(number, [...(found.get(number) ?? []), path]);
    }
  }
  return found;
}

/** Cases that are said to be tested and are named by no test. */
export function untestedCases(cases: readonly SecurityCase[]): SecurityCase[] {
  return cases.filter(({ tests, remark }) => tests.length === 0 && remark === '');
}
