import type { ThumbnailJob, ThumbnailMade } from '#media/make-thumbnail.js';
import type { OembedJob } from '#media/oembed.js';
import type { PageTags, PageTagsJob } from '#media/page-tags.js';

/** What the media process does. */
export type Job = ThumbnailJob | PageTagsJob | OembedJob;
export type JobResult<J extends Job> = J extends ThumbnailJob ? ThumbnailMade : PageTags;
