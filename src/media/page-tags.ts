import { Parser } from 'htmlparser2';

/** Runs in the media process (`media/worker.ts`). */
export interface PageTagsJob {
  readonly kind: 'page';
  readonly body: Uint8Array;
  /** `Content-Type` of the answer. */
  readonly contentType: string;
}

/** What a page says about itself; texts are plain and bounded. */
export interface PageTags {
  /** Properties of the Open Graph, `og:title` and the like, the first of each name. */
  readonly properties: readonly (readonly [name: string, value: string])[];
  /** Address of an image, as written. */
  readonly image?: string;
  /** Address of what the page says about itself by oEmbed, as written. */
  readonly oembed?: string;
}

const MOST_PROPERTIES = 50;
const MAX_NAME_LENGTH = 50;
const MAX_TEXT_LENGTH = 1000;
const MAX_URL_LENGTH = 2048;
/** No page that means well nests deeper, and the parser's work grows with depth. */
const MAX_DEPTH = 400;
const CHUNK_LENGTH = 4096;
const PRESCAN_BYTES = 1024;
/** Type by which a page links to what it says by oEmbed (oembed.com, section 4). */
const OEMBED = 'application/json+oembed';

/** A text on one line, and not too long. */
export function tidyText(given: string): string {
  return given
    .slice(0, 4 * MAX_TEXT_LENGTH)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_TEXT_LENGTH)
    .toWellFormed();
}

/** An address as written; undefined where there is none, or no sensible one. */
export function writtenAddress(given: string): string | undefined {
  const trimmed = given.trim();
  return trimmed === '' || trimmed.length > MAX_URL_LENGTH ? undefined : trimmed;
}

/** Gives `text` to `parser` in pieces, until all of it is read or `isEnough`. */
function feed(parser: Parser, text: string, isEnough: () => boolean): void {
  for (let at = 0; at < text.length && !isEnough(); at += CHUNK_LENGTH) parser.write(text.slice(at, at + CHUNK_LENGTH));
  parser.end();
}

/** The words of a piece of HTML, and the address that its first frame shows. */
export function fragmentOf(html: string): { readonly text: string; readonly frame?: string } {
  let text = '';
  let frame: string | undefined;
  let depth = 0;
  let unspoken = 0;
  const isUnspoken = (name: string): boolean => name === 'script' || name === 'style';
  const parser = new Parser({
    onopentag(name, attributes) {
      depth++;
      if (isUnspoken(name)) unspoken++;
      if (name === 'iframe' && Object.hasOwn(attributes, 'src')) frame ??= writtenAddress(attributes['src'] ?? '');
      text += ' ';
    },
    ontext(data) {
      if (unspoken === 0) text += data;
    },
    onclosetag(name) {
      depth--;
      if (isUnspoken(name)) unspoken--;
      text += ' ';
    },
  });
  feed(parser, html, () => depth >= MAX_DEPTH || text.length > 4 * MAX_TEXT_LENGTH);
  return { text: tidyText(text), ...(frame !== undefined && { frame }) };
}

/** Reads the tags of a page in bounded time: whatever is not HTML, or in no known encoding, yields little or nothing. */
export function pageTags({ body, contentType }: PageTagsJob): PageTags {
  const text = decoded(Buffer.from(body), contentType);
  const properties = new Map<string, string>();
  /** What a page says for others, where it says nothing for previews. */
  const fallbacks = new Map<string, string>();
  let ownImage: string | undefined;
  let otherImage: string | undefined;
  let title: string | undefined;
  let inTitle = false;
  let depth = 0;
  let oembed: string | undefined;
  const offer = (name: string, given: string): void => {
    const value = tidyText(given);
    if (value === '' || name.length > MAX_NAME_LENGTH || !/^[\w:.-]+$/.test(name)) return;
    if (!name.startsWith('og:')) {
      if (!fallbacks.has(name)) fallbacks.set(name, value);
    } else if (!properties.has(name) && properties.size < MOST_PROPERTIES) properties.set(name, value);
  };
  const parser = new Parser({
    onopentag(name, attributes) {
      depth++;
      const attribute = (key: string): string | undefined =>
        Object.hasOwn(attributes, key) ? attributes[key] : undefined;
      if (name === 'title' && title === undefined) inTitle = true;
      if (name === 'meta') {
        const content = attribute('content') ?? '';
        const property = (attribute('property') ?? attribute('name') ?? '').trim().toLowerCase();
        if (/^og:image(:url|:secure_url)?$/.test(property)) ownImage ??= writtenAddress(content);
        else if (/^twitter:image(:src)?$/.test(property)) otherImage ??= writtenAddress(content);
        else if (/^(og:.+|twitter:(title|description)|description)$/.test(property)) offer(property, content);
      } else if (name === 'link') {
        const target = attribute('href') ?? '';
        if (attribute('rel')?.toLowerCase() === 'image_src') otherImage ??= writtenAddress(target);
        if (attribute('type')?.toLowerCase() === OEMBED) oembed ??= writtenAddress(target);
      }
    },
    ontext(data) {
      if (inTitle && (title ?? '').length < 4 * MAX_TEXT_LENGTH) title = (title ?? '') + data;
    },
    onclosetag(name) {
      depth--;
      if (name === 'title') inTitle = false;
    },
  });
  feed(parser, text, () => depth >= MAX_DEPTH);
  const heading = fallbacks.get('twitter:title') ?? title;
  if (!properties.has('og:title') && heading !== undefined) offer('og:title', heading);
  const summary = fallbacks.get('twitter:description') ?? fallbacks.get('description');
  if (!properties.has('og:description') && summary !== undefined) offer('og:description', summary);
  const image = ownImage ?? otherImage;
  return {
    properties: [...properties],
    ...(image !== undefined && { image }),
    ...(oembed !== undefined && { oembed }),
  };
}

/** The text of a page: by its byte order mark, its `Content-Type`, or what it says itself; UTF-8 where none is known. */
function decoded(body: Buffer, contentType: string): string {
  const start = body.toString('latin1', 0, PRESCAN_BYTES);
  const mark = start.startsWith('\xfe\xff') ? 'utf-16be' : start.startsWith('\xff\xfe') ? 'utf-16le' : undefined;
  const header = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType)?.[1];
  const inside = /<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})/i.exec(start)?.[1];
  const declaration = /^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})/i.exec(start)?.[1];
  // A page whose own words could be read as ASCII can't be in UTF-16, whatever they say.
  const own = [inside, declaration].filter((label) => label !== undefined && !/^utf-?16/i.test(label));
  for (const label of [mark, header, ...own]) {
    if (label === undefined) continue;
    try {
      return new TextDecoder(label).decode(body);
    } catch {
      // No encoding by this name.
    }
  }
  return new TextDecoder().decode(body);
}
