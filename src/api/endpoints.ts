import { mediaAdminEndpoints } from '#api/admin/media.js';
import { serverNoticeEndpoints } from '#api/admin/server-notices.js';
import { sharedSecretEndpoints } from '#api/admin/shared-secret.js';
import type { App } from '#api/app.js';
import { accountEndpoints } from '#api/client/account.js';
import { accountDataEndpoints } from '#api/client/account-data.js';
import { authFallbackEndpoints } from '#api/client/auth-fallback.js';
import { createRoomEndpoints } from '#api/client/create-room.js';
import { dehydratedEndpoints } from '#api/client/dehydrated.js';
import { delayedEventEndpoints } from '#api/client/delayed-events.js';
import { deviceEndpoints } from '#api/client/devices.js';
import { directoryEndpoints } from '#api/client/directory.js';
import { discoveryEndpoints } from '#api/client/discovery.js';
import { eventEndpoints } from '#api/client/events.js';
import { filterEndpoints } from '#api/client/filter.js';
import { historyEndpoints } from '#api/client/history.js';
import { keyBackupEndpoints } from '#api/client/key-backup.js';
import { keyEndpoints } from '#api/client/keys.js';
import { loginEndpoints } from '#api/client/login.js';
import { mediaEndpoints } from '#api/client/media.js';
import { membershipEndpoints } from '#api/client/membership.js';
import { moderationEndpoints } from '#api/client/moderation.js';
import { notificationEndpoints } from '#api/client/notifications.js';
import { peopleEndpoints } from '#api/client/people.js';
import { presenceEndpoints } from '#api/client/presence.js';
import { profileEndpoints } from '#api/client/profile.js';
import { pushRuleEndpoints } from '#api/client/push-rules.js';
import { pusherEndpoints } from '#api/client/pushers.js';
import { receiptEndpoints } from '#api/client/receipts.js';
import { registerEndpoints } from '#api/client/register.js';
import { relationEndpoints } from '#api/client/relations.js';
import { reportEndpoints } from '#api/client/report.js';
import { searchEndpoints } from '#api/client/search.js';
import { sendEndpoints } from '#api/client/send.js';
import { slidingSyncEndpoints } from '#api/client/sliding-sync.js';
import { spaceEndpoints } from '#api/client/spaces.js';
import { stateEndpoints } from '#api/client/state.js';
import { syncEndpoints } from '#api/client/sync.js';
import { threadSubscriptionEndpoints } from '#api/client/thread-subscriptions.js';
import { threadEndpoints } from '#api/client/threads.js';
import { toDeviceEndpoints } from '#api/client/to-device.js';
import { upgradeEndpoints } from '#api/client/upgrade.js';
import { federationHistoryEndpoints } from '#api/federation/history.js';
import { federationJoinEndpoints } from '#api/federation/join.js';
import { federationKeyEndpoints } from '#api/federation/keys.js';
import { federationQueryEndpoints } from '#api/federation/query.js';
import { federationTransactionEndpoints } from '#api/federation/transactions.js';
import type { Endpoint } from '#http/endpoint.js';

/** Every endpoint there is, except the landing page's and those of `FEDERATION_ENDPOINTS`. */
export const ENDPOINTS: readonly Endpoint<App>[] = [
  ...discoveryEndpoints,
  ...registerEndpoints,
  ...authFallbackEndpoints,
  ...loginEndpoints,
  ...accountEndpoints,
  ...deviceEndpoints,
  ...profileEndpoints,
  ...accountDataEndpoints,
  ...filterEndpoints,
  ...presenceEndpoints,
  ...toDeviceEndpoints,
  ...keyEndpoints,
  ...keyBackupEndpoints,
  ...dehydratedEndpoints,
  ...createRoomEndpoints,
  ...membershipEndpoints,
  ...sendEndpoints,
  ...stateEndpoints,
  ...historyEndpoints,
  ...relationEndpoints,
  ...threadEndpoints,
  ...receiptEndpoints,
  ...syncEndpoints,
  ...eventEndpoints,
  ...slidingSyncEndpoints,
  ...directoryEndpoints,
  ...spaceEndpoints,
  ...searchEndpoints,
  ...peopleEndpoints,
  ...notificationEndpoints,
  ...pushRuleEndpoints,
  ...pusherEndpoints,
  ...upgradeEndpoints,
  ...reportEndpoints,
  ...mediaEndpoints,
  ...mediaAdminEndpoints,
  ...sharedSecretEndpoints,
  ...threadSubscriptionEndpoints,
  ...delayedEventEndpoints,
  ...moderationEndpoints,
  ...serverNoticeEndpoints,
  ...federationKeyEndpoints,
];

/** Endpoints for other servers, which are served where the server federates. */
export const FEDERATION_ENDPOINTS: readonly Endpoint<App>[] = [
  ...federationTransactionEndpoints,
  ...federationJoinEndpoints,
  ...federationHistoryEndpoints,
  ...federationQueryEndpoints,
];
