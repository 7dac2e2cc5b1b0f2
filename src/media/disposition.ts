const MAX_TYPE_LENGTH = 255;
const MAX_FILENAME_LENGTH = 255;

/** RFC 9110, section 8.3.1: `type/subtype`, and parameters that are at least printable ASCII. */
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(?:;[\t -~]*)?$/;
const TOKEN = /^[!#$&+.^_`|~0-9A-Za-z-]+$/;

/** Client-server API, Serving inline content: types that browsers show without running anything. */
const INLINE_TYPES: ReadonlySet<string> = new Set([
  'text/css',
  'text/plain',
  'text/csv',
  'application/json',
  'application/ld+json',
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'video/quicktime',
  'audio/mp4',
  'audio/webm',
  'audio/aac',
  'audio/mpeg',
  'audio/ogg',
  'audio/wave',
  'audio/wav',
  'audio/x-wav',
  'audio/x-pn-wav',
  'audio/flac',
  'audio/x-flac',
]);

/** A media type as a client gave it, fit for a header; `application/octet-stream` where it is none. */
export function sanitizedType(given: string | undefined): string {
  if (given === undefined || given.length > MAX_TYPE_LENGTH || !MEDIA_TYPE.test(given))
    return 'application/octet-stream';
  return given.trim();
}

/** A file name without control characters and of bounded length; undefined where nothing is left of it. */
export function sanitizedFilename(given: string | undefined): string | undefined {
  const printable = [...(given ?? '').toWellFormed()].filter((character) => !/\p{Cc}/u.test(character));
  const name = printable.slice(0, MAX_FILENAME_LENGTH).join('').trim();
  return name === '' ? undefined : name;
}

/** `type/subtype` in lower case, without parameters. */
export function essence(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

/**
 * `Content-Disposition` (RFC 6266): `inline` for the types of the specification's list, `attachment` otherwise. The name
 * goes as a token, or percent-encoded where it isn't one, so that no name can break out of the header.
 */
export function disposition(contentType: string, filename: string | undefined): string {
  const kind = INLINE_TYPES.has(essence(contentType)) ? 'inline' : 'attachment';
  const name = sanitizedFilename(filename);
  if (name === undefined) return kind;
  if (TOKEN.test(name)) return `${kind}; filename=${name}`;
  const encoded = encodeURIComponent(name).replace(/['()*!]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${kind}; filename*=utf-8''${encoded}`;
}
