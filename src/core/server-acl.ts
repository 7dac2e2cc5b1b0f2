import { foldAscii } from '#core/case-fold.js';
import { compileGlob, type Glob, hasWildcards } from '#core/glob.js';
import type { ServerName } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';

/** A compiled m.room.server_acl event. Compile once per state event and keep it beside the event's id. */
export interface ServerAcl {
  /**
   * Whether the server may take part in the room (client-server API, Server Access Control Lists). The port is not
   * looked at, and letters A to Z match in either case.
   */
  allows(server: ServerName): boolean;
}

interface Patterns {
  readonly exact: ReadonlySet<string>;
  readonly globs: readonly Glob[];
}

/** A list of globs of the content. Entries that aren't strings match nothing; no list is an empty list. */
function compilePatterns(list: unknown): Patterns {
  const exact = new Set<string>();
  const wild = new Set<string>();
  for (const entry of Array.isArray(list) ? list : []) {
    if (typeof entry !== 'string') continue;
    const folded = foldAscii(entry);
    (hasWildcards(folded) ? wild : exact).add(folded);
  }
  return { exact, globs: [...wild].map((pattern) => compileGlob(pattern, { fold: 'none' })) };
}

function matchesAny(patterns: Patterns, host: string): boolean {
  return patterns.exact.has(host) || patterns.globs.some((glob) => glob.matchesFolded(host));
}

/** The server name without its port. A colon inside brackets belongs to an IPv6 address. */
function hostOf(server: ServerName): string {
  const colon = server.lastIndexOf(':');
  return colon > server.lastIndexOf(']') ? server.slice(0, colon) : server;
}

const DECIMAL_QUAD = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

function isIpLiteral(host: string): boolean {
  if (host[0] === '[') return true;
  const parts = DECIMAL_QUAD.exec(host);
  return parts?.slice(1).every((part) => Number(part) <= 255) ?? false;
}

/**
 * Compiles the content of an m.room.server_acl event. Never throws: whatever has the wrong type counts as absent, so a
 * missing or odd `allow` denies every server, and `allow_ip_literals` is true unless it is the boolean false. A room
 * without the event has no ACL and allows every server; that is the caller's to know.
 */
export function compileServerAcl(content: JsonObject): ServerAcl {
  const deniesIpLiterals = own(content, 'allow_ip_literals') === false;
  const allow = compilePatterns(own(content, 'allow'));
  const deny = compilePatterns(own(content, 'deny'));
  return {
    allows(server) {
      const host = foldAscii(hostOf(server));
      if (deniesIpLiterals && isIpLiteral(host)) return false;
      return !matchesAny(deny, host) && matchesAny(allow, host);
    },
  };
}
