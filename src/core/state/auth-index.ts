import type { EventId } from '#core/ids.js';

/**
 * A chain cover of the auth events of one room. Every state event has a place: a chain and a sequence in it, both from
 * 1. An event reaches every event below it on its own chain. A chain holds events of one `(type, state_key)` only,
 * each of them citing the one below. Auth events on other chains are links, left out where they are reached anyway, so
 * that an event costs a bounded number of rows: none is ever written for what is reached indirectly.
 *
 * The rows are kept by whoever implements `AuthIndexWriter`; everything here is pure.
 */
export interface ChainPlace {
  readonly chain: number;
  readonly sequence: number;
}

/** What stands at a place. */
export interface ChainNode {
  readonly event: EventId;
  /** Places on other chains that this event cites. */
  readonly links: readonly ChainPlace[];
  /** Sequence of the next event below on this chain that has links; 0 where there is none. */
  readonly linksBelow: number;
  /** How many links lead here. */
  readonly citations: number;
}

export interface Chain {
  readonly type: string;
  readonly state_key: string;
  /** Number of events: the sequence of the topmost one. */
  readonly length: number;
}

export interface AuthIndexReader {
  place(event: EventId): ChainPlace | undefined;
  chain(chain: number): Chain | undefined;
  node(chain: number, sequence: number): ChainNode | undefined;
  /** Where the `n`th link to a place comes from, counted from 0 in the order of their arrival. */
  citation(chain: number, sequence: number, n: number): ChainPlace | undefined;
}

export interface AuthIndexWriter extends AuthIndexReader {
  /** A chain number that was never used in this room. */
  newChain(): number;
  putPlace(event: EventId, place: ChainPlace): void;
  putChain(chain: number, row: Chain): void;
  putNode(chain: number, sequence: number, row: ChainNode): void;
  putCitation(chain: number, sequence: number, n: number, from: ChainPlace): void;
}

/** What the index wants to know of a state event. */
export interface IndexedEvent {
  readonly event_id: EventId;
  readonly type: string;
  readonly state_key: string;
  readonly auth_events: readonly EventId[];
}

/** How many events with links are looked at, down a chain, to find that a link is not needed. */
const SEARCH_DEPTH = 8;

/**
 * Gives a state event its place. Its auth events must have theirs: false, with nothing written, where one has none.
 * True also where the event is in the index already. Events may come in any order that has auth events first; places
 * depend on the order, what the functions below answer does not.
 */
export function addToAuthIndex(index: AuthIndexWriter, event: IndexedEvent): boolean {
  if (index.place(event.event_id) !== undefined) return true;
  const cited = new Map<number, number>();
  let below: ChainPlace | undefined;
  for (const id of event.auth_events) {
    const place = index.place(id);
    if (place === undefined) return false;
    cited.set(place.chain, Math.max(place.sequence, cited.get(place.chain) ?? 0));
    const chain = index.chain(place.chain);
    const isTop = chain?.length === place.sequence;
    if (isTop && chain.type === event.type && chain.state_key === event.state_key) below = place;
  }
  const place = below ? { chain: below.chain, sequence: below.sequence + 1 } : { chain: index.newChain(), sequence: 1 };
  const links: ChainPlace[] = [];
  for (const [chain, sequence] of cited) {
    if (chain === place.chain) continue;
    const others = [...cited].filter(([other]) => other !== chain);
    const target = { chain, sequence };
    if (!others.some(([other, top]) => linksTo(index, { chain: other, sequence: top }, target))) links.push(target);
  }
  for (const link of links) {
    const node = index.node(link.chain, link.sequence);
    if (node === undefined) continue;
    index.putCitation(link.chain, link.sequence, node.citations, place);
    index.putNode(link.chain, link.sequence, { ...node, citations: node.citations + 1 });
  }
  const under = below && index.node(below.chain, below.sequence);
  const linksBelow = under === undefined ? 0 : under.links.length > 0 ? place.sequence - 1 : under.linksBelow;
  index.putNode(place.chain, place.sequence, { event: event.event_id, links, linksBelow, citations: 0 });
  index.putChain(place.chain, { type: event.type, state_key: event.state_key, length: place.sequence });
  index.putPlace(event.event_id, place);
  return true;
}

/** Whether a link of `from`, or of the next few events with links below it on its chain, leads to `to` or above it. */
function linksTo(index: AuthIndexReader, from: ChainPlace, to: ChainPlace): boolean {
  let sequence = from.sequence;
  for (let i = 0; i < SEARCH_DEPTH && sequence > 0; i++) {
    const node = index.node(from.chain, sequence);
    if (node === undefined) return false;
    if (node.links.some((link) => link.chain === to.chain && link.sequence >= to.sequence)) return true;
    sequence = node.linksBelow;
  }
  return false;
}

/** An index in memory, for resolving states whose events are not in the store. */
export function memoryAuthIndex(): AuthIndexWriter {
  const places = new Map<EventId, ChainPlace>();
  const chains = new Map<number, { row?: Chain; readonly nodes: ChainNode[]; readonly citations: ChainPlace[][] }>();
  const at = (chain: number) => {
    let entry = chains.get(chain);
    if (entry === undefined) {
      entry = { nodes: [], citations: [] };
      chains.set(chain, entry);
    }
    return entry;
  };
  return {
    place: (event) => places.get(event),
    chain: (chain) => chains.get(chain)?.row,
    // Sequences count from 1, arrays from 0.
    node: (chain, sequence) => chains.get(chain)?.nodes[sequence - 1],
    citation: (chain, sequence, n) => chains.get(chain)?.citations[sequence - 1]?.[n],
    newChain: () => chains.size + 1,
    putPlace: (event, place) => void places.set(event, place),
    putChain: (chain, row) => {
      at(chain).row = row;
    },
    putNode: (chain, sequence, row) => {
      at(chain).nodes[sequence - 1] = row;
    },
    putCitation: (chain, sequence, n, from) => {
      const { citations } = at(chain);
      const list = citations[sequence - 1];
      if (list === undefined) citations[sequence - 1] = [from];
      else list[n] = from;
    },
  };
}
