/** The formats that are decoded, and no others: whatever else decoders can do stays out of reach of strangers. */
export type ImageType = 'image/jpeg' | 'image/png' | 'image/webp' | 'image/gif';

/** What the first bytes of an image say. */
export interface ImageHeader {
  readonly type: ImageType;
  readonly width: number;
  readonly height: number;
  /** Whether it may have several frames. */
  readonly animated: boolean;
  /** Whether a decoder must hold the whole image at once, where others go through it row by row. */
  readonly isHeldWhole: boolean;
}

/**
 * How many first bytes to look at: the dimensions of nearly all images stand within the first number; metadata that goes
 * before them in a JPEG may take more, and past the second it is no image to us.
 */
export const HEADER_BYTES = [1 << 16, 1 << 21] as const;

const PNG = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/**
 * Type and dimensions of an image from its first bytes (see `HEADER_BYTES`), whatever it claims to be.
 * Undefined for anything but a well-begun JPEG, PNG, WebP or GIF. Nothing is decoded.
 */
export function imageHeader(start: Buffer): ImageHeader | undefined {
  const found = png(start) ?? jpeg(start) ?? gif(start) ?? webp(start);
  return found === undefined || found.width === 0 || found.height === 0 ? undefined : found;
}

function png(start: Buffer): ImageHeader | undefined {
  if (start.length < 33 || !start.subarray(0, 8).equals(PNG) || start.toString('latin1', 12, 16) !== 'IHDR') {
    return undefined;
  }
  // An animation announces itself before the first image data. Where that is out of sight, it may be one.
  let animated = true;
  for (let at = 8; at + 8 <= start.length; at += 12 + start.readUInt32BE(at)) {
    const chunk = start.toString('latin1', at + 4, at + 8);
    if (chunk === 'acTL') break;
    if (chunk === 'IDAT') {
      animated = false;
      break;
    }
  }
  return {
    type: 'image/png',
    width: start.readUInt32BE(16),
    height: start.readUInt32BE(20),
    animated,
    isHeldWhole: start[28] !== 0,
  };
}

function jpeg(start: Buffer): ImageHeader | undefined {
  if (start.length < 4 || start.readUInt16BE(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 9 <= start.length && start[at] === 0xff; ) {
    const marker = start[at + 1]!;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      return {
        type: 'image/jpeg',
        width: start.readUInt16BE(at + 7),
        height: start.readUInt16BE(at + 5),
        animated: false,
        isHeldWhole: marker !== 0xc0 && marker !== 0xc1,
      };
    }
    if (marker === 0xda || marker === 0xd9) return undefined;
    const standsAlone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += standsAlone ? 2 : 2 + Math.max(2, start.readUInt16BE(at + 2));
  }
  return undefined;
}

function gif(start: Buffer): ImageHeader | undefined {
  const signature = start.toString('latin1', 0, 6);
  if (start.length < 13 || (signature !== 'GIF87a' && signature !== 'GIF89a')) return undefined;
  const [width, height] = [start.readUInt16LE(6), start.readUInt16LE(8)];
  return { type: 'image/gif', width, height, animated: true, isHeldWhole: true };
}

function webp(start: Buffer): ImageHeader | undefined {
  if (start.length < 30 || start.toString('latin1', 0, 4) !== 'RIFF' || start.toString('latin1', 8, 12) !== 'WEBP') {
    return undefined;
  }
  const common = { type: 'image/webp', isHeldWhole: true } as const;
  switch (start.toString('latin1', 12, 16)) {
    case 'VP8X':
      return {
        ...common,
        width: start.readUIntLE(24, 3) + 1,
        height: start.readUIntLE(27, 3) + 1,
        animated: (start[20]! & 0x02) !== 0,
      };
    case 'VP8 ':
      if (start.readUIntBE(23, 3) !== 0x9d012a) return undefined;
      return {
        ...common,
        width: start.readUInt16LE(26) & 0x3fff,
        height: start.readUInt16LE(28) & 0x3fff,
        animated: false,
      };
    case 'VP8L': {
      if (start[20] !== 0x2f) return undefined;
      const bits = start.readUInt32LE(21);
      return { ...common, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, animated: false };
    }
    default:
      return undefined;
  }
}
