import { MatrixError } from '#core/errors.js';
import type { MediaAt } from '#media/find.js';
import type { Media } from '#media/media.js';
import { forgetOldPreviews } from '#media/preview-cache.js';
import { dropMedia, isQuarantined, setQuarantined } from '#media/rows.js';
import { type MediaRow, mediaContents, media as mediaRows } from '#store/schema.js';
import type { Reader } from '#store/types.js';

const DAY_MS = 24 * 60 * 60_000;
/** Previews are made anew after a day, and then have an image of their own. */
const PREVIEW_MEDIA_MS = 2 * DAY_MS;
/** A file without a row is left by a crash; younger ones may be about to get theirs. */
export const ORPHAN_MS = DAY_MS;

/** Deletes media; its files go with the last reference to their content. False where there is none. */
export async function removeMedia(media: Media, at: MediaAt): Promise<boolean> {
  const row = media.store.latest.get(mediaRows, [at.origin, at.id]);
  if (row === undefined) return false;
  const remove = async (): Promise<void> => {
    const names = await media.store.commit((tx) => dropMedia(tx, at.origin, at.id));
    for (const name of names) await media.files.remove(name);
  };
  // In the content's lane: an upload of the same content either finds the file and keeps it, or brings its own.
  if (row.content === undefined) await remove();
  else await media.contents.run(row.content.sha256, remove);
  return true;
}

/** Withdraws media from everyone, or gives it back. Throws `M_NOT_FOUND` where there is none. */
export async function quarantineMedia(media: Media, at: MediaAt, quarantined: boolean): Promise<void> {
  const found = await media.store.commit((tx) => setQuarantined(tx, at.origin, at.id, quarantined));
  if (!found) throw new MatrixError('M_NOT_FOUND', 'Media not found');
}

/** Deletes what has had its time, and files that no row names. */
export async function sweep(media: Media, signal: AbortSignal): Promise<void> {
  for await (const [[origin, id], row] of media.store.range(mediaRows)) {
    if (signal.aborted) return;
    if (isOver(media, row)) await removeMedia(media, { origin, id });
  }
  await forgetOldPreviews(media, signal);
  for await (const name of media.files.names(media.clock.now() - ORPHAN_MS)) {
    if (signal.aborted) return;
    const sha256 = name.slice(0, 64);
    if (isKnown(media.store.latest, name)) continue;
    await media.contents.run(sha256, async () => {
      if (!isKnown(media.store.latest, name)) await media.files.remove(name);
    });
  }
}

function isOver(media: Media, row: MediaRow): boolean {
  const now = media.clock.now();
  if (row.content === undefined) return (row.expiresTs ?? 0) <= now;
  if (row.uploader === undefined) return now - row.createdTs > PREVIEW_MEDIA_MS;
  const { lifetimeMs } = media.options;
  if (lifetimeMs === undefined || now - row.accessedTs <= lifetimeMs) return false;
  // What was withdrawn is kept, or it could be uploaded anew.
  return !isQuarantined(media.store, row.content.sha256);
}

/** Whether a row names the file. */
export function isKnown(reader: Reader, name: string): boolean {
  const row = reader.get(mediaContents, [name.slice(0, 64)]);
  const variant = name.slice(65);
  return row !== undefined && (variant === '' || row.thumbnails.some((one) => one.variant === variant));
}
