import { MatrixError } from '#core/errors.js';
import type { OpenFile } from '#media/files.js';
import { type FindOptions, type FoundMedia, type MediaAt, openFound } from '#media/find.js';
import { HEADER_BYTES, type ImageHeader, imageHeader } from '#media/image-header.js';
import type { Media } from '#media/media.js';
import { putThumbnail } from '#media/rows.js';
import { fitsAlready, standardSize, type ThumbnailSize } from '#media/thumbnail-size.js';
import { WorkerError } from '#media/worker.js';
import { mediaContents } from '#store/schema.js';

/** Most pixels of a picture that is decoded row by row, and of one that is held whole, at up to four bytes each. */
const MAX_PIXELS = 60_000_000;
const MAX_PIXELS_HELD = 25_000_000;
const MOST_VARIANTS = 24;

/** A file to be sent as a thumbnail: the caller closes it. */
export interface Thumbnail {
  readonly file: OpenFile;
  readonly contentType: string;
  /** Names the bytes: the same tag, the same bytes. */
  readonly tag: string;
}

/**
 * A thumbnail of stored media, made and kept where it isn't there yet (client-server API, Thumbnails): the smallest
 * standard size not below `wanted`, or the image itself where that is no larger. Throws as `findMedia`, and `M_UNKNOWN` 400 for
 * what is no image that we decode, `M_TOO_LARGE` for one with too many pixels, `M_LIMIT_EXCEEDED` when too much is waiting.
 */
export async function thumbnailOf(
  media: Media,
  at: MediaAt,
  wanted: ThumbnailSize & { readonly animated: boolean },
  options: FindOptions,
): Promise<Thumbnail> {
  const { row, file } = await openFound(media, at, options);
  let given = false;
  try {
    const header = await headerOf(file);
    if (header === undefined) throw noImage();
    const size = standardSize(wanted);
    const isFit = size === undefined || fitsAlready(header, size);
    if (isFit && (!header.animated || wanted.animated)) {
      given = true;
      return { file, contentType: header.type, tag: row.content.sha256 };
    }
    return await keptThumbnail(media, row, header, isFit ? undefined : size, wanted.animated && header.animated);
  } finally {
    if (!given) await file.handle.close();
  }
}

/** Type and dimensions of a stored image; undefined for anything else. */
async function headerOf(file: OpenFile): Promise<ImageHeader | undefined> {
  for (const bytes of HEADER_BYTES) {
    const start = Buffer.alloc(Math.min(bytes, file.size));
    const { bytesRead } = await file.handle.read(start, 0, start.length, 0);
    const header = imageHeader(start.subarray(0, bytesRead));
    if (header !== undefined || bytesRead < bytes) return header;
  }
  return undefined;
}

const maxPixels = (header: ImageHeader): number => (header.isHeldWhole ? MAX_PIXELS_HELD : MAX_PIXELS);

const noImage = (): MatrixError =>
  new MatrixError('M_UNKNOWN', 'Cannot generate thumbnails for the requested content', { status: 400 });

async function keptThumbnail(
  media: Media,
  row: FoundMedia,
  header: ImageHeader,
  size: ThumbnailSize | undefined,
  animated: boolean,
): Promise<Thumbnail> {
  if (header.width * header.height > maxPixels(header)) {
    throw new MatrixError('M_TOO_LARGE', 'The image has too many pixels to make a thumbnail');
  }
  const { sha256 } = row.content;
  const form = size === undefined ? 'full' : `${size.width}x${size.height}-${size.method}`;
  const variant = animated ? `${form}-animated` : form;
  const name = `${sha256}-${variant}`;
  const kept = async (): Promise<Thumbnail | undefined> => {
    const stored = media.store.get(mediaContents, [sha256])?.thumbnails.find((one) => one.variant === variant);
    const file = stored === undefined ? undefined : await media.files.open(name);
    return stored === undefined || file === undefined
      ? undefined
      : { file, contentType: stored.contentType, tag: `${sha256}-${variant}` };
  };
  const there = await kept();
  if (there !== undefined) return there;
  const failure = media.unmakeable.get(name);
  if (failure !== undefined) throw failure;
  await shared(media, name, () => make(media, { sha256, variant, header, size, animated }));
  const made = await kept();
  if (made === undefined) throw new MatrixError('M_NOT_FOUND', 'Media not found');
  return made;
}

/** One making at a time of each thing: who asks meanwhile waits for the same one. */
async function shared(media: Media, key: string, work: () => Promise<void>): Promise<void> {
  let running = media.shared.get(key);
  if (running === undefined) {
    running = work().finally(() => media.shared.delete(key));
    media.shared.set(key, running);
  }
  await running;
}

interface Making {
  readonly sha256: string;
  readonly variant: string;
  readonly header: ImageHeader;
  readonly size: ThumbnailSize | undefined;
  readonly animated: boolean;
}

async function make(media: Media, { sha256, variant, header, size, animated }: Making): Promise<void> {
  const name = `${sha256}-${variant}`;
  const draft = await media.files.begin();
  try {
    const made = await media.worker.run({
      kind: 'thumbnail',
      from: media.files.path(sha256),
      to: draft.path,
      type: header.type,
      maxPixels: maxPixels(header),
      size,
      animated,
    });
    await media.contents.run(sha256, async () => {
      await draft.keep(name);
      const gone = await media.store.commit((tx) => putThumbnail(tx, sha256, { variant, ...made }, MOST_VARIANTS));
      for (const one of gone) await media.files.remove(one);
    });
  } catch (error) {
    if (!(error instanceof WorkerError)) throw error;
    if (error.kind === 'busy') {
      throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many thumbnails are being made', {
        extra: { retry_after_ms: 2000 },
      });
    }
    const failure =
      error.kind === 'timeout' ? new MatrixError('M_TOO_LARGE', 'The image takes too long to decode') : noImage();
    media.unmakeable.set(name, failure);
    throw failure;
  } finally {
    await draft.discard();
  }
}
