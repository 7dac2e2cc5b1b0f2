export type ThumbnailMethod = 'crop' | 'scale';

/** A thumbnail as asked for or as made; sizes in pixels. */
export interface ThumbnailSize {
  readonly width: number;
  readonly height: number;
  readonly method: ThumbnailMethod;
}

/** The boxes that images are scaled into: the specification's, and one for today's screens. */
const BOXES: readonly (readonly [width: number, height: number])[] = [
  [32, 32],
  [96, 96],
  [320, 240],
  [640, 480],
  [800, 600],
  [1600, 1200],
];
/** Lengths that sides of cropped thumbnails are rounded up to, so that few different ones can be asked for. */
const SIDES = [32, 48, 64, 96, 128, 192, 240, 320, 480, 600, 640, 800, 1200, 1600];

const sideFor = (side: number): number | undefined => SIDES.find((one) => one >= side);

/**
 * The standard size to make for a request (client-server API, Thumbnails): the smallest that is not smaller than what was
 * asked for. Undefined where no standard size is as large: the image is then given in its own size.
 */
export function standardSize(wanted: ThumbnailSize): ThumbnailSize | undefined {
  if (wanted.method === 'crop') {
    const [width, height] = [sideFor(wanted.width), sideFor(wanted.height)];
    return width === undefined || height === undefined ? undefined : { width, height, method: 'crop' };
  }
  const box = BOXES.find(([width, height]) => width >= wanted.width && height >= wanted.height);
  return box === undefined ? undefined : { width: box[0], height: box[1], method: 'scale' };
}

/** Whether an image is no larger than the size asked for: nothing is ever scaled up. */
export function fitsAlready(image: { readonly width: number; readonly height: number }, size: ThumbnailSize): boolean {
  return image.width <= size.width && image.height <= size.height;
}

/** Width and height to make of an image: cut to the size for `crop`, scaled to fit in it for `scale`; never larger. */
export function outputSize(
  image: { readonly width: number; readonly height: number },
  size: ThumbnailSize,
): { readonly width: number; readonly height: number } {
  const [byWidth, byHeight] = [size.width / image.width, size.height / image.height];
  const factor = Math.min(1, size.method === 'crop' ? Math.max(byWidth, byHeight) : Math.min(byWidth, byHeight));
  const side = (length: number, most: number): number => Math.max(1, Math.min(most, Math.round(length * factor)));
  return { width: side(image.width, size.width), height: side(image.height, size.height) };
}
