import type { ServerName } from '#core/ids.js';
import { cursorOf, Destinations, nextFor, putDestination } from '#outbound/destinations.js';
import { RemoteRefusal, serverPath } from '#remote/client.js';
import { RemoteError } from '#remote/http.js';
import type { Federation } from '#rooms/federation.js';
import { wireForm } from '#rooms/wire-form.js';
import { type Destination, destinations } from '#store/schema.js';
import type { Log } from '#util/log.js';
import type { Task, TaskContext, Tasks } from '#util/tasks.js';

/** Events in one transaction (server-server API, Transactions). */
const MAX_PDUS = 50;
/** Servers that are sent to at once. */
const MAX_AT_ONCE = 32;
const TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = 256 * 1024;
/** Waits after a failure: doubled from the first to the last, each give or take a quarter. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60 * 60 * 1000;
/** How often the log is looked through though nobody said that there is something new. */
const FOLLOW_EVERY_MS = 60_000;

export interface OutboundParts {
  readonly federation: Federation;
  readonly tasks: Tasks;
  readonly log: Log;
}

interface Worker {
  /** There may be something new: it must look again before it ends. */
  again: boolean;
  task?: Task;
}

/**
 * Tells other servers of what happens in rooms that they are in (server-server API, Transactions). Each has a queue, read
 * from the log in order, and a task of its own while that is not empty: one that is down delays no other. What it was
 * told last stands in the database, so that a restart goes on from there; a transaction is the same when it is repeated.
 */
export class OutboundFederation {
  readonly #parts: OutboundParts;
  readonly #all: Destinations;
  readonly #workers = new Map<ServerName, Worker>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  #follower: Task | undefined;
  #endListening: () => void = () => {};

  constructor(parts: OutboundParts) {
    this.#parts = parts;
    this.#all = new Destinations(parts.federation.rooms);
  }

  /** Takes up what a stop or a crash left, and follows the log from there. */
  async start(): Promise<void> {
    const { federation, tasks } = this.#parts;
    const { store } = federation.rooms;
    let isNew = true;
    this.#follower = tasks.start('federation', async ({ signal, idle, busy }) => {
      while (!signal.aborted) {
        isNew = false;
        const done = busy();
        try {
          for (const server of await this.#all.follow()) this.#wake(server);
        } finally {
          done();
        }
        if (!isNew) await idle(FOLLOW_EVERY_MS);
      }
    });
    this.#endListening = store.onCommitted((entries) => {
      if (!entries.some(({ fact }) => fact.kind === 'event')) return;
      isNew = true;
      this.#follower?.wake();
    });
    federation.onHeardFrom.push((server) => this.#retryNow(server));
    for await (const [[server]] of store.range(destinations)) this.#wake(server as ServerName);
  }

  /** Ends listening; the tasks are stopped by who owns them. */
  close(): void {
    this.#endListening();
  }

  #wake(server: ServerName): void {
    const running = this.#workers.get(server);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const worker: Worker = { again: true };
    this.#workers.set(server, worker);
    worker.task = this.#parts.tasks.start('federation destination', (context) => this.#run(server, worker, context));
  }

  /** A server that was down has sent something. */
  #retryNow(server: ServerName): void {
    const { store } = this.#parts.federation.rooms;
    const worker = this.#workers.get(server);
    if (worker === undefined || store.get(destinations, [server])?.failing === undefined) return;
    const forgiven = store.commit((tx) => {
      const { failing, ...row } = tx.get(destinations, [server]) ?? { after: undefined };
      if (failing !== undefined && row.after !== undefined) putDestination(tx, server, { ...row, after: row.after });
    });
    // Where the disk refuses, the server is tried again when its time comes.
    forgiven.then(
      () => worker.task?.wake(),
      () => {},
    );
  }

  async #run(server: ServerName, worker: Worker, { signal, idle, busy }: TaskContext): Promise<void> {
    while (!signal.aborted) {
      worker.again = false;
      const done = busy();
      let waitMs: number | undefined;
      try {
        waitMs = await this.#work(server, signal);
      } finally {
        done();
      }
      if (waitMs !== undefined) await idle(waitMs);
      else if (!worker.again) {
        // At once, so that nothing can be said to a worker that has ended.
        this.#workers.delete(server);
        return;
      }
    }
  }

  /** Sends what there is. Gives how long to wait before the next try, or undefined where nothing is left. */
  async #work(server: ServerName, signal: AbortSignal): Promise<number | undefined> {
    const { rooms } = this.#parts.federation;
    while (!signal.aborted) {
      const row = rooms.store.get(destinations, [server]);
      if (row === undefined) return undefined;
      const waitMs = row.failing === undefined ? 0 : Math.min(LONGEST_WAIT_MS, row.failing.retryTs - rooms.clock.now());
      if (waitMs > 0) return waitMs;
      const prepared = await this.#prepare(server, row);
      if (prepared === undefined) continue;
      const failure = await this.#send(server, prepared, signal);
      if (signal.aborted) return undefined;
      await this.#note(server, prepared, failure);
    }
    return undefined;
  }

  /** The row with its next transaction in it; undefined where nothing was left to send, which is noted. */
  async #prepare(server: ServerName, row: Destination): Promise<Required<Omit<Destination, 'failing'>> | undefined> {
    const { rooms } = this.#parts.federation;
    if (row.txn !== undefined) return { after: row.after, txn: row.txn };
    const cursor = cursorOf(rooms.store);
    const { events, upTo } = await nextFor(rooms, server, row.after, cursor, MAX_PDUS);
    if (events.length > 0) {
      const txn = { id: rooms.random.token(12), ts: rooms.clock.now(), events: events.map(({ num }) => num), upTo };
      await rooms.store.commit((tx) => putDestination(tx, server, { ...row, txn }));
      return { after: row.after, txn };
    }
    await rooms.store.commit((tx) => {
      // Where the cursor went on meanwhile, it found the row, and left it to us to look there.
      const isEmpty = cursorOf(tx) === cursor;
      putDestination(tx, server, isEmpty ? undefined : { after: upTo });
    });
    return undefined;
  }

  /** Why a transaction was not taken, `refused` for good or for now; undefined where it was. */
  async #send(
    server: ServerName,
    { txn }: Required<Omit<Destination, 'failing'>>,
    signal: AbortSignal,
  ): Promise<'refused' | 'failed' | undefined> {
    const { federation } = this.#parts;
    const { rooms } = federation;
    const pdus = rooms.events.many(rooms.store, txn.events).map((event) => wireForm(rooms, rooms.store, event));
    while (this.#underWay >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay++;
    try {
      await federation.client.request({
        destination: server,
        method: 'PUT',
        uri: serverPath('/_matrix/federation/v1/send', [txn.id]),
        content: { origin: rooms.serverName, origin_server_ts: txn.ts, pdus },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
        signal,
      });
      federation.health.answered(server);
      return undefined;
    } catch (error) {
      if (!(error instanceof RemoteError) && !(error instanceof RemoteRefusal)) throw error;
      this.#parts.log.debug('A transaction was not taken.', { server, why: error.message });
      // The same transaction will never be taken: to repeat it would keep everything after it from the server.
      return error instanceof RemoteRefusal && (error.status === 400 || error.status === 413) ? 'refused' : 'failed';
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }

  async #note(
    server: ServerName,
    { after, txn }: Required<Omit<Destination, 'failing'>>,
    failure: 'refused' | 'failed' | undefined,
  ): Promise<void> {
    const { rooms } = this.#parts.federation;
    if (failure === 'refused') this.#parts.log.warn('A server refused a transaction, which is dropped.', { server });
    await rooms.store.commit((tx) => {
      if (failure !== 'failed') return putDestination(tx, server, { after: txn.upTo });
      const failing = tx.get(destinations, [server])?.failing;
      const now = rooms.clock.now();
      const waitMs = Math.min(LONGEST_WAIT_MS, failing === undefined ? FIRST_WAIT_MS : failing.waitMs * 2);
      const shiftedMs = Math.min(LONGEST_WAIT_MS, Math.round(waitMs * (0.75 + rooms.random.bytes(1)[0]! / 512)));
      const since = { sinceTs: failing?.sinceTs ?? now, retryTs: now + shiftedMs, waitMs };
      putDestination(tx, server, { after, txn, failing: since });
    });
  }
}
