/**
 * Every error code this server answers with, and its usual HTTP status (client-server API, Standard error response).
 * The table also yields docs/ERRORS.md.
 */
export const ERROR_CODES = {
  M_FORBIDDEN: [403, 'Access denied: not joined, no power, wrong password.'],
  M_UNKNOWN_TOKEN: [401, 'The access token is unknown, expired or logged out.'],
  M_MISSING_TOKEN: [401, 'No access token was given.'],
  M_USER_LOCKED: [401, 'The account is locked; the session is soft-logged-out.'],
  M_USER_SUSPENDED: [403, 'The account is suspended and may only read and leave.'],
  M_USER_DEACTIVATED: [403, 'The account is deactivated.'],
  M_BAD_JSON: [400, 'Valid JSON with the wrong keys or types.'],
  M_NOT_JSON: [400, 'The body is not JSON.'],
  M_NOT_FOUND: [404, 'No such thing, or none the caller may see.'],
  M_LIMIT_EXCEEDED: [429, 'Too many requests; see retry_after_ms.'],
  M_UNRECOGNIZED: [404, 'The endpoint, or the method on it, is unknown.'],
  M_UNKNOWN: [500, 'An unforeseen fault of this server, or an error no other code names.'],
  M_UNAUTHORIZED: [401, 'The request was not correctly authorised.'],
  M_USER_IN_USE: [400, 'The desired user id is taken.'],
  M_INVALID_USERNAME: [400, 'The desired user id is not valid.'],
  M_ROOM_IN_USE: [400, 'The alias is taken.'],
  M_INVALID_ROOM_STATE: [400, 'The initial state is not valid.'],
  M_UNSUPPORTED_ROOM_VERSION: [400, 'The room version is not supported here.'],
  M_INCOMPATIBLE_ROOM_VERSION: [400, 'The room has a version that this server does not support.'],
  M_BAD_STATE: [403, 'The state change asked for can not be made.'],
  M_GUEST_ACCESS_FORBIDDEN: [403, 'Guests may not do this.'],
  M_MISSING_PARAM: [400, 'A required parameter is missing.'],
  M_INVALID_PARAM: [400, 'A parameter has the wrong value.'],
  M_DUPLICATE_ANNOTATION: [400, 'The same reaction was sent before.'],
  M_TOO_LARGE: [413, 'The request or the event is too large.'],
  M_EXCLUSIVE: [400, 'The name is reserved for an application service.'],
  M_RESOURCE_LIMIT_EXCEEDED: [403, 'A limit of this server was reached; see admin_contact.'],
  M_CANNOT_LEAVE_SERVER_NOTICE_ROOM: [403, 'The server notices room can not be left.'],
  M_WEAK_PASSWORD: [400, 'The password does not meet the policy.'],
  M_THREEPID_NOT_FOUND: [400, 'No account has this third-party identifier.'],
  M_THREEPID_IN_USE: [400, 'Another account has this third-party identifier.'],
  M_THREEPID_DENIED: [403, 'The third-party identifier is not permitted.'],
  M_UNABLE_TO_AUTHORISE_JOIN: [400, 'A restricted join could not be decided by this server.'],
  M_UNABLE_TO_GRANT_JOIN: [400, 'No local user can authorise a restricted join.'],
  M_BAD_ALIAS: [400, 'An alias does not point at the room.'],
  M_INVALID_BLURHASH: [400, 'Not a blurhash.'],
  M_KEY_TOO_LARGE: [400, 'A profile field has too long a name.'],
  M_PROFILE_TOO_LARGE: [400, 'The profile would grow over its limit.'],
  M_CONFLICT: [409, 'The request conflicts with the current state.'],
  M_INVALID_SIGNATURE: [400, 'A signature is missing or wrong.'],
  M_WRONG_ROOM_KEYS_VERSION: [403, 'The key backup version is not the current one.'],
  M_NOT_YET_UPLOADED: [504, 'The media is not there yet.'],
  M_CANNOT_OVERWRITE_MEDIA: [409, 'The media is already uploaded.'],
  M_UNKNOWN_POS: [400, 'The sliding sync position is unknown.'],
  M_UNKNOWN_DEVICE: [400, 'The device is unknown.'],
  M_INVITE_BLOCKED: [403, 'The invited user does not accept this invite.'],
  'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD': [400, 'The event that shall subscribe to a thread is not in it.'],
  'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION': [409, 'The user unsubscribed from the thread after that event.'],
} as const satisfies Record<string, readonly [status: number, meaning: string]>;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * An error that travels to the caller as `{errcode, error, …extra}`. `status` defaults to the code's usual one.
 * Anything else thrown is a bug of ours: it is logged and answered with a bare M_UNKNOWN.
 */
export class MatrixError extends Error {
  override readonly name = 'MatrixError';
  readonly errcode: ErrorCode;
  readonly status: number;
  /** Further top-level fields of the response body, such as `retry_after_ms` or `soft_logout`. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    errcode: ErrorCode,
    message: string,
    options: { status?: number; extra?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message);
    this.errcode = errcode;
    this.status = options.status ?? ERROR_CODES[errcode][0];
    this.extra = options.extra ?? {};
  }
}
