import { checkEventAuth } from '#core/auth/check.js';
import type { AuthState } from '#core/auth/member.js';
import { neededAuthKeys } from '#core/auth/needed.js';
import type { Pdu, Verdict } from '#core/event/pdu.js';
import { type EventId, RoomId, type UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';

/** Hand-made events for tests of authorisation and state resolution: no hashes, no signatures, ids as one likes. */
export interface EventFields {
  /** Event id without the sigil; counted where absent. */
  readonly id?: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content?: JsonObject;
  readonly prev?: readonly Pdu[];
  readonly auth?: readonly Pdu[];
  readonly ts?: number;
  readonly depth?: number;
  readonly redacts?: string;
  readonly room?: string;
}

export function rulesOf(version: string): RoomRules {
  const rules = roomRules(version);
  if (rules === undefined) throw new Error(`no room version ${version}`);
  return rules;
}

export const ALICE = '@alice:a.example';
export const BOB = '@bob:b.example';
export const CHARLIE = '@charlie:c.example';

/** Makes events of one room. The first event must be its create event. */
export class EventMaker {
  readonly rules: RoomRules;
  readonly events = new Map<EventId, Pdu>();
  readonly rejected = new Set<EventId>();
  roomId = '!room:a.example' as RoomId;
  #count = 0;

  constructor(version: string) {
    this.rules = rulesOf(version);
  }

  make(fields: EventFields): Pdu {
    this.#count++;
    const name = fields.id ?? `event-${this.#count}`;
    const event_id = `$${name}${this.rules.eventIdFormat === 'server' ? ':a.example' : ''}` as EventId;
    const isCreate = fields.type === 'm.room.create';
    if (isCreate && this.rules.roomIdIsHash && this.events.size === 0) this.roomId = RoomId.fromCreateEventId(event_id);
    const room_id = (fields.room ?? this.roomId) as RoomId;
    const content = fields.content ?? {};
    const prev_events = (fields.prev ?? []).map((event) => event.event_id);
    const auth_events = (fields.auth ?? []).map((event) => event.event_id);
    const origin_server_ts = fields.ts ?? this.#count;
    const depth = fields.depth ?? 1 + Math.max(0, ...(fields.prev ?? []).map((event) => event.depth));
    const event: Pdu = {
      event_id,
      room_id,
      type: fields.type,
      sender: fields.sender as UserId,
      ...(fields.state_key === undefined ? {} : { state_key: fields.state_key }),
      content,
      origin_server_ts,
      depth,
      prev_events,
      auth_events,
      ...(fields.redacts === undefined ? {} : { redacts: fields.redacts as EventId }),
      json: {
        type: fields.type,
        sender: fields.sender,
        content,
        origin_server_ts,
        depth,
        prev_events,
        auth_events,
        ...(fields.state_key === undefined ? {} : { state_key: fields.state_key }),
        ...(isCreate && this.rules.roomIdIsHash ? {} : { room_id }),
      },
    };
    this.events.set(event_id, event);
    return event;
  }

  create(content: JsonObject = {}, sender = ALICE): Pdu {
    return this.make({
      id: 'create',
      type: 'm.room.create',
      sender,
      state_key: '',
      content: {
        room_version: this.rules.version,
        ...(this.rules.senderIsCreator ? {} : { creator: sender }),
        ...content,
      },
    });
  }

  state(type: string, sender: string, content: JsonObject, more: Partial<EventFields> = {}): Pdu {
    return this.make({ type, sender, state_key: '', content, ...more });
  }

  member(user: string, membership: string, more: Partial<EventFields> = {}): Pdu {
    const { content, ...fields } = more;
    return this.make({
      type: 'm.room.member',
      sender: user,
      state_key: user,
      content: { membership, ...content },
      ...fields,
    });
  }
}

/** A room state for auth checks; of two events with one key the later one counts. */
export function stateOf(...events: readonly Pdu[]): AuthState {
  return (type, stateKey) => events.findLast((event) => event.type === type && event.state_key === stateKey);
}

/** The auth events that an event takes from a state. */
export function selectAuth(fields: EventFields, rules: RoomRules, state: AuthState): Pdu[] {
  const subject = { type: fields.type, sender: fields.sender, content: fields.content ?? {} };
  return neededAuthKeys(
    fields.state_key === undefined ? subject : { ...subject, state_key: fields.state_key },
    rules,
  ).flatMap((key) => state(key.type, key.state_key) ?? []);
}

/** `allow`, or the number of the rule that refuses. */
export function ruleOf(verdict: Verdict): string {
  return verdict.allow ? 'allow' : verdict.rule;
}

export function versionsWith(has: (rules: RoomRules) => boolean): string[] {
  return ROOM_VERSIONS.filter((version) => has(rulesOf(version)));
}

export const everyVersion = versionsWith(() => true);

/** A public room with Alice (its creator) and Bob in it; in version 12 Alice does not stand in `users`. */
export function room(version: string, options: { create?: JsonObject; levels?: JsonObject; joinRule?: string } = {}) {
  const maker = new EventMaker(version);
  const create = maker.create(options.create);
  const alice = maker.member(ALICE, 'join', { prev: [create] });
  const levels = maker.state('m.room.power_levels', ALICE, {
    users: maker.rules.privilegedCreators ? {} : { [ALICE]: 100 },
    ...options.levels,
  });
  const joinRules = maker.state('m.room.join_rules', ALICE, { join_rule: options.joinRule ?? 'public' });
  const bob = maker.member(BOB, 'join');
  const base = [create, alice, levels, joinRules, bob];
  const check = (event: Pdu, ...more: Pdu[]): string =>
    ruleOf(checkEventAuth(event, maker.rules, stateOf(...base, ...more)));
  /** The number of a rule that is `early` in versions 1 to 5, `middle` in 6 to 11 and `late` in 12. */
  const rule = (early: number, middle: number, late: number, part = ''): string => {
    const number = maker.rules.aliasesAreSpecial ? early : maker.rules.roomIdIsHash ? late : middle;
    return part === '' ? String(number) : `${number}.${part}`;
  };
  return { maker, create, alice, bob, levels, joinRules, base, check, rule };
}
