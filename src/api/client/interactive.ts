import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject } from '#core/json-value.js';
import { Reply, type RequestInfo } from '#http/endpoint.js';
import {
  authenticateInteractively,
  PASSWORD_FLOWS,
  type UiaChallenge,
  type UiaDone,
  type UiaRequest,
} from '#users/uia.js';
import type { Users } from '#users/users.js';

/** What interactive authentication is bound to, from a handler's input. */
export function uiaRequest(user: UserId | undefined, request: RequestInfo, body: unknown): UiaRequest {
  return {
    ...(user !== undefined && { user }),
    method: request.method,
    path: request.path,
    body: isObject(body) ? body : {},
  };
}

/** The 401 answer that asks for (more) authentication. */
export function challenge(asked: UiaChallenge): Reply {
  return new Reply(401, asked.challenge);
}

/** Asks the caller for the password of their account. */
export async function askPassword(
  users: Users,
  user: UserId,
  request: RequestInfo,
  body: JsonObject | object,
): Promise<UiaDone | UiaChallenge> {
  return await authenticateInteractively(users, uiaRequest(user, request, body), PASSWORD_FLOWS);
}
