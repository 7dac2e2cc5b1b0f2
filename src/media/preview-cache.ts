import type { JsonObject } from '#core/json-value.js';
import type { Media } from '#media/media.js';
import { type PreviewRow, urlPreviews } from '#store/schema.js';
import { digest } from '#util/digest.js';

/** A page is asked again after a day; one that could not be had, after ten minutes. */
const FRESH_MS = 24 * 60 * 60_000;
const FAILED_MS = 10 * 60_000;

function isFresh(row: PreviewRow, nowMs: number): boolean {
  return nowMs - row.fetchedTs < (row.properties === undefined ? FAILED_MS : FRESH_MS);
}

/** What is known of a page; undefined where it has to be asked. */
export function cachedPreview(media: Media, url: string): PreviewRow | undefined {
  const row = media.store.get(urlPreviews, [digest(url)]);
  return row !== undefined && row.url === url && isFresh(row, media.clock.now()) ? row : undefined;
}

/** Keeps a preview; without properties, that the page could not be had. */
export async function keepPreview(media: Media, url: string, properties: JsonObject | undefined): Promise<void> {
  const row = { url, fetchedTs: media.clock.now(), ...(properties !== undefined && { properties }) };
  await media.store.commit((tx) => tx.put(urlPreviews, [digest(url)], row));
}

/** Deletes what would not be used any more. */
export async function forgetOldPreviews(media: Media, signal: AbortSignal): Promise<void> {
  for await (const [[key], row] of media.store.range(urlPreviews)) {
    if (signal.aborted) return;
    if (isFresh(row, media.clock.now())) continue;
    await media.store.commit((tx) => {
      const now = tx.get(urlPreviews, [key]);
      if (now?.fetchedTs === row.fetchedTs) tx.delete(urlPreviews, [key]);
    });
  }
}
