import { canonicalJson } from '#core/canonical-json.js';
import { contentHash, eventIdOf, eventSignedBytes, referenceHash } from '#core/event/hash.js';
import { redactPdu } from '#core/event/redact.js';
import { parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';
import { type SigningKey, signingKeyFromSeed, signJson, verifyJson } from '#core/signing.js';
import { encodeBase64 } from '#util/base64.js';
import { Dice } from './dice.js';
import { randomJson, randomObject, randomText } from './json-values.js';
import type { Kind } from './kind.js';

const TYPES = [
  ...['m.room.member', 'm.room.create', 'm.room.join_rules', 'm.room.power_levels', 'm.room.aliases'],
  ...['m.room.history_visibility', 'm.room.redaction', 'm.room.message', 'm.room.topic', 'm.room.third_party_invite'],
  ...['m.room.server_acl', 'm.room.encryption', 'm.room.tombstone', 'org.example.own'],
];
const CONTENT_KEYS = [
  ...['membership', 'join_authorised_via_users_server', 'third_party_invite', 'creator', 'room_version', 'm.federate'],
  ...['join_rule', 'allow', 'users', 'users_default', 'events', 'events_default', 'state_default', 'ban', 'kick'],
  ...['redact', 'invite', 'notifications', 'aliases', 'history_visibility', 'redacts', 'body', 'additional_creators'],
  ...['m.relates_to', 'displayname', 'signed', 'type', 'predecessor', '__proto__', 'constructor'],
];
const TOP_KEYS = [
  'prev_state',
  'origin',
  'membership',
  'redacts',
  'age',
  'replaces_state',
  'prev_content',
  'msc4354_sticky',
];

export function rulesOf(version: string): RoomRules {
  const rules = roomRules(version);
  if (rules === undefined) throw new Error(`no room version ${version}`);
  return rules;
}

function set(object: Record<string, JsonValue>, key: string, value: JsonValue): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

function randomContent(dice: Dice, exotic: boolean): JsonObject {
  const content: Record<string, JsonValue> = {};
  for (const key of dice.some(CONTENT_KEYS, dice.below(8))) set(content, key, randomJson(dice, exotic, 2));
  if (dice.chance(0.3)) {
    const invite = { ...randomObject(dice, exotic, 1) } as Record<string, JsonValue>;
    if (dice.chance(0.7)) invite['signed'] = randomJson(dice, exotic, 2);
    content['third_party_invite'] = invite;
  }
  return content;
}

/** An event of the room version's form with random content and random further keys. */
function randomEvent(dice: Dice, rules: RoomRules): Record<string, JsonValue> {
  const exotic = !rules.strictCanonicalJson;
  const withServer = rules.eventIdFormat === 'server';
  const id = (): string => `$${dice.next().toString(36).slice(2)}${withServer ? ':a.example' : ''}`;
  const references = (): JsonValue[] =>
    Array.from({ length: dice.below(4) }, () => (withServer ? [id(), { sha256: randomText(dice) }] : id()));
  const type = dice.pick(TYPES);
  const event: Record<string, JsonValue> = {
    type,
    sender: '@alice:a.example',
    content: randomContent(dice, exotic),
    depth: dice.between(0, 1000),
    origin_server_ts: dice.between(0, 2 ** 40),
    prev_events: references(),
    auth_events: references(),
    hashes: { sha256: randomText(dice) },
    signatures: { 'a.example': { 'ed25519:1': randomText(dice) } },
  };
  const isIdlessCreate = rules.roomIdIsHash && type === 'm.room.create';
  if (isIdlessCreate || dice.chance(0.6)) {
    event['state_key'] = type === 'm.room.create' || dice.chance(0.5) ? '' : randomText(dice);
  }
  if (dice.chance(0.3)) event['unsigned'] = { age_ts: dice.below(1000), other: randomJson(dice, exotic, 1) };
  if (!isIdlessCreate) event['room_id'] = '!room:a.example';
  if (withServer) event['event_id'] = id();
  for (const key of dice.some(TOP_KEYS, dice.below(3))) set(event, key, randomJson(dice, exotic, 2));
  if (dice.chance(0.2)) set(event, `x${randomText(dice)}`, randomJson(dice, exotic, 2));
  return event;
}

/** What is sent is also read from that text: then numbers have the form in which they would arrive. */
function reread(event: JsonObject): { text: string; event: JsonObject } {
  const text = stringifyJson(event);
  return { text, event: parseJson(text, { numbers: 'exact' }) as JsonObject };
}

/** Content hashes of random events. */
export const hashes: Kind = {
  name: 'hashes',
  make(dice) {
    const { text, event } = reread(randomEvent(dice, rulesOf(dice.pick(ROOM_VERSIONS))));
    return { request: `{"event":${text}}`, answers: [contentHash(event)], count: 1, describe: () => text };
  },
};

/** Event ids and reference hashes. */
export const ids: Kind = {
  name: 'ids',
  make(dice) {
    const rules = rulesOf(dice.pick(ROOM_VERSIONS));
    const { text, event } = reread(randomEvent(dice, rules));
    const answer = `${eventIdOf(event, rules)} ${encodeBase64(referenceHash(event, rules))}`;
    return {
      request: `{"version":"${rules.version}","event":${text}}`,
      answers: [answer],
      count: 1,
      describe: () => `version ${rules.version} ${text}`,
    };
  },
};

/** Redacted forms, also of events that are misshapen. */
export const redaction: Kind = {
  name: 'redaction',
  make(dice) {
    const rules = rulesOf(dice.pick(ROOM_VERSIONS));
    const random = randomEvent(dice, rules);
    if (dice.chance(0.05)) random['content'] = randomJson(dice, false, 1);
    if (dice.chance(0.1)) random['room_id'] = '!room:a.example';
    for (const key of dice.some(Object.keys(random), dice.chance(0.2) ? 2 : 0)) {
      if (key !== 'type' && key !== 'content') set(random, key, randomJson(dice, false, 2));
    }
    const { text, event } = reread(random);
    return {
      request: `{"version":"${rules.version}","event":${text}}`,
      answers: [canonicalJson(redactPdu(event, rules))],
      count: 1,
      excuse: (_, theirs) => {
        if (!rules.roomIdIsHash || event['type'] !== 'm.room.create' || !Object.hasOwn(event, 'room_id'))
          return undefined;
        const { room_id: _roomId, ...rest } = redactPdu(event, rules);
        return canonicalJson(rest) === theirs ? 'room_id of a create event' : undefined;
      },
      describe: () => `version ${rules.version} ${text}`,
    };
  },
};

/** Ed25519 public keys of order 1, 2, 4 and 8, and of forms that are no canonical encoding. */
const STRANGE_KEYS = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
  `ff${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map((hex) => Buffer.from(hex, 'hex'));
/** The order of the group, little-endian: adding it to S gives another form of the same signature. */
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function malleated(signature: Buffer): Buffer {
  let s = 0n;
  for (let at = 63; at >= 32; at--) s = (s << 8n) | BigInt(signature[at]!);
  s += GROUP_ORDER;
  const changed = Buffer.from(signature);
  for (let at = 32; at < 64; at++, s >>= 8n) changed[at] = Number(s & 0xffn);
  return changed;
}

export const TEST_KEYS = 64;
const testKeys = new Map<number, SigningKey>();

/** One of a few keys: deriving one takes as long as some twenty signatures. */
export function testKey(number: number): SigningKey {
  let key = testKeys.get(number);
  if (key === undefined) {
    const dice = new Dice(number);
    const seed = Uint8Array.from({ length: 32 }, () => dice.below(256));
    key = signingKeyFromSeed(seed, dice.pick(['1', 'a_b', 'Z9']));
    testKeys.set(number, key);
  }
  return key;
}

interface Check {
  readonly object: JsonObject;
  readonly name: string;
  readonly keyId: string;
  readonly publicKey: string;
  /** The base64 is not what the specification calls unpadded base64. */
  readonly looseBase64: boolean;
}

/** A way to check a signed object that is right or wrong in some way. */
function randomCheck(dice: Dice, signed: JsonObject, name: string, keyId: string, publicKey: string): Check {
  const ofName = (signed['signatures'] as JsonObject)[name] as JsonObject;
  const signature = Buffer.from(ofName[keyId] as string, 'base64');
  const withSignature = (text: string, looseBase64 = false): Check => ({
    object: { ...signed, signatures: { [name]: { [keyId]: text } } },
    ...{ name, keyId, publicKey, looseBase64 },
  });
  const key = Buffer.from(publicKey, 'base64');
  switch (dice.below(11)) {
    case 0:
      return { object: { ...signed, more: 1 }, name, keyId, publicKey, looseBase64: false };
    case 1:
      signature[dice.below(64)]! ^= 1 << dice.below(8);
      return withSignature(encodeBase64(signature));
    case 2:
      return withSignature(encodeBase64(malleated(signature)));
    case 3:
      return withSignature(signature.toString('base64'));
    case 4:
      return withSignature(signature.toString('base64url'), /[+/]/.test(encodeBase64(signature)));
    case 5: {
      const text = encodeBase64(signature);
      const at = dice.below(text.length);
      const foreign = dice.pick([' ', '\n', '*', '=', 'é']);
      return withSignature(text.slice(0, at) + foreign + text.slice(at), true);
    }
    case 6:
      return withSignature(encodeBase64(signature.subarray(0, dice.pick([0, 32, 63]))));
    case 7: {
      const strange = Buffer.from(dice.pick(STRANGE_KEYS));
      if (dice.chance(0.5)) strange[31]! |= 0x80;
      // A signature that such a key makes valid for every message: R is the key's own small point, S is 0.
      const forged = dice.chance(0.5) ? Buffer.concat([dice.pick(STRANGE_KEYS), Buffer.alloc(32)]) : signature;
      return { ...withSignature(encodeBase64(forged)), publicKey: encodeBase64(strange) };
    }
    case 8:
      key[dice.below(32)]! ^= 1 << dice.below(8);
      return { ...withSignature(encodeBase64(signature)), publicKey: encodeBase64(key) };
    case 9:
      return { object: { ...signed, unsigned: { a: 1 } }, name, keyId, publicKey, looseBase64: false };
    default:
      return { object: signed, name: dice.pick([name, 'other.example']), keyId, publicKey, looseBase64: false };
  }
}

/** Signatures of JSON and of events, and checks of them. Each case is two signatures and some checks. */
export const signing: Kind = {
  name: 'signing',
  make(dice) {
    const rules = rulesOf(dice.pick(ROOM_VERSIONS));
    const name = dice.pick(['a.example', '[::1]:8448', 'b.example:8448', 'é']);
    const key = testKey(dice.below(TEST_KEYS));
    const { text, event: object } = reread({
      ...randomObject(dice, true, 2),
      ...(dice.chance(0.3) ? { signatures: { 'z.example': { 'ed25519:0': 'AAAA' } } } : { signatures: {} }),
      unsigned: randomObject(dice, true, 1),
    });
    const { text: eventText, event } = reread(randomEvent(dice, rules));
    const signed = signJson(object, name, key);
    const checks = Array.from({ length: 3 }, () => randomCheck(dice, signed, name, key.id, key.publicKey));
    const answers = [
      canonicalJson(signed),
      key.sign(eventSignedBytes(event, rules)),
      ...checks.map(({ object, name, keyId, publicKey }) =>
        verifyJson(object, name, keyId, publicKey) ? 'valid' : 'invalid',
      ),
    ];
    const asked = checks.map(({ looseBase64: _, ...check }) => check as unknown as JsonObject);
    const fields = {
      version: rules.version,
      name,
      seed: encodeBase64(key.seed),
      keyVersion: key.id.slice('ed25519:'.length),
      checks: asked,
    };
    return {
      request: `${stringifyJson(fields).slice(0, -1)},"object":${text},"event":${eventText}}`,
      answers,
      count: 1,
      excuse: (part, theirs) => {
        const check = checks[part - 2];
        return check?.looseBase64 && theirs === 'valid' ? 'base64 of another form' : undefined;
      },
      describe: (part) => (part < 2 ? `${text} ${eventText}` : stringifyJson(asked[part - 2]!)),
    };
  },
};
