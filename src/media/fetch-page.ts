import type { PreviewOptions } from '#media/media.js';
import { RemoteError, type RemoteResponse } from '#remote/http.js';
import type { Clock } from '#util/clock.js';
import { VERSION } from '#util/version.js';

const MOST_REDIRECTS = 5;
/** Pages say what they are about near their beginning; images longer than this are left out. */
const MAX_BYTES = 5 * 1024 * 1024;
const MAX_URL_LENGTH = 2048;

/** What lay at a URL, after redirects. */
export interface Fetched {
  readonly url: URL;
  readonly body: Buffer;
  /** The body went on. */
  readonly isCut: boolean;
  readonly contentType: string;
}

/**
 * Whether a URL may be asked at all. Which address its host has is looked at when the socket is opened. Ports below 1024
 * other than the web's belong to services that a crafted request could confuse.
 */
export function mayFetch(url: URL, deny: readonly string[]): boolean {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  if (url.username !== '' || url.password !== '' || url.href.length > MAX_URL_LENGTH) return false;
  const port = url.port === '' ? 443 : Number(url.port);
  if (port < 1024 && port !== 80 && port !== 443) return false;
  const host = url.hostname.toLowerCase().replace(/\.$/, '');
  return !deny.some((one) => (one.startsWith('*.') ? host.endsWith(one.slice(1)) : host === one));
}

/**
 * Gets what lies at a URL, within `deadlineMs` of the monotonic clock. Each redirect is checked like the first URL.
 * Undefined where there is nothing to be had, whatever the reason: it would tell about the network that this server is in.
 */
export async function fetchPage(
  { http, deny }: PreviewOptions,
  clock: Clock,
  start: URL,
  deadlineMs: number,
): Promise<Fetched | undefined> {
  let url = start;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const timeoutMs = deadlineMs - clock.monotonicMs();
    if (!mayFetch(url, deny) || timeoutMs <= 0) return undefined;
    let response: RemoteResponse;
    try {
      response = await http.request({
        method: 'GET',
        url: url.href,
        headers: {
          // Sites that draw their pages by script give previews to those who say that they are no browser.
          'user-agent': `Runnel/${VERSION} (bot; link previews)`,
          accept: 'text/html,application/xhtml+xml,image/*;q=0.9,*/*;q=0.1',
          'accept-encoding': 'identity',
        },
        timeoutMs,
        maxBytes: MAX_BYTES,
        cutOff: true,
      });
    } catch (error) {
      if (error instanceof RemoteError) return undefined;
      throw error;
    }
    const header = (name: string): string => String(response.headers[name] ?? '');
    if (response.status >= 300 && response.status < 400 && header('location') !== '') {
      const next = header('location');
      if (!URL.canParse(next, url.href)) return undefined;
      url = new URL(next, url);
      continue;
    }
    const coding = header('content-encoding').toLowerCase();
    if (response.status !== 200 || (coding !== '' && coding !== 'identity')) return undefined;
    return { url, body: response.body, isCut: response.isCut === true, contentType: header('content-type') };
  }
  return undefined;
}
