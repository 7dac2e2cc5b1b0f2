// Holds answers against the specification's OpenAPI (data/api/client-server), where its text lies beside the project.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** `SPEC_DATA` names another copy of the specification's `data/api/client-server`. */
const DIRECTORY =
  process.env['SPEC_DATA'] ?? resolve(import.meta.dirname, '../../../../shared/spec/data/api/client-server');

/**
 * Where the OpenAPI asks for what the specification's text does not, and what is therefore not held against an answer:
 * operation and status, the part of the answer (JSON pointer, `*` for one segment), and why.
 */
const KNOWN_ERRORS: readonly { operation: string; status: number; at: string; why: string }[] = [
  {
    operation: 'getJoinedMembersByRoom',
    status: 200,
    at: '/joined/*/*',
    why: 'Complement wants both keys to be there, null where the member has no name or avatar',
  },
];

/** Where Synapse's answers are not as the OpenAPI says; docs/interop.md lists them. */
const SYNAPSE: typeof KNOWN_ERRORS = [
  { operation: 'getDevices', status: 200, at: '/devices/*/*', why: 'null for what is not known' },
  { operation: 'getDevice', status: 200, at: '/*', why: 'null for what is not known' },
  { operation: 'getEvents', status: 200, at: '/chunk/*', why: 'presence without sender and time' },
  { operation: 'getNotifications', status: 200, at: '/notifications/*/profile_tag', why: 'null where there is none' },
  { operation: 'getNotifications', status: 200, at: '/next_token', why: 'null where there is none' },
  { operation: 'searchUserDirectory', status: 200, at: '/results/*/*', why: 'null for no name or avatar' },
  {
    operation: 'search',
    status: 200,
    at: '/search_categories/room_events/results/*/context/profile_info/*/*',
    why: 'null for no name or avatar',
  },
  {
    operation: 'search',
    status: 200,
    at: '/search_categories/room_events/groups/*/*/order',
    why: 'the rank, a fraction, where results are ordered by it',
  },
];
const EXCUSED = process.env['HS_IMPLEMENTATION'] === 'synapse' ? [...KNOWN_ERRORS, ...SYNAPSE] : KNOWN_ERRORS;

interface Operation {
  readonly id: string;
  readonly file: string;
  /** JSON pointers of the answers' schemas, by status. */
  readonly schemas: ReadonlyMap<number, string>;
  /** Statuses with which the OpenAPI names each error code, in words or by example. */
  readonly codes: ReadonlyMap<string, ReadonlySet<number>>;
}
interface Route {
  readonly segments: readonly string[];
  readonly path: string;
  readonly file: string;
}

type Json = Record<string, unknown>;

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false, inlineRefs: false, logger: false });
const documents = new Map<string, Json>();
const validators = new Map<string, ValidateFunction>();
const operations = new Map<string, Operation | undefined>();
let routes: readonly Route[] | undefined;

const pointer = (...parts: readonly string[]): string =>
  parts.map((part) => `/${encodeURIComponent(part.replace(/~/g, '~0').replace(/\//g, '~1'))}`).join('');

/** The paths of every file, found without parsing the files: most tests need few of them. */
function allRoutes(): readonly Route[] {
  if (!existsSync(DIRECTORY)) return [];
  return readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      const text = readFileSync(join(DIRECTORY, file), 'utf8');
      const base = /basePath:\s*\n\s+default:\s*(\S+)/.exec(text)?.[1]?.replace(/["']/g, '') ?? '';
      return [...text.matchAll(/^ {2}["']?(\/[^"'\s]*)["']?:\s*$/gm)].map(([, path]) => ({
        segments: `${base === '/' ? '' : base}${path}`.split('/'),
        path: path!,
        file,
      }));
    });
}

/** Parses a file and every file it refers to. Returns the document of `file`. */
function load(file: string): Json {
  const known = documents.get(file);
  if (known !== undefined) return known;
  const document = parse(readFileSync(file, 'utf8')) as Json;
  documents.set(file, document);
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        if (key === '$ref' && typeof inner === 'string') {
          const [target, at = ''] = inner.split('#');
          const wanted = target === '' ? file : resolve(file, '..', target!);
          // Absolute, because ajv would resolve what is referred to from inside another reference against the wrong file.
          (value as Json)['$ref'] = `${pathToFileURL(wanted).href}#${at}`;
          load(wanted);
        } else if (key !== 'example' && key !== 'examples') walk(inner);
      }
    }
  };
  walk(document);
  ajv.addSchema(document, pathToFileURL(file).href);
  return document;
}

function routeOf(path: string): Route | undefined {
  routes ??= allRoutes();
  const segments = path.replace('/_matrix/client/r0/', '/_matrix/client/v3/').split('/');
  const literal = (route: Route): number => route.segments.filter((part) => !part.startsWith('{')).length;
  return routes
    .filter(
      (route) =>
        route.segments.length === segments.length &&
        route.segments.every((part, i) => part.startsWith('{') || part === segments[i]),
    )
    .sort((a, b) => literal(b) - literal(a))[0];
}

function operationOf(method: string, path: string): Operation | undefined {
  const route = routeOf(path);
  if (route === undefined) return undefined;
  const key = `${method} ${route.file}${route.path}`;
  if (operations.has(key)) return operations.get(key);
  const file = join(DIRECTORY, route.file);
  const paths = load(file)['paths'] as Record<string, Record<string, Json>>;
  const declared = paths[route.path]?.[method.toLowerCase()];
  const operation = declared === undefined ? undefined : read(file, route.path, method.toLowerCase(), declared);
  operations.set(key, operation);
  return operation;
}

function read(file: string, path: string, method: string, declared: Json): Operation {
  const schemas = new Map<number, string>();
  const codes = new Map<string, Set<number>>();
  for (const [status, response] of Object.entries(declared['responses'] as Record<string, Json>)) {
    let at = pointer('paths', path, method, 'responses', status);
    let found = response;
    const ref = response['$ref'];
    if (typeof ref === 'string' && ref.startsWith(`${pathToFileURL(file).href}#/`)) {
      at = ref.split('#')[1]!;
      found = at
        .slice(1)
        .split('/')
        .reduce<Json>((value, part) => value[part] as Json, load(file));
    }
    if (/^[45]/.test(status)) {
      for (const code of JSON.stringify(found).match(/\bM_[A-Z_]*[A-Z]\b/g) ?? []) {
        codes.set(code, (codes.get(code) ?? new Set()).add(Number(status)));
      }
    }
    const content = found['content'] as Record<string, Json> | undefined;
    if (content?.['application/json']?.['schema'] !== undefined) {
      schemas.set(Number(status), `${at}${pointer('content', 'application/json', 'schema')}`);
    }
  }
  return { id: String(declared['operationId']), file, schemas, codes };
}

function isKnown(operation: string, status: number, at: string): boolean {
  return EXCUSED.some((known) => {
    if (known.operation !== operation || known.status !== status) return false;
    const wanted = known.at.split('/');
    const given = at.split('/');
    return wanted.length === given.length && wanted.every((part, i) => part === '*' || part === given[i]);
  });
}

/** Fails for an error without the standard form, or with a code that the OpenAPI names under other statuses only. */
function checkError(operation: Operation, request: string, status: number, error: Json): void {
  const said = `${request}: ${status} ${JSON.stringify(error)}`;
  // What asks for another stage of authentication is no error by its form (User-Interactive Authentication API).
  if (status === 401 && Array.isArray(error['flows'])) {
    assert.equal(typeof error['session'], 'string', said);
    return;
  }
  const { errcode } = error;
  assert.ok(
    typeof errcode === 'string' && typeof error['error'] === 'string',
    `an error has errcode and error: ${said}`,
  );
  // Of this code, "clients should prefer the HTTP status code as a more reliable reference for what the issue was".
  if (errcode === 'M_UNKNOWN') return;
  const statuses = operation.codes.get(errcode);
  if (statuses === undefined || statuses.has(status)) return;
  assert.fail(`the specification has this code with ${[...statuses].join(' or ')}: ${said}`);
}

/**
 * Fails where the answer to `method path` is not what the OpenAPI says for its status; every error of 400 and above must
 * also have the standard form. Does nothing for what is not in the OpenAPI, or where the specification is not there.
 */
export function checkAnswer(method: string, path: string, status: number, body: unknown): void {
  const [resource, parameters = ''] = path.split('?') as [string, string?];
  // An answer to the parameter of a proposal is not what the specification knows.
  if (/(^|&)org\.matrix\.msc\d+\./.test(parameters)) return;
  const operation = operationOf(method, resource);
  if (operation === undefined) return;
  const at = operation.schemas.get(status);
  if (status >= 400) checkError(operation, `${method} ${path}`, status, body as Json);
  if (at === undefined) {
    assert.ok(
      status >= 400 || operation.schemas.size === 0,
      `${method} ${path}: the specification knows no answer ${status}`,
    );
    return;
  }
  const url = `${pathToFileURL(operation.file).href}#${at}`;
  let validate = validators.get(url);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: url });
    validators.set(url, validate);
  }
  if (validate(body)) return;
  const problems = validate.errors!.filter((error) => !isKnown(operation.id, status, error.instancePath));
  assert.deepEqual(
    problems.map((error) => `${error.instancePath || '/'} ${error.message}`),
    [],
    `${method} ${path}: ${status} is not as the OpenAPI's ${operation.id} says: ${JSON.stringify(body).slice(0, 2000)}`,
  );
}
