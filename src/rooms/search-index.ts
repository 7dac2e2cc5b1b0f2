import { plainTopicOf } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import { ownString } from '#core/json-value.js';
import { wordsOf } from '#core/words.js';
import type { StoredEvent } from '#store/events.js';
import { postings } from '#store/schema.js';
import type { Tx } from '#store/types.js';

/** Different words of one event that are indexed: a longer text is found by its beginning. */
const MAX_WORDS = 500;

/** The text by which an event is found (client-server API, Server side search); undefined where it is not. */
export function searchableText(pdu: Pdu): string | undefined {
  switch (pdu.type) {
    case 'm.room.message':
      return pdu.state_key === undefined ? ownString(pdu.content, 'body') : undefined;
    case 'm.room.name':
      return pdu.state_key === '' ? ownString(pdu.content, 'name') : undefined;
    case 'm.room.topic': {
      if (pdu.state_key !== '') return undefined;
      const [topic = '', plain = ''] = [ownString(pdu.content, 'topic'), plainTopicOf(pdu)];
      return topic === plain ? topic : `${topic}\n${plain}`;
    }
    default:
      return undefined;
  }
}

/** The words by which an event is found. */
export function indexedWords(pdu: Pdu): Set<string> {
  const words = new Set<string>();
  for (const word of wordsOf(searchableText(pdu) ?? '')) {
    words.add(word);
    if (words.size >= MAX_WORDS) break;
  }
  return words;
}

/** Makes an accepted event findable. */
export function indexText(tx: Tx, { pdu, room, order, num }: StoredEvent): void {
  for (const word of indexedWords(pdu)) tx.put(postings, [room, word, order], num);
}

/** Takes out what `indexText` put, in the transaction that redacts the event. */
export function unindexText(tx: Tx, { pdu, room, order }: StoredEvent): void {
  for (const word of indexedWords(pdu)) tx.delete(postings, [room, word, order]);
}
