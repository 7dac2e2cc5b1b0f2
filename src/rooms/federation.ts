import { MatrixError } from '#core/errors.js';
import type { RoomId, ServerName } from '#core/ids.js';
import { compileServerAcl, type ServerAcl } from '#core/server-acl.js';
import { requestSignatureSteps, type SignedRequest, type XMatrix } from '#core/x-matrix.js';
import type { ServerClient } from '#remote/client.js';
import type { Health } from '#remote/health.js';
import type { Keyring } from '#remote/keyring.js';
import { findRoom, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { isHosted } from '#rooms/roster.js';
import { isServerIn } from '#store/members.js';
import type { EventNum, Reader, RoomNum } from '#store/types.js';
import { Lanes } from '#util/lanes.js';
import type { Log } from '#util/log.js';
import { Lru } from '#util/lru.js';
import { driveInTurns } from '#util/steps.js';

/** Transactions that may wait for a room which is busy with others. */
const MAX_WAITING = 100;
/** Parts of a body that are put into canonical form before others may run; each may be an event of 64 KiB. */
const STEPS_AT_ONCE = 4;
/** Compiled server ACLs that are kept. */
const MAX_ACLS = 500;

/** The rooms' side of federation: what every verb that deals with other servers takes first. */
export interface Federation {
  readonly rooms: Rooms;
  readonly client: ServerClient;
  readonly keyring: Keyring;
  readonly health: Health;
  readonly log: Log;
  /** Events from elsewhere are taken into a room one after another: filling a gap must not overlap with itself. */
  readonly lanes: Lanes<RoomNum>;
  /** Transactions that are being worked on, by server and transaction id. */
  readonly underWay: Map<string, Promise<object>>;
  /** Called when a server has sent something: it is there. */
  readonly onHeardFrom: ((server: ServerName) => void)[];
  readonly acls: Lru<EventNum, ServerAcl>;
}

/** Opens it. Nothing runs by itself here. */
export function openFederation(parts: Pick<Federation, 'rooms' | 'client' | 'keyring' | 'health' | 'log'>): Federation {
  return {
    ...parts,
    lanes: new Lanes({ waiting: MAX_WAITING }),
    underWay: new Map(),
    onHeardFrom: [],
    acls: new Lru(MAX_ACLS),
  };
}

/** Whether the signature in the header is that of the request by a key that its origin has now. */
export async function verifyRequest(
  { keyring }: Federation,
  header: XMatrix,
  request: SignedRequest,
): Promise<boolean> {
  const key = await keyring.forRequest(header.origin, header.key);
  return key !== undefined && driveInTurns(requestSignatureSteps(header, request, key), STEPS_AT_ONCE);
}

/** Whether the room's server ACL lets `server` take part (server-server API, Server Access Control Lists). */
export function aclAllows(federation: Federation, reader: Reader, room: Room, server: ServerName): boolean {
  const { rooms, acls } = federation;
  const event = storedStateAt(rooms, reader, room.head.state, 'm.room.server_acl', '');
  if (event === undefined) return true;
  let acl = acls.get(event.num);
  if (acl === undefined) {
    acl = compileServerAcl(event.pdu.content);
    acls.set(event.num, acl);
  }
  return acl.allows(server);
}

/** The room `roomId`, in which someone of this server must be: the others are as good as unknown. M_NOT_FOUND, M_FORBIDDEN by ACL. */
export function hostedRoom(federation: Federation, reader: Reader, roomId: RoomId, server: ServerName): Room {
  const room = findRoom(reader, roomId);
  if (room === undefined || !isHosted(reader, room)) throw new MatrixError('M_NOT_FOUND', 'The room is not known here');
  checkAcl(federation, reader, room, server);
  return room;
}

/** The room `roomId` for a server that takes part in it. M_FORBIDDEN otherwise, and for unknown rooms alike. */
export function sharedRoom(federation: Federation, reader: Reader, roomId: RoomId, server: ServerName): Room {
  const room = findRoom(reader, roomId);
  if (room === undefined || !isServerIn(reader, room.num, server)) {
    throw new MatrixError('M_FORBIDDEN', 'No user of your server is in the room, or it is not known here');
  }
  checkAcl(federation, reader, room, server);
  return room;
}

function checkAcl(federation: Federation, reader: Reader, room: Room, server: ServerName): void {
  if (aclAllows(federation, reader, room, server)) return;
  throw new MatrixError('M_FORBIDDEN', 'The access control list of the room denies your server');
}
