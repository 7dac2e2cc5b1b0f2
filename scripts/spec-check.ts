/**
 * `npm run spec-check`: holds the endpoint table against the specification's OpenAPI, which lies beside the project: every
 * client-server operation is there or stands in LATER, with the method and path, the caller, the rate limit, the required
 * query and body fields and the error codes that the OpenAPI names. What differs on purpose stands in EXCUSED with its
 * reason. Exits with 1 otherwise. That the operations also answer so is for the black-box tests (`scripts/coverage.ts`).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { App } from '#api/app.js';
import { ENDPOINTS } from '#api/endpoints.js';
import type { Endpoint } from '#http/endpoint.js';

const SPEC = process.env['SPEC'] ?? resolve(import.meta.dirname, '../../../shared/spec');

/** Operations that come with what they rest on; they are absent, not stubbed. */
const LATER: Readonly<Record<string, string>> = {
  post3PIDs: 'email and phone addresses',
  add3PID: 'email and phone addresses',
  bind3PID: 'email and phone addresses',
  delete3pidFromAccount: 'email and phone addresses',
  unbind3pidFromAccount: 'email and phone addresses',
  requestTokenTo3PIDEmail: 'email and phone addresses',
  requestTokenTo3PIDMSISDN: 'email and phone addresses',
  requestTokenToRegisterEmail: 'email and phone addresses',
  requestTokenToRegisterMSISDN: 'email and phone addresses',
  requestTokenToResetPasswordEmail: 'email and phone addresses',
  requestTokenToResetPasswordMSISDN: 'email and phone addresses',
  pingAppservice: 'application services',
  updateAppserviceRoomDirectoryVisibility: 'application services',
  getProtocols: 'application services',
  getProtocolMetadata: 'application services',
  queryLocationByProtocol: 'application services',
  queryUserByProtocol: 'application services',
  queryLocationByAlias: 'application services',
  queryUserByID: 'application services',
  redirectToSSO: 'single sign-on',
  redirectToIdP: 'single sign-on',
  getTurnServer: 'calls',
  getAuthMetadata: 'OAuth 2.0',
  authorizeOAuth: 'OAuth 2.0',
  getWellknownPolicy: 'policy servers',
};

/** Differences on purpose: operation and aspect, and why. */
const EXCUSED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'inviteUser: does not ask for user_id in the body',
      'putRoomKeysVersion: does not ask for algorithm in the body',
      'putRoomKeysVersion: does not ask for auth_data in the body',
      'putRoomKeys: does not ask for rooms in the body',
      'changePassword: does not ask for new_password in the body',
      'setPushRule: does not ask for actions in the body',
      'setPushRuleActions: does not ask for actions in the body',
    ].map((problem) => [problem, 'its handler does; spec-tests/client-server/required-fields.test.ts']),
  ),
  'login: never gives M_APPSERVICE_LOGIN_UNSUPPORTED': 'comes with application services',
  'register: never gives M_APPSERVICE_LOGIN_UNSUPPORTED': 'comes with application services',
  'deactivateAccount: caller user, the specification has user? or none': 'without a session it needs an email address',
  'changePassword: caller user, the specification has user? or none': 'without a session it needs an email address',
  'getRoomSummary: caller user?, the specification has user or guest':
    'what anyone may preview is shown to anyone, as MSC3266 has it',
  'peekEvents: required query room_id': 'one endpoint is both this and getEvents, which is without it',
  'getRoomEvents: required query dir': 'clients leave it out, and are taken to page forwards',
};

const ERROR_CODE = /\bM_[A-Z_]*[A-Z]\b/g;
/** Error codes that some code of the server names besides the table of them. */
const given = codesIn(resolve(import.meta.dirname, '../../src'));

function codesIn(directory: string): ReadonlySet<string> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => /(?<!\.test)\.ts$/.test(file) && !file.endsWith('core/errors.ts'));
  return new Set(sources.flatMap((file) => readFileSync(join(directory, file), 'utf8').match(ERROR_CODE) ?? []));
}

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly deprecated: boolean;
  readonly spec: OpenApiOperation;
}
interface OpenApiOperation {
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly responses?: Readonly<Record<string, unknown>>;
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: { readonly required?: readonly string[] } }>>;
  };
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[];
}

function operations(): Operation[] {
  const documents = new Map<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>();
  const lines = readFileSync(join(SPEC, 'endpoints.tsv'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [api, method, path, id, status, file] = line.split('\t');
    if (api !== 'client-server' || method === undefined || path === undefined || id === undefined || file === undefined)
      return [];
    let paths = documents.get(file);
    if (paths === undefined) {
      const document = parse(readFileSync(join(SPEC, 'data/api/client-server', file), 'utf8')) as {
        paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
      };
      paths = document.paths;
      documents.set(file, paths);
    }
    const found = Object.entries(paths).find(
      ([tail, item]) => path.endsWith(tail) && item[method.toLowerCase()] !== undefined,
    );
    const spec = (found?.[1][method.toLowerCase()] ?? {}) as OpenApiOperation;
    return [{ id, method, path, deprecated: status === 'deprecated', spec }];
  });
}

/** A path without the names of its parameters. The OpenAPI tells two forms of one path apart by a space at the end. */
const shape = (path: string): string => path.trim().replace(/\{[^}]*\}/g, '{}');

function required(made: Endpoint<App>['body']): readonly string[] {
  const list = (made?.().json as { readonly required?: readonly string[] } | undefined)?.required;
  return list ?? [];
}

/** What is wrong with the endpoint that answers an operation. */
function differences(operation: Operation, endpoint: Endpoint<App>): string[] {
  const found: string[] = [];
  const { id, spec } = operation;
  const secured = spec.security ?? [];
  const optional = secured.some((scheme) => Object.keys(scheme).length === 0);
  const session = operation.path.includes('/admin/') ? ['user', 'admin'] : ['user', 'guest'];
  const wanted = secured.length === 0 ? ['none'] : optional ? ['user?', 'none'] : session;
  if (!wanted.includes(endpoint.caller))
    found.push(`${id}: caller ${endpoint.caller}, the specification has ${wanted.join(' or ')}`);
  const limited = spec.responses?.['429'] !== undefined;
  if (limited && endpoint.limit === 'free') found.push(`${id}: not rate-limited`);
  const body = spec.requestBody?.content?.['application/json']?.schema?.required ?? [];
  // What is asked for beyond the specification would refuse its clients.
  for (const name of required(endpoint.body))
    if (!body.includes(name)) found.push(`${id}: asks for ${name} in the body`);
  for (const name of body)
    if (!required(endpoint.body).includes(name)) found.push(`${id}: does not ask for ${name} in the body`);
  const query = spec.parameters?.filter((parameter) => parameter.in === 'query' && parameter.required) ?? [];
  for (const { name } of query)
    if (!required(endpoint.query).includes(name)) found.push(`${id}: required query ${name}`);
  return [...found, ...missingCodes(operation)];
}

/** Error codes that the OpenAPI documents for an operation, in words or by example, and that this server never gives. */
function missingCodes({ id, spec }: Operation): string[] {
  const refusals = Object.entries(spec.responses ?? {}).filter(([status]) => /^[45]/.test(status));
  const documented = new Set(refusals.flatMap(([, response]) => JSON.stringify(response).match(ERROR_CODE) ?? []));
  return [...documented].filter((code) => !given.has(code)).map((code) => `${id}: never gives ${code}`);
}

if (!existsSync(SPEC)) {
  console.error(`The specification is not at ${SPEC}; name its place by SPEC.`);
  process.exit(1);
}
const byRoute = new Map<string, Endpoint<App>>();
for (const endpoint of ENDPOINTS) {
  for (const path of [endpoint.path, ...endpoint.aliases]) byRoute.set(`${endpoint.method} ${shape(path)}`, endpoint);
}
const problems: string[] = [];
const later: string[] = [];
let present = 0;
for (const operation of operations()) {
  const endpoint = byRoute.get(`${operation.method} ${shape(operation.path)}`);
  if (endpoint === undefined) {
    if (LATER[operation.id] === undefined)
      problems.push(`${operation.id}: ${operation.method} ${operation.path} is missing`);
    else later.push(`${operation.id} (${LATER[operation.id]})`);
    continue;
  }
  present++;
  if (LATER[operation.id] !== undefined) problems.push(`${operation.id}: is there, but stands in LATER`);
  for (const problem of differences(operation, endpoint)) if (EXCUSED[problem] === undefined) problems.push(problem);
}
console.log(`${present} operations of the client-server API are there, ${later.length} come later.`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
