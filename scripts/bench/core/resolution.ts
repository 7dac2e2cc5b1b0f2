import type { Pdu, StatePdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';
import { addToAuthIndex, memoryAuthIndex } from '#core/state/auth-index.js';
import { type ResolveInput, stateMapKey } from '#core/state/resolve.js';
import { Maker, ROOM } from './events.js';

const CREATOR = '@creator:a.example';
const MODERATORS = 10;

/** A public room of many members; two forks of it can be made to disagree at any number of keys. */
export class LargeRoom {
  readonly #maker = new Maker();
  readonly #index = memoryAuthIndex();
  readonly #state = new Map<string, EventId>();
  readonly #members: Pdu[] = [];
  readonly #rules: RoomRules;
  /** What every event has among its auth events: the create event, except in version 12. */
  readonly #base: readonly Pdu[];
  readonly #levels: Pdu;
  readonly #joinRules: Pdu;

  constructor(members: number, version: string) {
    this.#rules = roomRules(version)!;
    const set = (event: Pdu): Pdu => {
      this.#state.set(stateMapKey(event.type, event.state_key!), event.event_id);
      return this.#indexed(event);
    };
    const maker = this.#maker;
    const create = set(maker.make('m.room.create', CREATOR, '', { room_version: version, creator: CREATOR }, []));
    const base = this.#rules.roomIdIsHash ? [] : [create];
    this.#base = base;
    const joined = { membership: 'join' };
    const creator = set(maker.make('m.room.member', CREATOR, CREATOR, joined, base));
    this.#levels = set(maker.make('m.room.power_levels', CREATOR, '', this.#powerLevels({}), [...base, creator]));
    this.#joinRules = set(
      maker.make('m.room.join_rules', CREATOR, '', { join_rule: 'public' }, [...base, this.#levels, creator]),
    );
    for (let number = 0; number < members; number++) {
      const user = `@user${number}:s${number % 500}.example`;
      const auth = [...base, this.#levels, this.#joinRules];
      this.#members.push(set(maker.make('m.room.member', user, user, joined, auth)));
    }
  }

  #indexed(event: Pdu): Pdu {
    addToAuthIndex(this.#index, event as StatePdu);
    return event;
  }

  /**
   * Two forks that differ at `entries` keys: the power levels, which one fork changed; new names of members; members
   * that moderators of one fork removed while they changed their name in the other; and state that both forks set.
   */
  forks(entries: number): ResolveInput {
    const maker = this.#maker;
    const conflicted = new Map<string, (EventId | undefined)[]>();
    const conflict = (one: Pdu, other: Pdu): void => {
      conflicted.set(stateMapKey(one.type, one.state_key!), [one.event_id, other.event_id]);
    };
    const creator = this.#maker.events.get(this.#state.get(stateMapKey('m.room.member', CREATOR))!)!;
    const changed = this.#indexed(
      maker.make('m.room.power_levels', CREATOR, '', this.#powerLevels({ ban: 60 }), [
        ...this.#base,
        this.#levels,
        creator,
      ]),
    );
    conflict(this.#levels, changed);
    for (let number = 1; number < entries; number++) {
      const member = this.#members[(number * 7919) % this.#members.length]!;
      const renamed = this.#indexed(
        maker.make('m.room.member', member.sender, member.sender, { membership: 'join', displayname: `${number}` }, [
          ...this.#base,
          this.#levels,
          this.#joinRules,
          member,
        ]),
      );
      const moderator = this.#members[number % MODERATORS]!;
      const byModerator = [...this.#base, changed, moderator];
      if (number % 5 === 0 && member !== moderator) {
        const removed = { membership: number % 2 === 0 ? 'leave' : 'ban' };
        const kick = maker.make('m.room.member', moderator.sender, member.sender, removed, [...byModerator, member]);
        conflict(renamed, this.#indexed(kick));
      } else if (number % 5 === 1) {
        const set = (auth: readonly Pdu[]): Pdu =>
          this.#indexed(maker.make('org.example.widget', moderator.sender, `w${number}`, { auth: auth.length }, auth));
        conflict(set([...this.#base, this.#levels, moderator]), set(byModerator));
      } else {
        conflict(member, renamed);
      }
    }
    return {
      rules: this.#rules,
      roomId: ROOM,
      conflicted,
      event: (id) => maker.events.get(id),
      rejected: () => false,
      unconflicted: (type, stateKey) => this.#state.get(stateMapKey(type, stateKey)),
      index: this.#index,
    };
  }

  /** Moderators may remove members and set state in every variant. */
  #powerLevels(more: { readonly ban?: number }): Record<string, number | Record<string, number>> {
    const users: Record<string, number> = this.#rules.privilegedCreators ? {} : { [CREATOR]: 100 };
    for (let number = 0; number < MODERATORS; number++) users[`@user${number}:s${number}.example`] = 60;
    return { users, ...more };
  }
}
