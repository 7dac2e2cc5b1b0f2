import { MatrixError } from '#core/errors.js';
import type { OpenFile } from '#media/files.js';
import type { Media } from '#media/media.js';
import { type Content, isQuarantined, touch } from '#media/rows.js';
import { type MediaRow, media as mediaRows } from '#store/schema.js';

/** Client-server API, timeout_ms: the default, and the most that is waited whatever a client asks. */
const WAIT_MS = 20_000;
const MOST_WAIT_MS = 60_000;
const DAY_MS = 24 * 60 * 60_000;
/** Clients waiting for one upload. */
const MOST_WAITING = 100;

export interface MediaAt {
  readonly origin: string;
  readonly id: string;
}

export interface FindOptions {
  /** How long to wait for an asynchronous upload. */
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
  /** Asked for at an unauthenticated endpoint, which serves only what was uploaded while it was open. */
  readonly legacy?: boolean;
}

/** Media that is there. */
export interface FoundMedia extends MediaRow {
  readonly content: Content;
}

const notFound = (): MatrixError => new MatrixError('M_NOT_FOUND', 'Media not found');

/**
 * The row of media, once its content is there. Throws `M_NOT_FOUND` where there is none for this caller, and
 * `M_NOT_YET_UPLOADED` where it did not come in time.
 */
export async function findMedia(media: Media, at: MediaAt, options: FindOptions): Promise<FoundMedia> {
  let row = media.store.get(mediaRows, [at.origin, at.id]);
  if (row !== undefined && row.content === undefined) {
    if (options.legacy && !media.options.legacyOpen) throw notFound();
    const leftMs = (row.expiresTs ?? 0) - media.clock.now();
    if (leftMs <= 0) throw notFound();
    const waitMs = Math.min(options.timeoutMs ?? WAIT_MS, MOST_WAIT_MS, leftMs);
    await arrival(media, at.id, waitMs, options.signal);
    row = media.store.get(mediaRows, [at.origin, at.id]);
    if (row !== undefined && row.content === undefined) {
      throw new MatrixError('M_NOT_YET_UPLOADED', 'The media has not been uploaded yet');
    }
  }
  if (row?.content === undefined || isQuarantined(media.store, row.content.sha256)) throw notFound();
  if (options.legacy && !media.options.legacyOpen && !row.open) throw notFound();
  note(media, at, row);
  return { ...row, content: row.content };
}

/** As `findMedia`, with its file open: the caller closes it. */
export async function openFound(
  media: Media,
  at: MediaAt,
  options: FindOptions,
): Promise<{ readonly row: FoundMedia; readonly file: OpenFile }> {
  const row = await findMedia(media, at, options);
  const file = await media.files.open(row.content.sha256);
  if (file === undefined) {
    media.log.error('A media file is missing.', { file: row.content.sha256 });
    throw notFound();
  }
  return { row, file };
}

/** Resolves when the content of a reserved id was stored, or after `waitMs`, or when the caller goes away. */
async function arrival(media: Media, id: string, waitMs: number, signal: AbortSignal): Promise<void> {
  const waiting = media.awaited.get(id) ?? new Set();
  if (waitMs <= 0 || waiting.size >= MOST_WAITING) return;
  media.awaited.set(id, waiting);
  const here = new AbortController();
  const wake = (): void => here.abort();
  waiting.add(wake);
  try {
    await media.clock.sleep(waitMs, AbortSignal.any([signal, here.signal]));
  } finally {
    waiting.delete(wake);
    if (waiting.size === 0) media.awaited.delete(id);
  }
}

/** Keeps the day of the last access. Nobody waits for it, and losing it would only delete media a day early. */
function note(media: Media, at: MediaAt, row: MediaRow): void {
  const now = media.clock.now();
  const key = `${at.origin}/${at.id}`;
  if (now - row.accessedTs < DAY_MS || media.noting.has(key)) return;
  const noted = media.store
    .commit((tx) => touch(tx, at.origin, at.id, now))
    .catch((error: unknown) => media.log.warn('An access to media was not noted.', { error }))
    .finally(() => media.noting.delete(key));
  media.noting.set(key, noted);
}
