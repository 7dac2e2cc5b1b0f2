import { MEDIA_CHECKS } from '#media/verify.js';
import { OUTBOUND_CHECKS } from '#outbound/verify.js';
import { REMOTE_CHECKS } from '#remote/verify.js';
import { ROOM_CHECKS } from '#rooms/verify.js';
import type { Check } from '#store/checks.js';
import { STORE_CHECKS } from '#store/verify-rows.js';
import { SYNC_CHECKS } from '#sync/verify.js';
import { USER_CHECKS } from '#users/verify.js';

/**
 * Everything that `runnel check` asks of the rows on disk, layer by layer. Rebuilding goes in this order, so that what a
 * layer derives rests on rows of the layers below that are mended already.
 */
export const CHECKS: readonly Check[] = [
  ...STORE_CHECKS,
  ...REMOTE_CHECKS,
  ...ROOM_CHECKS,
  ...USER_CHECKS,
  ...MEDIA_CHECKS,
  ...SYNC_CHECKS,
  ...OUTBOUND_CHECKS,
];
