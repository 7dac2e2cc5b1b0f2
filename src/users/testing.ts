import { ServerName, type UserId } from '#core/ids.js';
import type { Store } from '#store/types.js';
import { addUser } from '#users/accounts.js';
import { openUsers, type Users, type UsersParts } from '#users/users.js';
import type { Clock } from '#util/clock.js';
import { seededRandom } from '#util/random.js';

let opened = 0;

/** The layer of accounts on a test store, with open registration and rooms that do nothing unless given. */
export function openTestUsers(store: Store, clock: Clock, parts: Partial<UsersParts> = {}): Users {
  return openUsers({
    store,
    clock,
    // Another seed each time, as another run of a server would have.
    random: seededRandom(`users ${opened++}`),
    serverName: ServerName.parse('test')!,
    rooms: { leave: async () => {}, showProfile: async () => {} },
    onTaskError: (error) => {
      throw error;
    },
    ...parts,
    options: { registration: 'open', limitAttempts: false, ...parts.options },
  });
}

/** An account with the password `secret`. */
export async function testUser(users: Users, name: string): Promise<UserId> {
  return await addUser(users, { name, password: 'secret' });
}
