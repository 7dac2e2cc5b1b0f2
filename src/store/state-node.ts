import { ByteWriter } from '#store/byte-writer.js';
import { VarintReader } from '#store/varint.js';

/** Ways out of a branch: three bits of a key's hash. */
export const FAN_OUT = 8;
/** Largest leaf; a subtree with more entries is a branch. */
export const LEAF_ENTRIES = 8;
/** Branches below one another, at most: then the 32 bits of the hash are used up and a leaf may be any size. */
export const DEEPEST = 10;

/** Entries in order of key number. */
export interface Leaf {
  readonly keys: readonly number[];
  readonly events: readonly number[];
}
export interface Branch {
  /** Entries below it. */
  readonly size: number;
  /** Node numbers, 0 for none; `FAN_OUT` of them. */
  readonly children: readonly number[];
}
export type StateNode = Leaf | Branch;

export function isLeaf(node: StateNode): node is Leaf {
  return 'keys' in node;
}

export function sizeOf(node: StateNode): number {
  return isLeaf(node) ? node.keys.length : node.size;
}

/**
 * 32 well-mixed bits of a key's number. It never changes: the shape of every tree on disk rests on it. One to one for
 * numbers below 2^32, so nobody can pile keys up in one leaf by choosing names.
 */
export function hashOf(key: number): number {
  let h = (key >>> 0) ^ Math.imul(Math.floor(key / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Which way a hash takes out of a branch at `depth`. */
export function wayAt(hash: number, depth: number): number {
  return (hash >>> (3 * depth)) & (FAN_OUT - 1);
}

const writer = new ByteWriter();

/**
 * Leaf: 0, count, then keys as steps from the one before and events as distance from the node's own number. Branch:
 * bitmap of its ways (never 0), size, and the children as distance below the node's own number. Numbers given out at
 * about the same time are near one another, so most take one to three bytes.
 */
export function encodeNode(num: number, node: StateNode): Buffer {
  if (isLeaf(node)) {
    writer.restart().unsigned(0).unsigned(node.keys.length);
    let previous = 0;
    node.keys.forEach((key, i) => {
      writer.unsigned(key - previous).signed(num - node.events[i]!);
      previous = key;
    });
    return writer.copy();
  }
  let ways = 0;
  node.children.forEach((child, way) => {
    if (child !== 0) ways |= 1 << way;
  });
  writer.restart().unsigned(ways).unsigned(node.size);
  for (const child of node.children) if (child !== 0) writer.unsigned(num - child);
  return writer.copy();
}

export function decodeNode(num: number, bytes: Buffer): StateNode {
  const reader = new VarintReader(bytes);
  const ways = reader.unsigned();
  const size = reader.unsigned();
  if (ways === 0) {
    // Of the right size from the start: an array that grows leaves itself room for more.
    const keys = new Array<number>(size);
    const events = new Array<number>(size);
    let previous = 0;
    for (let i = 0; i < size; i++) {
      previous += reader.unsigned();
      keys[i] = previous;
      events[i] = num - reader.signed();
    }
    return { keys, events };
  }
  const children = new Array<number>(FAN_OUT);
  for (let way = 0; way < FAN_OUT; way++) children[way] = ways & (1 << way) ? num - reader.unsigned() : 0;
  return { size, children };
}

/** Memory that a decoded node takes, roughly, in bytes. */
export function weightOf(node: StateNode): number {
  return 200 + (isLeaf(node) ? node.keys.length * 16 : FAN_OUT * 8);
}
