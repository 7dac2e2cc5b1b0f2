import { type Check, problemOf, rowCheck } from '#store/checks.js';
import { authChains, authCitations, authNodes, authPlaces, events } from '#store/schema.js';

/** The chain cover of auth events: see core/state/auth-index.ts. */
export const AUTH_CHECKS: readonly Check[] = [
  rowCheck(events, function* ({ store }, _key, { pdu }) {
    if (pdu.state_key !== undefined && !store.has(authPlaces, [pdu.event_id]))
      yield problemOf(authPlaces, [pdu.event_id], 'is missing: the state event has no place');
  }),

  rowCheck(authPlaces, function* ({ store, events: held }, [id], { chain, sequence }) {
    if (store.get(authNodes, [chain, sequence])?.event !== id) yield 'another event, or none, stands at its place';
    const pdu = held.byId(store, id)?.pdu;
    const row = store.get(authChains, [chain]);
    if (pdu === undefined) yield 'its event is not held';
    else if (row?.type !== pdu.type || row.state_key !== pdu.state_key) yield 'its chain is of another kind of state';
  }),

  rowCheck(authChains, function* ({ store }, [chain], { length }) {
    if (!store.has(authNodes, [chain, length])) yield `nothing stands at its end ${length}`;
    if (store.has(authNodes, [chain, length + 1])) yield `goes on beyond its end ${length}`;
  }),

  rowCheck(authNodes, function* ({ store }, [chain, sequence], { event, links, linksBelow, citations }) {
    const place = store.get(authPlaces, [event]);
    if (place?.chain !== chain || place.sequence !== sequence) yield `the place of ${event} is elsewhere`;
    if (sequence > 1 && !store.has(authNodes, [chain, sequence - 1])) yield 'nothing stands below it';
    for (const link of links) {
      if (!store.has(authNodes, [link.chain, link.sequence]))
        yield `links to ${link.chain}/${link.sequence}, where nothing is`;
    }
    if (linksBelow !== 0 && (store.get(authNodes, [chain, linksBelow])?.links.length ?? 0) === 0)
      yield `there are no links at ${linksBelow} below it`;
    for (let n = 0; n < citations; n++) {
      if (!store.has(authCitations, [chain, sequence, n])) yield `its citation ${n} is missing`;
    }
  }),

  rowCheck(authCitations, function* ({ store }, [chain, sequence, n], from) {
    const to = store.get(authNodes, [chain, sequence]);
    if (to === undefined || n < 0 || n >= to.citations) yield 'is not counted where it leads';
    const links = store.get(authNodes, [from.chain, from.sequence])?.links ?? [];
    if (!links.some((link) => link.chain === chain && link.sequence === sequence)) yield 'does not link here';
  }),
];
