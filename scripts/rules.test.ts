import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bannedFindings, fileFindings, findingsOf, layerFindings, versionFindings, writerFindings } from './rules.js';
import { codeOnly, importsOf } from './source.js';

const messages = (found: readonly { message: string }[]): string => found.map(({ message }) => message).join('\n');

test('layers: what a folder may not import is found, what it may is not', () => {
  const text =
    "import { a } from '#store/types.js';\nimport type { B } from '#core/ids.js';\nexport { c } from '#rooms/c.js';";
  assert.equal(messages(layerFindings({ path: 'rooms/x.ts', text })), '');
  assert.match(messages(layerFindings({ path: 'api/client/x.ts', text })), /^api may not import store$/);
  assert.match(
    messages(layerFindings({ path: 'core/x.ts', text })),
    /core may not import store\ncore may not import rooms/,
  );
  assert.match(
    messages(layerFindings({ path: 'util/x.ts', text: "await import('#core/ids.js')" })),
    /util may not import core/,
  );
  assert.match(messages(layerFindings({ path: 'rooms/x.ts', text: "import './y.js';" })), /start with #/);
  assert.match(messages(layerFindings({ path: 'elsewhere/x.ts', text: '' })), /stands in no layer/);
});

test('packages: only the gate may import one, and one without a gate is refused', () => {
  assert.equal(messages(layerFindings({ path: 'log.ts', text: "import { pino } from 'pino';" })), '');
  assert.match(messages(layerFindings({ path: 'server.ts', text: "import { pino } from 'pino';" })), /only log\.ts/);
  assert.match(
    messages(layerFindings({ path: 'users/x.ts', text: "import h from '@node-rs/argon2/x';" })),
    /only users/,
  );
  assert.match(messages(layerFindings({ path: 'log.ts', text: "import x from 'leftpad';" })), /leftpad has no gate/);
  assert.match(messages(layerFindings({ path: 'core/x.ts', text: "import fs from 'node:fs';" })), /core is pure/);
});

test('bans: time, randomness and timers from nowhere, and traps of JavaScript', () => {
  for (const code of [
    'Date.now()',
    'new Date()',
    'Math.random()',
    'setTimeout(f)',
    'setInterval(f)',
    'performance.now()',
  ]) {
    assert.equal(bannedFindings({ path: 'rooms/x.ts', text: `f(${code});` }).length, 1, code);
    assert.equal(bannedFindings({ path: 'util/x.ts', text: `f(${code});` }).length, 0, code);
  }
  for (const code of ['Object.assign(a, b)', 'for (const k in o) {}']) {
    assert.equal(bannedFindings({ path: 'util/x.ts', text: code }).length, 1, code);
  }
  assert.match(messages(bannedFindings({ path: 'core/x.ts', text: 'async () => {}' })), /synchronous/);
  assert.equal(
    bannedFindings({ path: 'rooms/x.ts', text: 'new Date(ts); // Date.now()\nconst a = "Math.random()"' }).length,
    0,
  );
});

test('room versions are compared in one file only', () => {
  for (const code of [
    "if (version === '12') f()",
    "rules.version !== '1'",
    "room.roomVersion == '11'",
    'roomVersion >= 11',
  ]) {
    assert.equal(versionFindings({ path: 'rooms/x.ts', text: code }).length, 1, code);
    assert.equal(versionFindings({ path: 'core/room-versions.ts', text: code }).length, 0);
  }
  for (const code of ["version === 'v2'", 'version > 3', 'rules.version === other.version']) {
    assert.equal(versionFindings({ path: 'rooms/x.ts', text: code }).length, 0, code);
  }
});

test('keyspaces are written by their writer only', () => {
  const text =
    "import { rooms, users } from '#store/schema.js';\ntx.put(rooms, [1], head);\ntx.delete(\n  users,\n  [u],\n);";
  const keyspaces = { rooms: { writer: 'rooms/append.ts' }, users: { writer: 'users/accounts.ts' } };
  assert.match(
    messages(writerFindings({ path: 'rooms/append.ts', text }, keyspaces)),
    /^writes users, whose one writer is users/,
  );
  assert.equal(writerFindings({ path: 'sync/x.ts', text }, keyspaces).length, 2);
});

test('files: no index.ts, no names that say nothing, none too long', () => {
  assert.equal(fileFindings({ path: 'core/index.ts', text: '' }).length, 1);
  assert.equal(fileFindings({ path: 'core/x.ts', text: 'export class RoomManager {}' }).length, 1);
  assert.equal(fileFindings({ path: 'core/x.ts', text: '\n'.repeat(601) }).length, 1);
});

test('a clean file has no findings', () => {
  const text = "import type { Store } from '#store/types.js';\n/** Good. */\nexport const f = (s: Store) => s.tip;\n";
  assert.deepEqual(findingsOf({ path: 'rooms/x.ts', text }, {}), []);
});

test('strings, comments, templates and regular expressions are not code', () => {
  assert.equal(codeOnly("a('b//c') // d").trimEnd(), "a('    ')");
  // biome-ignore lint/suspicious/noTemplateCurlyInString: source code as data
  assert.equal(codeOnly('`x${f(`y${g({})}`)}z` + h'), '` ${f(` ${g({})}`)} ` + h');
  assert.equal(codeOnly('x = /[\'"/]/.test(y) / 2'), 'x = /     /.test(y) / 2');
});

test('imports are found with their names and lines', () => {
  const text =
    "import a from 'a';\nimport {\n  type B,\n  c as d,\n} from 'b';\nexport * from 'c';\nconst e = import('d');\nimport f = require('f');";
  assert.deepEqual(importsOf(text), [
    { from: 'a', names: [], line: 1 },
    { from: 'b', names: ['B', 'c'], line: 2 },
    { from: 'c', names: [], line: 6 },
    { from: 'd', names: [], line: 7 },
    { from: 'f', names: [], line: 8 },
  ]);
});
