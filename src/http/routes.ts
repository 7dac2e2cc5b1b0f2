import { MatrixError } from '#core/errors.js';
import type { Endpoint } from '#http/endpoint.js';
import { InvariantError } from '#util/assert.js';

/** One path of one endpoint, with the names of its parameters from left to right. */
export interface Route<App> {
  readonly endpoint: Endpoint<App>;
  readonly names: readonly string[];
  /** Parameters of the canonical path that this alias lacks. */
  readonly omitted: readonly string[];
}

/** What a method and path lead to: a route, or a known path that lacks the method, or nothing. */
export type Match<App> =
  | { readonly kind: 'route'; readonly route: Route<App>; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'wrongMethod' }
  | { readonly kind: 'unknown' };

/** Most nodes have only one of these, and there are a thousand. */
interface Node<App> {
  literals: Map<string, Node<App>> | undefined;
  parameter: Node<App> | undefined;
  methods: Map<string, Route<App>> | undefined;
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
/** Literal segments, and parameters that are whole segments. */
const PATH = /^(\/([^/{}]*|\{[A-Za-z_][A-Za-z0-9_]*\}))+$/;

function node<App>(): Node<App> {
  return { literals: undefined, parameter: undefined, methods: undefined };
}

/**
 * The table of endpoints as a tree of path segments. It works on the raw request target: segments are split at `/`
 * before anything is decoded, nothing is normalised (`..`, `//`, `%2e`), and each parameter is decoded exactly once,
 * so that `%2F` stays inside its parameter. A literal segment wins over a parameter where both have the method.
 */
export class Routes<App> {
  readonly #root: Node<App> = node();
  /** Paths without parameters, which are most of the busy ones. */
  readonly #literalPaths = new Map<string, Node<App>>();

  constructor(endpoints: readonly Endpoint<App>[]) {
    for (const endpoint of endpoints) {
      const all = this.#add(endpoint, endpoint.path);
      for (const alias of endpoint.aliases) this.#add(endpoint, alias, all);
    }
  }

  /** Returns the names of the path's parameters; `all` are those of the canonical path. */
  #add(endpoint: Endpoint<App>, path: string, all: readonly string[] = []): string[] {
    if (!PATH.test(path)) throw new InvariantError(`odd path of ${endpoint.id}: ${path}`);
    const names: string[] = [];
    let at = this.#root;
    for (const segment of path.slice(1).split('/')) {
      if (segment[0] === '{') {
        names.push(segment.slice(1, -1));
        at.parameter ??= node();
        at = at.parameter;
        continue;
      }
      at.literals ??= new Map();
      let next = at.literals.get(segment);
      if (next === undefined) {
        next = node();
        at.literals.set(segment, next);
      }
      at = next;
    }
    at.methods ??= new Map();
    const other = at.methods.get(endpoint.method)?.endpoint;
    if (other !== undefined) {
      throw new InvariantError(`${endpoint.method} ${path} is declared by ${endpoint.id} and ${other.id}`);
    }
    at.methods.set(endpoint.method, { endpoint, names, omitted: all.filter((name) => !names.includes(name)) });
    if (names.length === 0) this.#literalPaths.set(path, at);
    return names;
  }

  /**
   * Finds the route for a raw path (no query). `HEAD` is answered as `GET`. Parameters that the canonical path has and
   * the alias lacks are empty strings, as with a state event's omitted key.
   *
   * Throws `M_INVALID_PARAM` for a parameter that is not valid percent-encoded UTF-8.
   */
  match(method: string, path: string): Match<App> {
    const wanted = method === 'HEAD' ? 'GET' : method;
    const literal = this.#literalPaths.get(path)?.methods?.get(wanted);
    if (literal !== undefined && literal.omitted.length === 0) {
      return { kind: 'route', route: literal, params: NO_PARAMS };
    }
    const segments = path.slice(1).split('/');
    const values: string[] = [];
    let known = false;
    const search = (at: Node<App>, depth: number): Route<App> | undefined => {
      if (depth === segments.length) {
        known ||= at.methods !== undefined;
        return at.methods?.get(wanted);
      }
      const segment = segments[depth] ?? '';
      const next = at.literals?.get(segment);
      const found = next === undefined ? undefined : search(next, depth + 1);
      if (found !== undefined || at.parameter === undefined) return found;
      values.push(segment);
      const byParameter = search(at.parameter, depth + 1);
      if (byParameter === undefined) values.pop();
      return byParameter;
    };
    const route = search(this.#root, 0);
    if (route === undefined) return { kind: known ? 'wrongMethod' : 'unknown' };
    const params: Record<string, string> = {};
    for (const name of route.omitted) params[name] = '';
    route.names.forEach((name, index) => {
      params[name] = decodeSegment(name, values[index] ?? '');
    });
    return { kind: 'route', route, params };
  }
}

/** Decodes one raw path segment, once. */
function decodeSegment(name: string, raw: string): string {
  if (/^[!-$&-~]*$/.test(raw)) return raw;
  try {
    // Bytes outside ASCII reach us as Latin-1; no client that follows RFC 3986 sends them.
    if (/^[!-~]*$/.test(raw)) return decodeURIComponent(raw);
  } catch {
    // Falls through to the refusal below.
  }
  throw new MatrixError('M_INVALID_PARAM', `'${name}' in the path is not valid percent-encoded UTF-8`);
}
