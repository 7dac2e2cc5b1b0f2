import type { EventId } from '#core/ids.js';
import type { AuthIndexReader, ChainPlace } from '#core/state/auth-index.js';

/** Steps between two yields: some hundred microseconds where rows are in memory. */
const STEP = 256;

/** By chain, the highest sequence that is reached, events that one starts from included. */
type Reach = Map<number, number>;

interface Link {
  readonly from: ChainPlace;
  readonly to: ChainPlace;
}

/** What a set of events and their auth chains cover. `links`, where given, gathers every link on the way. */
function* reachOf(index: AuthIndexReader, events: Iterable<EventId>, links?: Link[]): Generator<void, Reach, void> {
  const reach: Reach = new Map();
  const pending: ChainPlace[] = [];
  let work = 0;
  for (const event of events) {
    const place = index.place(event);
    if (place !== undefined) pending.push(place);
    if (++work % STEP === 0) yield;
  }
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const known = reach.get(place.chain) ?? 0;
    if (place.sequence <= known) continue;
    reach.set(place.chain, place.sequence);
    for (let sequence = place.sequence; sequence > known; ) {
      const node = index.node(place.chain, sequence);
      if (node === undefined) break;
      for (const to of node.links) {
        links?.push({ from: { chain: place.chain, sequence }, to });
        if (to.sequence > (reach.get(to.chain) ?? 0)) pending.push(to);
      }
      sequence = node.linksBelow;
      if (++work % STEP === 0) yield;
    }
  }
  return reach;
}

/**
 * The auth difference of states (rooms/v2, State resolution): the events that are in the auth chain of some state but
 * not of all. A state's own events count as part of its chain. Each state is given by what it has at the conflicted
 * keys; `unconflicted` gives the event that all states share at another key. Costs as much as the conflict: what the
 * whole room reaches is never computed; instead each event that might be in the difference is asked upwards, through
 * the links to it, whether an unconflicted event stands above it.
 */
export function* authDifferenceSteps(
  index: AuthIndexReader,
  states: readonly Iterable<EventId>[],
  unconflicted: (type: string, stateKey: string) => EventId | undefined,
): Generator<void, Set<EventId>, void> {
  const reaches: Reach[] = [];
  for (const state of states) reaches.push(yield* reachOf(index, state));
  const shared = sharedPlaces(index, unconflicted);
  const difference = new Set<EventId>();
  for (const chain of new Set(reaches.flatMap((reach) => [...reach.keys()]))) {
    let low = Infinity;
    let high = 0;
    for (const reach of reaches) {
      const top = reach.get(chain) ?? 0;
      low = Math.min(low, top);
      high = Math.max(high, top);
    }
    if (low === high || (yield* shared.reach(chain, high))) continue;
    // The unconflicted events may reach the lower part of this stretch: find the first event that they do not reach.
    let first = low + 1;
    for (let free = high; first < free; ) {
      const middle = first + Math.floor((free - first) / 2);
      if (yield* shared.reach(chain, middle)) first = middle + 1;
      else free = middle;
    }
    for (let sequence = first; sequence <= high; sequence++) {
      const node = index.node(chain, sequence);
      if (node !== undefined) difference.add(node.event);
      if (sequence % STEP === 0) yield;
    }
  }
  return difference;
}

/** Answers whether unconflicted events reach a place, and remembers the answers. */
function sharedPlaces(
  index: AuthIndexReader,
  unconflicted: (type: string, stateKey: string) => EventId | undefined,
): { reach(chain: number, sequence: number): Generator<void, boolean, void> } {
  /** By chain: the unconflicted event on it, as a sequence; 0 where there is none. A chain holds one key only. */
  const own = new Map<number, number>();
  const reachedUpTo = new Map<number, number>();
  const freeFrom = new Map<number, number>();
  let work = 0;

  const ownSequence = (chain: number): number => {
    let sequence = own.get(chain);
    if (sequence === undefined) {
      const row = index.chain(chain);
      const event = row && unconflicted(row.type, row.state_key);
      const place = event === undefined ? undefined : index.place(event);
      sequence = place?.chain === chain ? place.sequence : 0;
      own.set(chain, sequence);
    }
    return sequence;
  };
  const isReached = (place: ChainPlace): boolean =>
    ownSequence(place.chain) >= place.sequence || (reachedUpTo.get(place.chain) ?? 0) >= place.sequence;

  function* reach(chain: number, sequence: number): Generator<void, boolean, void> {
    const start = { chain, sequence };
    if (isReached(start)) return true;
    /** By chain: the lowest sequence from which upwards this search has looked. */
    const seen = new Map<number, number>();
    const pending: ChainPlace[] = [start];
    for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
      if (place.sequence >= (freeFrom.get(place.chain) ?? Infinity)) continue;
      const end = Math.min(seen.get(place.chain) ?? Infinity, (index.chain(place.chain)?.length ?? 0) + 1);
      if (place.sequence >= end) continue;
      seen.set(place.chain, place.sequence);
      for (let at = place.sequence; at < end; at++) {
        if (++work % STEP === 0) yield;
        // The newest links are the likeliest to come from what is still part of the state.
        for (let n = (index.node(place.chain, at)?.citations ?? 0) - 1; n >= 0; n--) {
          if (++work % STEP === 0) yield;
          const from = index.citation(place.chain, at, n);
          if (from === undefined || from.sequence >= (freeFrom.get(from.chain) ?? Infinity)) continue;
          if (isReached(from)) {
            reachedUpTo.set(chain, Math.max(sequence, reachedUpTo.get(chain) ?? 0));
            return true;
          }
          if (from.sequence < (seen.get(from.chain) ?? Infinity)) pending.push(from);
        }
      }
    }
    for (const [other, from] of seen) freeFrom.set(other, Math.min(from, freeFrom.get(other) ?? Infinity));
    return false;
  }
  return { reach };
}

/**
 * The conflicted state subgraph (rooms/v12, State resolution): every event on a path of auth events between two events
 * of the conflicted state set, these included.
 */
export function* conflictedSubgraphSteps(
  index: AuthIndexReader,
  conflicted: Iterable<EventId>,
): Generator<void, Set<EventId>, void> {
  const events = [...conflicted];
  const links: Link[] = [];
  const reach = yield* reachOf(index, events, links);
  const linksTo = new Map<number, Link[]>();
  for (const link of links) {
    const list = linksTo.get(link.to.chain);
    if (list === undefined) linksTo.set(link.to.chain, [link]);
    else list.push(link);
  }
  /** By chain: the lowest sequence that leads down to a conflicted event. */
  const lowest = new Map<number, number>();
  const pending: ChainPlace[] = [];
  for (const event of events) {
    const place = index.place(event);
    if (place !== undefined) pending.push(place);
  }
  let work = 0;
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    if (place.sequence >= (lowest.get(place.chain) ?? Infinity)) continue;
    lowest.set(place.chain, place.sequence);
    for (const link of linksTo.get(place.chain) ?? []) {
      if (link.to.sequence >= place.sequence) pending.push(link.from);
      if (++work % STEP === 0) yield;
    }
  }
  const subgraph = new Set<EventId>();
  for (const [chain, from] of lowest) {
    for (let sequence = from; sequence <= (reach.get(chain) ?? 0); sequence++) {
      const node = index.node(chain, sequence);
      if (node !== undefined) subgraph.add(node.event);
      if (++work % STEP === 0) yield;
    }
  }
  return subgraph;
}
