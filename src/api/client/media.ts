import type { App } from '#api/app.js';
import { type MediaFile, mediaReply } from '#api/client/media-reply.js';
import { MatrixError } from '#core/errors.js';
import { ServerName } from '#core/ids.js';
import { boolean, integer, literal, object, optional, string } from '#core/schema.js';
import { endpoint, type RequestInfo } from '#http/endpoint.js';
import { essence } from '#media/disposition.js';
import { type MediaAt, openFound } from '#media/find.js';
import { previewOf } from '#media/preview.js';
import { thumbnailOf } from '#media/thumbnails.js';
import { reserveUpload, type Upload, upload, uploadReserved } from '#media/upload.js';

/** Larger than any screen: who asks for more means mischief. */
const MAX_SIDE = 32_767;
/** Client-server API, Security considerations: these characters and no others. */
const MEDIA_ID = /^[A-Za-z0-9_-]{1,255}$/;

const at = object({ serverName: string(), mediaId: string() });
const named = object({ serverName: string(), mediaId: string(), fileName: string() });
const uploadQuery = object({ filename: optional(string()) });
const waitQuery = object({ timeout_ms: optional(integer({ minimum: 0 })) });
const thumbnailQuery = object({
  width: integer({ minimum: 1, maximum: MAX_SIDE }),
  height: integer({ minimum: 1, maximum: MAX_SIDE }),
  method: optional(literal('crop', 'scale')),
  animated: optional(boolean),
  timeout_ms: optional(integer({ minimum: 0 })),
});
const previewQuery = object({ url: string(), ts: optional(integer()) });

/** The media that a path names. What is no valid URI names nothing. */
function mediaAt(params: { readonly serverName: string; readonly mediaId: string }): MediaAt {
  if (!ServerName.is(params.serverName) || !MEDIA_ID.test(params.mediaId)) {
    throw new MatrixError('M_NOT_FOUND', 'Media not found');
  }
  return { origin: params.serverName, id: params.mediaId };
}

function uploadOf(request: RequestInfo, filename: string | undefined): Upload {
  const length = request.header('content-length');
  return {
    body: request.upload(),
    contentType: request.header('content-type'),
    filename,
    ...(length !== undefined && { announcedBytes: Number(length) }),
  };
}

interface DownloadInput {
  readonly params: { readonly serverName: string; readonly mediaId: string; readonly fileName?: string };
  readonly query: { readonly timeout_ms?: number | undefined };
  readonly request: RequestInfo;
}

async function download({ media }: App, { params, query, request }: DownloadInput, legacy: boolean): Promise<object> {
  const options = { timeoutMs: query.timeout_ms, signal: request.signal, legacy };
  const { row, file } = await openFound(media, mediaAt(params), options);
  const sent: MediaFile = {
    file,
    contentType: row.contentType,
    filename: params.fileName ?? row.filename,
    tag: row.content.sha256,
  };
  return mediaReply(request, sent);
}

interface ThumbnailInput {
  readonly params: DownloadInput['params'];
  readonly query: {
    readonly width: number;
    readonly height: number;
    readonly method?: 'crop' | 'scale' | undefined;
    readonly animated?: boolean | undefined;
    readonly timeout_ms?: number | undefined;
  };
  readonly request: RequestInfo;
}

async function thumbnail({ media }: App, { params, query, request }: ThumbnailInput, legacy: boolean): Promise<object> {
  const { width, height, method = 'scale', animated = false } = query;
  const options = { timeoutMs: query.timeout_ms, signal: request.signal, legacy };
  const made = await thumbnailOf(media, mediaAt(params), { width, height, method, animated }, options);
  return mediaReply(request, { ...made, filename: `thumbnail.${essence(made.contentType).slice('image/'.length)}` });
}

/** Where previews are switched off, they are forbidden (MSC4452), as the capability `preview_url` says. */
async function preview({ media }: App, { query }: { readonly query: { readonly url: string } }): Promise<object> {
  const { previews } = media.options;
  if (previews === undefined) throw new MatrixError('M_FORBIDDEN', 'This server makes no link previews');
  return previewOf(media, previews, query.url);
}

const limits = ({ media }: App): object => ({ 'm.upload.size': media.options.maxUploadBytes });
/** Older versions of a path under `/_matrix/media`. */
const older = (path: string): string[] => ['r0', 'v1'].map((version) => `/_matrix/media/${version}/${path}`);
const unstable = (path: string): string[] => [`/_matrix/client/unstable/org.matrix.msc3916/media/${path}`];

/** Content repository (client-server API). The paths without authentication are frozen unless the operator opens them. */
export const mediaEndpoints = [
  endpoint({
    id: 'uploadContent',
    method: 'POST',
    path: '/_matrix/media/v3/upload',
    aliases: older('upload'),
    caller: 'user',
    limit: 'media',
    rawBody: true,
    query: () => uploadQuery,
    async handle({ media, serverName }: App, { caller, query, request }) {
      const id = await upload(media, caller.user, uploadOf(request, query.filename));
      return { content_uri: `mxc://${serverName}/${id}` };
    },
  }),
  endpoint({
    id: 'createContent',
    method: 'POST',
    path: '/_matrix/media/v1/create',
    aliases: ['/_matrix/media/unstable/fi.mau.msc2246/create'],
    caller: 'user',
    limit: 'media',
    async handle({ media, serverName }: App, { caller }) {
      const { id, expiresTs } = await reserveUpload(media, caller.user);
      return { content_uri: `mxc://${serverName}/${id}`, unused_expires_at: expiresTs };
    },
  }),
  endpoint({
    id: 'uploadContentToMXC',
    method: 'PUT',
    path: '/_matrix/media/v3/upload/{serverName}/{mediaId}',
    aliases: ['/_matrix/media/unstable/fi.mau.msc2246/upload/{serverName}/{mediaId}'],
    caller: 'user',
    limit: 'media',
    rawBody: true,
    params: () => at,
    query: () => uploadQuery,
    async handle({ media }: App, { caller, params, query, request }) {
      await uploadReserved(media, caller.user, mediaAt(params), uploadOf(request, query.filename));
      return {};
    },
  }),
  endpoint({
    id: 'getConfigAuthed',
    method: 'GET',
    path: '/_matrix/client/v1/media/config',
    aliases: unstable('config'),
    caller: 'guest',
    limit: 'read',
    handle: async (app: App) => limits(app),
  }),
  endpoint({
    id: 'getConfig',
    method: 'GET',
    path: '/_matrix/media/v3/config',
    aliases: older('config'),
    caller: 'guest',
    limit: 'read',
    handle: async (app: App) => limits(app),
  }),
  endpoint({
    id: 'getContentAuthed',
    method: 'GET',
    path: '/_matrix/client/v1/media/download/{serverName}/{mediaId}',
    aliases: unstable('download/{serverName}/{mediaId}'),
    caller: 'guest',
    limit: 'media',
    params: () => at,
    query: () => waitQuery,
    handle: (app: App, input) => download(app, input, false),
  }),
  endpoint({
    id: 'getContentOverrideNameAuthed',
    method: 'GET',
    path: '/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}',
    aliases: unstable('download/{serverName}/{mediaId}/{fileName}'),
    caller: 'guest',
    limit: 'media',
    params: () => named,
    query: () => waitQuery,
    handle: (app: App, input) => download(app, input, false),
  }),
  endpoint({
    id: 'getContent',
    method: 'GET',
    path: '/_matrix/media/v3/download/{serverName}/{mediaId}',
    aliases: older('download/{serverName}/{mediaId}'),
    caller: 'none',
    limit: 'media',
    params: () => at,
    query: () => waitQuery,
    handle: (app: App, input) => download(app, input, true),
  }),
  endpoint({
    id: 'getContentOverrideName',
    method: 'GET',
    path: '/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}',
    aliases: older('download/{serverName}/{mediaId}/{fileName}'),
    caller: 'none',
    limit: 'media',
    params: () => named,
    query: () => waitQuery,
    handle: (app: App, input) => download(app, input, true),
  }),
  endpoint({
    id: 'getContentThumbnailAuthed',
    method: 'GET',
    path: '/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}',
    aliases: unstable('thumbnail/{serverName}/{mediaId}'),
    caller: 'guest',
    limit: 'media',
    params: () => at,
    query: () => thumbnailQuery,
    handle: (app: App, input) => thumbnail(app, input, false),
  }),
  endpoint({
    id: 'getContentThumbnail',
    method: 'GET',
    path: '/_matrix/media/v3/thumbnail/{serverName}/{mediaId}',
    aliases: older('thumbnail/{serverName}/{mediaId}'),
    caller: 'none',
    limit: 'media',
    params: () => at,
    query: () => thumbnailQuery,
    handle: (app: App, input) => thumbnail(app, input, true),
  }),
  endpoint({
    id: 'getUrlPreviewAuthed',
    method: 'GET',
    path: '/_matrix/client/v1/media/preview_url',
    aliases: unstable('preview_url'),
    caller: 'user',
    limit: 'search',
    query: () => previewQuery,
    handle: (app: App, input) => preview(app, input),
  }),
  endpoint({
    id: 'getUrlPreview',
    method: 'GET',
    path: '/_matrix/media/v3/preview_url',
    aliases: older('preview_url'),
    caller: 'user',
    limit: 'search',
    query: () => previewQuery,
    handle: (app: App, input) => preview(app, input),
  }),
];
