import { stateKeyNums, stateKeys, stateNodes } from '#store/schema.js';
import {
  type Branch,
  DEEPEST,
  decodeNode,
  encodeNode,
  FAN_OUT,
  hashOf,
  isLeaf,
  LEAF_ENTRIES,
  type Leaf,
  type StateNode,
  sizeOf,
  wayAt,
  weightOf,
} from '#store/state-node.js';
import { StoreError } from '#store/store-error.js';
import type { EventNum, Reader, StateRoot, Store, Tx } from '#store/types.js';
import { Lru } from '#util/lru.js';

const DEFAULT_CACHE_BYTES = 4 << 20;
const EMPTY: Leaf = { keys: [], events: [] };

/** One piece of state that differs between two snapshots; undefined where a snapshot has none. */
export interface StateDifference {
  readonly type: string;
  readonly stateKey: string;
  readonly before: EventNum | undefined;
  readonly after: EventNum | undefined;
}

/** A key's number with the event it gets; undefined takes it out. */
interface Change {
  readonly key: number;
  readonly hash: number;
  readonly event: EventNum | undefined;
}

interface Entry {
  readonly key: number;
  readonly event: EventNum;
}

/**
 * Room states as persistent trees. A snapshot is the number of its root node; a change writes only the nodes on its
 * path and gives a new root; equal parts of two snapshots made from one another are the same nodes. Nodes branch by the
 * hash of the interned (type, state_key), and a subtree with few entries is one leaf, so the shape depends on the
 * content alone and not on the way there.
 *
 * Nodes never change and numbers are never used twice, so one cache serves all readers.
 */
export class StateTrees {
  readonly #nodes: Lru<number, StateNode>;

  /** `cacheBytes` bounds the memory for decoded nodes. */
  constructor(options: { readonly cacheBytes?: number } = {}) {
    this.#nodes = new Lru(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  }

  /** Keeps of the nodes held in memory the newest, up to this share of what may be held. They are on disk. */
  shrinkCache(share: number): void {
    this.#nodes.shrinkTo(share);
  }

  /** The event that (`type`, `stateKey`) has in the snapshot. */
  get(reader: Reader, root: StateRoot, type: string, stateKey: string): EventNum | undefined {
    if (root === 0) return undefined;
    const key = reader.get(stateKeyNums, [type, stateKey]);
    if (key === undefined) return undefined;
    const hash = hashOf(key);
    let node = this.#node(reader, root);
    for (let depth = 0; !isLeaf(node); depth++) {
      const child: number = node.children[wayAt(hash, depth)]!;
      if (child === 0) return undefined;
      node = this.#node(reader, child);
    }
    const at = node.keys.indexOf(key);
    return at < 0 ? undefined : node.events[at];
  }

  /** The snapshot `root` with one event more, or in place of the one before it. The same root where nothing changes. */
  set(tx: Tx, root: StateRoot, type: string, stateKey: string, event: EventNum): StateRoot {
    return this.apply(tx, root, [[type, stateKey, event]]);
  }

  /** The snapshot `root` without (`type`, `stateKey`). */
  remove(tx: Tx, root: StateRoot, type: string, stateKey: string): StateRoot {
    return this.apply(tx, root, [[type, stateKey, undefined]]);
  }

  /**
   * The snapshot `root` with many changes at once (undefined removes), each node written once. Of two changes to one
   * key the later counts.
   */
  apply(
    tx: Tx,
    root: StateRoot,
    changes: Iterable<readonly [type: string, stateKey: string, event: EventNum | undefined]>,
  ): StateRoot {
    const byKey = new Map<number, Change>();
    for (const [type, stateKey, event] of changes) {
      const key = event === undefined ? tx.get(stateKeyNums, [type, stateKey]) : this.#intern(tx, type, stateKey);
      if (key !== undefined) byKey.set(key, { key, hash: hashOf(key), event });
    }
    return byKey.size === 0 ? root : this.#change(tx, root, [...byKey.values()], 0);
  }

  /** All of a snapshot, in no order that means anything. May be left off early. */
  *entries(
    reader: Reader,
    root: StateRoot,
  ): Generator<[type: string, stateKey: string, event: EventNum], void, undefined> {
    for (const { key, event } of this.#entries(reader, root)) {
      const [type, stateKey] = this.#name(reader, key);
      yield [type, stateKey, event];
    }
  }

  /** Number of entries. */
  size(reader: Reader, root: StateRoot): number {
    return root === 0 ? 0 : sizeOf(this.#node(reader, root));
  }

  /** What differs between two snapshots, found by walking only the nodes that differ. */
  *diff(reader: Reader, before: StateRoot, after: StateRoot): Generator<StateDifference, void, undefined> {
    for (const { key, from, to } of this.#diff(reader, before, after)) {
      const [type, stateKey] = this.#name(reader, key);
      yield { type, stateKey, before: from, after: to };
    }
  }

  /** As `diff`, only what `to` has and `from` has not, or has otherwise. */
  *changed(
    reader: Reader,
    from: StateRoot,
    to: StateRoot,
  ): Generator<[type: string, stateKey: string, event: EventNum], void, undefined> {
    for (const { type, stateKey, after } of this.diff(reader, from, to)) {
      if (after !== undefined) yield [type, stateKey, after];
    }
  }

  #change(tx: Tx, num: number, changes: readonly Change[], depth: number): number {
    const node = num === 0 ? EMPTY : this.#node(tx, num);
    if (isLeaf(node)) {
      const entries = merge(node, changes);
      return entries === undefined ? num : this.#build(tx, entries, depth);
    }
    const children = [...node.children];
    let size = node.size;
    split(changes, (change) => change.hash, depth).forEach((part, way) => {
      if (part.length > 0) size += this.#changeChild(tx, children, way, part, depth);
    });
    if (children.every((child, way) => child === node.children[way])) return num;
    if (size > LEAF_ENTRIES) return this.#write(tx, { size, children });
    const left = children.flatMap((child) => [...this.#entries(tx, child)]);
    return this.#build(
      tx,
      left.sort((a, b) => a.key - b.key),
      depth,
    );
  }

  /** Applies `changes` to one child; returns by how much its size changed. */
  #changeChild(tx: Tx, children: number[], way: number, changes: readonly Change[], depth: number): number {
    const old = children[way]!;
    const child = this.#change(tx, old, changes, depth + 1);
    children[way] = child;
    return child === old ? 0 : this.size(tx, child) - this.size(tx, old);
  }

  /** Writes the subtree of `entries`, which are in order of key. */
  #build(tx: Tx, entries: readonly Entry[], depth: number): number {
    if (entries.length === 0) return 0;
    if (entries.length <= LEAF_ENTRIES || depth > DEEPEST) {
      return this.#write(tx, { keys: entries.map((e) => e.key), events: entries.map((e) => e.event) });
    }
    const children = split(entries, (entry) => hashOf(entry.key), depth).map((part) =>
      this.#build(tx, part, depth + 1),
    );
    return this.#write(tx, { size: entries.length, children });
  }

  #write(tx: Tx, node: StateNode): number {
    const num = tx.position();
    tx.put(stateNodes, [num], encodeNode(num, node));
    this.#nodes.set(num, node, weightOf(node));
    return num;
  }

  *#entries(reader: Reader, num: number): Generator<Entry, void, undefined> {
    if (num === 0) return;
    const node = this.#node(reader, num);
    if (isLeaf(node)) {
      for (let i = 0; i < node.keys.length; i++) yield { key: node.keys[i]!, event: node.events[i]! };
      return;
    }
    for (const child of node.children) yield* this.#entries(reader, child);
  }

  *#diff(
    reader: Reader,
    before: number,
    after: number,
  ): Generator<{ key: number; from: EventNum | undefined; to: EventNum | undefined }, void, undefined> {
    if (before === after) return;
    const a: StateNode = before === 0 ? EMPTY : this.#node(reader, before);
    const b: StateNode = after === 0 ? EMPTY : this.#node(reader, after);
    if (isBranch(a) && isBranch(b)) {
      for (let way = 0; way < FAN_OUT; way++) yield* this.#diff(reader, a.children[way]!, b.children[way]!);
      return;
    }
    // One of them is a leaf, so at least one side is small; the other has outgrown it or shrunk to it.
    const old = new Map<number, EventNum>();
    for (const { key, event } of this.#entries(reader, before)) old.set(key, event);
    for (const { key, event } of this.#entries(reader, after)) {
      const from = old.get(key);
      old.delete(key);
      if (from !== event) yield { key, from, to: event };
    }
    for (const [key, from] of old) yield { key, from, to: undefined };
  }

  #node(reader: Reader, num: number): StateNode {
    const held = this.#nodes.get(num);
    if (held !== undefined) return held;
    const bytes = reader.get(stateNodes, [num]);
    if (bytes === undefined) throw new StoreError('corrupt', `state node ${num} is missing`);
    const node = decodeNode(num, bytes);
    this.#nodes.set(num, node, weightOf(node));
    return node;
  }

  #intern(tx: Tx, type: string, stateKey: string): number {
    const known = tx.get(stateKeyNums, [type, stateKey]);
    if (known !== undefined) return known;
    const key = tx.position();
    tx.put(stateKeyNums, [type, stateKey], key);
    tx.put(stateKeys, [key], [type, stateKey]);
    return key;
  }

  #name(reader: Reader, key: number): [type: string, stateKey: string] {
    const name = reader.get(stateKeys, [key]);
    if (name === undefined) throw new StoreError('corrupt', `state key ${key} is missing`);
    return name;
  }
}

/** Makes the names of state keys anew from their numbers. Returns how many rows changed. */
export async function rebuildStateKeys(store: Store): Promise<number> {
  let changed = 0;
  for await (const [[type, stateKey], num] of store.range(stateKeyNums)) {
    const name = store.get(stateKeys, [num]);
    if (name?.[0] === type && name[1] === stateKey) continue;
    await store.commit((tx) => tx.put(stateKeys, [num], [type, stateKey]));
    changed++;
  }
  return changed;
}

function isBranch(node: StateNode): node is Branch {
  return !isLeaf(node);
}

/** The entries of `leaf` after `changes`, in order of key; undefined where nothing changes. */
function merge(leaf: Leaf, changes: readonly Change[]): Entry[] | undefined {
  const entries = new Map(leaf.keys.map((key, i) => [key, leaf.events[i]!]));
  let isChanged = false;
  for (const { key, event } of changes) {
    if (entries.get(key) === event) continue;
    isChanged = true;
    if (event === undefined) entries.delete(key);
    else entries.set(key, event);
  }
  if (!isChanged) return undefined;
  return [...entries].sort(([a], [b]) => a - b).map(([key, event]) => ({ key, event }));
}

/** Parts of `items` by the way that their hashes take at `depth`, each in the order of `items`. */
function split<T>(items: readonly T[], hash: (item: T) => number, depth: number): T[][] {
  const parts: T[][] = Array.from({ length: FAN_OUT }, () => []);
  for (const item of items) parts[wayAt(hash(item), depth)]!.push(item);
  return parts;
}
