import { allowsEvent } from '#core/filter.js';
import type { JsonObject } from '#core/json-value.js';
import type { Changes } from '#sync/changes.js';
import { sharesRoom } from '#sync/device-lists.js';
import type { Span } from '#sync/sections.js';
import type { Sync } from '#sync/sync.js';
import type { UserView } from '#sync/views.js';

/**
 * Presence that changed in a span (all that is known, without `changes`), and that of everyone whom the viewer has just
 * begun to share a room with.
 */
export function presenceSection(
  layer: Sync,
  view: UserView,
  span: Span,
  changes: Changes | undefined,
  met: ReadonlySet<string>,
): JsonObject[] {
  const users = new Set([...(changes?.presence ?? layer.sources.presentUsers()), ...met]);
  const events: JsonObject[] = [];
  for (const user of users) {
    const presence = layer.sources.presenceOf(user);
    if (presence === undefined || presence.position > span.upTo) continue;
    if (span.since !== undefined && presence.position <= span.since && !met.has(user)) continue;
    if (user !== span.viewer.user && !sharesRoom(layer.rooms, view, user)) continue;
    if (allowsEvent(span.filter.presence, { type: 'm.presence', sender: user })) events.push(presence.event);
  }
  return events;
}
