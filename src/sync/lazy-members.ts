import type { EventNum, Position, RoomNum } from '#store/types.js';
import { Lru } from '#util/lru.js';

/** How many (device, room) pairs are remembered, and how many members of each. */
const PAIRS = 20_000;
const MEMBERS_PER_PAIR = 200;

interface Sent {
  readonly event: EventNum;
  /** Token of the answer that carried it: only a later request proves that it arrived. */
  readonly token: Position;
}

/**
 * Which member events a device was sent while lazy-loading (client-server API, Lazy-loading room members), so that they
 * need not be sent again. Held in memory: forgetting means sending once more, never withholding. A member counts as
 * sent only for requests that present the token of the answer that carried it, or a later one.
 */
export class LazyMembers {
  readonly #pairs = new Lru<string, Lru<string, Sent>>(PAIRS);

  /** Whether `device` surely has the member event `event` of `user`, given the token it presented. */
  has(device: string, room: RoomNum, user: string, event: EventNum, since: Position | undefined): boolean {
    if (since === undefined) return false;
    const sent = this.#pairs.get(`${room} ${device}`)?.get(user);
    return sent !== undefined && sent.event === event && sent.token <= since;
  }

  sent(device: string, room: RoomNum, user: string, event: EventNum, token: Position): void {
    const key = `${room} ${device}`;
    let members = this.#pairs.get(key);
    if (members === undefined) {
      members = new Lru(MEMBERS_PER_PAIR);
      this.#pairs.set(key, members);
    }
    members.set(user, { event, token });
  }
}
