import { createHash } from 'node:crypto';
import { type AuthState, checkAuthEvents, checkEventAuth } from '#core/auth/check.js';
import { neededAuthKeys } from '#core/auth/needed.js';
import { compareCodePoints } from '#core/canonical-json.js';
import type { Pdu, StatePdu } from '#core/event/pdu.js';
import { type EventId, RoomId } from '#core/ids.js';
import { ROOM_VERSIONS, type RoomRules } from '#core/room-versions.js';
import { addToAuthIndex, memoryAuthIndex } from '#core/state/auth-index.js';
import { parseStateMapKey, resolveStateMaps, stateMapKey } from '#core/state/resolve.js';
import { creatorsOf, randomCreate } from './auth-kind.js';
import type { Dice } from './dice.js';
import { randomDraft, randomLevels } from './drafts.js';
import { rulesOf } from './event-kinds.js';
import type { Kind } from './kind.js';
import { type Draft, EventMaker, USERS } from './room.js';

type StateMap = ReadonlyMap<string, EventId>;

/** A room that grows in forks and merges; every event is authorised as a server does on receipt. */
class History {
  readonly rules: RoomRules;
  readonly events: Pdu[] = [];
  readonly rejected = new Set<EventId>();
  readonly after = new Map<EventId, StateMap>();
  readonly creators: readonly string[];
  readonly maker: EventMaker;
  readonly #dice: Dice;
  readonly #byId = new Map<EventId, Pdu>();
  readonly #index = memoryAuthIndex();
  readonly #create: Pdu;

  constructor(rules: RoomRules, dice: Dice) {
    this.rules = rules;
    this.#dice = dice;
    this.maker = new EventMaker(rules, dice);
    const create = randomCreate(dice, rules);
    // About `m.federate` Synapse has a rule of its own, which the kind `auth` knows of.
    const { 'm.federate': _federate, ...content } = create.content;
    this.#create = this.maker.make({ ...create, content }, { prev: [], auth: [], depth: 1, ts: 0 });
    if (rules.roomIdIsHash) this.maker.roomId = RoomId.fromCreateEventId(this.#create.event_id);
    this.creators = creatorsOf(this.#create.content);
    this.#take(this.#create, new Map(), true);
  }

  lookup(state: StateMap): AuthState {
    return (type, stateKey) => {
      const id = state.get(stateMapKey(type, stateKey));
      return id === undefined ? undefined : this.#byId.get(id);
    };
  }

  before(prev: readonly Pdu[]): StateMap {
    const states = prev.map((event) => this.after.get(event.event_id)!);
    return states.length === 1
      ? states[0]!
      : resolveStateMaps(
          this.rules,
          states,
          {
            roomId: this.maker.roomId,
            event: (id) => this.#byId.get(id),
            rejected: (id) => this.rejected.has(id),
          },
          this.#index,
        );
  }

  /** Adds an event after `prev`. Its auth events are those of `claimed`, which may be an older state than the real one. */
  add(draft: Draft, prev: readonly Pdu[], before: StateMap, claimed: StateMap): Pdu {
    const auth = neededAuthKeys(draft, this.rules).flatMap(
      ({ type, state_key }) => claimed.get(stateMapKey(type, state_key)) ?? [],
    );
    const dice = this.#dice;
    const depth = 1 + Math.max(...prev.map((event) => event.depth));
    const event = this.maker.make(draft, {
      prev: prev.map(({ event_id }) => event_id),
      auth,
      // Senders choose both; few times, so that ids have to decide too.
      depth: dice.chance(0.95) ? depth : dice.between(1, 2 * depth),
      ts: dice.chance(0.6) ? this.events.length : dice.below(8),
    });
    this.#take(event, before, this.#isAllowed(event, before));
    return event;
  }

  #isAllowed(event: Pdu, before: StateMap): boolean {
    const list = event.auth_events.map((id) => this.#byId.get(id));
    if (!checkAuthEvents(event, list, (id) => this.rejected.has(id), this.rules).allow) return false;
    const listed: AuthState = (type, stateKey) => {
      if (this.rules.roomIdIsHash && type === 'm.room.create') return this.#create;
      return list.find((auth) => auth?.type === type && auth.state_key === stateKey);
    };
    if (!checkEventAuth(event, this.rules, listed).allow) return false;
    return checkEventAuth(event, this.rules, this.lookup(before)).allow;
  }

  #take(event: Pdu, before: StateMap, allowed: boolean): void {
    const id = event.event_id;
    this.events.push(event);
    this.#byId.set(id, event);
    if (!allowed) this.rejected.add(id);
    let after = before;
    if (allowed && event.state_key !== undefined) {
      addToAuthIndex(this.#index, event as StatePdu);
      after = new Map(before).set(stateMapKey(event.type, event.state_key), id);
    }
    this.after.set(id, after);
  }
}

/** The first events of every room: the creator joins, levels and a join rule, and some join. */
function beginnings(dice: Dice, rules: RoomRules, creators: readonly string[]): Draft[] {
  const creator = creators[0]!;
  const join = (user: string): Draft => ({
    type: 'm.room.member',
    sender: user,
    state_key: user,
    content: { membership: 'join' },
  });
  const drafts = [join(creator)];
  if (dice.chance(0.9)) {
    const content = randomLevels(dice, rules, creators);
    drafts.push({ type: 'm.room.power_levels', sender: creator, state_key: '', content });
  }
  if (dice.chance(0.9)) {
    const join_rule = dice.chance(0.8) ? 'public' : 'invite';
    drafts.push({ type: 'm.room.join_rules', sender: creator, state_key: '', content: { join_rule } });
  }
  for (const user of USERS) if (user !== creator && dice.chance(0.6)) drafts.push(join(user));
  return drafts;
}

function grow(history: History, dice: Dice): void {
  for (const draft of beginnings(dice, history.rules, history.creators)) {
    const last = history.events.at(-1)!;
    const before = history.before([last]);
    history.add(draft, [last], before, before);
  }
  let heads = [history.events.at(-1)!];
  const size = history.events.length + (dice.chance(0.03) ? dice.between(60, 120) : dice.between(6, 30));
  while (history.events.length < size) {
    const prev = dice.weighted<() => Pdu[]>([
      [5, () => [dice.pick(heads)]],
      [2.5, () => [dice.pick(history.events.slice(-10))]],
      [2.5, () => dice.some(heads, dice.between(2, 3))],
      [0.5, () => dice.some(history.events.slice(-12), dice.between(2, 4))],
    ])();
    const before = history.before(prev);
    // Servers that missed something, or pretend so, cite what was in force earlier or elsewhere.
    const claimed = dice.chance(0.93) ? before : history.after.get(dice.pick(history.events).event_id)!;
    const draft = randomDraft(dice, history.rules, history.lookup(claimed), history.creators);
    // Under another key such events mean nothing, whatever their type.
    if (draft.state_key === '' && dice.chance(0.03)) draft.state_key = 'other';
    const event = history.add(draft, prev, before, claimed);
    heads = [...heads.filter((head) => !prev.includes(head)), event];
  }
  const before = history.before(heads);
  const closing = { type: 'm.room.message', sender: USERS[0], content: { body: 'the end' } };
  history.add(closing, heads, before, before);
}

function stateLines(state: StateMap): string[] {
  const lines = [...state].map(([key, id]) => {
    const { type, state_key } = parseStateMapKey(key);
    return `${type}\0${state_key}\0${id}`;
  });
  return lines.sort(compareCodePoints);
}

function digest(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** Whole random room histories with forks, bans, struggles for power and rejected events. Each is one case. */
export const state: Kind = {
  name: 'state',
  make(dice) {
    const history = new History(rulesOf(dice.pick(ROOM_VERSIONS)), dice);
    grow(history, dice);
    const { events, rules, rejected, after } = history;
    const verdict = ({ event_id }: Pdu): string => (rejected.has(event_id) ? 'deny' : 'allow');
    const texts = events.map((event) => history.maker.text.get(event.event_id)!);
    return {
      request: JSON.stringify({ version: rules.version, events: texts }),
      answers: events.map((event) => `${verdict(event)}\n${digest(stateLines(after.get(event.event_id)!))}`),
      count: 1,
      describe: (part) =>
        [
          `  version ${rules.version}`,
          ...events.slice(0, part + 1).map((event, n) => `  ${verdict(event)} ${event.event_id} ${texts[n]}`),
          `  state after: ${stateLines(after.get(events[part]!.event_id)!).join('\n    ').replaceAll('\0', ' ')}`,
        ].join('\n'),
    };
  },
};
