import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { Lru } from '#util/lru.js';

const kept = (cache: Lru<string, number>, ...keys: string[]): string[] => keys.filter((key) => cache.has(key));

test('what was set or asked for last stays, and what was neither goes', () => {
  const cache = new Lru<string, number>(4);
  for (const key of ['a', 'b', 'c', 'd']) cache.set(key, 1);
  deepEqual(kept(cache, 'a', 'b', 'c', 'd'), ['a', 'b', 'c', 'd']);
  equal(cache.get('a'), 1);
  deepEqual(kept(cache, 'a', 'b', 'c', 'd'), ['a', 'c', 'd']);
  cache.set('e', 1);
  cache.set('f', 1);
  deepEqual(kept(cache, 'a', 'c', 'd', 'e', 'f'), ['a', 'e', 'f']);
});

test('of a thousand that come and go, those that are asked for each time are always there', () => {
  const cache = new Lru<string, number>(40);
  for (let hot = 0; hot < 8; hot++) cache.set(`hot ${hot}`, hot);
  for (let cold = 0; cold < 1_000; cold++) {
    cache.set(`cold ${cold}`, cold);
    equal(cache.get(`cold ${Math.max(0, cold - 1)}`), Math.max(0, cold - 1));
    equal(cache.get(`hot ${cold % 8}`), cold % 8);
    equal(cache.size, cache.weight);
    equal(cache.weight <= 40, true);
  }
});

test('what is set anew counts once, with its new weight', () => {
  const cache = new Lru<string, number>(20);
  for (let i = 0; i < 50; i++) cache.set(`${i % 2}`, i, 1 + (i % 5));
  deepEqual([cache.get('0'), cache.get('1'), cache.size, cache.weight], [48, 49, 2, 4 + 5]);
});

test('shrunk to a share of its limit it has what was set last, and takes as much as before', () => {
  const cache = new Lru<string, number>(8);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1, 2);
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

test('old entries are found, taken out and forgotten like young ones', () => {
  const cache = new Lru<string, number>(4);
  for (const key of ['a', 'b', 'c', 'd']) cache.set(key, 1);
  equal(cache.delete('a'), true);
  equal(cache.has('a'), false);
  cache.set('b', 2);
  deepEqual([cache.get('b'), cache.size], [2, 3]);
  cache.clear();
  deepEqual([kept(cache, 'a', 'b', 'c', 'd'), cache.weight, cache.size], [[], 0, 0]);
});
