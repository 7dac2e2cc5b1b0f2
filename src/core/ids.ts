/**
 * Matrix identifiers as branded strings, type and companion under one name (appendices, Common Identifier Format).
 * `parse` is lenient where history demands it; `make` and `isNew…` are strict for what this server creates.
 * Sizes are in bytes of UTF-8. Identifiers are compared byte by byte: no Unicode normalisation, no case folding.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type ServerName = Branded<'ServerName'>;
export type UserId = Branded<'UserId'>;
/** Opaque: from room version 12 on it has no server name in it, so nothing here gives one. */
export type RoomId = Branded<'RoomId'>;
export type EventId = Branded<'EventId'>;
export type RoomAlias = Branded<'RoomAlias'>;
export type DeviceId = Branded<'DeviceId'>;

/** Longest user id, room id, event id and alias, in bytes, sigil and server name included. */
export const MAX_ID_BYTES = 255;
const MAX_SERVER_NAME_BYTES = 230;

const DNS_NAME = /^[A-Za-z0-9.-]+$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const IPV6 = /^\[[0-9A-Fa-f:.]{2,45}\]$/;
const PORT = /^\d{1,5}$/;
const STRICT_LOCALPART = /^[a-z0-9._=/+-]+$/;
const LOCALPART_OF_HISTORY = /^[^:\0]*$/;
const BASE64_HASH = /^[A-Za-z0-9+/]{43}$/;
const BASE64URL_HASH = /^[A-Za-z0-9_-]{43}$/;

function fits(text: string): boolean {
  // A string of n UTF-16 units has between n and 3n bytes, so most need no count.
  if (text.length * 3 <= MAX_ID_BYTES) return true;
  return text.length <= MAX_ID_BYTES && Buffer.byteLength(text) <= MAX_ID_BYTES;
}

function hasLoneSurrogate(text: string): boolean {
  return !text.isWellFormed();
}

/** Splits `sigil localpart : server` at the first colon; server names hold colons themselves. */
function split(text: string, sigil: string): { localpart: string; server: ServerName } | undefined {
  if (text[0] !== sigil || !fits(text) || hasLoneSurrogate(text)) return undefined;
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  const server = text.slice(colon + 1);
  if (!ServerName.is(server)) return undefined;
  return { localpart: text.slice(1, colon), server };
}

export const ServerName = {
  /** Appendices, Server Name: DNS name, IPv4 or bracketed IPv6, with an optional port. */
  is(text: unknown): text is ServerName {
    if (typeof text !== 'string' || text.length === 0 || text.length > MAX_SERVER_NAME_BYTES) return false;
    let host = text;
    const colon = text.lastIndexOf(':');
    if (colon > text.lastIndexOf(']')) {
      if (!PORT.test(text.slice(colon + 1)) || Number(text.slice(colon + 1)) > 65_535) return false;
      host = text.slice(0, colon);
    }
    return host[0] === '[' ? IPV6.test(host) : IPV4.test(host) || DNS_NAME.test(host);
  },
  parse(text: unknown): ServerName | undefined {
    return ServerName.is(text) ? text : undefined;
  },
};

export const UserId = {
  /** Accepts the historical character set too: rooms hold such users. */
  is(text: unknown): text is UserId {
    if (typeof text !== 'string') return false;
    const parts = split(text, '@');
    return parts !== undefined && LOCALPART_OF_HISTORY.test(parts.localpart);
  },
  parse(text: unknown): UserId | undefined {
    return UserId.is(text) ? text : undefined;
  },
  /** The user id of a new local account, or undefined where the localpart breaks the strict grammar or the size. */
  make(localpart: string, server: ServerName): UserId | undefined {
    const text = `@${localpart}:${server}`;
    return STRICT_LOCALPART.test(localpart) && fits(text) ? (text as UserId) : undefined;
  },
  localpart(user: UserId): string {
    return user.slice(1, user.indexOf(':'));
  },
  serverName(user: UserId): ServerName {
    return user.slice(user.indexOf(':') + 1) as ServerName;
  },
};

export const RoomId = {
  is(text: unknown): text is RoomId {
    return (
      typeof text === 'string' &&
      text[0] === '!' &&
      text.length > 1 &&
      fits(text) &&
      !text.includes('\0') &&
      !hasLoneSurrogate(text)
    );
  },
  parse(text: unknown): RoomId | undefined {
    return RoomId.is(text) ? text : undefined;
  },
  /** Room id of versions 1 to 11. */
  make(opaque: string, server: ServerName): RoomId {
    return `!${opaque}:${server}` as RoomId;
  },
  /** Room id of version 12 and later: the create event's id with another sigil (MSC4291). */
  fromCreateEventId(eventId: EventId): RoomId {
    return `!${eventId.slice(1)}` as RoomId;
  },
  /** The id of the create event that a hash-formed room id names. */
  createEventId(room: RoomId): EventId {
    return `$${room.slice(1)}` as EventId;
  },
};

export const EventId = {
  is(text: unknown): text is EventId {
    return typeof text === 'string' && text[0] === '$' && text.length > 1 && fits(text) && !hasLoneSurrogate(text);
  },
  parse(text: unknown): EventId | undefined {
    return EventId.is(text) ? text : undefined;
  },
  /** Versions 1 and 2: `$opaque:server`, chosen by the sending server. */
  isWithServer(text: string): boolean {
    return split(text, '$') !== undefined;
  },
  /** The server part of an id of versions 1 and 2. */
  serverName(id: EventId): ServerName | undefined {
    return split(id, '$')?.server;
  },
  /** Version 3: `$` and standard base64 of the reference hash. */
  isBase64(text: string): boolean {
    return text[0] === '$' && BASE64_HASH.test(text.slice(1));
  },
  /** Versions 4 and later: `$` and URL-safe base64 of the reference hash. */
  isBase64Url(text: string): boolean {
    return text[0] === '$' && BASE64URL_HASH.test(text.slice(1));
  },
  /** Takes text that the caller has just made in the room version's own form. */
  of(text: string): EventId {
    return text as EventId;
  },
};

export const RoomAlias = {
  is(text: unknown): text is RoomAlias {
    if (typeof text !== 'string') return false;
    const parts = split(text, '#');
    return parts !== undefined && !parts.localpart.includes('\0');
  },
  parse(text: unknown): RoomAlias | undefined {
    return RoomAlias.is(text) ? text : undefined;
  },
  /** The alias `#localpart:server`, or undefined where it would be too long or hold a colon or NUL. */
  make(localpart: string, server: ServerName): RoomAlias | undefined {
    const text = `#${localpart}:${server}`;
    return localpart !== '' && !localpart.includes(':') && RoomAlias.is(text) ? text : undefined;
  },
  localpart(alias: RoomAlias): string {
    return alias.slice(1, alias.indexOf(':'));
  },
  serverName(alias: RoomAlias): ServerName {
    return alias.slice(alias.indexOf(':') + 1) as ServerName;
  },
};

export const DeviceId = {
  /** Clients choose device ids freely; only size and well-formedness are ours to ask. */
  is(text: unknown): text is DeviceId {
    return typeof text === 'string' && text.length > 0 && fits(text) && !hasLoneSurrogate(text);
  },
  parse(text: unknown): DeviceId | undefined {
    return DeviceId.is(text) ? text : undefined;
  },
};
