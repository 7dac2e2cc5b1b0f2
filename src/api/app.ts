import type { ServerName } from '#core/ids.js';
import type { RoomVersion } from '#core/room-versions.js';
import type { Media } from '#media/media.js';
import type { Federation } from '#rooms/federation.js';
import type { Rooms } from '#rooms/rooms.js';
import type { OpenedSync } from '#sync/open.js';
import type { DelayedEvents } from '#users/delayed-events.js';
import type { Users } from '#users/users.js';

/** Whom `.well-known/matrix/support` names. */
export interface SupportContact {
  readonly matrix_id?: string;
  readonly email_address?: string;
  /** `m.role.admin`, `m.role.security` or a namespaced one. */
  readonly role: string;
}

/** What the well-known files say; each part is absent where the operator gave none. */
export interface Discovery {
  /** Address at which clients reach the server: `https://matrix.example.org`. */
  readonly baseUrl: string | undefined;
  /** `host:port` at which other servers reach it. */
  readonly federation: string | undefined;
  readonly contacts: readonly SupportContact[];
  readonly supportPage: string | undefined;
}

/** The opened layers, as handlers get them. */
export interface App {
  readonly serverName: ServerName;
  readonly discovery: Discovery;
  readonly defaultRoomVersion: RoomVersion;
  readonly rooms: Rooms;
  readonly users: Users;
  readonly media: Media;
  readonly sync: OpenedSync;
  readonly delayed: DelayedEvents;
  /** Undefined where the server does not federate. */
  readonly federation?: Federation;
}
