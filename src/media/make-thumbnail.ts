import sharp from 'sharp';
import type { ImageType } from '#media/image-header.js';
import { outputSize, type ThumbnailSize } from '#media/thumbnail-size.js';

/** Runs in the media process (`media/worker.ts`). */
export interface ThumbnailJob {
  readonly kind: 'thumbnail';
  /** File with the image, and the file that is to be written. */
  readonly from: string;
  readonly to: string;
  /** What the image's first bytes said. */
  readonly type: ImageType;
  /** Absent for an image in its own size, of which only the first frame is wanted. */
  readonly size?: ThumbnailSize | undefined;
  readonly animated: boolean;
  /** Most pixels of a frame, and of all frames of an animation. */
  readonly maxPixels: number;
}

export interface ThumbnailMade {
  readonly contentType: ImageType;
  readonly size: number;
}

/** Longer animations stand still. */
const MOST_FRAMES = 500;

/** Of all that libvips can read, these loaders and no others, whatever a file looks like to it. */
const LOADERS = ['Jpeg', 'Png', 'Webp', 'Nsgif'].map((name) => `VipsForeignLoad${name}File`);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: LOADERS });
sharp.cache(false);
// One thread: the others belong to the server.
sharp.concurrency(1);

/** Makes a thumbnail. Throws where the image is damaged, or larger than its header said. */
export async function makeThumbnail(job: ThumbnailJob): Promise<ThumbnailMade> {
  const options = { limitInputPixels: job.maxPixels, failOn: 'error', sequentialRead: true } as const;
  const {
    width,
    height,
    pages = 1,
    pageHeight = height,
    hasAlpha,
    autoOrient,
  } = await sharp(job.from, options).metadata();
  if (width * pageHeight > job.maxPixels) throw new Error('the image is too large');
  const animated =
    job.animated &&
    pages > 1 &&
    pages <= MOST_FRAMES &&
    width * pageHeight * pages <= job.maxPixels &&
    (job.type === 'image/gif' || job.type === 'image/webp');
  const source = sharp(job.from, { ...options, pages: animated ? -1 : 1 }).autoOrient();
  const upright = animated ? { width, height: pageHeight } : autoOrient;
  const image =
    job.size === undefined
      ? source
      : source.resize({ ...outputSize(upright, job.size), fit: 'cover', fastShrinkOnLoad: true });
  if (animated) return written('image/webp', await image.webp({ quality: 75, effort: 2 }).toFile(job.to));
  if (job.type === 'image/jpeg' || (job.type === 'image/webp' && !hasAlpha)) {
    return written('image/jpeg', await image.jpeg({ quality: 80 }).toFile(job.to));
  }
  return written('image/png', await image.png({ compressionLevel: 7 }).toFile(job.to));
}

function written(contentType: ImageType, info: { readonly size: number }): ThumbnailMade {
  return { contentType, size: info.size };
}
