import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { linePrinter } from '#cli/print.js';

const unasked = (): never => assert.fail('the stream was asked for');

test('lines are written when they are printed', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-print-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'out');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  const print = linePrinter(fd, unasked);
  print('one');
  print('zwei · 二');
  assert.equal(readFileSync(path, 'utf8'), 'one\nzwei · 二\n');
});

test('a full pipe that does not wait gets every line, in their order', async (t) => {
  const reader = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => reader.kill('SIGKILL'));
  reader.kill('SIGSTOP');
  const { fd } = (reader.stdin as unknown as { _handle: { fd: number } })._handle;
  const print = linePrinter(fd, () => reader.stdin);
  const lines = Array.from({ length: 50_000 }, (_, index) => `line ${index}`);
  for (const line of lines) print(line);
  assert.ok(reader.stdin.writableLength > 0, 'the pipe took all: the test shows nothing');
  reader.kill('SIGCONT');
  reader.stdin.end();
  assert.deepEqual((await text(reader.stdout)).split('\n'), [...lines, '']);
});

test('where nothing can be written, printing does nothing', (t) => {
  const fd = openSync('/dev/full', 'w');
  t.after(() => closeSync(fd));
  const print = linePrinter(fd, unasked);
  print('lost');
  print('lost too');
});
