import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import {
  type MediaRow,
  type MediaUsage,
  media,
  mediaContents,
  mediaUsage,
  type StoredThumbnail,
} from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';

/** A stored file: its hash in hexadecimal and its size in bytes. */
export interface Content {
  readonly sha256: string;
  readonly size: number;
}

/** Whose account link previews go on. */
const SERVER = '';
const NOTHING: MediaUsage = { bytes: 0, files: 0, pending: [] };

export function usageOf(reader: Reader, user: string): MediaUsage {
  return reader.get(mediaUsage, [user]) ?? NOTHING;
}

/** Throws `M_FORBIDDEN` where `bytes` more would take the user over the quota (client-server API, Security considerations). */
export function checkQuota(reader: Reader, user: string, bytes: number, quota: number | undefined): void {
  if (quota !== undefined && usageOf(reader, user).bytes + bytes > quota) {
    throw new MatrixError('M_FORBIDDEN', `You may have uploaded at most ${quota} bytes in all`);
  }
}

/**
 * Makes a URI whose content is to come. Throws `M_LIMIT_EXCEEDED`, with when to come again, where `most` of the user's are
 * still open.
 */
export function reserve(
  tx: Tx,
  at: { readonly origin: string; readonly id: string },
  row: { readonly uploader: UserId; readonly createdTs: number; readonly expiresTs: number },
  most: number,
): void {
  const usage = usageOf(tx, row.uploader);
  const pending = usage.pending.filter(({ expiresTs }) => expiresTs > row.createdTs);
  if (pending.length >= most) {
    const retryAfterMs = Math.min(...pending.map(({ expiresTs }) => expiresTs)) - row.createdTs;
    throw new MatrixError('M_LIMIT_EXCEEDED', `At most ${most} uploads may be open at a time`, {
      extra: { retry_after_ms: retryAfterMs },
    });
  }
  tx.put(mediaUsage, [row.uploader], { ...usage, pending: [...pending, { id: at.id, expiresTs: row.expiresTs }] });
  tx.put(media, [at.origin, at.id], { ...row, accessedTs: row.createdTs, contentType: '' });
}

/** Puts a URI with its content, whether new or reserved before; the file must lie there already. */
export function putMedia(tx: Tx, origin: string, id: string, row: MediaRow & { readonly content: Content }): void {
  const { sha256, size } = row.content;
  const held = tx.get(mediaContents, [sha256]) ?? { size, references: 0, thumbnails: [] };
  tx.put(mediaContents, [sha256], { ...held, references: held.references + 1 });
  const user = row.uploader ?? SERVER;
  const usage = usageOf(tx, user);
  tx.put(mediaUsage, [user], {
    bytes: usage.bytes + size,
    files: usage.files + 1,
    pending: usage.pending.filter((one) => one.id !== id),
  });
  tx.put(media, [origin, id], row);
}

/**
 * Takes a URI out. Returns the names of the files that nothing refers to any more: they are to be removed once this is
 * durable.
 */
export function dropMedia(tx: Tx, origin: string, id: string): readonly string[] {
  const row = tx.get(media, [origin, id]);
  if (row === undefined) return [];
  tx.delete(media, [origin, id]);
  const user = row.uploader ?? SERVER;
  const usage = usageOf(tx, user);
  const left: MediaUsage = {
    bytes: usage.bytes - (row.content?.size ?? 0),
    files: usage.files - (row.content === undefined ? 0 : 1),
    pending: usage.pending.filter((one) => one.id !== id),
  };
  if (left.files > 0 || left.pending.length > 0) tx.put(mediaUsage, [user], left);
  else tx.delete(mediaUsage, [user]);
  if (row.content === undefined) return [];
  const { sha256 } = row.content;
  const held = tx.get(mediaContents, [sha256]);
  if (held === undefined) return [];
  if (held.references > 1) {
    tx.put(mediaContents, [sha256], { ...held, references: held.references - 1 });
    return [];
  }
  tx.delete(mediaContents, [sha256]);
  return [sha256, ...held.thumbnails.map(({ variant }) => `${sha256}-${variant}`)];
}

/** Notes that somebody asked for it, for the retention of what nobody asks for. */
export function touch(tx: Tx, origin: string, id: string, nowMs: number): void {
  const row = tx.get(media, [origin, id]);
  if (row !== undefined) tx.put(media, [origin, id], { ...row, accessedTs: nowMs });
}

/**
 * Withdraws content from everyone, under whichever URI it was or will be uploaded, or gives it back. False where there is no
 * such media.
 */
export function setQuarantined(tx: Tx, origin: string, id: string, quarantined: boolean): boolean {
  const sha256 = tx.get(media, [origin, id])?.content?.sha256;
  const held = sha256 === undefined ? undefined : tx.get(mediaContents, [sha256]);
  if (sha256 === undefined || held === undefined) return false;
  const { quarantined: _, ...rest } = held;
  tx.put(mediaContents, [sha256], { ...rest, ...(quarantined && { quarantined }) });
  return true;
}

export function isQuarantined(reader: Reader, sha256: string): boolean {
  return reader.get(mediaContents, [sha256])?.quarantined === true;
}

/**
 * Notes a thumbnail that lies beside its source; past `most` of them the oldest goes. Returns the names of files to remove
 * once this is durable: the thumbnail's own where its source has gone.
 */
export function putThumbnail(tx: Tx, sha256: string, thumbnail: StoredThumbnail, most: number): readonly string[] {
  const held = tx.get(mediaContents, [sha256]);
  if (held === undefined) return [`${sha256}-${thumbnail.variant}`];
  const all = [...held.thumbnails.filter(({ variant }) => variant !== thumbnail.variant), thumbnail];
  tx.put(mediaContents, [sha256], { ...held, thumbnails: all.slice(-most) });
  return all.slice(0, -most).map(({ variant }) => `${sha256}-${variant}`);
}
