import { allowsEvent } from '#core/filter.js';
import type { RoomId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, own } from '#core/json-value.js';
import { accountData } from '#store/schema.js';
import type { Store } from '#store/types.js';
import type { Changes } from '#sync/changes.js';
import type { Span } from '#sync/sections.js';
import { isDeleted } from '#users/account-data.js';

/** Users whose messages and invites the viewer does not want to see (client-server API, Ignoring Users). */
export function ignoredUsers(store: Store, user: UserId): ReadonlySet<string> {
  const stored = store.get(accountData, [user, '', 'm.ignored_user_list']);
  const list = stored === undefined ? undefined : own(stored.content, 'ignored_users');
  return new Set(isObject(list) ? Object.keys(list).filter((ignored) => ignored !== user) : []);
}

type ByType = Map<string, JsonObject | undefined>;

/** The account data of the viewer for one answer (client-server API, Client Config). */
export class AccountData {
  readonly #store: Store;
  readonly #contentOf: (user: UserId, roomId: string, type: string, stored: JsonObject | undefined) => JsonObject;
  readonly #span: Span;
  readonly #changes: Changes | undefined;
  #everything: Promise<ReadonlyMap<string, ByType>> | undefined;

  /** `contentOf` gives what is sent for a stored content; `changes` is undefined for an initial sync. */
  constructor(
    store: Store,
    contentOf: (user: UserId, roomId: string, type: string, stored: JsonObject | undefined) => JsonObject,
    span: Span,
    changes: Changes | undefined,
  ) {
    this.#store = store;
    this.#contentOf = contentOf;
    this.#span = span;
    this.#changes = changes;
  }

  /** Global account data that changed, or all of it in an initial sync. */
  async global(): Promise<JsonObject[]> {
    if (this.#changes !== undefined) return this.#events('', this.#changed(''));
    const found: ByType = new Map((await this.#all()).get(''));
    if (!found.has('m.push_rules')) found.set('m.push_rules', undefined);
    return this.#events('', found);
  }

  /** A room's account data that changed, or all of it where the client has none of the room yet (`whole`). */
  async ofRoom(roomId: RoomId, whole: boolean): Promise<JsonObject[]> {
    if (this.#changes !== undefined && !whole) return this.#events(roomId, this.#changed(roomId));
    const found = this.#changes === undefined ? (await this.#all()).get(roomId) : await this.#rows(roomId);
    return this.#events(roomId, found ?? new Map());
  }

  #changed(roomId: string): ByType {
    const types = this.#changes?.accountData.get(roomId) ?? [];
    const { user } = this.#span.viewer;
    return new Map([...types].map((type) => [type, this.#store.get(accountData, [user, roomId, type])?.content]));
  }

  async #rows(roomId: string): Promise<ByType> {
    const found: ByType = new Map();
    const rows = this.#store.range(accountData, { prefix: [this.#span.viewer.user, roomId] });
    for await (const [[, , type], datum] of rows) {
      if (datum.position <= this.#span.upTo && !isDeleted(datum.content)) found.set(type, datum.content);
    }
    return found;
  }

  /** All there is, read once: an initial sync asks for every room. */
  #all(): Promise<ReadonlyMap<string, ByType>> {
    this.#everything ??= this.#readAll();
    return this.#everything;
  }

  async #readAll(): Promise<ReadonlyMap<string, ByType>> {
    const found = new Map<string, ByType>();
    for await (const [[, roomId, type], datum] of this.#store.range(accountData, {
      prefix: [this.#span.viewer.user],
    })) {
      if (datum.position > this.#span.upTo || isDeleted(datum.content)) continue;
      const ofRoom: ByType = found.get(roomId) ?? new Map();
      found.set(roomId, ofRoom.set(type, datum.content));
    }
    return found;
  }

  #events(roomId: string, found: ByType): JsonObject[] {
    const { filter, viewer } = this.#span;
    const wanted = roomId === '' ? filter.accountData : filter.room.accountData;
    return [...found]
      .filter(([type]) => allowsEvent(wanted, { type, sender: undefined }))
      .map(([type, content]) => ({ type, content: this.#contentOf(viewer.user, roomId, type, content) }));
  }
}
