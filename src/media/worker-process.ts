/**
 * The process in which images are decoded and web pages parsed; see `media/worker.ts`. It takes one job at a time and answers
 * each with `{ result }` or `{ error }`. It ends when the server does.
 */
import type { Job } from '#media/job.js';

async function work(job: Job): Promise<unknown> {
  // Loaded by need: who only looks at pages needs no decoder in memory.
  if (job.kind === 'thumbnail') return (await import('#media/make-thumbnail.js')).makeThumbnail(job);
  if (job.kind === 'oembed') return (await import('#media/oembed.js')).oembedTags(job);
  return (await import('#media/page-tags.js')).pageTags(job);
}

process.on('disconnect', () => process.exit(0));
process.on('message', (job: Job) => {
  work(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : 'unknown error' }),
  );
});
