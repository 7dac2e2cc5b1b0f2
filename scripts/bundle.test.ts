import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

test('V8 takes what was compiled with the bundle', () => {
  const script = `
    process.argv = [process.argv[0], 'dist/main.js', 'version'];
    const { program } = await import('./dist/main.js');
    console.log(program.cachedDataRejected);`;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8', env });
  assert.match(printed, /^false$/m);
});
