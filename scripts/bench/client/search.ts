import { type Json, times, type User, type World } from '../workload/world.js';
import { Language } from './language.js';
import type { Report } from './report.js';

/** What is searched, and how often. */
export interface Searched {
  readonly viewer: User;
  readonly messages: number;
  readonly largestRoom: string;
  readonly count: number;
}

interface Asked {
  readonly term: string;
  readonly orderBy: 'rank' | 'recent';
  readonly rooms?: readonly string[];
  readonly from?: string;
}

async function search(world: World, viewer: User, { term, orderBy, rooms, from }: Asked): Promise<Json> {
  const filter = { limit: 10, ...(rooms && { rooms }) };
  const query = from === undefined ? '' : `?next_batch=${encodeURIComponent(from)}`;
  const room_events = { search_term: term, order_by: orderBy, keys: ['content.body'], filter };
  const body = await world.ok('POST', `/_matrix/client/v3/search${query}`, viewer, {
    search_categories: { room_events },
  });
  return (body['search_categories'] as Json)['room_events'] as Json;
}

/** Searches for words of all frequencies, each time another where there are many. */
export async function measureSearch(world: World, report: Report, searched: Searched): Promise<void> {
  const { viewer, messages, largestRoom, count } = searched;
  const language = new Language(4);
  const ask = (asked: Asked): Promise<Json> => search(world, viewer, asked);
  /** Words about as frequent as the one that stands in `times` messages. */
  const word = (times: number, i: number): string => language.wordOfFrequency(times * (1 + i / count), messages);
  const frequent = (i: number): string => Language.word(i % 5);
  const row = (name: string, repeats: number, asked: (i: number) => Asked): Promise<void> =>
    report.times(`search, ${name}`, () => times(repeats, (i) => ask(asked(i))));

  const few = Math.ceil(count / 5);
  await row('word in 20 to 40 messages', count, (i) => ({ term: word(20, i), orderBy: 'rank' }));
  const some = Math.round(messages / 1_000);
  await row('word in one of 500 to 1,000', count, (i) => ({ term: word(some, i), orderBy: 'rank' }));
  await row('one of the 5 commonest, newest first', few, (i) => ({ term: frequent(i), orderBy: 'recent' }));
  await row('one of the 5 commonest, best first', few, (i) => ({ term: frequent(i), orderBy: 'rank' }));
  await row('two of the commonest', few, (i) => ({ term: `${frequent(i)} ${frequent(i + 1)}`, orderBy: 'rank' }));
  await row('rare word and common one', count, (i) => ({ term: `${word(20, i)} ${frequent(i)}`, orderBy: 'rank' }));
  const rooms = [largestRoom];
  await row('common word in the largest room', few, (i) => ({ term: frequent(i), orderBy: 'recent', rooms }));
  await row('word that is nowhere', count, (i) => ({ term: `nowhere${i}`, orderBy: 'rank' }));
  const first = await ask({ term: frequent(0), orderBy: 'recent' });
  const from = first['next_batch'];
  if (typeof from !== 'string') throw new Error('a common word had one page of results only');
  await row('second page of a common word', few, () => ({ term: frequent(0), orderBy: 'recent', from }));
}
