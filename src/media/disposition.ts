const MAX_TYPE_LENGTH = 255;
/**
 * Of a file name as it is encoded for the header. Any name that a file can have passes whole, in any script (255 characters of
 * nine bytes each), and all headers together stay below the 4 KiB that reverse proxies read them into.
 */
const MAX_ENCODED_LENGTH = 3072;
/** So much of a name's end, from its last dot on, says of what kind the file is. */
const MAX_EXTENSION_LENGTH = 32;

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

/**
 * A file name without control characters, and otherwise as it was given (client-server API, GET /download). One that is too
 * long for a header loses its middle and keeps its extension. Undefined where nothing is left of it.
 */
export function sanitizedFilename(given: string | undefined): string | undefined {
  const name = (given ?? '').toWellFormed().replace(/\p{Cc}/gu, '');
  if (name.trim() === '') return undefined;
  if (encodedName(name).length <= MAX_ENCODED_LENGTH) return name;
  const dot = name.lastIndexOf('.');
  const end = dot >= 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : '';
  let left = MAX_ENCODED_LENGTH - encodedName(end).length;
  let start = '';
  for (const character of name) {
    left -= encodedName(character).length;
    if (left < 0) break;
    start += character;
  }
  return start + end;
}

/** RFC 8187, section 3.2.1, `value-chars`. */
function encodedName(name: string): string {
  return encodeURIComponent(name).replace(/['()*!]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
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
  return `${kind}; filename*=utf-8''${encodedName(name)}`;
}
