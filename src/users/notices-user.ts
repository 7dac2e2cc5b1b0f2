import { type ServerName, UserId } from '#core/ids.js';

/** No account can be registered under a name that begins with `_`, and this one has no password. */
const LOCALPART = '_server';

/** In whose name the server sends notices. */
export function noticesUser(server: ServerName): UserId {
  return UserId.make(LOCALPART, server)!;
}

/** Whether `sender` is the server itself: neither ignoring nor invite permission keeps its notices away. */
export function isNoticesUser(sender: UserId): boolean {
  return UserId.localpart(sender) === LOCALPART;
}
