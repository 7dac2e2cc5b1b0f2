import type { UserId } from '#core/ids.js';
import { JsonError, parseJson } from '#core/json.js';
import { isObject, type JsonValue, own } from '#core/json-value.js';
import {
  badgeNotification,
  badgeOf,
  eventNotification,
  type Notification,
  stillWanted,
} from '#outbound/notification.js';
import { type HttpClient, openHttpClient, RemoteError } from '#remote/http.js';
import { onlyAddresses, publicAddresses } from '#remote/public-address.js';
import type { Rooms } from '#rooms/rooms.js';
import { type PushDelivery, type Pusher, pushBadges, pushDeliveries, pushes } from '#store/schema.js';
import type { EventNum, Position, Tx } from '#store/types.js';
import { dropQueue, putDelivery, queuedPushers, takeOut, takeOutBadge } from '#users/push-queue.js';
import { listPushers, removeRejected } from '#users/pushers.js';
import type { Users } from '#users/users.js';
import type { Log } from '#util/log.js';
import type { Task, TaskContext, Tasks } from '#util/tasks.js';

/** Requests to gateways that are under way at once, all users together. */
const MAX_AT_ONCE = 32;
const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Waits after a failure: doubled from the first to the last, each give or take a quarter. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60 * 60 * 1000;
/** How long a push is tried again. */
const KEPT_MS = 48 * 60 * 60 * 1000;
/** Events that wait for a gateway that is down: the newest so many. */
const MAX_QUEUED = 1_000;
const ROWS_AT_ONCE = 50;
/** Longest reason that is kept of a failure. */
const MAX_WHY = 200;

export interface PushParts {
  readonly rooms: Rooms;
  readonly users: Users;
  readonly tasks: Tasks;
  readonly log: Log;
}

type Answer = 'delivered' | 'rejected' | { readonly why: string };

interface Worker {
  /** Something came while it looked: it must look again before it ends. */
  again: boolean;
  task?: Task;
}

/**
 * Push: what `users/push-queue.ts` holds goes to the gateways (push gateway API). Each pusher has a queue and a task of its
 * own, so that one gateway that is down delays no other, and an event is in the queue with the transaction that made it, so
 * that it can be read before its push leaves, and none is lost. A push may come twice after a crash.
 */
export class Push {
  readonly #parts: PushParts;
  readonly #https: HttpClient;
  /** For the networks that the operator allows: there plain HTTP will do. */
  readonly #http: HttpClient;
  readonly #workers = new Map<string, Worker>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(parts: PushParts) {
    this.#parts = parts;
    const { clock } = parts.rooms;
    const { pushAllow } = parts.users.options;
    this.#https = openHttpClient({ clock, mayConnect: publicAddresses(pushAllow) });
    this.#http = openHttpClient({ clock, mayConnect: onlyAddresses(pushAllow) });
    parts.users.onPushQueued.push((user, pusher) => this.#wake(user, pusher));
  }

  /** Takes up what a stop or a crash left in the queues. */
  async start(): Promise<void> {
    for await (const [user, pusher] of queuedPushers(this.#parts.rooms.store)) this.#wake(user, pusher);
  }

  /** Ends kept connections; to be called once the tasks have stopped. */
  async close(): Promise<void> {
    await Promise.all([this.#https.close(), this.#http.close()]);
  }

  #wake(user: UserId, pusher: number): void {
    const key = `${pusher} ${user}`;
    const running = this.#workers.get(key);
    if (running !== undefined) {
      running.again = true;
      running.task?.wake();
      return;
    }
    const worker: Worker = { again: true };
    this.#workers.set(key, worker);
    worker.task = this.#parts.tasks.start('push', async (context) => {
      await this.#run(user, pusher, worker, context);
      this.#workers.delete(key);
    });
  }

  async #run(user: UserId, id: number, worker: Worker, { signal, idle, busy }: TaskContext): Promise<void> {
    while (!signal.aborted) {
      worker.again = false;
      const done = busy();
      let waitMs: number | undefined;
      try {
        waitMs = await this.#work(user, id, signal);
      } finally {
        done();
      }
      if (waitMs !== undefined) await idle(waitMs);
      else if (!worker.again) return;
    }
  }

  /** Delivers what there is. Gives how long to wait before the next try, or undefined where nothing is left. */
  async #work(user: UserId, id: number, signal: AbortSignal): Promise<number | undefined> {
    const { store, clock } = this.#parts.rooms;
    while (!signal.aborted) {
      const pusher = listPushers(store, user).find((one) => one.id === id);
      if (pusher === undefined || !pusher.enabled) {
        await dropQueue(store, user, id);
        return undefined;
      }
      const retryTs = store.get(pushDeliveries, [user, id])?.failing?.retryTs;
      const waitMs = retryTs === undefined ? 0 : Math.min(LONGEST_WAIT_MS, retryTs - clock.now());
      if (waitMs > 0) return waitMs;
      if (retryTs !== undefined) await dropQueue(store, user, id, MAX_QUEUED);
      if (await this.#tellNext(user, pusher, signal)) continue;
      const noted = store.get(pushBadges, [user, id]);
      if (noted === undefined) return undefined;
      await this.#tellBadge(user, pusher, noted, signal);
    }
    return undefined;
  }

  /** Tells of the oldest event in the queue that is still unread, and drops those before it. False where there is none. */
  async #tellNext(user: UserId, pusher: Pusher, signal: AbortSignal): Promise<boolean> {
    const { rooms } = this.#parts;
    const rows = await rooms.store.list(pushes, { prefix: [user, pusher.id], limit: ROWS_AT_ONCE });
    const over: EventNum[] = [];
    for (const [[, , num], { tweaks, ts }] of rows) {
      const event = ts < rooms.clock.now() - KEPT_MS ? undefined : stillWanted(rooms, user, num);
      if (event === undefined) {
        over.push(num);
        continue;
      }
      const badge = await badgeOf(rooms.store, user);
      const answer = await this.#send(pusher, eventNotification(rooms, user, pusher, event, { tweaks, badge }), signal);
      await this.#note(user, pusher, answer, badge, signal, (tx, isTold) =>
        takeOut(tx, user, pusher.id, isTold ? [...over, num] : over),
      );
      return true;
    }
    if (rows.length > 0) await rooms.store.commit((tx) => takeOut(tx, user, pusher.id, over));
    return rows.length > 0;
  }

  /** Tells how many events are unread, where the gateway was told another number before. */
  async #tellBadge(user: UserId, pusher: Pusher, noted: Position, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts.rooms;
    const delivery = store.get(pushDeliveries, [user, pusher.id]);
    const badge = await badgeOf(store, user);
    const isGivenUp = delivery?.failing !== undefined && delivery.failing.sinceTs < clock.now() - KEPT_MS;
    if (pusher.noBadge || delivery?.badge === badge || isGivenUp) {
      await store.commit((tx) => takeOutBadge(tx, user, pusher.id, noted));
      return;
    }
    const answer = await this.#send(pusher, badgeNotification(pusher, badge), signal);
    await this.#note(user, pusher, answer, badge, signal, (tx, isTold) => {
      if (isTold) takeOutBadge(tx, user, pusher.id, noted);
    });
  }

  /** Notes what came of a request, together with what that does to the queue. */
  async #note(
    user: UserId,
    pusher: Pusher,
    answer: Answer,
    badge: number,
    signal: AbortSignal,
    change: (tx: Tx, isTold: boolean) => void,
  ): Promise<void> {
    const { rooms, users, log } = this.#parts;
    if (answer === 'rejected') return removeRejected(users, user, pusher);
    if (answer === 'delivered') {
      await rooms.store.commit((tx) => {
        change(tx, true);
        putDelivery(tx, user, pusher.id, pusher.noBadge ? {} : { badge });
      });
      return;
    }
    // A server that stops is no fault of the gateway.
    if (signal.aborted) return;
    const { failing, ...before } = rooms.store.get(pushDeliveries, [user, pusher.id]) ?? {};
    const now = rooms.clock.now();
    const waitMs = Math.min(LONGEST_WAIT_MS, failing === undefined ? FIRST_WAIT_MS : failing.waitMs * 2);
    const shifted = Math.min(LONGEST_WAIT_MS, Math.round(waitMs * (0.75 + rooms.random.bytes(1)[0]! / 512)));
    if (failing === undefined) {
      log.warn('A push gateway does not take pushes; they are tried again.', {
        user,
        gateway: new URL(gatewayOf(pusher)).host,
        why: answer.why,
      });
    }
    const delivery: PushDelivery = {
      ...before,
      failing: { sinceTs: failing?.sinceTs ?? now, retryTs: now + shifted, waitMs, why: answer.why },
    };
    await rooms.store.commit((tx) => {
      change(tx, false);
      // One that was set anew meanwhile is tried at once.
      const isSame = listPushers(tx, user).some(({ id, ts }) => id === pusher.id && ts === pusher.ts);
      if (isSame) putDelivery(tx, user, pusher.id, delivery);
    });
  }

  async #send(pusher: Pusher, notification: Notification, signal: AbortSignal): Promise<Answer> {
    const url = gatewayOf(pusher);
    while (this.#underWay >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay++;
    try {
      const client = new URL(url).protocol === 'https:' ? this.#https : this.#http;
      const { status, body } = await client.request({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ notification }),
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
        signal,
      });
      if (status < 200 || status > 299) return { why: `it answered ${status}` };
      return isRejected(body, pusher.pushkey) ? 'rejected' : 'delivered';
    } catch (error) {
      if (error instanceof RemoteError) return { why: error.message.slice(0, MAX_WHY) };
      throw error;
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }
}

const gatewayOf = (pusher: Pusher): string => String(own(pusher.data, 'url'));

/** Whether a gateway's answer says that the pushkey is not valid any more; an answer that makes no sense says nothing. */
function isRejected(body: Buffer, pushkey: string): boolean {
  let answer: JsonValue;
  try {
    answer = parseJson(body.toString());
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
  const rejected = isObject(answer) ? own(answer, 'rejected') : undefined;
  return Array.isArray(rejected) && rejected.includes(pushkey);
}
