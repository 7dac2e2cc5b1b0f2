import { isObject, type JsonValue, ownString } from '#core/json-value.js';
import { fragmentOf, type PageTags, tidyText, writtenAddress } from '#media/page-tags.js';

/** Runs in the media process (`media/worker.ts`). */
export interface OembedJob {
  readonly kind: 'oembed';
  /** JSON as a page's oEmbed link gave it. */
  readonly body: Uint8Array;
}

/**
 * An oEmbed answer (oembed.com, version 1.0) as properties of the Open Graph: a photo is its image, a video the frame in which
 * it plays, and of rich content the words are told. Whatever is no such answer yields nothing.
 */
export function oembedTags({ body }: OembedJob): PageTags {
  const properties = new Map<string, string>();
  const offer = (name: string, given: string | undefined): void => {
    const text = tidyText(given ?? '');
    if (text !== '') properties.set(name, text);
  };
  const answer = parsed(body);
  const type = isObject(answer) ? ownString(answer, 'type') : undefined;
  if (!isObject(answer) || type === undefined) return { properties: [] };
  offer('og:title', ownString(answer, 'title'));
  offer('og:site_name', ownString(answer, 'provider_name'));
  const { text, frame } = fragmentOf(ownString(answer, 'html') ?? '');
  if (type === 'rich') offer('og:description', text);
  if (type === 'video') {
    offer('og:type', 'video.other');
    if (frame !== undefined && /^https?:\/\//i.test(frame)) offer('og:video', frame);
  }
  const photo = type === 'photo' ? ownString(answer, 'url') : undefined;
  const image = writtenAddress(photo ?? ownString(answer, 'thumbnail_url') ?? '');
  return { properties: [...properties], ...(image !== undefined && { image }) };
}

function parsed(body: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as JsonValue;
  } catch {
    return undefined;
  }
}
