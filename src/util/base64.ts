const UNPADDED = /^[A-Za-z0-9+/]*$/;
const UNPADDED_URL = /^[A-Za-z0-9_-]*$/;

/** Unpadded base64 (appendices, Unpadded Base64). */
export function encodeBase64(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return text.replace(/=+$/, '');
}

/** Unpadded URL-safe base64, as event ids of room versions 4 and later use it. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * Decodes base64 with or without padding. `undefined` for anything that is not exactly base64: Node's own decoder
 * silently skips foreign characters, which would make signatures malleable.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bare = text.endsWith('=') && text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  if (bare.length % 4 === 1 || !UNPADDED.test(bare)) return undefined;
  return Buffer.from(bare, 'base64');
}

/** Decodes unpadded URL-safe base64; `undefined` for anything else. */
export function decodeBase64Url(text: string): Buffer | undefined {
  if (text.length % 4 === 1 || !UNPADDED_URL.test(text)) return undefined;
  return Buffer.from(text, 'base64url');
}
