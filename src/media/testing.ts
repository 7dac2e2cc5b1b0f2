import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ServerName, type UserId } from '#core/ids.js';
import { closeMedia, type Media, type MediaOptions, openMedia } from '#media/media.js';
import { openTestStore, type TestStore } from '#store/testing.js';
import { silentLog } from '#util/log.js';
import { seededRandom } from '#util/random.js';

export const ALICE = '@alice:test' as UserId;
export const BOB = '@bob:test' as UserId;

/** A body in the pieces given. */
export async function* pieces(...given: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const one of given) yield Buffer.from(one);
}

/** The media repository of the server `test` on a fresh store and simulated time, until the test ends. */
export async function openTestMedia(
  t: TestContext,
  options: Partial<MediaOptions> = {},
): Promise<{ readonly media: Media; readonly test: TestStore }> {
  const test = await openTestStore();
  const media = openMedia({
    store: test.store,
    clock: test.clock,
    random: seededRandom('media'),
    serverName: ServerName.parse('test')!,
    log: silentLog,
    options: { directory: join(test.directory, 'media'), maxUploadBytes: 1 << 22, legacyOpen: false, ...options },
  });
  t.after(async () => {
    await closeMedia(media);
    await test[Symbol.asyncDispose]();
  });
  return { media, test };
}
