import assert from 'node:assert/strict';
import test from 'node:test';
import { MatrixError } from '#core/errors.js';
import { accessToken, admit } from '#http/auth.js';
import { type CallerKind, endpoint } from '#http/endpoint.js';
import { callerOf, serve } from '#http/testing.js';

const whoami = <K extends CallerKind>(caller: K, path: string, more: object = {}) =>
  endpoint({
    id: path,
    method: 'POST',
    path,
    caller,
    limit: 'free',
    ...more,
    handle: async (_app: object, input) => ({ user: (input.caller as { user: string } | undefined)?.user ?? null }),
  });

test('the token comes from the header, whose scheme has any case, or else from the query (T234)', () => {
  assert.equal(accessToken('Bearer abc', ''), 'abc');
  assert.equal(accessToken('bEARER  abc ', 'access_token=other'), 'abc');
  assert.equal(accessToken(undefined, 'a=b&access%5Ftoken=x%20y'), 'x y');
  assert.equal(accessToken(undefined, 'a=b'), undefined);
  assert.equal(accessToken(undefined, 'access_token='), undefined);
  for (const odd of ['', 'Bearer', 'Bearer ', 'Basic abc', 'X-Matrix origin=a', 'Bearer a b']) {
    assert.equal(accessToken(odd, 'access_token=x'), undefined, odd);
  }
});

test('a missing and an unknown token are told apart; public endpoints work with a stale one (T233)', async (t) => {
  const hs = await serve(t, [whoami('user', '/mine'), whoami('user?', '/either'), whoami('none', '/public')]);
  const missing = await hs.call('POST', '/mine');
  assert.equal(missing.status, 401);
  assert.equal(missing.json.errcode, 'M_MISSING_TOKEN');
  const stale = { headers: { authorization: 'Bearer stale' } };
  const unknown = await hs.call('POST', '/mine', stale);
  assert.equal(unknown.status, 401);
  assert.equal(unknown.json.errcode, 'M_UNKNOWN_TOKEN');
  assert.equal(unknown.headers['access-control-allow-origin'], '*');
  assert.deepEqual((await hs.call('POST', '/either', stale)).json, { user: null });
  assert.deepEqual((await hs.call('POST', '/public', stale)).json, { user: null });
  assert.deepEqual((await hs.call('POST', '/either?access_token=alice')).json, { user: '@alice:hs.test' });
});

test('an expired token says that the session can be continued (T233)', async (t) => {
  const hs = await serve(t, [whoami('user', '/mine')], {
    authenticate: () => new MatrixError('M_UNKNOWN_TOKEN', 'expired', { extra: { soft_logout: true } }),
  });
  const { json } = await hs.call('POST', '/mine', { headers: { authorization: 'Bearer old' } });
  assert.deepEqual(json, { errcode: 'M_UNKNOWN_TOKEN', error: 'expired', soft_logout: true });
});

test('the caller is decided before the body is looked at', async (t) => {
  const hs = await serve(t, [whoami('user', '/mine')]);
  assert.equal((await hs.call('POST', '/mine', { body: 'not json' })).json.errcode, 'M_MISSING_TOKEN');
});

test('a guest gets only what is open to guests (T250)', () => {
  const guest = callerOf({ guest: true });
  const may = (caller: CallerKind) => admit({ caller, whileSuspended: false }, guest);
  assert.equal(may('guest'), guest);
  assert.equal(may('user?'), guest);
  assert.throws(() => may('user'), { errcode: 'M_GUEST_ACCESS_FORBIDDEN', status: 403 });
  assert.throws(() => may('admin'), { errcode: 'M_GUEST_ACCESS_FORBIDDEN' });
});

test('endpoints of administrators refuse everyone else (T251)', () => {
  const admin = callerOf({ admin: true });
  assert.equal(admit({ caller: 'admin', whileSuspended: false }, admin), admin);
  assert.throws(() => admit({ caller: 'admin', whileSuspended: false }, callerOf()), {
    errcode: 'M_FORBIDDEN',
    status: 403,
  });
  assert.throws(() => admit({ caller: 'admin', whileSuspended: false }, undefined), { errcode: 'M_MISSING_TOKEN' });
});

test('a locked account may only log out, a suspended one only read and leave (T242)', async (t) => {
  const hs = await serve(
    t,
    [
      whoami('user', '/write'),
      whoami('user', '/logout', { whileLocked: true, whileSuspended: true }),
      whoami('user', '/leave', { whileSuspended: true }),
    ],
    { callers: { locked: callerOf({ locked: true }), suspended: callerOf({ suspended: true }) } },
  );
  const as = (who: string) => ({ headers: { authorization: `Bearer ${who}` } });
  const locked = await hs.call('POST', '/write', as('locked'));
  assert.equal(locked.status, 401);
  assert.equal(locked.json.errcode, 'M_USER_LOCKED');
  assert.equal(locked.json.soft_logout, true);
  assert.equal((await hs.call('POST', '/logout', as('locked'))).status, 200);
  const suspended = await hs.call('POST', '/write', as('suspended'));
  assert.equal(suspended.status, 403);
  assert.equal(suspended.json.errcode, 'M_USER_SUSPENDED');
  assert.equal((await hs.call('POST', '/leave', as('suspended'))).status, 200);
});
