import { canonicalJsonSteps } from '#core/canonical-json.js';
import { ServerName } from '#core/ids.js';
import { JsonError } from '#core/json.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { type SigningKey, signedBytes, verifySignature } from '#core/signing.js';

/** The parameters of an `Authorization: X-Matrix …` header (server-server API, Request Authentication). */
export interface XMatrix {
  readonly origin: ServerName;
  /** Absent in requests of servers older than version 1.3 of the specification. */
  readonly destination?: ServerName;
  /** Key id with its algorithm: `ed25519:a_1`. */
  readonly key: string;
  /** Unpadded base64. */
  readonly sig: string;
}

/** What a request's signature covers. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query exactly as they stand in the request line: never decoded, never normalised. */
  readonly uri: string;
  readonly origin: ServerName;
  readonly destination: ServerName;
  /** The parsed body; undefined where the request has none. */
  readonly content?: JsonValue | undefined;
}

const SCHEME = /^x-matrix +/i;
const MAX_HEADER_LENGTH = 4096;
const NAME = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** A token, and besides what older servers leave unquoted: colons, brackets of IPv6, and base64. */
const BARE_VALUE = /[!#$%&'*+.^_`|~0-9A-Za-z:/=[\]-]*/y;
const QUOTED_VALUE = /"((?:[^"\\]|\\.)*)"/y;
const GAP = /[ \t]*/y;

/**
 * Reads the header's value. Lenient about spacing, case of names, order, quoting and unknown parameters; undefined where
 * a needed one is missing, given twice (so that no one can read it differently) or no server name.
 */
export function parseXMatrix(header: string): XMatrix | undefined {
  if (header.length > MAX_HEADER_LENGTH) return undefined;
  const scheme = SCHEME.exec(header)?.[0];
  const parameters = scheme === undefined ? undefined : parseParameters(header, scheme.length);
  if (parameters === undefined) return undefined;
  const origin = ServerName.parse(parameters.get('origin'));
  const key = parameters.get('key');
  const sig = parameters.get('sig');
  if (origin === undefined || !key || !sig) return undefined;
  if (!parameters.has('destination')) return { origin, key, sig };
  const destination = ServerName.parse(parameters.get('destination'));
  return destination === undefined ? undefined : { origin, destination, key, sig };
}

function parseParameters(header: string, start: number): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  let at = start;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length) {
    take(GAP);
    // Empty elements of a list are allowed (RFC 9110, section 5.6.1.2).
    if (header[at] === ',') {
      at++;
      continue;
    }
    if (at === header.length) break;
    const name = take(NAME)?.[0].toLowerCase();
    take(GAP);
    if (name === undefined || header[at] !== '=') return undefined;
    at++;
    take(GAP);
    const value = header[at] === '"' ? unescaped(take(QUOTED_VALUE)?.[1]) : take(BARE_VALUE)?.[0];
    if (value === undefined || parameters.has(name)) return undefined;
    parameters.set(name, value);
    take(GAP);
    if (at < header.length && header[at] !== ',') return undefined;
  }
  return parameters;
}

function unescaped(quoted: string | undefined): string | undefined {
  return quoted?.replaceAll(/\\(.)/g, '$1');
}

/** The header's value, in the one form that every server reads. */
export function formatXMatrix(parameters: XMatrix & { readonly destination: ServerName }): string {
  const { origin, destination, key, sig } = parameters;
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key}",sig="${sig}"`;
}

/** The JSON object that a request's signature covers. */
export function requestObject(request: SignedRequest): JsonObject {
  const { method, uri, origin, destination, content } = request;
  const object = { method, uri, origin, destination };
  return content === undefined ? object : { ...object, content };
}

/** Signs a request: the value of its `Authorization` header. Throws JsonError where the body has no canonical form. */
export function authorizeRequest(request: SignedRequest, key: SigningKey): string {
  const { origin, destination } = request;
  return formatXMatrix({ origin, destination, key: key.id, sig: key.sign(signedBytes(requestObject(request))) });
}

/** The request itself, its body, and the list of events in that. */
const LEVELS = 3;

/**
 * Whether the header's signature is that of the request, made with the given public key (base64). The caller has checked
 * that the destination is this server and that the key is the origin's and valid now. False too where the body has no
 * canonical form. In steps, about one for each event: a transaction has megabytes.
 */
export function* requestSignatureSteps(
  header: XMatrix,
  request: SignedRequest,
  publicKey: string,
): Generator<void, boolean, void> {
  if (header.origin !== request.origin) return false;
  try {
    const text = yield* canonicalJsonSteps(requestObject(request), LEVELS);
    return verifySignature(publicKey, header.sig, Buffer.from(text));
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}
