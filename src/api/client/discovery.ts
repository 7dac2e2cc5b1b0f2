import type { App } from '#api/app.js';
import { clientDiscovery } from '#api/client/login.js';
import { MatrixError } from '#core/errors.js';
import { ROOM_VERSIONS, UNSTABLE_ROOM_VERSIONS } from '#core/room-versions.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { MAX_DELAY_MS, MAX_SCHEDULED } from '#users/delayed-events.js';

/** Versions of the specification whose clients are served. */
const VERSIONS = [
  'r0.6.1',
  'v1.1',
  'v1.2',
  'v1.3',
  'v1.4',
  'v1.5',
  'v1.6',
  'v1.7',
  'v1.8',
  'v1.9',
  'v1.10',
  'v1.11',
  'v1.12',
  'v1.13',
  'v1.14',
  'v1.15',
  'v1.16',
  'v1.17',
  'v1.18',
  'v1.19',
] as const;

/** Proposals that work here under their unstable names or before the version that brings them is listed. */
const UNSTABLE_FEATURES = {
  'org.matrix.simplified_msc3575': true,
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.tcpip.msc4133': true,
  'uk.tcpip.msc4133.stable': true,
  'org.matrix.msc3026.busy_presence': true,
  'org.matrix.msc3391': true,
  'org.matrix.msc3814': true,
  'org.matrix.msc3827.stable': true,
  'org.matrix.msc3881': true,
  'org.matrix.msc3912': true,
  'org.matrix.msc4028': true,
  'org.matrix.msc4140': true,
  'org.matrix.msc4293': true,
  'uk.timedout.msc4323': true,
  'org.matrix.msc4155': true,
  'org.matrix.msc4306': true,
  'org.matrix.msc4380': true,
  'org.matrix.msc4380.stable': true,
} as const;

function notGiven(): MatrixError {
  return new MatrixError('M_NOT_FOUND', 'The operator of this server has not given this');
}

/** What the server is and where (client-server API, Well-known URIs, API versions, Capabilities). */
export const discoveryEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getVersions',
    method: 'GET',
    path: '/_matrix/client/versions',
    caller: 'none',
    limit: 'read',
    async handle(_app: App) {
      return { versions: VERSIONS, unstable_features: UNSTABLE_FEATURES };
    },
  }),
  endpoint({
    id: 'getCapabilities',
    method: 'GET',
    path: '/_matrix/client/v3/capabilities',
    caller: 'user',
    limit: 'read',
    async handle({ defaultRoomVersion, media }: App, { caller }) {
      return {
        capabilities: {
          'm.change_password': { enabled: true },
          'm.room_versions': {
            default: defaultRoomVersion,
            available: Object.fromEntries([
              ...ROOM_VERSIONS.map((version) => [version, 'stable']),
              ...UNSTABLE_ROOM_VERSIONS.map((version) => [version, 'unstable']),
            ]),
          },
          'm.profile_fields': { enabled: true },
          'm.set_displayname': { enabled: true },
          'm.set_avatar_url': { enabled: true },
          'm.3pid_changes': { enabled: false },
          'm.get_login_token': { enabled: true },
          'org.matrix.msc4140.delayed_events': { max_delay_ms: MAX_DELAY_MS, max_scheduled: MAX_SCHEDULED },
          ...(caller.admin && {
            'm.account_moderation': { suspend: true, lock: true },
            'uk.timedout.msc4323': { suspend: true, lock: true },
          }),
          'io.element.msc4452.preview_url': { enabled: media.options.previews !== undefined },
          'm.forget_forced_upon_leave': { enabled: false },
        },
      };
    },
  }),
  endpoint({
    id: 'getWellknown',
    method: 'GET',
    path: '/.well-known/matrix/client',
    caller: 'none',
    limit: 'read',
    async handle({ discovery }: App) {
      if (discovery.baseUrl === undefined) throw notGiven();
      return clientDiscovery(discovery.baseUrl);
    },
  }),
  endpoint({
    id: 'getWellKnown',
    method: 'GET',
    path: '/.well-known/matrix/server',
    caller: 'none',
    limit: 'read',
    async handle({ discovery }: App) {
      if (discovery.federation === undefined) throw notGiven();
      return { 'm.server': discovery.federation };
    },
  }),
  endpoint({
    id: 'getWellknownSupport',
    method: 'GET',
    path: '/.well-known/matrix/support',
    caller: 'none',
    limit: 'read',
    async handle({ discovery: { contacts, supportPage } }: App) {
      if (contacts.length === 0 && supportPage === undefined) throw notGiven();
      return {
        ...(contacts.length > 0 && { contacts }),
        ...(supportPage !== undefined && { support_page: supportPage }),
      };
    },
  }),
];
