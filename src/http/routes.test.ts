import assert from 'node:assert/strict';
import test from 'node:test';
import { endpoint } from '#http/endpoint.js';
import { Routes } from '#http/routes.js';

const at = (id: string, method: 'GET' | 'PUT' | 'DELETE', path: string, aliases: string[] = []) =>
  endpoint<object, 'none'>({ id, method, path, aliases, caller: 'none', limit: 'free', handle: async () => ({}) });

const found = (routes: Routes<object>, method: string, path: string) => {
  const match = routes.match(method, path);
  return match.kind === 'route' ? [match.route.endpoint.id, { ...match.params }] : match.kind;
};

test('a literal segment wins over a parameter, but only where it has the method', () => {
  const routes = new Routes([
    at('getDisplayName', 'GET', '/profile/{userId}/displayname'),
    at('getField', 'GET', '/profile/{userId}/{keyName}'),
    at('deleteField', 'DELETE', '/profile/{userId}/{keyName}'),
  ]);
  assert.deepEqual(found(routes, 'GET', '/profile/@a:b/displayname'), ['getDisplayName', { userId: '@a:b' }]);
  assert.deepEqual(found(routes, 'GET', '/profile/@a:b/m.tz'), ['getField', { userId: '@a:b', keyName: 'm.tz' }]);
  assert.deepEqual(found(routes, 'DELETE', '/profile/@a:b/displayname'), [
    'deleteField',
    { userId: '@a:b', keyName: 'displayname' },
  ]);
});

test('a longer literal start wins over a shorter one, but only where it has the method', () => {
  const routes = new Routes([
    at('any', 'GET', '/{a}/{b}/{c}'),
    at('one', 'GET', '/x/{b}/{c}'),
    at('two', 'PUT', '/x/y/{c}'),
    at('all', 'DELETE', '/x/y/z'),
    at('root', 'GET', '/'),
  ]);
  assert.deepEqual(found(routes, 'DELETE', '/x/y/z'), ['all', {}]);
  assert.deepEqual(found(routes, 'PUT', '/x/y/z'), ['two', { c: 'z' }]);
  assert.deepEqual(found(routes, 'GET', '/x/y/z'), ['one', { b: 'y', c: 'z' }]);
  assert.deepEqual(found(routes, 'GET', '/w/y/{z'), ['any', { a: 'w', b: 'y', c: '{z' }]);
  assert.equal(found(routes, 'PUT', '/w/y/z'), 'wrongMethod');
  assert.equal(found(routes, 'GET', '/x/y'), 'unknown');
  assert.deepEqual(found(routes, 'GET', '/'), ['root', {}]);
});

test('a known path without the method is told apart from an unknown path', () => {
  const routes = new Routes([at('a', 'GET', '/a/{b}')]);
  assert.equal(found(routes, 'PUT', '/a/1'), 'wrongMethod');
  assert.equal(found(routes, 'GET', '/a'), 'unknown');
  assert.equal(found(routes, 'GET', '/a/1/'), 'unknown');
  assert.deepEqual(found(routes, 'HEAD', '/a/1'), ['a', { b: '1' }]);
});

test('v3 paths answer under r0 too', () => {
  const routes = new Routes([at('whoami', 'GET', '/_matrix/client/v3/account/whoami')]);
  assert.deepEqual(found(routes, 'GET', '/_matrix/client/r0/account/whoami'), ['whoami', {}]);
});

test('a parameter that an alias lacks is empty, as is an empty segment', () => {
  const routes = new Routes([at('state', 'GET', '/state/{eventType}/{stateKey}', ['/state/{eventType}'])]);
  const expected = ['state', { eventType: 'm.room.name', stateKey: '' }];
  assert.deepEqual(found(routes, 'GET', '/state/m.room.name'), expected);
  assert.deepEqual(found(routes, 'GET', '/state/m.room.name/'), expected);
});

test('parameters are decoded exactly once and their slashes do not split (T31, T32)', () => {
  const routes = new Routes([at('room', 'GET', '/rooms/{roomId}')]);
  assert.deepEqual(found(routes, 'GET', '/rooms/%21a%2Fb:c'), ['room', { roomId: '!a/b:c' }]);
  assert.deepEqual(found(routes, 'GET', '/rooms/%252F'), ['room', { roomId: '%2F' }]);
  assert.deepEqual(found(routes, 'GET', '/rooms/a;b=c+d'), ['room', { roomId: 'a;b=c+d' }]);
  for (const bad of ['%', '%2', '%zz', '%FF', '%ED%A0%80', 'caf\u00e9']) {
    assert.throws(() => routes.match('GET', `/rooms/${bad}`), { errcode: 'M_INVALID_PARAM', status: 400 }, bad);
  }
});

test('dots and empty segments are not normalised into another route (T33)', () => {
  const routes = new Routes([at('admin', 'GET', '/_synapse/admin/users'), at('room', 'GET', '/rooms/{roomId}')]);
  for (const path of ['/rooms/../_synapse/admin/users', '//_synapse/admin/users', '/.%2e/_synapse/admin/users']) {
    assert.equal(found(routes, 'GET', path), 'unknown', path);
  }
  assert.deepEqual(found(routes, 'GET', '/rooms/..'), ['room', { roomId: '..' }]);
});

test('names from the object prototype are no routes and fine as parameters (T15)', () => {
  const routes = new Routes([at('room', 'GET', '/rooms/{roomId}')]);
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(found(routes, 'GET', `/${name}`), 'unknown');
    assert.deepEqual(found(routes, 'GET', `/rooms/${name}`), ['room', { roomId: name }]);
    assert.equal(found(routes, name, '/rooms/a'), 'wrongMethod');
  }
});

test('a path that is none is refused', () => {
  for (const path of ['', 'x/{y}', '/x{y}', '/{x}y', '/{x', '/{}', '/{x y}']) {
    assert.throws(() => new Routes([at('a', 'GET', path)]).grow(), /odd path of a/, path);
  }
});

test('two endpoints for one method and path are refused', () => {
  const twice = new Routes([at('a', 'GET', '/x/{y}'), at('b', 'GET', '/x/{z}')]);
  assert.throws(() => twice.grow(), /declared by b and a/);
});
