import { MatrixError } from '#core/errors.js';
import type { JsonObject } from '#core/json-value.js';
import { essence } from '#media/disposition.js';
import { type Fetched, fetchPage } from '#media/fetch-page.js';
import { imageHeader } from '#media/image-header.js';
import type { Media, PreviewOptions } from '#media/media.js';
import type { PageTags } from '#media/page-tags.js';
import { cachedPreview, keepPreview } from '#media/preview-cache.js';
import { storeFetched } from '#media/upload.js';
import { WorkerError } from '#media/worker.js';

/** For the page, its redirects, its oEmbed answer and its image together. */
const WITHIN_MS = 20_000;
const MOST_AT_ONCE = 8;
/** Of a page, so much is parsed. */
const PAGE_BYTES = 2 * 1024 * 1024;
/** An oEmbed answer longer than this is left out. */
const OEMBED_BYTES = 256 * 1024;
const MAX_URL_LENGTH = 2048;

/**
 * Open Graph properties of a web page (client-server API, GET /preview_url), its image stored here.
 * Throws `M_INVALID_PARAM` for what is no URL, `M_LIMIT_EXCEEDED` when too many pages are being fetched, and `M_UNKNOWN` 502 for
 * every page that can't be had or may not be asked, without saying which.
 */
export async function previewOf(media: Media, previews: PreviewOptions, given: string): Promise<JsonObject> {
  if (given.length > MAX_URL_LENGTH || !URL.canParse(given)) throw new MatrixError('M_INVALID_PARAM', 'Not a URL');
  const url = new URL(given);
  url.hash = '';
  const cached = cachedPreview(media, url.href);
  const properties = cached === undefined ? await fetched(media, previews, url) : cached.properties;
  if (properties === undefined) {
    throw new MatrixError('M_UNKNOWN', 'There is no preview of this page', { status: 502 });
  }
  return properties;
}

async function fetched(media: Media, previews: PreviewOptions, url: URL): Promise<JsonObject | undefined> {
  const key = `preview ${url.href}`;
  let running = media.shared.get(key) as Promise<JsonObject | undefined> | undefined;
  if (running === undefined) {
    const others = [...media.shared.keys()].filter((one) => one.startsWith('preview '));
    if (others.length >= MOST_AT_ONCE) {
      throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many pages are being fetched', {
        extra: { retry_after_ms: 2000 },
      });
    }
    running = make(media, previews, url).finally(() => media.shared.delete(key));
    media.shared.set(key, running);
  }
  return running;
}

async function make(media: Media, previews: PreviewOptions, url: URL): Promise<JsonObject | undefined> {
  const deadlineMs = media.clock.monotonicMs() + WITHIN_MS;
  const page = await fetchPage(previews, media.clock, url, deadlineMs);
  const properties = page === undefined ? undefined : await describe(media, previews, page, deadlineMs);
  await keepPreview(media, url.href, properties);
  return properties;
}

async function describe(
  media: Media,
  previews: PreviewOptions,
  page: Fetched,
  deadlineMs: number,
): Promise<JsonObject | undefined> {
  const image = await storedImage(media, page);
  if (image !== undefined) return image;
  if (!['text/html', 'application/xhtml+xml'].includes(essence(page.contentType))) return {};
  try {
    const body = page.body.subarray(0, PAGE_BYTES);
    const tags = await media.worker.run({ kind: 'page', body, contentType: page.contentType });
    const embed = await oembedOf(media, previews, tags, page.url, deadlineMs);
    const address = embed?.image ?? tags.image;
    const shown =
      address === undefined || !URL.canParse(address, page.url.href)
        ? undefined
        : await fetchPage(previews, media.clock, new URL(address, page.url), deadlineMs);
    const own = shown === undefined ? undefined : await storedImage(media, shown);
    // What the page says about its image is about the one that it names, not the one that is stored here.
    const rest = tags.properties.filter(([name]) => !name.startsWith('og:image'));
    return { ...Object.fromEntries(rest), ...Object.fromEntries(embed?.properties ?? []), ...own };
  } catch (error) {
    if (error instanceof WorkerError) return undefined;
    throw error;
  }
}

/** What a page says by oEmbed, where it links to that: about what it shows rather than about itself. */
async function oembedOf(
  media: Media,
  previews: PreviewOptions,
  { oembed }: PageTags,
  base: URL,
  deadlineMs: number,
): Promise<PageTags | undefined> {
  if (oembed === undefined || !URL.canParse(oembed, base.href)) return undefined;
  const answer = await fetchPage(previews, media.clock, new URL(oembed, base), deadlineMs);
  if (answer === undefined || answer.body.length > OEMBED_BYTES) return undefined;
  return media.worker.run({ kind: 'oembed', body: answer.body });
}

/** Stores an image; undefined where it is none that browsers show, or too large. */
async function storedImage(media: Media, { body, isCut }: Fetched): Promise<JsonObject | undefined> {
  const header = isCut ? undefined : imageHeader(body);
  if (header === undefined) return undefined;
  try {
    const id = await storeFetched(media, body, header.type);
    return {
      'og:image': `mxc://${media.serverName}/${id}`,
      'og:image:type': header.type,
      'og:image:width': header.width,
      'og:image:height': header.height,
      'matrix:image:size': body.length,
    };
  } catch (error) {
    // Previews have a quota of their own: past it they go without images.
    if (error instanceof MatrixError && error.errcode === 'M_FORBIDDEN') return undefined;
    throw error;
  }
}
