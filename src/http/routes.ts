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
  /** One for each method. */
  routes: Route<App>[] | undefined;
}

/** The endpoints whose paths begin with the same literal segments. */
interface Branch<App> {
  readonly root: Node<App>;
  /** Until the first request for one of them. */
  waiting: Endpoint<App>[] | undefined;
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
/** Literal segments, and parameters that are whole segments. */
const PATH = /^(\/([^/{}]*|\{[A-Za-z_][A-Za-z0-9_]*\}))+$/;
/** Segments by which branches are told apart: `_matrix`, `client`, `v3`. */
const BRANCH_SEGMENTS = 3;

const NONE: readonly never[] = [];

function node<App>(): Node<App> {
  return { literals: undefined, parameter: undefined, routes: undefined };
}

/**
 * The table of endpoints as a tree of path segments. It works on the raw request target: segments are split at `/`
 * before anything is decoded, nothing is normalised (`..`, `//`, `%2e`), and each parameter is decoded exactly once,
 * so that `%2F` stays inside its parameter. A literal segment wins over a parameter where both have the method.
 *
 * Branches grow when they are first asked for: a third of all paths are `r0`, which hardly any client uses.
 */
export class Routes<App> {
  readonly #branches = new Map<string, Branch<App>>();
  /** Paths without parameters, which are most of the busy ones, of the branches that have grown. */
  readonly #literalPaths = new Map<string, Node<App>>();

  constructor(endpoints: readonly Endpoint<App>[]) {
    for (const endpoint of endpoints) {
      this.#branch(endpoint.path).push(endpoint);
      for (const alias of endpoint.aliases) {
        const waiting = this.#branch(alias);
        if (waiting.at(-1) !== endpoint) waiting.push(endpoint);
      }
    }
  }

  /** Grows all branches. Throws on an odd path, and on two endpoints for one method and path. */
  grow(): void {
    for (const [start, branch] of this.#branches) this.#grow(start, branch);
  }

  #branch(path: string): Endpoint<App>[] {
    const start = path.slice(0, startOf(path, BRANCH_SEGMENTS));
    let branch = this.#branches.get(start);
    if (branch === undefined) {
      branch = { root: node(), waiting: [] };
      this.#branches.set(start, branch);
    }
    return branch.waiting ?? [];
  }

  #grow(start: string, branch: Branch<App>): void {
    const { waiting = [] } = branch;
    branch.waiting = undefined;
    for (const endpoint of waiting) {
      const all = namesIn(endpoint.path);
      for (const path of [endpoint.path, ...endpoint.aliases]) {
        if (path.slice(0, startOf(path, BRANCH_SEGMENTS)) === start) this.#add(endpoint, path, all, branch.root);
      }
    }
  }

  /** `all` are the names of the canonical path's parameters. */
  #add(endpoint: Endpoint<App>, path: string, all: readonly string[], root: Node<App>): void {
    if (!PATH.test(path)) throw new InvariantError(`odd path of ${endpoint.id}: ${path}`);
    let at = root;
    for (const segment of segmentsAfter(path, startOf(path, BRANCH_SEGMENTS))) {
      if (segment[0] === '{') {
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
    at.routes ??= [];
    const other = routeOf(at, endpoint.method)?.endpoint;
    if (other !== undefined) {
      throw new InvariantError(`${endpoint.method} ${path} is declared by ${endpoint.id} and ${other.id}`);
    }
    const names = namesIn(path);
    at.routes.push({ endpoint, names, omitted: all.filter((name) => !names.includes(name)) });
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
    const literal = routeOf(this.#literalPaths.get(path), wanted);
    if (literal !== undefined && literal.omitted.length === 0) {
      return { kind: 'route', route: literal, params: NO_PARAMS };
    }
    let isKnown = false;
    // The most literal branch first.
    for (let most = BRANCH_SEGMENTS, before = -1; most >= 0; most--) {
      const start = startOf(path, most);
      const branch = start === before ? undefined : this.#branches.get(path.slice(0, start));
      before = start;
      if (branch === undefined) continue;
      if (branch.waiting !== undefined) this.#grow(path.slice(0, start), branch);
      const values: string[] = [];
      const segments = segmentsAfter(path, start);
      const search = (at: Node<App>, depth: number): Route<App> | undefined => {
        if (depth === segments.length) {
          isKnown ||= at.routes !== undefined;
          return routeOf(at, wanted);
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
      const route = search(branch.root, 0);
      if (route !== undefined) return { kind: 'route', route, params: paramsOf(route, values) };
    }
    return { kind: isKnown ? 'wrongMethod' : 'unknown' };
  }
}

function routeOf<App>(at: Node<App> | undefined, method: string): Route<App> | undefined {
  for (const route of at?.routes ?? NONE) if (route.endpoint.method === method) return route;
  return undefined;
}

/** How many characters the leading literal segments of a path have, `most` of them at most. */
function startOf(path: string, most: number): number {
  let end = 0;
  for (let count = 0; count < most && end < path.length && path[end + 1] !== '{'; count++) {
    const next = path.indexOf('/', end + 1);
    end = next < 0 ? path.length : next;
  }
  return end;
}

/** The segments of a path from the slash at `start` on. */
function segmentsAfter(path: string, start: number): string[] {
  return start === path.length ? [] : path.slice(start + 1).split('/');
}

function namesIn(path: string): string[] {
  return path.split('/').flatMap((segment) => (segment[0] === '{' ? [segment.slice(1, -1)] : []));
}

function paramsOf<App>({ names, omitted }: Route<App>, values: readonly string[]): Readonly<Record<string, string>> {
  const params: Record<string, string> = {};
  for (const name of omitted) params[name] = '';
  names.forEach((name, index) => {
    params[name] = decodeSegment(name, values[index] ?? '');
  });
  return params;
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
