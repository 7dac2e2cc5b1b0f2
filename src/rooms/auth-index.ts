import type { Pdu } from '#core/event/pdu.js';
import { type AuthIndexReader, type AuthIndexWriter, addToAuthIndex } from '#core/state/auth-index.js';
import { authChains, authCitations, authNodes, authPlaces } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';

/** The chain cover of auth events on disk. Chain numbers are positions of the log, so rooms need no part in the keys. */
export function authIndex(reader: Reader): AuthIndexReader {
  return {
    place: (event) => reader.get(authPlaces, [event]),
    chain: (chain) => reader.get(authChains, [chain]),
    node: (chain, sequence) => reader.get(authNodes, [chain, sequence]),
    citation: (chain, sequence, n) => reader.get(authCitations, [chain, sequence, n]),
  };
}

function authIndexWriter(tx: Tx): AuthIndexWriter {
  return {
    ...authIndex(tx),
    newChain: () => tx.position(),
    putPlace: (event, place) => tx.put(authPlaces, [event], place),
    putChain: (chain, row) => tx.put(authChains, [chain], row),
    putNode: (chain, sequence, row) => tx.put(authNodes, [chain, sequence], row),
    putCitation: (chain, sequence, n, from) => tx.put(authCitations, [chain, sequence, n], from),
  };
}

/**
 * Gives a state event its place in the chain cover, whatever its outcome: rejected events and outliers are in auth
 * chains too. Auth events that are not held are left out, as resolution leaves them out.
 */
export function indexAuth(tx: Tx, pdu: Pdu): void {
  if (pdu.state_key === undefined) return;
  const index = authIndexWriter(tx);
  const held = pdu.auth_events.filter((id) => index.place(id) !== undefined);
  addToAuthIndex(index, {
    event_id: pdu.event_id,
    type: pdu.type,
    state_key: pdu.state_key,
    auth_events: held,
  });
}
