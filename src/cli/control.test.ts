import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { controlSocketPath, openControlSocket, verb } from '#cli/control.js';
import { object, string } from '#core/schema.js';
import { openHttpClient, type RemoteError } from '#remote/http.js';
import { SimulatedClock, SystemClock } from '#util/clock.js';
import { type Log, silentLog } from '#util/log.js';

async function control(t: TestContext, options: { log?: Log } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-control-'));
  const clock = new SimulatedClock();
  const path = join(directory, 'control.sock');
  let asked: () => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const socket = await openControlSocket(
    [
      verb({
        name: 'say it',
        input: object({ what: string() }),
        run: async (app: string, { what }) => ({ said: `${app} ${what}` }),
      }),
      verb({ name: 'break', input: object({}), run: () => Promise.reject(new Error('broken inside')) }),
      verb({
        name: 'wait',
        input: object({}),
        run: () => {
          asked();
          return new Promise<never>(() => {});
        },
      }),
    ],
    'app',
    { path, clock, log: options.log ?? silentLog },
  );
  const http = openHttpClient({ clock: new SystemClock(), socketPath: path });
  t.after(async () => {
    await http.close();
    await socket.close();
    await rm(directory, { recursive: true });
  });
  const post = async (name: string, body: string, method: 'POST' | 'GET' = 'POST') => {
    const url = `http://localhost/${encodeURIComponent(name)}`;
    const sent = method === 'POST' ? { body } : {};
    const { status, body: answer } = await http.request({ method, url, ...sent, timeoutMs: 10_000, maxBytes: 10_000 });
    return { status, answer: JSON.parse(answer.toString()) as Record<string, unknown> };
  };
  return { post, socket, clock, waiting };
}

test('a verb answers with its result', async (t) => {
  const { post } = await control(t);
  assert.deepEqual(await post('say it', '{"what":"hi"}'), { status: 200, answer: { result: { said: 'app hi' } } });
});

test('what is no verb, no POST or no fitting input is refused with the reason', async (t) => {
  const { post } = await control(t);
  assert.equal((await post('unknown', '{}')).answer['errcode'], 'M_UNRECOGNIZED');
  assert.equal((await post('say it', '', 'GET')).status, 405);
  assert.equal((await post('say it', '{"what":1}')).answer['errcode'], 'M_BAD_JSON');
  assert.equal((await post('say it', `{"what":"${'x'.repeat(70_000)}"}`)).answer['errcode'], 'M_TOO_LARGE');
});

test('input that is no JSON is refused, not a fault', async (t) => {
  const { post } = await control(t);
  assert.deepEqual((await post('say it', '{')).answer['errcode'], 'M_NOT_JSON');
});

test('a verb that fails unforeseen is logged, and the server goes on', async (t) => {
  const logged: string[] = [];
  const { post } = await control(t, { log: { ...silentLog, error: (message) => void logged.push(message) } });
  assert.deepEqual(await post('break', '{}'), {
    status: 500,
    answer: { errcode: 'M_UNKNOWN', error: 'broken inside' },
  });
  assert.equal(logged.length, 1);
  assert.equal((await post('say it', '{"what":"hi"}')).status, 200);
});

test('a command that does not end holds up no stop', async (t) => {
  const { post, socket, clock, waiting } = await control(t);
  const cut = assert.rejects(post('wait', '{}'), (error: RemoteError) => error.kind === 'unreachable');
  await waiting;
  const closed = socket.close();
  clock.advance(5_000);
  await Promise.all([closed, cut]);
});

test('a path too long for a socket is known beforehand', () => {
  assert.equal(controlSocketPath(join('/', 'x'.repeat(200))), undefined);
  assert.match(controlSocketPath('data') ?? '', /^data\/control\.sock$/);
});
