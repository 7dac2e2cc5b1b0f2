import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparison, notLed, type Results } from './comparison.js';

const times = (table: string, row: string): string => {
  const cells = table
    .split('\n')
    .find((line) => line.startsWith(`| ${row} `))!
    .split(' | ');
  return cells.at(-1)!.replace(' |', '');
};

test('a machine that slows down between turns favours nobody', () => {
  // Each turn takes twice as long as the one before, and the other takes part in the first alone.
  const results: Results = new Map([
    ['Own', [100, 200, 400].map((ms) => ({ 'start, ms': ms, 'sends/s': 1e6 / ms }))],
    ['Other', [{ 'start, ms': 150, 'sends/s': 5_000 }]],
  ]);
  const table = comparison(results, 'Own');
  assert.equal(times(table, 'start, ms'), '1.50 ×');
  assert.equal(times(table, 'sends/s'), '2.00 ×');
  assert.equal(notLed(results, 'Own'), 'Not led by Own: none.');
});

test('of two turns the middle counts, and not the better or the worse', () => {
  const results: Results = new Map([
    ['Own', [{ 'start, ms': 100 }, { 'start, ms': 200 }]],
    ['Other', [{ 'start, ms': 400 }, { 'start, ms': 50 }]],
  ]);
  assert.equal(times(comparison(results, 'Own'), 'start, ms'), '1.00 ×');
});

test('rows in which another is better are named, and those that have no figure of its own', () => {
  const own = {
    'start, ms': 100,
    'whoami/s': 10,
    'idle, % of a core': 0,
    'ack, ms': 1,
    'resident, PostgreSQL alone, MB': 2,
  };
  const other = {
    'start, ms': 50,
    'whoami/s': 10,
    'idle, % of a core': 0.1,
    'ack, ms': 0,
    'resident, PostgreSQL alone, MB': 1,
  };
  const results: Results = new Map([
    ['Own', [own]],
    ['Other', [{ ...other, 'stop, ms': 5 }]],
  ]);
  assert.equal(
    notLed(results, 'Own'),
    'Not led by Own: start, ms: 0.50 × Other; ack, ms: 0 for Other; stop, ms: no figure.',
  );
  assert.equal(times(comparison(results, 'Own'), 'idle, % of a core'), '–');
});
