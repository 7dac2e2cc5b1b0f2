import type { AuthState } from '#core/auth/check.js';
import { powerLevels } from '#core/auth/power-levels.js';
import { membershipOf } from '#core/event/content.js';
import { JsonFloat, type JsonObject, type JsonValue, ownObject } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { signJson } from '#core/signing.js';
import type { Dice } from './dice.js';
import { TEST_KEYS, testKey } from './event-kinds.js';
import { type Draft, serverOf, USERS } from './room.js';

const TOKENS = ['t0', 't1', 't2'];
const LEVELS = [0, 0, 10, 25, 49, 50, 50, 51, 75, 99, 100, 100, 101, -1];
const SINGLE_LEVELS = ['users_default', 'events_default', 'state_default', 'ban', 'kick', 'redact', 'invite'];
const EVENT_TYPES = [
  'm.room.name',
  'm.room.power_levels',
  'm.room.message',
  'm.room.member',
  'm.room.topic',
  'org.example.own',
];

/** A level as the room version may write it: before version 10 also as text. */
function randomLevel(dice: Dice, rules: RoomRules): JsonValue {
  const level = dice.pick(LEVELS);
  if (rules.integerPowerLevels || dice.chance(0.9)) return level;
  return dice.pick([String(level), ` ${level} `, `${level < 0 ? '-' : '+'}00${Math.abs(level)}`]);
}

/** The content of m.room.power_levels, made anew or from what is in force. */
export function randomLevels(
  dice: Dice,
  rules: RoomRules,
  creators: readonly string[],
  current?: JsonObject,
): JsonObject {
  const content: Record<string, JsonValue> = { ...(current as Record<string, JsonValue> | undefined) };
  const maps = (['users', 'events', 'notifications'] as const).map((name) => {
    const map: Record<string, JsonValue> = { ...((current && ownObject(current, name)) as Record<string, JsonValue>) };
    return [name, map] as const;
  });
  const [[, users], [, events], [, notifications]] = maps as unknown as [
    readonly ['users', Record<string, JsonValue>],
    readonly ['events', Record<string, JsonValue>],
    readonly ['notifications', Record<string, JsonValue>],
  ];
  const change = (map: Record<string, JsonValue>, key: string): void => {
    if (current !== undefined && dice.chance(0.25)) delete map[key];
    else map[key] = randomLevel(dice, rules);
  };
  if (current === undefined) {
    const named = rules.privilegedCreators ? [] : creators;
    for (const user of named) if (dice.chance(0.9)) users[user] = 100;
    for (const user of dice.some(USERS, dice.below(4)))
      if (!creators.includes(user)) users[user] = randomLevel(dice, rules);
    for (const type of dice.some(EVENT_TYPES, dice.below(3))) change(events, type);
    for (const name of dice.some(SINGLE_LEVELS, dice.below(4))) change(content, name);
  } else {
    for (let changes = dice.between(1, 2); changes > 0; changes--) {
      switch (dice.below(8)) {
        case 0:
        case 1:
          change(content, dice.pick(SINGLE_LEVELS));
          break;
        case 2:
          change(events, dice.pick(EVENT_TYPES));
          break;
        case 3:
          change(notifications, 'room');
          break;
        default: {
          const user = dice.pick(USERS);
          if (!rules.privilegedCreators || !creators.includes(user) || dice.chance(0.05)) change(users, user);
        }
      }
    }
  }
  for (const [name, map] of maps) {
    if (Object.keys(map).length > 0 || (current !== undefined && Object.hasOwn(current, name))) content[name] = map;
  }
  return content;
}

export function randomJoinRules(dice: Dice): JsonObject {
  const join_rule = dice.weighted<JsonValue>([
    [4, 'public'],
    [3, 'invite'],
    [2, 'knock'],
    [3, 'restricted'],
    [2, 'knock_restricted'],
    [0.5, 'private'],
    [0.2, 'unheard-of'],
  ]);
  return dice.chance(0.97) ? { join_rule, allow: [{ type: 'm.room_membership', room_id: '!other:a.example' }] } : {};
}

function thirdPartyInvite(dice: Dice): { state_key: string; content: JsonObject } {
  const token = dice.pick(TOKENS);
  const keys = dice.some([0, 1, 2, 3], dice.between(1, 3)).map((number) => testKey(number).publicKey);
  const content: Record<string, JsonValue> = { display_name: 'someone', key_validity_url: 'https://id.example/valid' };
  if (dice.chance(0.8)) content['public_key'] = keys[0]!;
  if (dice.chance(0.6)) content['public_keys'] = keys.map((public_key) => ({ public_key }));
  return { state_key: token, content };
}

function inviteByThirdParty(dice: Dice, state: AuthState): Draft {
  const token = dice.pick(TOKENS);
  const invite = state('m.room.third_party_invite', token);
  const target = dice.pick(USERS);
  const mxid = dice.chance(0.93) ? target : dice.pick(USERS);
  const key = testKey(dice.chance(0.9) ? dice.below(4) : dice.below(TEST_KEYS));
  const signed = signJson({ mxid, token }, 'id.example', key);
  return {
    type: 'm.room.member',
    sender: invite !== undefined && dice.chance(0.9) ? invite.sender : dice.pick(USERS),
    state_key: target,
    content: { membership: 'invite', third_party_invite: { display_name: 'someone', signed } },
  };
}

function randomMember(dice: Dice, state: AuthState, mighty: string): Draft {
  const sender = dice.chance(0.5) ? mighty : dice.pick(USERS);
  const membership = (user: string): string | undefined => membershipOf(state('m.room.member', user));
  const draft = (state_key: string, value: string, more: JsonObject = {}): Draft => ({
    type: 'm.room.member',
    sender,
    state_key,
    content: { membership: value, ...more },
  });
  const own = membership(sender);
  const isIn = own === 'join';
  if (dice.chance(isIn ? 0.25 : 0.8)) {
    const value = dice.weighted([
      [isIn ? 1 : 6, 'join'],
      [isIn ? 3 : 1, 'leave'],
      [isIn ? 0.2 : 2, 'knock'],
      [0.1, 'ban'],
      [0.1, 'invite'],
    ]);
    const authoriser = dice.chance(0.8)
      ? dice.pick(USERS.filter((user) => membership(user) === 'join'))
      : dice.pick(USERS);
    const isAuthorised = value === 'join' && !isIn && authoriser !== undefined && dice.chance(0.5);
    return draft(sender, value, isAuthorised ? { join_authorised_via_users_server: authoriser } : {});
  }
  const value = dice.weighted([
    [4, 'invite'],
    [4, 'ban'],
    [4, 'leave'],
    [0.3, 'join'],
    [0.2, 'knock'],
  ]);
  return draft(dice.pick(USERS), value);
}

/** Something that someone might send into a room with this state, allowed or not. */
export function randomDraft(dice: Dice, rules: RoomRules, state: AuthState, creators: readonly string[]): Draft {
  const levels = powerLevels(rules, state('m.room.create', ''), state('m.room.power_levels', ''));
  const joined = USERS.filter((user) => membershipOf(state('m.room.member', user)) === 'join');
  const powerful = joined.filter((user) => levels.user(user) >= 50);
  const sender = dice.pick(joined.length > 0 && dice.chance(0.85) ? joined : USERS);
  // Those with power do most of what needs power.
  const mighty = powerful.length > 0 && dice.chance(0.85) ? dice.pick(powerful) : sender;
  return dice.weighted<() => Draft>([
    [45, () => randomMember(dice, state, mighty)],
    [
      18,
      () => ({
        type: 'm.room.power_levels',
        sender: mighty,
        state_key: '',
        content: randomLevels(dice, rules, creators, state('m.room.power_levels', '')?.content),
      }),
    ],
    [9, () => ({ type: 'm.room.join_rules', sender: mighty, state_key: '', content: randomJoinRules(dice) })],
    [
      9,
      () => ({
        type: dice.pick(['m.room.topic', 'm.room.name']),
        sender: mighty,
        state_key: '',
        content: { n: dice.below(9) },
      }),
    ],
    [
      4,
      () => {
        const state_key = dice.pick([sender, dice.pick(USERS), 'x', '@nobody']);
        return { type: 'org.example.own', sender, state_key, content: { n: dice.below(9) } };
      },
    ],
    [4, () => ({ type: 'm.room.third_party_invite', sender: mighty, ...thirdPartyInvite(dice) })],
    [5, () => inviteByThirdParty(dice, state)],
    [
      3,
      () => ({
        type: 'm.room.aliases',
        sender,
        state_key: dice.chance(0.7) ? serverOf(sender) : dice.pick(['', 'c.example', sender]),
        content: { aliases: ['#a:a.example'] },
      }),
    ],
    [4, () => ({ type: 'm.room.message', sender, content: { body: 'hello' } })],
    [
      4,
      () => {
        const redacts = `$event:${dice.pick(['a.example', 'b.example', 'c.example', serverOf(sender)])}`;
        return { type: 'm.room.redaction', sender, content: { redacts }, redacts };
      },
    ],
  ])();
}

/** What is no level, or only to some. */
export const ODD_LEVELS: readonly JsonValue[] = [
  ...[
    '50',
    ' 50 ',
    '+7',
    '-0',
    '1_0',
    '5.0',
    '0x10',
    '',
    ' ',
    'abc',
    '٣',
    '\ufeff5',
    '\u00a05',
    '1e2',
    '--1',
    '9'.repeat(30),
  ],
  ...[true, false, null, [], {}, [50], 2 ** 53 - 1, -(2 ** 53) + 1],
  ...[2n ** 53n, -(2n ** 70n), new JsonFloat(5.5), new JsonFloat(-0.5), new JsonFloat(1e3), new JsonFloat(1e300)],
];
/** What the strict canonical JSON of versions 6 and later lets through. */
const ODD_SAFE_LEVELS = ODD_LEVELS.filter((value) => typeof value !== 'bigint' && !(value instanceof JsonFloat));
const ODD_USERS = [
  'alice',
  '@x',
  '@x:',
  '@:b.example',
  '@a b:c.example',
  '@ä:c.example',
  '@x:b.example:99999',
  '@x:b c',
  '',
];

export function oddLevel(dice: Dice, rules: RoomRules): JsonValue {
  return dice.pick(rules.strictCanonicalJson ? ODD_SAFE_LEVELS : ODD_LEVELS);
}

/** Puts something strange into the content of power levels. */
export function oddLevels(dice: Dice, rules: RoomRules, content: JsonObject): JsonObject {
  const into = (name: string, key: string): JsonObject => ({
    ...content,
    [name]: { ...ownObject(content, name), [key]: oddLevel(dice, rules) },
  });
  switch (dice.below(8)) {
    case 0:
      return { ...content, [dice.pick(['users', 'events', 'notifications'])]: dice.pick([null, [], 'x', 5, true]) };
    case 1:
      return { ...content, users: { ...ownObject(content, 'users'), [dice.pick(ODD_USERS)]: 0 } };
    case 2:
      return into('users', dice.pick(USERS));
    case 3:
      return into('events', dice.pick(EVENT_TYPES));
    case 4:
      return into('notifications', 'room');
    default:
      return { ...content, [dice.pick(SINGLE_LEVELS)]: oddLevel(dice, rules) };
  }
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** Bends a draft so that it breaks some rule of form. */
export function bend(dice: Dice, rules: RoomRules, draft: Draft): Draft {
  const { content } = draft;
  const change = (key: string, value: JsonValue): Draft => ({ ...draft, content: { ...content, [key]: value } });
  if (dice.chance(0.1)) {
    const { state_key: _, ...rest } = draft;
    return rest;
  }
  if (dice.chance(0.1)) return { ...draft, state_key: dice.pick(['', '@', '@x', 'é', ...USERS]) };
  switch (draft.type) {
    case 'm.room.member': {
      const invite = ownObject(content, 'third_party_invite');
      if (invite !== undefined && dice.chance(0.7)) return bendInvite(dice, draft, invite);
      if (dice.chance(0.3))
        return change('join_authorised_via_users_server', dice.pick(['x', '@x', null, 5, [], '@x:', '@x:b.example']));
      if (dice.chance(0.2)) return { ...draft, content: without(content, 'membership') };
      return change('membership', dice.pick([null, 5, [], 'Join', '', 'kick', ['join']]));
    }
    case 'm.room.power_levels':
      return { ...draft, content: oddLevels(dice, rules, content) };
    case 'm.room.join_rules':
      return change('join_rule', dice.pick([null, 5, [], 'Public']));
    case 'm.room.redaction':
      return {
        ...draft,
        redacts: dice.pick([null, 5, '$x', 'x:a.example', '$x:', '$x:b.example:1', '$a:b:c.example']),
      };
    default:
      return draft;
  }
}

function bendInvite(dice: Dice, draft: Draft, invite: JsonObject): Draft {
  const signed = ownObject(invite, 'signed') ?? {};
  const withSigned = (value: JsonValue): Draft => ({
    ...draft,
    content: { ...draft.content, third_party_invite: { ...invite, signed: value } },
  });
  const key = testKey(dice.below(4));
  switch (dice.below(8)) {
    case 0:
      return { ...draft, content: { ...draft.content, third_party_invite: dice.pick([null, 5, [], {}, 'x']) } };
    case 1:
      return withSigned(dice.pick([null, 5, [], {}]));
    case 2:
      return withSigned(without(signed, dice.pick(['mxid', 'token', 'signatures'])));
    case 3:
      return withSigned({ ...signed, [dice.pick(['mxid', 'token'])]: dice.pick([null, 5, 'x', {}]) });
    case 4:
      return withSigned({
        ...signed,
        signatures: dice.pick([null, 5, [], {}, { 'id.example': {} }, { 'id.example': 5 }]),
      });
    case 5:
      return withSigned({ ...signed, more: 1 });
    case 6:
      return withSigned(signJson(signed, dice.pick(['id.example', 'other.example']), key));
    default:
      return withSigned({ ...signed, unsigned: { a: 1 } });
  }
}
