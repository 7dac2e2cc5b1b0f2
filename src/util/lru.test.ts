import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { Lru } from '#util/lru.js';

const kept = (cache: Lru<string, number>, ...keys: string[]): string[] => keys.filter((key) => cache.has(key));

test('what was set the longest ago goes first, and what was asked for stays for another round', () => {
  const cache = new Lru<string, number>(3);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1);
  equal(cache.get('a'), 1);
  cache.set('d', 1);
  deepEqual(kept(cache, 'a', 'b', 'c', 'd'), ['a', 'c', 'd']);
  cache.set('e', 1);
  deepEqual(kept(cache, 'a', 'c', 'd', 'e'), ['a', 'd', 'e']);
  cache.set('f', 1);
  deepEqual(kept(cache, 'a', 'd', 'e', 'f'), ['d', 'e', 'f'], 'one question is one more round');
});

test('where all were asked for, one of them goes all the same', () => {
  const cache = new Lru<string, number>(2);
  cache.set('a', 1);
  cache.set('b', 1);
  cache.get('a');
  cache.get('b');
  cache.set('c', 1);
  equal(cache.size, 2);
  deepEqual(kept(cache, 'b', 'c'), ['b', 'c']);
});

test('shrunk to a share of its limit it has what was set last, and takes as much as before', () => {
  const cache = new Lru<string, number>(8);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1, 2);
  cache.get('a');
  cache.shrinkTo(0.75);
  deepEqual([kept(cache, 'a', 'b', 'c'), cache.weight], [['a', 'b', 'c'], 6], 'no more than it may hold');
  cache.shrinkTo(0.5);
  deepEqual([kept(cache, 'a', 'b', 'c'), cache.weight], [['b', 'c'], 4]);
  cache.shrinkTo(0.3);
  deepEqual([kept(cache, 'a', 'b', 'c'), cache.weight], [['c'], 2]);
  for (const key of ['d', 'e', 'f']) cache.set(key, 1, 2);
  deepEqual(kept(cache, 'c', 'd', 'e', 'f'), ['c', 'd', 'e', 'f']);
});

test('weights bound what is kept, and what alone is too heavy is not kept', () => {
  const cache = new Lru<string, number>(10);
  cache.set('a', 1, 6);
  cache.set('b', 2, 6);
  deepEqual([cache.get('a'), cache.get('b'), cache.weight], [undefined, 2, 6]);
  cache.set('b', 3, 11);
  deepEqual([cache.get('b'), cache.weight, cache.size], [undefined, 0, 0]);
  cache.set('c', 4, 2);
  equal(cache.delete('c'), true);
  equal(cache.delete('c'), false);
  equal(cache.weight, 0);
});
