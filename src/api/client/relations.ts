import type { App } from '#api/app.js';
import { gapParameter } from '#api/client/parameters.js';
import type { EventId, RoomId } from '#core/ids.js';
import { boolean, eventId, integer, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { clientEvents } from '#rooms/client-events.js';
import { relatedEvents } from '#rooms/related.js';

const DEFAULT_LIMIT = 5;
const MAX_LIMIT = 1_000;

const query = object({
  from: optional(string()),
  to: optional(string()),
  dir: optional(literal('b', 'f')),
  limit: optional(integer({ minimum: 0 })),
  recurse: optional(boolean),
  'org.matrix.msc3981.recurse': optional(boolean),
});

interface Asked {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly dir?: 'b' | 'f' | undefined;
  readonly limit?: number | undefined;
  readonly recurse?: boolean | undefined;
  readonly 'org.matrix.msc3981.recurse'?: boolean | undefined;
}

async function answer(
  { rooms }: App,
  caller: Caller,
  params: {
    readonly roomId: RoomId;
    readonly eventId: EventId;
    readonly relType?: string;
    readonly eventType?: string;
  },
  asked: Asked,
): Promise<object> {
  const recurse = asked.recurse ?? asked['org.matrix.msc3981.recurse'];
  const page = await relatedEvents(rooms, caller.user, params.roomId, params.eventId, {
    dir: asked.dir ?? 'b',
    // The specification knows no page without room for an event.
    limit: Math.min(Math.max(asked.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT),
    recurse: recurse ?? false,
    ...(asked.from === undefined ? {} : { from: gapParameter(rooms, asked.from) }),
    ...(asked.to === undefined ? {} : { to: gapParameter(rooms, asked.to) }),
    ...(params.relType === undefined ? {} : { relType: params.relType }),
    ...(params.eventType === undefined ? {} : { type: params.eventType }),
  });
  return {
    chunk: await clientEvents(rooms, page.events, caller),
    ...(page.end === undefined ? {} : { next_batch: String(page.end) }),
    ...(asked.from === undefined ? {} : { prev_batch: asked.from }),
    ...(recurse === undefined ? {} : { recursion_depth: page.depth }),
  };
}

function paths(rest: string): { readonly path: string; readonly aliases: readonly string[] } {
  const path = `rooms/{roomId}/relations/{eventId}${rest}`;
  return { path: `/_matrix/client/v1/${path}`, aliases: [`/_matrix/client/unstable/${path}`] };
}

/** What relates to an event (client-server API, Relationships API). */
export const relationEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getRelatingEvents',
    method: 'GET',
    ...paths(''),
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId, eventId }),
    query: () => query,
    handle: (app: App, { caller, params, query }) => answer(app, caller, params, query),
  }),
  endpoint({
    id: 'getRelatingEventsWithRelType',
    method: 'GET',
    ...paths('/{relType}'),
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId, eventId, relType: string() }),
    query: () => query,
    handle: (app: App, { caller, params, query }) => answer(app, caller, params, query),
  }),
  endpoint({
    id: 'getRelatingEventsWithRelTypeAndEventType',
    method: 'GET',
    ...paths('/{relType}/{eventType}'),
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId, eventId, relType: string(), eventType: string() }),
    query: () => query,
    handle: (app: App, { caller, params, query }) => answer(app, caller, params, query),
  }),
];
