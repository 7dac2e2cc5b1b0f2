import { MatrixError } from '#core/errors.js';
import type { Endpoint } from '#http/endpoint.js';
import { assert } from '#util/assert.js';

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

interface Node<App> {
  readonly literals: Map<string, Node<App>>;
  parameter: Node<App> | undefined;
  readonly methods: Map<string, Route<App>>;
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_]*)\}$/;

function node<App>(): Node<App> {
  return { literals: new Map(), parameter: undefined, methods: new Map() };
}

/** Names of the `{parameters}` of a path, from left to right. */
function parameterNames(path: string): string[] {
  return path.split('/').flatMap((segment) => PARAMETER.exec(segment)?.[1] ?? []);
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
      this.#add(endpoint, endpoint.path);
      for (const alias of endpoint.aliases) this.#add(endpoint, alias);
    }
  }

  #add(endpoint: Endpoint<App>, path: string): void {
    assert(path.startsWith('/'), `path of ${endpoint.id} does not start with a slash: ${path}`);
    let at = this.#root;
    for (const segment of path.slice(1).split('/')) {
      assert(PARAMETER.test(segment) || !/[{}]/.test(segment), `odd parameter in the path of ${endpoint.id}: ${path}`);
      if (PARAMETER.test(segment)) {
        at.parameter ??= node();
        at = at.parameter;
      } else {
        const next = at.literals.get(segment) ?? node<App>();
        at.literals.set(segment, next);
        at = next;
      }
    }
    const other = at.methods.get(endpoint.method)?.endpoint;
    assert(other === undefined, `${endpoint.method} ${path} is declared by ${endpoint.id} and ${other?.id}`);
    const names = parameterNames(path);
    const omitted = parameterNames(endpoint.path).filter((name) => !names.includes(name));
    at.methods.set(endpoint.method, { endpoint, names, omitted });
    if (names.length === 0) this.#literalPaths.set(path, at);
  }

  /**
   * Finds the route for a raw path (no query). `HEAD` is answered as `GET`. Parameters that the canonical path has and
   * the alias lacks are empty strings, as with a state event's omitted key.
   *
   * Throws `M_INVALID_PARAM` for a parameter that is not valid percent-encoded UTF-8.
   */
  match(method: string, path: string): Match<App> {
    const wanted = method === 'HEAD' ? 'GET' : method;
    const literal = this.#literalPaths.get(path)?.methods.get(wanted);
    if (literal !== undefined && literal.omitted.length === 0) {
      return { kind: 'route', route: literal, params: NO_PARAMS };
    }
    const segments = path.slice(1).split('/');
    const values: string[] = [];
    let known = false;
    const search = (at: Node<App>, depth: number): Route<App> | undefined => {
      if (depth === segments.length) {
        known ||= at.methods.size > 0;
        return at.methods.get(wanted);
      }
      const segment = segments[depth] ?? '';
      const next = at.literals.get(segment);
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
