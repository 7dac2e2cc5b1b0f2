import { foldCase } from '#core/case-fold.js';
import { compileGlob, type Glob, hasWildcards } from '#core/glob.js';
import { type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import { type PreparedEvent, propertyKey } from '#core/push-rules/event.js';

/** What conditions ask of the room at the event; one for all users. Levels may be looked up when first asked for. */
export interface PushRoom {
  /** Joined members, now. */
  readonly memberCount: number;
  /** The sender's power level; Infinity for the creators of a room of version 12. */
  senderLevel(): number;
  /** The level that a notification of this type needs: `notifications[key]` of m.room.power_levels, or 50. */
  notificationLevel(key: string): number;
}

/** Finds a user's display name in texts; made once for a name and shared. */
export type NameMatcher = Pick<Glob, 'matchesFolded'>;

/** What conditions ask of the user besides the rules. */
export interface PushUser {
  readonly name?: NameMatcher | undefined;
  /** Whether the user is subscribed to the event's thread (MSC4306); undefined where that has no bearing. */
  readonly subscribed?: boolean | undefined;
}

export type Condition = (event: PreparedEvent, room: PushRoom, user: PushUser) => boolean;

const BODY = propertyKey('content.body');
const never: Condition = () => false;

/** Matches a glob against a property, caseless: whole words of `content.body`, the whole value of any other. */
export function eventMatch(key: string, pattern: string): Condition {
  const property = propertyKey(key);
  if (key !== BODY.key && !hasWildcards(pattern)) {
    const folded = foldCase(pattern);
    return (event) => event.folded(property) === folded;
  }
  const glob = compileGlob(pattern, { mode: key === BODY.key ? 'word' : 'whole' });
  return (event) => {
    const text = event.folded(property);
    return text !== undefined && glob.matchesFolded(text);
  };
}

type Scalar = string | number | boolean | null;

/** A value that conditions can compare: no fractions, no integers beyond 2^53 - 1, nothing compound. */
function isScalar(value: JsonValue | undefined): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value);
}

function propertyCondition(condition: JsonObject, matches: (found: JsonValue, wanted: Scalar) => boolean): Condition {
  const key = ownString(condition, 'key');
  const wanted = own(condition, 'value');
  if (key === undefined || !isScalar(wanted)) return never;
  const property = propertyKey(key);
  return (event) => {
    const found = event.value(property);
    return found !== undefined && matches(found, wanted);
  };
}

const MEMBER_COUNT = /^(==|<=|>=|<|>)?(\d{1,15})$/;

function memberCount(condition: JsonObject): Condition {
  const parts = MEMBER_COUNT.exec(ownString(condition, 'is') ?? '');
  if (parts === null) return never;
  const count = Number(parts[2]);
  switch (parts[1]) {
    case '<':
      return (_, room) => room.memberCount < count;
    case '>':
      return (_, room) => room.memberCount > count;
    case '<=':
      return (_, room) => room.memberCount <= count;
    case '>=':
      return (_, room) => room.memberCount >= count;
    default:
      return (_, room) => room.memberCount === count;
  }
}

/**
 * Compiles a condition (client-server API, Conditions). One of an unknown kind, or with parameters missing or of the
 * wrong type, never matches.
 */
export function compileCondition(condition: JsonObject): Condition {
  const key = ownString(condition, 'key');
  switch (own(condition, 'kind')) {
    case 'event_match': {
      const pattern = ownString(condition, 'pattern');
      return key === undefined || pattern === undefined ? never : eventMatch(key, pattern);
    }
    case 'event_property_is':
      return propertyCondition(condition, (found, wanted) => found === wanted);
    case 'event_property_contains':
      return propertyCondition(condition, (found, wanted) => Array.isArray(found) && found.includes(wanted));
    case 'contains_display_name':
      return (event, _, { name }) => {
        const body = event.folded(BODY);
        return name !== undefined && body !== undefined && name.matchesFolded(body);
      };
    case 'room_member_count':
      return memberCount(condition);
    case 'sender_notification_permission':
      return key === undefined ? never : (_, room) => room.senderLevel() >= room.notificationLevel(key);
    case 'io.element.msc4306.thread_subscription': {
      const wanted = own(condition, 'subscribed');
      return typeof wanted === 'boolean' ? (_, __, { subscribed }) => subscribed === wanted : never;
    }
    default:
      return never;
  }
}

/** Whether the condition looks at the user's display name. */
export function usesDisplayName(condition: JsonObject): boolean {
  return own(condition, 'kind') === 'contains_display_name';
}

/** A matcher of a display name, every character literal. Undefined for no name or an empty one, which match nothing. */
export function nameMatcher(displayName: string | undefined): NameMatcher | undefined {
  return displayName === undefined || displayName === ''
    ? undefined
    : compileGlob(displayName, { mode: 'word', wildcards: 'none' });
}
