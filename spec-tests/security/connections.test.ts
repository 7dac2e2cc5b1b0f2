// What slow and idle connections cost others: SECURITY-CASES 26 and 37 to 39.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { C, inRoom, query, texts } from '../support/client.js';
import { type Homeserver, startOwnServer } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await startOwnServer();
test.after(() => hs.stop());

/** The server's bound on headers and on a JSON body is 20 s and 30 s; it looks at them every 5 s. */
const CUT_OFF_WITHIN_MS = 45_000;

/** Descriptors that this process, and so a server started by it, may have open. */
function descriptors(): number {
  const report = process.report.getReport() as unknown as { userLimits?: { open_files?: { soft: unknown } } };
  const soft = Number(report.userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : 20_000;
}

function open(server: Homeserver, localAddress?: string): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  return new Promise((done, fail) => {
    const socket = connect({ host: hostname, port: Number(port), ...(localAddress !== undefined && { localAddress }) });
    socket.once('connect', () => done(socket)).once('error', fail);
  });
}

/** Sends `start`, then a byte now and then; resolves with what came before the server closed. */
async function trickle(start: string): Promise<string> {
  const socket = await open(hs);
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
  socket.on('error', () => {});
  socket.write(start);
  const drop = setInterval(() => socket.write('x'), 500);
  const gone = once(socket, 'close').then(() => true);
  const late = new Promise<false>((tell) => setTimeout(() => tell(false), CUT_OFF_WITHIN_MS).unref());
  const wasClosed = await Promise.race([gone, late]);
  clearInterval(drop);
  socket.destroy();
  assert.ok(wasClosed, 'the server closes the connection');
  return answer;
}

test('what arrives byte by byte is cut off (T37, T38)', { concurrency: true }, async (t) => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const sending = `PUT ${inRoom(room, 'send', 'm.room.message', 'slow')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.accessToken}\r\n`;
  await Promise.all([
    t.test('headers', async () => {
      assert.match(await trickle(`GET ${C}/login HTTP/1.1\r\nHost: x\r\nX-Slow: `), /^HTTP\/1\.1 408 /);
    }),
    t.test('a body', async () => {
      assert.match(await trickle(`${sending}Content-Length: 10000\r\n\r\n{"body":"`), /^HTTP\/1\.1 408 /);
    }),
    t.test('a body in chunks', async () => {
      assert.match(await trickle(`${sending}Transfer-Encoding: chunked\r\n\r\nfff\r\n{"body":"`), /^HTTP\/1\.1 408 /);
    }),
    t.test('and others are served meanwhile', async () => {
      await alice.say(room, 'quick');
    }),
  ]);
  const events = (await alice.messages(room, { dir: 'b' }))['chunk'];
  assert.deepEqual(events.filter(({ type }: { type: string }) => type === 'm.room.message').length, 1);
});

test('thousands of idle sockets and waiting syncs leave the server to others (T39, T40)', async (t) => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const { next_batch: since } = await alice.ok('GET', `${C}/sync`);
  // The limit on descriptors holds for us and for the server alike; some are needed for other things.
  const waiting = 1_000;
  const idle = Math.min(5_000, descriptors() - waiting - 500);
  assert.ok(idle > 0, 'the limit on open files is too low for any such test');
  t.diagnostic(`${idle} idle sockets, ${waiting} syncs`);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const add = async (count: number, localAddress?: string): Promise<Socket[]> => {
    const made: Socket[] = [];
    // The backlog of a listening socket is some hundreds.
    while (made.length < count) {
      const batch = Math.min(200, count - made.length);
      made.push(...(await Promise.all(Array.from({ length: batch }, () => open(hs, localAddress)))));
    }
    for (const socket of made) socket.on('error', () => {});
    sockets.push(...made);
    return made;
  };
  await add(idle);
  const syncs = await add(waiting);
  const request = `GET ${C}/sync${query({ since, timeout: 60_000 })} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.accessToken}\r\n\r\n`;
  const woken = syncs.map(
    (socket) =>
      new Promise<string>((done) => {
        let answer = '';
        socket.on('data', (chunk) => {
          answer += chunk.toString();
          if (answer.includes('wake up')) done(answer);
        });
        socket.once('close', () => done(answer));
      }),
  );
  for (const socket of syncs) socket.write(request);
  const from = performance.now();
  await bob.ok('GET', `${C}/account/whoami`);
  assert.ok(performance.now() - from < 10_000, 'others are served');
  await bob.say(room, 'wake up');
  for (const answer of await Promise.all(woken)) assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*wake up/);
  await (await bob.login()).ok('GET', `${C}/account/whoami`);
});

test('one address can not take all connections (T39)', ourChoice('the option and the bound are ours'), async (t) => {
  const ours = await startOwnServer({ RUNNEL_TRUSTED_PROXIES: '192.0.2.1' });
  t.after(() => ours.stop());
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let closed = 0;
  let tell: () => void = () => {};
  const refused = new Promise<void>((done) => (tell = done));
  for (let i = 0; i < 600; i++) {
    // Another address of the same machine: that of everything else here stays free.
    const socket = await open(ours, '127.0.0.2');
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      closed++;
      if (closed >= 100) tell();
    });
    socket.resume();
  }
  await refused;
  assert.ok(closed < 600);
  await ours.anonymous().ok('GET', `${C}/login`);
});

/** Resident memory of a process in bytes, where the system tells it in this way. */
async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

test('a form of a gigabyte is refused, and never held (T26)', async (t) => {
  const before = await residentBytes(hs.own!.pid);
  const socket = await open(hs);
  t.after(() => socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
  socket.on('error', () => {});
  const gone = new Promise((closed) => socket.once('close', closed));
  socket.write(
    `POST ${C}/login HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000000\r\n\r\n--b\r\n`,
  );
  const piece = Buffer.alloc(1 << 20, 'x');
  let sent = 0;
  const pump = (): void => {
    while (!socket.destroyed && sent < 1_000_000_000) {
      sent += piece.length;
      if (!socket.write(piece)) return void socket.once('drain', pump);
    }
  };
  pump();
  await gone;
  // The answer is lost where the server closes while we still send.
  if (answer !== '') assert.match(answer, /^HTTP\/1\.1 415 /);
  assert.ok(sent < 500_000_000, 'most of it is never sent');
  const after = await residentBytes(hs.own!.pid);
  if (before === undefined || after === undefined) return t.diagnostic('the system does not tell how much memory');
  t.diagnostic(`${sent >> 20} MiB were sent; resident memory went from ${before >> 20} to ${after >> 20} MiB`);
  assert.ok(after - before < 100 << 20);
});

test('a server that runs out of file descriptors loses nothing, and goes on when there are some again (T39)', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'runnel-few-files-'));
  const script = join(folder, 'node');
  await writeFile(script, `#!/bin/sh\nulimit -n 250 && exec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const ours = await startOwnServer({}, script);
  t.after(async () => {
    await ours.stop();
    await rm(folder, { recursive: true });
  });
  const alice = await ours.user('alice');
  const room = await alice.createRoom();
  await alice.say(room, 'before');
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 4; i++) {
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => open(ours)))));
  }
  for (const socket of sockets) socket.on('error', () => {}).resume();
  // Who has a connection already is served as before, or told that it can not be.
  const during = { msgtype: 'm.text', body: 'during' };
  const sent = await alice
    .request('PUT', inRoom(room, 'send', 'm.room.message', 'during'), during)
    .catch(() => undefined);
  assert.ok(sent === undefined || sent.status === 200 || sent.status >= 500, String(sent?.status));
  t.diagnostic(`${sockets.filter((socket) => socket.destroyed).length} of ${sockets.length} were closed by the server`);
  for (const socket of sockets) socket.destroy();
  await alice.say(room, 'after');
  const { chunk } = await (await alice.login()).messages(room, { limit: 3 });
  const said = texts(chunk);
  assert.deepEqual([said[0], said.at(-1)], ['after', 'before']);
  if (sent?.status === 200) assert.ok(said.includes('during'), 'what was acknowledged is there');
});
