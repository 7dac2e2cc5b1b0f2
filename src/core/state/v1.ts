import { checkEventAuth } from '#core/auth/check.js';
import type { StatePdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import { sha1 } from '#core/signing.js';
import { type Resolution, stateMapKey } from '#core/state/resolution.js';

const OTHERS = 3;
/** Keys resolved between two yields. */
const STEP = 16;

/**
 * State resolution of version 1 (rooms/v1): keys that only some states have are no conflict; the others are decided
 * kind by kind, each against what was decided for the kinds before. Where the specification is silent, as Synapse:
 * each key is decided for itself, and where no candidate for an ordinary key is allowed, the shallowest one is taken.
 */
export function* resolveV1(resolution: Resolution): Generator<void, ReadonlyMap<string, EventId>, void> {
  const resolved = new Map<string, StatePdu>();
  /** Power levels, join rules, members, others. */
  const byKind: [StatePdu[][], StatePdu[][], StatePdu[][], StatePdu[][]] = [[], [], [], []];
  let work = 0;
  for (const each of resolution.conflicted.values()) {
    if (++work % STEP === 0) yield;
    const candidates: StatePdu[] = [];
    for (const id of new Set(each)) {
      const event = id === undefined || resolution.rejected(id) ? undefined : resolution.event(id);
      if (event !== undefined) candidates.push(event);
    }
    const [first] = candidates;
    if (first === undefined) continue;
    if (candidates.length === 1) resolved.set(keyOf(first), first);
    else byKind[kindOf(first)].push(byDepth(candidates));
  }

  const held: Held = (key) => resolved.get(key);
  for (const [kind, keys] of byKind.entries()) {
    const decided: StatePdu[] = [];
    for (const candidates of keys) {
      decided.push((kind < OTHERS ? lastAllowed : firstAllowed)(resolution, candidates, held));
      if (++work % STEP === 0) yield;
    }
    for (const event of decided) resolved.set(keyOf(event), event);
  }
  return new Map([...resolved].map(([key, event]) => [key, event.event_id]));
}

function keyOf(event: StatePdu): string {
  return stateMapKey(event.type, event.state_key);
}

function kindOf(event: StatePdu): 0 | 1 | 2 | 3 {
  if (event.type === 'm.room.power_levels' && event.state_key === '') return 0;
  if (event.type === 'm.room.join_rules') return 1;
  return event.type === 'm.room.member' ? 2 : OTHERS;
}

/** Ascending depth, then descending SHA-1 of the event id. */
function byDepth(events: readonly StatePdu[]): StatePdu[] {
  const withHash = events.map((event) => ({ event, hash: sha1(event.event_id) }));
  withHash.sort((x, y) => x.event.depth - y.event.depth || Buffer.compare(y.hash, x.hash));
  return withHash.map(({ event }) => event);
}

type Held = (key: string) => StatePdu | undefined;

function isAllowed(resolution: Resolution, event: StatePdu, held: Held): boolean {
  return checkEventAuth(event, resolution.rules, (type, stateKey) => {
    const found = held(stateMapKey(type, stateKey));
    if (found !== undefined) return found;
    const id = resolution.unconflicted(type, stateKey);
    return id === undefined || resolution.rejected(id) ? undefined : resolution.event(id);
  }).allow;
}

/** Takes the shallowest, then each next one as long as the one before allows it. */
function lastAllowed(resolution: Resolution, candidates: readonly StatePdu[], held: Held): StatePdu {
  let taken = candidates[0]!;
  const key = keyOf(taken);
  for (const candidate of candidates.slice(1)) {
    if (!isAllowed(resolution, candidate, (wanted) => (wanted === key ? taken : held(wanted)))) break;
    taken = candidate;
  }
  return taken;
}

/** The deepest that is allowed; the shallowest where none is. */
function firstAllowed(resolution: Resolution, candidates: readonly StatePdu[], held: Held): StatePdu {
  return candidates.findLast((event) => isAllowed(resolution, event, held)) ?? candidates[0]!;
}
