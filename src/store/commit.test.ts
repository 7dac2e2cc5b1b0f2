import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { EventId } from '#core/ids.js';
import { openStore } from '#store/db.js';
import { journal, profiles, redactions, users } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import { FaultyDb, openTestStore, watchReads } from '#store/testing.js';
import type { LogEntry, Position, Reader, Store, Tx } from '#store/types.js';
import { seededRandom } from '#util/random.js';

test('a transaction is visible to the next one at once, and to readers once it is durable', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const first = store.commit((tx) => tx.put(users, ['@a:test'], { createdTs: 1 }));
  assert.equal(store.get(users, ['@a:test']), undefined);
  assert.deepEqual(store.latest.get(users, ['@a:test']), { createdTs: 1 });
  const second = store.commit((tx) => {
    const user = tx.get(users, ['@a:test']);
    tx.put(users, ['@a:test'], { createdTs: user!.createdTs + 1 });
    return tx.get(users, ['@a:test'])!.createdTs;
  });
  assert.equal(await second, 2);
  await first;
  assert.deepEqual(store.get(users, ['@a:test']), { createdTs: 2 });
});

test('whom a listener wakes goes before whoever committed', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const order: string[] = [];
  store.onCommitted(() => {
    const wake = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await undefined;
      order.push('woken');
    };
    void wake();
    return true;
  });
  await store.commit((tx) => tx.fact(tx.position(), { kind: 'profile', user: '@a:test' }));
  assert.deepEqual(order, ['woken']);
});

test('a transaction that throws leaves nothing', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const heard: LogEntry[] = [];
  store.onCommitted((entries) => heard.push(...entries));
  await assert.rejects(
    store.commit((tx) => {
      tx.put(users, ['@a:test'], { createdTs: 1 });
      tx.fact(tx.position(), { kind: 'profile', user: '@a:test' });
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(store.latest.has(users, ['@a:test']), false);
  await store.commit((tx) => tx.fact(tx.position(), { kind: 'profile', user: '@b:test' }));
  assert.deepEqual(
    heard.map((entry) => entry.fact),
    [{ kind: 'profile', user: '@b:test' }],
  );
});

test('a transaction that throws gives back what those before it wrote, durable or not', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  await store.commit((tx) => tx.put(users, ['@durable:test'], { createdTs: 1 }));
  const before = store.commit((tx) => {
    tx.put(users, ['@put:test'], { createdTs: 2 });
    tx.delete(users, ['@durable:test']);
  });
  await assert.rejects(
    store.commit((tx) => {
      tx.put(users, ['@put:test'], { createdTs: 3 });
      tx.delete(users, ['@put:test']);
      tx.put(users, ['@durable:test'], { createdTs: 4 });
      tx.put(users, ['@new:test'], { createdTs: 5 });
      assert.equal(tx.get(users, ['@new:test'])?.createdTs, 5);
      throw new Error('no');
    }),
    /no/,
  );
  const see = (reader: Reader) =>
    ['put', 'durable', 'new'].map((name) => reader.get(users, [`@${name}:test`])?.createdTs);
  assert.deepEqual(see(store.latest), [2, undefined, undefined]);
  assert.deepEqual(see(store), [undefined, 1, undefined]);
  await before;
  assert.deepEqual(see(store), [2, undefined, undefined]);
});

test('what a transaction knows to be absent is not looked for until it is put', async () => {
  let looked = 0;
  await using opened = await openTestStore({
    dbIn: (directory) => watchReads(directory, () => looked++),
  });
  const { store } = opened;
  const [first, second] = [['$1' as EventId], ['$2' as EventId]] as [[EventId], [EventId]];
  await store.commit((tx) => {
    tx.absent(redactions, first);
    // Put in the same write, by this transaction or another.
    tx.absent(redactions, second);
    tx.put(redactions, second, '$r' as EventId);
  });
  looked = 0;
  for (const reader of [store, store.latest]) assert.equal(reader.get(redactions, first), undefined);
  assert.equal(looked, 0);
  assert.equal(store.get(redactions, second), '$r');
  await assert.rejects(
    store.commit((tx) => {
      tx.absent(redactions, second);
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(store.get(redactions, second), '$r');
  const putting = store.commit((tx) => tx.put(redactions, first, '$r' as EventId));
  assert.equal(store.latest.get(redactions, first), '$r');
  await putting;
  assert.equal(store.get(redactions, first), '$r');
});

test('the rows of the journal that are no longer needed go without one being read', async () => {
  let looked = 0;
  await using opened = await openTestStore({ dbIn: (directory) => watchReads(directory, () => looked++) });
  const { store, clock, directory } = opened;
  const large = 'x'.repeat(100_000);
  looked = 0;
  for (let i = 0; i < 400; i++) await store.commit((tx) => tx.put(profiles, ['@a:test', `f${i % 8}`], large));
  assert.equal(looked, 0);
  const kept = await store.list(journal, { limit: 1_000 });
  const bytes = kept.reduce((sum, [, row]) => sum + row.bytes, 0);
  assert.ok(bytes >= 16 << 20 && bytes < (16 << 20) + 65 * 101_000, `${kept.length} rows of ${bytes} bytes`);
  await store.close();
  const again = await openStore({ directory, clock, serverName: 'test' });
  try {
    for (let i = 0; i < 64; i++) await again.commit((tx) => tx.put(profiles, ['@a:test', 'f'], large));
    const left = await again.list(journal, { limit: 1_000 });
    assert.equal(left.length, kept.length);
    assert.equal(left[0]![0][0], kept[0]![0][0] + 64);
  } finally {
    await again.close();
  }
});

test('a row that was looked for in vain is found once it is there', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  assert.ok(users.cacheBytes, 'a keyspace with a cache');
  const key: [string] = ['@a:test'];
  for (const reader of [store, store, store.latest]) assert.equal(reader.get(users, key), undefined);
  await store.commit((tx) => tx.put(users, key, { createdTs: 1 }));
  assert.deepEqual(store.get(users, key), { createdTs: 1 });
  await store.commit((tx) => tx.delete(users, key));
  for (const reader of [store, store.latest]) assert.equal(reader.has(users, key), false);
});

test('the tip after a restart is past every position given before, ephemeral ones too', async () => {
  const opened = await openTestStore();
  const { directory, clock } = opened;
  await opened.store.commit((tx) => tx.put(profiles, ['@a:test', 'displayname'], 'A'));
  const position = opened.store.ephemeral({ kind: 'typing', room: 1 });
  assert.equal(opened.store.tip, position);
  await opened.store.close();
  const again = await openStore({ directory, clock, serverName: 'test' });
  assert.ok(again.tip >= position);
  assert.ok((await again.commit((tx) => tx.position())) > position);
  assert.equal(again.get(profiles, ['@a:test', 'displayname']), 'A');
  assert.deepEqual(await again.list(profiles, { prefix: ['@a:test'], limit: 5 }), [[['@a:test', 'displayname'], 'A']]);
  await again.close();
  await opened[Symbol.asyncDispose]();
});

const LIMIT = { timeout: 20_000 };

/** A store on a disk that the test can hold and break. */
async function openFaulty() {
  let made: FaultyDb | undefined;
  const opened = await openTestStore({
    dbIn: (directory) => {
      made = new FaultyDb(directory);
      return made;
    },
  });
  return { ...opened, db: made!, [Symbol.asyncDispose]: opened[Symbol.asyncDispose] };
}

const name = (tx: Tx, user: string, value: string): Position => {
  tx.put(profiles, [user, 'displayname'], value);
  const position = tx.position();
  tx.fact(position, { kind: 'profile', user });
  return position;
};
const nameOf = (store: Pick<Store, 'get'>, user: string): unknown => store.get(profiles, [user, 'displayname']);

test('what comes in while a write is under way shares the next one, in order', async () => {
  await using opened = await openFaulty();
  const { store, db } = opened;
  db.hold();
  const first = store.commit((tx) => name(tx, '@a:test', 'first'));
  await turn();
  const before = db.writes;
  const heard: Position[][] = [];
  store.onCommitted((entries) => heard.push(entries.map((entry) => entry.position)));
  const rest = Array.from({ length: 50 }, (_, i) => store.commit((tx) => name(tx, '@a:test', `${i}`)));
  const typing = store.ephemeral({ kind: 'typing', room: 1 });
  assert.equal(nameOf(store.latest, '@a:test'), '49');
  assert.equal(nameOf(store, '@a:test'), undefined);
  assert.ok(store.tip < typing);
  db.release();
  const one = await first;
  const positions = await Promise.all(rest);
  await store.settle();
  assert.equal(db.writes, before + 1);
  assert.deepEqual(heard, [[one], [...positions, typing]]);
  assert.deepEqual(
    positions,
    [...positions].sort((a, b) => a - b),
  );
  assert.equal(store.tip, typing);
  assert.equal(nameOf(store, '@a:test'), '49');
  assert.deepEqual(
    (await store.log(one, store.tip, 3)).map((entry) => entry.position),
    positions.slice(0, 3),
  );
});

test('mirrors run before the tip moves, listeners after, the caller last (T325)', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const said: string[] = [];
  let position = 0;
  store.onCommitted(() => {
    said.push(`listener ${store.tip >= position && nameOf(store, '@a:test') === 'A'}`);
  });
  await store
    .commit((tx) => {
      position = name(tx, '@a:test', 'A');
      tx.afterCommit(() => said.push(`mirror ${store.tip >= position}`));
    })
    .then(() => said.push('caller'));
  assert.deepEqual(said, ['mirror false', 'listener true', 'caller']);
});

test('a retracted fact is not read from the log again', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const start = store.tip;
  const old = await store.commit((tx) => name(tx, '@a:test', 'old'));
  const now = await store.commit((tx) => {
    tx.retract(old);
    return name(tx, '@a:test', 'new');
  });
  assert.deepEqual(await store.log(start, store.tip, 10), [
    { position: now, fact: { kind: 'profile', user: '@a:test' } },
  ]);
});

test('misuse of a transaction is an error, and leaves the store at work', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  let escaped: Tx | undefined;
  await store.commit((tx) => {
    escaped = tx;
  });
  assert.throws(() => escaped!.put(users, ['@a:test'], { createdTs: 1 }));
  await assert.rejects(
    store.commit(async () => {}),
    /synchronous/,
  );
  await assert.rejects(
    store.commit((tx) => tx.fact(1, { kind: 'typing', room: 1 })),
    /position/,
  );
  await assert.rejects(
    store.commit((tx) => {
      const position = tx.position();
      tx.fact(position, { kind: 'profile', user: 'a' });
      tx.fact(position, { kind: 'profile', user: 'b' });
    }),
    /position/,
  );
  await assert.rejects(
    store.commit(() => {
      void store.commit(() => {});
    }),
    /inside/,
  );
  await assert.rejects(
    store.commit(() => store.ephemeral({ kind: 'typing', room: 1 })),
    /inside/,
  );
  assert.ok(await store.commit((tx) => name(tx, '@a:test', 'A')));
});

test(
  'a write that the disk refuses is told to all on their way, leaves nothing, and passes (T314)',
  LIMIT,
  async () => {
    await using opened = await openFaulty();
    const { store, db, clock } = opened;
    await store.commit((tx) => name(tx, '@a:test', 'A'));
    await store.commit((tx) => tx.put(users, ['@a:test'], { createdTs: 1 }));
    const tip = store.tip;
    let resets = 0;
    store.onReset(() => resets++);
    const revision = store.revision(users);
    const heard: LogEntry[] = [];
    store.onCommitted((entries) => heard.push(...entries));
    db.fault = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    db.hold();
    const refused = [
      store.commit((tx) => {
        tx.put(users, ['@a:test'], { createdTs: 2 });
        return name(tx, '@a:test', 'B');
      }),
    ];
    await turn();
    refused.push(store.commit((tx) => name(tx, '@b:test', 'C')));
    const typing = store.ephemeral({ kind: 'typing', room: 1 });
    assert.deepEqual(store.latest.get(users, ['@a:test']), { createdTs: 2 });
    db.release();
    const results = await Promise.allSettled(refused);
    for (const result of results) {
      assert.ok(result.status === 'rejected' && result.reason instanceof StoreError && result.reason.kind === 'write');
    }
    assert.equal(resets, 1);
    // The write may have reached the disk all the same.
    assert.ok(store.revision(users) > revision);
    assert.equal(nameOf(store, '@a:test'), 'A');
    assert.equal(nameOf(store.latest, '@a:test'), 'A');
    assert.deepEqual(store.latest.get(users, ['@a:test']), { createdTs: 1 });
    await assert.rejects(
      store.commit((tx) => name(tx, '@a:test', 'D')),
      { kind: 'write' },
    );
    assert.equal(store.tip, tip);

    db.openFault = new Error('still no space');
    clock.advance(100);
    await turn();
    await turn();
    db.openFault = undefined;
    db.fault = undefined;
    await recovery(store, clock.advance.bind(clock));
    const position = await store.commit((tx) => name(tx, '@a:test', 'E'));
    assert.ok(position > typing);
    assert.equal(nameOf(store, '@a:test'), 'E');
    assert.equal(nameOf(store, '@b:test'), undefined);
    assert.deepEqual(
      heard.map((entry) => entry.position),
      [typing, position],
    );
    assert.equal((await store.log(tip, store.tip, 10)).length, 1);
  },
);

test('a write that reached the disk though it failed is found again, behind no reader', LIMIT, async () => {
  await using opened = await openFaulty();
  const { store, db, clock } = opened;
  const before = store.tip;
  const heard: LogEntry[] = [];
  store.onCommitted((entries) => heard.push(...entries));
  let resets = 0;
  store.onReset(() => resets++);
  db.fault = new Error('I/O error');
  db.faultAfterWrite = true;
  await assert.rejects(
    store.commit((tx) => name(tx, '@a:test', 'A')),
    { kind: 'write' },
  );
  const typing = store.ephemeral({ kind: 'typing', room: 1 });
  assert.equal(store.tip, before);
  db.fault = undefined;
  await recovery(store, clock.advance.bind(clock));
  assert.equal(nameOf(store, '@a:test'), 'A');
  const [landed, ...more] = await store.log(before, store.tip, 10);
  assert.deepEqual(more, []);
  assert.deepEqual(
    heard.map((entry) => entry.position),
    [landed!.position, typing],
  );
  assert.equal(resets, 2);
  await store.commit((tx) => name(tx, '@a:test', 'B'));
});

/** Lets simulated time pass until the store takes writes again. Opening files takes real time, so turns are not counted. */
async function recovery(store: Store, advance: (ms: number) => void): Promise<void> {
  while (!(await store.commit(() => true).catch(() => false))) {
    advance(1_000);
    await turn();
  }
}

test('a thousand random interleavings of writers and readers: sums stay whole, every fact is heard once, in order', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const random = seededRandom('interleavings');
  const heard: Position[] = [];
  store.onCommitted((entries) => heard.push(...entries.map((entry) => entry.position)));
  const account = (i: number): [string, string] => [`@u${i}:test`, 'balance'];
  const start = store.tip;
  await store.commit((tx) => {
    for (let i = 0; i < 8; i++) tx.put(profiles, account(i), 100);
  });
  const pending: Promise<unknown>[] = [];
  const given: Position[] = [];
  const balances = (reader: Pick<Store, 'get'>): number[] =>
    Array.from({ length: 8 }, (_, i) => reader.get(profiles, account(i)) as number);
  for (let i = 0; i < 1_000; i++) {
    const [kind, from, to, amount] = random.bytes(4) as unknown as [number, number, number, number];
    if (kind < 150) {
      pending.push(
        store.commit((tx) => {
          tx.put(profiles, account(from % 8), (tx.get(profiles, account(from % 8)) as number) - amount);
          tx.put(profiles, account(to % 8), (tx.get(profiles, account(to % 8)) as number) + amount);
          const position = tx.position();
          tx.fact(position, { kind: 'profile', user: `@u${from % 8}:test` });
          given.push(position);
        }),
      );
    } else if (kind < 180) {
      pending.push(
        assert.rejects(
          store.commit((tx) => {
            tx.put(profiles, account(from % 8), 1_000_000);
            throw new Error('changed my mind');
          }),
        ),
      );
    } else if (kind < 200) given.push(store.ephemeral({ kind: 'typing', room: 1 }));
    else if (kind < 225) await turn();
    else {
      assert.equal(
        balances(store.latest).reduce((a, b) => a + b),
        800,
      );
      const { tip } = store;
      assert.deepEqual(
        heard.filter((position) => position <= tip),
        given.filter((position) => position <= tip),
      );
    }
  }
  await Promise.all(pending);
  await store.settle();
  assert.deepEqual(heard, given);
  assert.deepEqual(balances(store), balances(store.latest));
  const rows = await store.log(start, store.tip, 10_000);
  const kept = new Set(rows.map((row) => row.position));
  assert.ok(given.filter((position) => kept.has(position)).length > 500);
});
