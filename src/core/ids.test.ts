import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventId, RoomAlias, RoomId, ServerName, UserId } from '#core/ids.js';

const SERVER = ServerName.parse('example.org')!;

test('identifiers are measured in bytes and not in letters (T297, T298)', () => {
  for (const [sigil, is] of [
    ['@', UserId.is],
    ['#', RoomAlias.is],
    ['!', RoomId.is],
    ['$', EventId.is],
  ] as const) {
    const room = 255 - Buffer.byteLength(`${sigil}:example.org`);
    for (const letter of ['a', 'é', '€', '🦊']) {
      const fitting = letter.repeat(Math.floor(room / Buffer.byteLength(letter)));
      assert.ok(is(`${sigil}${fitting}:example.org`), `${sigil} ${letter}`);
      assert.ok(!is(`${sigil}${fitting}${letter}:example.org`), `${sigil} ${letter}, one too many`);
    }
  }
});

test('new names are of few letters, which nothing can be taken for (T243, T297)', () => {
  for (const name of ['alice', 'a.b_c=d/e+f-9', 'x'.repeat(242)]) assert.ok(UserId.make(name, SERVER), name);
  for (const name of [
    ...[
      '',
      'Alice',
      'ALICE',
      'аlice',
      'alice\u200b',
      'ali\u00adce',
      '\ufeffalice',
      'a\u0301',
      'á',
      'ａlice',
      '\u212aelvin',
    ],
    ...['a b', 'a:b', 'a\0', 'a\n', '@alice', 'alice:example.org', '🦊', '\ud800', 'x'.repeat(243)],
  ]) {
    assert.equal(UserId.make(name, SERVER), undefined, JSON.stringify(name));
  }
});

test('identifiers are kept byte by byte, whatever their letters are elsewhere the same as (T297, T299)', () => {
  for (const [one, other] of [
    ['@alice:example.org', '@alice:EXAMPLE.org'],
    ['@\u00e1:example.org', '@a\u0301:example.org'],
    ['@k:example.org', '@\u212a:example.org'],
    ['@a:example.org', '@а:example.org'],
  ] as const) {
    const [first, second] = [UserId.parse(one), UserId.parse(other)];
    assert.equal(first, one);
    assert.equal(second, other);
    assert.notEqual(first, second);
  }
  assert.equal(UserId.serverName(UserId.parse('@alice:EXAMPLE.org')!), 'EXAMPLE.org', 'which is not our name');
});
