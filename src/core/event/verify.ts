import { contentHash, eventSignedBytes } from '#core/event/hash.js';
import type { Pdu, RawPdu } from '#core/event/pdu.js';
import { EventId, type ServerName, UserId } from '#core/ids.js';
import { own, ownObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { signatureOf, signingKeyIds, type VerifyJob, verifySignature } from '#core/signing.js';
import { decodeBase64 } from '#util/base64.js';

/**
 * Whether the content hash that the event carries is that of its content. If not, the event was redacted, or tampered
 * with: only its redacted copy may be used. Throws JsonError where the event has no canonical form.
 */
export function contentHashMatches(raw: RawPdu): boolean {
  const carried = ownString(ownObject(raw, 'hashes') ?? {}, 'sha256');
  const bytes = carried === undefined ? undefined : decodeBase64(carried);
  return bytes?.equals(Buffer.from(contentHash(raw), 'base64')) ?? false;
}

/**
 * The servers whose signatures an event must carry (server-server API, Validating hashes and signatures on received
 * events): the sender's, but not for third-party invites, which another server may send in the sender's name; in versions
 * 1 and 2 the one in the event id; and for a restricted join the server of the user who let the member in.
 */
export function requiredSigners(pdu: Pdu, rules: RoomRules): ServerName[] {
  const signers = new Set<ServerName>();
  const membership = pdu.type === 'm.room.member' ? own(pdu.content, 'membership') : undefined;
  if (membership !== 'invite' || !Object.hasOwn(pdu.content, 'third_party_invite')) {
    signers.add(UserId.serverName(pdu.sender));
  }
  if (rules.eventIdFormat === 'server') {
    const server = EventId.serverName(pdu.event_id);
    if (server !== undefined) signers.add(server);
  }
  if (rules.restrictedJoin && membership === 'join') {
    const authoriser = UserId.parse(own(pdu.content, 'join_authorised_via_users_server'));
    if (authoriser !== undefined) signers.add(UserId.serverName(authoriser));
  }
  return [...signers];
}

/** The key ids with which each required signer signed; a signer without any makes the event unacceptable. */
export function keysNeeded(pdu: Pdu, rules: RoomRules): ReadonlyMap<ServerName, readonly string[]> {
  return new Map(requiredSigners(pdu, rules).map((server) => [server, signingKeyIds(pdu.json, server)]));
}

/**
 * The public key, in base64, of a server's key id, if it is known and may have signed this event (see
 * `keyValidForEvent`); undefined otherwise, and then its signature does not count either way.
 */
export type KeyOf = (server: ServerName, keyId: string) => string | undefined;

/**
 * The signatures to check on an event, all of which have to be valid; undefined where a required signer has none with a
 * known key, so that the event is to be dropped. Throws JsonError where the event has no canonical form.
 */
export function signatureJobs(pdu: Pdu, rules: RoomRules, keyOf: KeyOf): VerifyJob[] | undefined {
  const bytes = eventSignedBytes(pdu.json, rules);
  const jobs: VerifyJob[] = [];
  for (const [server, keyIds] of keysNeeded(pdu, rules)) {
    const before = jobs.length;
    for (const keyId of keyIds) {
      const publicKey = keyOf(server, keyId);
      if (publicKey === undefined) continue;
      jobs.push({ publicKey, signature: signatureOf(pdu.json, server, keyId) ?? '', bytes });
    }
    if (jobs.length === before) return undefined;
  }
  return jobs;
}

/** Whether the event carries all the signatures that it must, and those with known keys are all valid. */
export function signaturesValid(pdu: Pdu, rules: RoomRules, keyOf: KeyOf): boolean {
  const jobs = signatureJobs(pdu, rules, keyOf);
  return jobs?.every((job) => verifySignature(job.publicKey, job.signature, job.bytes)) ?? false;
}
