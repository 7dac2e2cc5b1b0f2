// MSC3757, owned state.
import { test } from 'node:test';
import { inRoom } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const TYPE = 'org.example.beacon';

test('a state key with a user id and a suffix belongs to that user, and to who has more power', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (const room_version of ['org.matrix.msc3757.10', 'org.matrix.msc3757.11']) {
    const room = await alice.createRoom({
      room_version,
      preset: 'public_chat',
      power_level_content_override: { events: { [TYPE]: 0 } },
    });
    await bob.join(room);
    await bob.setState(room, TYPE, `${bob.userId}_phone:!@#$`, {});
    await alice.setState(room, TYPE, `${bob.userId}_phone`, {});
    await bob.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', TYPE, `${alice.userId}_phone`), {});
    await alice.fails(400, 'M_BAD_JSON', 'PUT', inRoom(room, 'state', TYPE, '@oops'), {});
  }
});

test('in other versions such a key belongs to nobody', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ room_version: '11' });
  await alice.setState(room, TYPE, alice.userId, {});
  await alice.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', TYPE, `${alice.userId}_phone`), {});
});
