import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { object, string } from '#core/schema.js';
import { endpoint } from '#http/endpoint.js';
import { quarantineMedia, removeMedia } from '#media/retention.js';

const at = object({ serverName: string(), mediaId: string() });

/** What administrators do with media, by Synapse's admin API: its tools call these paths. */
export const mediaAdminEndpoints = [
  endpoint({
    id: 'adminDeleteMedia',
    method: 'DELETE',
    path: '/_synapse/admin/v1/media/{serverName}/{mediaId}',
    caller: 'admin',
    limit: 'account',
    params: () => at,
    async handle({ media }: App, { params }) {
      const removed = await removeMedia(media, { origin: params.serverName, id: params.mediaId });
      if (!removed) throw new MatrixError('M_NOT_FOUND', 'Media not found');
      return { deleted_media: [params.mediaId], total: 1 };
    },
  }),
  endpoint({
    id: 'adminQuarantineMedia',
    method: 'POST',
    path: '/_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}',
    caller: 'admin',
    limit: 'account',
    params: () => at,
    async handle({ media }: App, { params }) {
      await quarantineMedia(media, { origin: params.serverName, id: params.mediaId }, true);
      return {};
    },
  }),
  endpoint({
    id: 'adminUnquarantineMedia',
    method: 'POST',
    path: '/_synapse/admin/v1/media/unquarantine/{serverName}/{mediaId}',
    caller: 'admin',
    limit: 'account',
    params: () => at,
    async handle({ media }: App, { params }) {
      await quarantineMedia(media, { origin: params.serverName, id: params.mediaId }, false);
      return {};
    },
  }),
];
