import { Reply, type RequestInfo } from '#http/endpoint.js';
import { disposition } from '#media/disposition.js';
import type { OpenFile } from '#media/files.js';

/** A file to be sent, with what its headers say. */
export interface MediaFile {
  readonly file: OpenFile;
  readonly contentType: string;
  readonly filename?: string | undefined;
  /** Names the bytes: the same tag, the same bytes. */
  readonly tag: string;
}

/** Client-server API, Content repository: the policy that it recommends. */
const POLICY =
  "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';";
const SECURITY = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
} as const;

/**
 * The answer that sends a file: whole, a range of it (RFC 9110, section 14, one range), or 304 to a client that has it.
 * The caller was checked before: a client that only asks whether its copy is still right needs a token too. The file is
 * closed when the answer has gone out, or at once where nothing of it is sent.
 */
export async function mediaReply(request: RequestInfo, media: MediaFile): Promise<Reply> {
  const { handle, size } = media.file;
  const etag = `"${media.tag}"`;
  const headers = {
    ...SECURITY,
    ETag: etag,
    // Media never changes; only whoever showed a token may keep it.
    'Cache-Control': 'private, max-age=86400, immutable',
    'Accept-Ranges': 'bytes',
  };
  if (matches(request.header('if-none-match'), etag)) {
    await handle.close();
    return new Reply(304, '', headers);
  }
  const range = rangeOf(request, size, etag);
  if (range === 'outside') {
    await handle.close();
    const error = { errcode: 'M_UNKNOWN', error: `The range lies outside of the ${size} bytes there are` };
    return new Reply(416, error, { ...headers, 'Cache-Control': 'no-store', 'Content-Range': `bytes */${size}` });
  }
  const { from, to } = range ?? { from: 0, to: size - 1 };
  const described = {
    ...headers,
    'Content-Type': media.contentType,
    'Content-Disposition': disposition(media.contentType, media.filename),
    'Content-Length': String(to - from + 1),
    ...(range !== undefined && { 'Content-Range': `bytes ${from}-${to}/${size}` }),
  };
  const status = range === undefined ? 200 : 206;
  if (size === 0) {
    await handle.close();
    return new Reply(status, Buffer.alloc(0), described);
  }
  return new Reply(status, handle.createReadStream({ start: from, end: to }), described);
}

function matches(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false;
  return given.trim() === '*' || given.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

/** Undefined for the whole file: no range asked for, several of them, or a form that nobody knows. */
function rangeOf(
  request: RequestInfo,
  size: number,
  etag: string,
): { from: number; to: number } | 'outside' | undefined {
  const wanted = request.header('range');
  const condition = request.header('if-range');
  if (wanted === undefined || request.method !== 'GET' || (condition !== undefined && condition.trim() !== etag)) {
    return undefined;
  }
  const [, first = '', last = ''] = /^\s*bytes\s*=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(wanted) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'outside' : { from: size - length, to: size - 1 };
  }
  const from = Number(first);
  const to = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < from) return undefined;
  return from >= size ? 'outside' : { from, to };
}
