import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { sanitizedFilename, sanitizedType } from '#media/disposition.js';
import type { Draft } from '#media/files.js';
import type { Media } from '#media/media.js';
import { type Content, checkQuota, putMedia, reserve } from '#media/rows.js';
import { type MediaRow, media as mediaRows } from '#store/schema.js';
import type { Tx } from '#store/types.js';

/** How long an asynchronous upload may take to come: what the specification recommends. */
const RESERVED_MS = 24 * 60 * 60_000;
const MOST_RESERVED = 10;
/** Uploads of one user at a time. */
const MOST_AT_ONCE = 10;
/** All link previews together. */
const PREVIEW_QUOTA_BYTES = 1 << 30;

/** An upload as it comes: its body, and what the client says about it. */
export interface Upload {
  /** Body in pieces; throws past the limit of size, and when the client goes away. */
  readonly body: AsyncIterable<Buffer>;
  /** `Content-Length`, where the client gave it. */
  readonly announcedBytes?: number | undefined;
  readonly contentType?: string | undefined;
  readonly filename?: string | undefined;
}

/**
 * Stores an upload and returns its media id (client-server API, POST /upload). When it resolves, file and row are durable.
 * Throws `M_TOO_LARGE`, `M_FORBIDDEN` over the quota, `M_LIMIT_EXCEEDED` with too many uploads at a time.
 */
export async function upload(media: Media, uploader: UserId, given: Upload): Promise<string> {
  const id = media.random.token(18);
  await receive(media, uploader, given, (tx, row) => putMedia(tx, media.serverName, id, row));
  return id;
}

/**
 * Makes an id whose content may come later (client-server API, POST /create). Throws `M_LIMIT_EXCEEDED` while too many
 * of the user's are open.
 */
export async function reserveUpload(media: Media, uploader: UserId): Promise<{ id: string; expiresTs: number }> {
  const id = media.random.token(18);
  const createdTs = media.clock.now();
  const expiresTs = createdTs + RESERVED_MS;
  const at = { origin: media.serverName, id };
  await media.store.commit((tx) => reserve(tx, at, { uploader, createdTs, expiresTs }, MOST_RESERVED));
  return { id, expiresTs };
}

/**
 * Stores the content of a reserved id (client-server API, PUT /upload). Throws as `upload`, and `M_NOT_FOUND` for an id that
 * is not reserved or has expired, `M_FORBIDDEN` for somebody else's, `M_CANNOT_OVERWRITE_MEDIA` where there is content.
 */
export async function uploadReserved(
  media: Media,
  uploader: UserId,
  at: { readonly origin: string; readonly id: string },
  given: Upload,
): Promise<void> {
  const key = [at.origin, at.id] as const;
  const startedTs = media.clock.now();
  const check = (row: MediaRow | undefined): MediaRow => {
    if (row === undefined || at.origin !== media.serverName) throw new MatrixError('M_NOT_FOUND', 'Unknown media id');
    if (row.uploader !== uploader) throw new MatrixError('M_FORBIDDEN', 'Only who made the media id may upload to it');
    if (row.content !== undefined) throw new MatrixError('M_CANNOT_OVERWRITE_MEDIA', 'There is content already');
    if ((row.expiresTs ?? 0) <= startedTs) throw new MatrixError('M_NOT_FOUND', 'The media id has expired');
    return row;
  };
  check(media.store.latest.get(mediaRows, [...key]));
  await receive(media, uploader, given, (tx, row) => {
    const reserved = check(tx.get(mediaRows, [...key]));
    putMedia(tx, at.origin, at.id, { ...row, createdTs: reserved.createdTs });
  });
  for (const wake of media.awaited.get(at.id) ?? []) wake();
}

/** Stores what the server itself fetched for a link preview; returns its media id. */
export async function storeFetched(media: Media, body: Buffer, contentType: string): Promise<string> {
  const id = media.random.token(18);
  const draft = await media.files.begin();
  try {
    await draft.write(body);
    const now = media.clock.now();
    await settle(media, draft, (tx, content) => {
      checkQuota(tx, '', content.size, PREVIEW_QUOTA_BYTES);
      putMedia(tx, media.serverName, id, { createdTs: now, accessedTs: now, contentType, content });
    });
  } finally {
    await draft.discard();
  }
  return id;
}

type Put = (tx: Tx, row: MediaRow & { readonly content: Content }) => void;

async function receive(media: Media, uploader: UserId, given: Upload, put: Put): Promise<void> {
  const { store, options, uploading } = media;
  checkQuota(store.latest, uploader, given.announcedBytes ?? 0, options.quotaBytes);
  const running = uploading.get(uploader) ?? 0;
  if (running >= MOST_AT_ONCE) {
    throw new MatrixError('M_LIMIT_EXCEEDED', `At most ${MOST_AT_ONCE} uploads may run at a time`, {
      extra: { retry_after_ms: 1000 },
    });
  }
  uploading.set(uploader, running + 1);
  let draft: Draft | undefined;
  try {
    draft = await media.files.begin();
    for await (const chunk of given.body) {
      if (draft.size + chunk.length > options.maxUploadBytes) {
        throw new MatrixError('M_TOO_LARGE', `The file is larger than ${options.maxUploadBytes} bytes`);
      }
      await draft.write(chunk);
    }
    const now = media.clock.now();
    const filename = sanitizedFilename(given.filename);
    await settle(media, draft, (tx, content) => {
      checkQuota(tx, uploader, content.size, options.quotaBytes);
      put(tx, {
        uploader,
        createdTs: now,
        accessedTs: now,
        content,
        contentType: sanitizedType(given.contentType),
        ...(filename !== undefined && { filename }),
        ...(options.legacyOpen && { open: true }),
      });
    });
  } finally {
    const left = (uploading.get(uploader) ?? 1) - 1;
    if (left > 0) uploading.set(uploader, left);
    else uploading.delete(uploader);
    await draft?.discard();
  }
}

/** Puts the file in its place, unless the same content lies there, and then the rows: a row never names a missing file. */
async function settle(media: Media, draft: Draft, put: (tx: Tx, content: Content) => void): Promise<void> {
  const content = { sha256: draft.digest(), size: draft.size };
  await media.contents.run(content.sha256, async () => {
    const there = await media.files.open(content.sha256);
    await there?.handle.close();
    // A file of another length is what a fault of the disk left.
    if (there?.size !== content.size) await draft.keep(content.sha256);
    await media.store.commit((tx) => put(tx, content));
  });
}
