import assert from 'node:assert/strict';
import test from 'node:test';
import { StateTrees } from '#store/state.js';
import { openTestStore } from '#store/testing.js';
import type { StateRoot } from '#store/types.js';
import { seededRandom } from '#util/random.js';

const KEYS = 120;

test('a tree agrees with a map over random changes, old snapshots stay as they were, and diffs are exact', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const random = seededRandom('state');
  const trees = new StateTrees({ cacheBytes: 20_000 });
  const snapshots: { root: StateRoot; map: Map<string, number> }[] = [{ root: 0, map: new Map() }];
  for (let round = 0; round < 200; round++) {
    const [pick, ...picks] = random.bytes(1 + (round % 9));
    const base = snapshots[pick! % snapshots.length]!;
    const map = new Map(base.map);
    const root = await store.commit((tx) =>
      trees.apply(
        tx,
        base.root,
        picks.map((byte) => {
          const key = `@u${byte % KEYS}:test`;
          const event = byte % 5 === 0 ? undefined : tx.position();
          if (event === undefined) map.delete(key);
          else map.set(key, event);
          return ['m.room.member', key, event] as const;
        }),
      ),
    );
    snapshots.push({ root, map });
  }
  const fresh = new StateTrees();
  for (const { root, map } of snapshots) {
    assert.deepEqual(new Map([...fresh.entries(store, root)].map(([, key, num]) => [key, num])), map);
    assert.equal(fresh.size(store, root), map.size);
    for (let i = 0; i < KEYS; i += 7) {
      assert.equal(fresh.get(store, root, 'm.room.member', `@u${i}:test`), map.get(`@u${i}:test`));
    }
  }
  for (let i = 0; i < snapshots.length; i += 3) {
    const a = snapshots[i]!;
    const b = snapshots[(i * 31 + 7) % snapshots.length]!;
    const expected = new Map<string, [number | undefined, number | undefined]>();
    for (const key of new Set([...a.map.keys(), ...b.map.keys()])) {
      if (a.map.get(key) !== b.map.get(key)) expected.set(key, [a.map.get(key), b.map.get(key)]);
    }
    const found = [...fresh.diff(store, a.root, b.root)].map((d) => [d.stateKey, [d.before, d.after]] as const);
    assert.deepEqual(new Map(found), expected);
    assert.equal(found.length, expected.size);
  }
});

test('the shape depends on the content and not on the order of changes', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const trees = new StateTrees();
  const entries = Array.from({ length: 60 }, (_, i) => ['t', `k${i}`, i + 1] as const);
  const shape = (root: StateRoot): string => JSON.stringify([...trees.entries(store, root)].map(([, key]) => key));
  const together = await store.commit((tx) => trees.apply(tx, 0, entries));
  const oneByOne = await store.commit((tx) => {
    let root = 0;
    for (const [type, key, event] of [...entries].reverse()) root = trees.set(tx, root, type, key, event);
    for (let i = 0; i < 40; i++) root = trees.set(tx, root, 't', `extra${i}`, 1);
    for (let i = 0; i < 40; i++) root = trees.remove(tx, root, 't', `extra${i}`);
    return root;
  });
  // Entries come leaf by leaf, so equal shapes give equal orders.
  assert.equal(shape(oneByOne), shape(together));
  assert.deepEqual([...trees.diff(store, together, oneByOne)], []);
});

test('setting what is there already gives the same root and writes nothing', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const trees = new StateTrees();
  const root = await store.commit((tx) =>
    trees.apply(tx, 0, [
      ['t', 'a', 5],
      ['t', 'b', 6],
    ]),
  );
  assert.equal(await store.commit((tx) => trees.set(tx, root, 't', 'a', 5)), root);
  assert.equal(await store.commit((tx) => trees.remove(tx, root, 't', 'unknown')), root);
  const empty = await store.commit((tx) => trees.remove(tx, trees.remove(tx, root, 't', 'a'), 't', 'b'));
  assert.equal(empty, 0);
});

test('a change in a room of 10,000 members writes a path and not the room', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const trees = new StateTrees();
  const root = await store.commit((tx) =>
    trees.apply(
      tx,
      0,
      Array.from({ length: 10_000 }, (_, i) => ['m.room.member', `@u${i}:test`, tx.position()] as const),
    ),
  );
  const before = await store.commit((tx) => tx.position());
  const changed = await store.commit((tx) => trees.set(tx, root, 'm.room.member', '@u77:test', tx.position()));
  const after = await store.commit((tx) => tx.position());
  assert.equal(trees.size(store, changed), 10_000);
  // One position for the event and one a node of the path.
  assert.ok(after - before < 10, `${after - before} positions`);
});
