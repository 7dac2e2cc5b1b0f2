import { canonicalBytes } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { sha256 } from '#core/signing.js';
import { filters } from '#store/schema.js';
import type { Users } from '#users/users.js';

const MAX_FILTERS = 1_000;
const MAX_FILTER_BYTES = 1 << 16;
const ID_LENGTH = 16;

/**
 * Stores a filter and resolves with its id, which is made from the content: the same filter has the same id always. The
 * content is checked by the caller (core/filter.ts). Never begins with `{`, which marks a filter given inline.
 */
export async function storeFilter(users: Users, user: UserId, filter: JsonObject): Promise<string> {
  const bytes = canonicalBytes(filter);
  if (bytes.length > MAX_FILTER_BYTES) {
    throw new MatrixError('M_TOO_LARGE', `A filter may have at most ${MAX_FILTER_BYTES} bytes`);
  }
  const id = idOf(bytes);
  if (users.store.has(filters, [user, id])) return id;
  const rows = await users.store.list(filters, { prefix: [user], limit: MAX_FILTERS });
  if (rows.length >= MAX_FILTERS) {
    throw new MatrixError('M_RESOURCE_LIMIT_EXCEEDED', `There are ${MAX_FILTERS} filters already`);
  }
  await users.store.commit((tx) => tx.put(filters, [user, id], filter));
  return id;
}

function idOf(canonical: Buffer): string {
  return sha256(canonical).toString('base64url').slice(0, ID_LENGTH);
}

/** The id that a filter has. */
export function filterId(filter: JsonObject): string {
  return idOf(canonicalBytes(filter));
}

/** The stored filter, or undefined. */
export function findFilter(users: Users, user: UserId, id: string): JsonObject | undefined {
  return users.store.get(filters, [user, id]);
}

/** Deletes the filters of a deactivated account. */
export async function purgeFilters(users: Users, user: UserId): Promise<void> {
  const rows = await users.store.list(filters, { prefix: [user], limit: MAX_FILTERS });
  if (rows.length === 0) return;
  await users.store.commit((tx) => {
    for (const [key] of rows) tx.delete(filters, key);
  });
}
