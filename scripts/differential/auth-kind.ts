import { type AuthState, checkAuthEvents, checkEventAuth } from '#core/auth/check.js';
import { neededAuthKeys } from '#core/auth/needed.js';
import type { Pdu } from '#core/event/pdu.js';
import { type EventId, RoomId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules } from '#core/room-versions.js';
import { authExcuse } from './auth-excuses.js';
import type { Dice } from './dice.js';
import { bend, oddLevels, randomDraft, randomJoinRules, randomLevels } from './drafts.js';
import { rulesOf } from './event-kinds.js';
import type { Kind } from './kind.js';
import { type Draft, EventMaker, USERS } from './room.js';

/** Events checked against one state. */
const EVENTS_A_ROOM = 16;
const MEMBERSHIPS = ['join', 'join', 'join', 'join', 'invite', 'leave', 'ban', 'knock'] as const;

export function randomCreate(dice: Dice, rules: RoomRules): Draft {
  const sender = USERS[0];
  const content: Record<string, JsonValue> = { room_version: rules.version };
  if (!rules.senderIsCreator) content['creator'] = dice.chance(0.9) ? sender : dice.pick(USERS);
  if (dice.chance(0.15)) content['m.federate'] = dice.pick<JsonValue>([true, false, false, 'no', 0, null]);
  if (rules.privilegedCreators && dice.chance(0.4))
    content['additional_creators'] = dice.some(USERS, dice.between(1, 2));
  return { type: 'm.room.create', sender, state_key: '', content };
}

/** Those who may do everything, or the creator where nobody may. */
export function creatorsOf(create: JsonObject): readonly string[] {
  const additional = create['additional_creators'];
  return Array.isArray(additional) ? [USERS[0], ...(additional as string[])] : [USERS[0]];
}

/** A create event with all that can be wrong with one. */
function bentCreate(dice: Dice, rules: RoomRules): Draft {
  const draft = randomCreate(dice, rules);
  const content = { ...draft.content } as Record<string, JsonValue>;
  switch (dice.below(6)) {
    case 0:
      delete content['creator'];
      break;
    case 1:
      content['room_version'] = dice.pick<JsonValue>(['13', '0', '', 5, null, [], '1', '11']);
      break;
    case 2:
      delete content['room_version'];
      break;
    case 3:
      content['additional_creators'] = dice.pick<JsonValue>([
        null,
        5,
        [],
        [5],
        ['x'],
        ['@x:b.example'],
        ['@x'],
        {},
        [null],
      ]);
      break;
    case 4:
      draft.sender = dice.pick(USERS);
      break;
  }
  return { ...draft, content };
}

/** A room's state that no history led to, but that looks like one. */
function randomState(dice: Dice, rules: RoomRules, maker: EventMaker): { create: Pdu; state: Pdu[] } {
  const place = { prev: [], auth: [], depth: 1, ts: 1 };
  const create = maker.make(randomCreate(dice, rules), place);
  if (rules.roomIdIsHash) maker.roomId = RoomId.fromCreateEventId(create.event_id);
  const creators = creatorsOf(create.content);
  const state = [create];
  const add = (draft: Draft): void => void state.push(maker.make(draft, place));
  if (dice.chance(0.85)) {
    let content = randomLevels(dice, rules, creators);
    if (!rules.integerPowerLevels && dice.chance(0.08)) content = oddLevels(dice, rules, content);
    add({ type: 'm.room.power_levels', sender: creators[0]!, state_key: '', content });
  }
  if (dice.chance(0.8)) {
    add({ type: 'm.room.join_rules', sender: creators[0]!, state_key: '', content: randomJoinRules(dice) });
  }
  for (const user of USERS) {
    if (dice.chance(0.15)) continue;
    const membership = user === creators[0] && dice.chance(0.9) ? 'join' : dice.pick(MEMBERSHIPS);
    add({ type: 'm.room.member', sender: user, state_key: user, content: { membership } });
  }
  const lookup: AuthState = (type, key) => state.find((event) => event.type === type && event.state_key === key);
  for (let drafts = 0; drafts < 10; drafts++) {
    const draft = randomDraft(dice, rules, lookup, creators);
    if (draft.type !== 'm.room.third_party_invite' || lookup(draft.type, draft.state_key!) !== undefined) continue;
    add(draft);
  }
  return { create, state };
}

interface Others {
  /** Events that were rejected. */
  readonly rejected: readonly Pdu[];
  /** Events of another room. */
  readonly foreign: readonly Pdu[];
}

function randomOthers(dice: Dice, rules: RoomRules, maker: EventMaker, state: readonly Pdu[]): Others {
  const foreignRoom = rules.roomIdIsHash ? `!${'A'.repeat(43)}` : '!foreign:a.example';
  const again = (event: Pdu, roomId?: string): Pdu => {
    const draft = { type: event.type, sender: event.sender, state_key: event.state_key!, content: event.content };
    const place = { prev: [], auth: [], depth: 2, ts: 2 };
    return maker.make(draft, roomId === undefined ? place : { ...place, roomId });
  };
  const notCreate = state.filter((event) => event.type !== 'm.room.create');
  return {
    rejected: dice.some(notCreate, 2).map((event) => again(event)),
    foreign: dice.some(notCreate, 2).map((event) => again(event, foreignRoom)),
  };
}

/** The auth events that the event should have, or nearly these. */
function authEventsFor(dice: Dice, draft: Draft, rules: RoomRules, state: readonly Pdu[], others: Others): EventId[] {
  const keys = neededAuthKeys(draft, rules);
  const chosen = state.filter((event) =>
    keys.some(({ type, state_key }) => type === event.type && state_key === event.state_key),
  );
  const ids = chosen.map((event) => event.event_id);
  if (dice.chance(0.7)) return ids;
  const any = [...others.rejected, ...others.foreign, ...state.filter((event) => event.type !== 'm.room.create')];
  switch (dice.below(4)) {
    case 0:
      return [...ids, dice.pick(any).event_id].filter((id, index, all) => all.indexOf(id) === index);
    case 1:
      return ids.filter(() => dice.chance(0.7));
    case 2: {
      const substitute = dice.pick(any);
      return chosen.map((event) => (event.type === substitute.type ? substitute : event).event_id);
    }
    default:
      return dice.some(ids, ids.length);
  }
}

function stateLookup(state: readonly Pdu[]): AuthState {
  const byKey = new Map(state.map((event) => [`${event.type} ${event.state_key}`, event]));
  return (type, key) => byKey.get(`${type} ${key}`);
}

function keysText(event: Pdu, rules: RoomRules): string {
  const keys = neededAuthKeys(event, rules).map(({ type, state_key }) => `["${type}", ${JSON.stringify(state_key)}]`);
  return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join(' ');
}

/** Verdicts on random events against random states, on their lists of auth events, and which ones they need. */
export const auth: Kind = {
  name: 'auth',
  make(dice) {
    const rules = rulesOf(dice.pick(ROOM_VERSIONS));
    const maker = new EventMaker(rules, dice);
    const { create, state } = randomState(dice, rules, maker);
    const others = randomOthers(dice, rules, maker, state);
    const lookup = stateLookup(state);
    const known = new Map([...state, ...others.rejected, ...others.foreign].map((event) => [event.event_id, event]));
    const rejected = new Set(others.rejected.map((event) => event.event_id));
    const creators = creatorsOf(create.content);
    const events: Pdu[] = [];
    const answers: string[] = [];
    while (events.length < EVENTS_A_ROOM) {
      let draft = randomDraft(dice, rules, lookup, creators);
      if (dice.chance(0.03)) draft = bentCreate(dice, rules);
      else if (dice.chance(0.2)) draft = bend(dice, rules, draft);
      const isCreate = draft.type === 'm.room.create';
      const prev = dice.chance(isCreate ? 0.2 : 0.1) ? [create.event_id] : isCreate ? [] : [state.at(-1)!.event_id];
      const place = { prev, auth: authEventsFor(dice, draft, rules, state, others), depth: 9, ts: 9 };
      const roomId =
        isCreate && !rules.roomIdIsHash && dice.chance(0.2) ? dice.pick(['!x:b.example', '!x']) : undefined;
      const event = maker.make(draft, roomId === undefined ? place : { ...place, roomId });
      events.push(event);
      answers.push(checkEventAuth(event, rules, lookup).allow ? 'allow' : 'deny');
      const list = event.auth_events.map((id) => known.get(id));
      answers.push(checkAuthEvents(event, list, (id) => rejected.has(id), rules).allow ? 'allow' : 'deny');
      answers.push(keysText(event, rules));
    }
    const texts = (pdus: readonly Pdu[]): string[] => pdus.map((event) => maker.text.get(event.event_id)!);
    const fields = {
      version: rules.version,
      state: texts(state),
      others: texts(others.rejected),
      foreign: texts(others.foreign),
      events: texts(events),
    };
    return {
      request: JSON.stringify(fields),
      answers,
      count: EVENTS_A_ROOM,
      excuse: (part, theirs, note) =>
        authExcuse({
          event: events[Math.floor(part / 3)]!,
          part: part % 3,
          allowed: answers[part - (part % 3)] === 'allow',
          theirs,
          note,
          rules,
          lookup,
        }),
      describe: (part) => {
        const event = events[Math.floor(part / 3)]!;
        const verdict = checkEventAuth(event, rules, lookup);
        return [
          `  version ${rules.version}`,
          ...texts(state).map((text) => `  state: ${text}`),
          `  event: ${maker.text.get(event.event_id)}`,
          `  verdict: ${JSON.stringify(verdict)}`,
        ].join('\n');
      },
    };
  },
};
