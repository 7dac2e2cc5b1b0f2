import { oversizedField, parsePdu } from '#core/event/format.js';
import { eventIdOf } from '#core/event/hash.js';
import type { Pdu, RawPdu } from '#core/event/pdu.js';
import { redactPdu } from '#core/event/redact.js';
import { contentHashMatches, keysNeeded, signatureJobs } from '#core/event/verify.js';
import type { EventId } from '#core/ids.js';
import { JsonError } from '#core/json.js';
import type { RoomRules } from '#core/room-versions.js';
import { type VerifyJob, verifyOnPool } from '#core/signing.js';
import type { Keyring } from '#remote/keyring.js';
import { driveInTurns, mapSteps } from '#util/steps.js';

/** Events that are checked before others may run. One may have 64 KiB, which are written and hashed several times. */
const EVENTS_AT_ONCE = 4;

/** What checking an event by itself gave. */
export type CheckedPdu =
  | {
      readonly pdu: Pdu;
      /** Why it has to be kept as rejected all the same. */
      readonly rejected?: string;
    }
  | {
      /** Undefined where it can't be told. */
      readonly id: EventId | undefined;
      /** Why it is dropped. */
      readonly problem: string;
    };

/**
 * Checks events of one room version by themselves (server-server API, Checks performed on receipt of a PDU, 1 to 3): their
 * form, then the signatures, for which unknown keys are fetched, then the hash; one with the wrong content hash is given
 * as its redacted copy. The answers are in the order of `raws`.
 */
export async function checkPdus(keyring: Keyring, rules: RoomRules, raws: readonly RawPdu[]): Promise<CheckedPdu[]> {
  const each = <T, R>(items: readonly T[], work: (item: T) => R): Promise<R[]> =>
    driveInTurns(mapSteps(items, work), EVENTS_AT_ONCE);
  const checked = await each(raws, (raw) => checkForm(raw, rules));
  const pdus = checked.flatMap((one) => ('pdu' in one ? [one.pdu] : []));
  await keyring.prepare(
    pdus.flatMap((pdu) =>
      [...keysNeeded(pdu, rules)].map(([server, keyIds]) => ({
        server,
        keyIds,
        originServerTs: pdu.origin_server_ts,
        rules,
      })),
    ),
  );
  const signed = await signedOnes(keyring, rules, pdus);
  return each(checked, (one) => {
    if (!('pdu' in one)) return one;
    if (signed.has(one.pdu)) return withRightHash(one.pdu, rules);
    return { id: one.pdu.event_id, problem: 'a signature is missing, wrong, or by a key that is not known' };
  });
}

function checkForm(raw: RawPdu, rules: RoomRules): CheckedPdu {
  const parsed = parsePdu(raw, rules);
  if ('pdu' in parsed) return parsed;
  return { id: idOf(raw, rules), problem: parsed.problem };
}

/** The id under which an event that is no PDU is to be reported. */
function idOf(raw: RawPdu, rules: RoomRules): EventId | undefined {
  try {
    return eventIdOf(raw, rules);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Those of the events whose signatures are all there and valid. */
async function signedOnes(keyring: Keyring, rules: RoomRules, pdus: readonly Pdu[]): Promise<ReadonlySet<Pdu>> {
  const signed = new Set<Pdu>();
  const jobs: VerifyJob[] = [];
  const pduOf: Pdu[] = [];
  for (const pdu of pdus) {
    const own = signatureJobs(pdu, rules, (server, id) => keyring.forEvent(server, id, pdu.origin_server_ts, rules));
    if (own === undefined) continue;
    signed.add(pdu);
    for (const job of own) {
      jobs.push(job);
      pduOf.push(pdu);
    }
  }
  const valid = await new Promise<readonly boolean[]>((resolve) => verifyOnPool(jobs, resolve));
  for (const [index, isValid] of valid.entries()) if (!isValid) signed.delete(pduOf[index]!);
  return signed;
}

function withRightHash(pdu: Pdu, rules: RoomRules): CheckedPdu {
  if (contentHashMatches(pdu.json)) {
    const oversized = oversizedField(pdu);
    return oversized === undefined ? { pdu } : { pdu, rejected: oversized };
  }
  const copy = parsePdu(redactPdu(pdu.json, rules), rules);
  return 'pdu' in copy ? copy : { id: pdu.event_id, problem: copy.problem };
}
