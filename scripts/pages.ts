import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENDPOINTS, FEDERATION_ENDPOINTS } from '#api/endpoints.js';
import { envName, flagName, OPTIONS } from '#config';
import { ERROR_CODES } from '#core/errors.js';
import { KEYSPACES } from '#store/schema.js';
import { layersTable } from './layers.js';
import { securityCases } from './security-cases.js';

/** A page in `docs/` that is made from a table in the sources, as it lies there and as it should be. */
export interface Page {
  readonly name: string;
  readonly now: string | undefined;
  readonly wanted: string;
}

const MADE = (from: string): string => `<!-- Made from ${from} by \`npm run docs\`. -->`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** docs/CONFIG.md */
export function configPage(): string {
  const options = Object.entries<{ kind: { form: string }; fallback?: string; doc: string; secret?: true }>(OPTIONS);
  const sections = options.map(([name, option]) => {
    const names = option.secret ? [name, `${name}_file`] : [name];
    const flags = option.secret ? [`${name}_file`] : [name];
    return [
      `## \`${name}\``,
      '',
      option.doc,
      '',
      `- in the file: ${names.map((n) => `\`${n}\``).join(' or ')}`,
      `- in the environment: ${names.map((n) => `\`${envName(n)}\``).join(' or ')}`,
      `- as a flag: ${flags.map((n) => `\`--${flagName(n)}\``).join(' or ')}`,
      `- form: ${option.secret ? 'text, a secret' : option.kind.form}`,
      `- default: ${option.fallback === undefined ? 'not set' : `\`${option.fallback}\``}`,
      '',
    ].join('\n');
  });
  return [
    '# Configuration',
    '',
    MADE('src/config.ts'),
    '',
    'Nothing has to be configured to try Runnel. Every option can stand in a file (TOML), in the environment, and as a flag;',
    'flags come first, then the environment, then the file, then the default. The file is named by `--config` or',
    '`RUNNEL_CONFIG`; without either none is read. A name that does not exist stops the start, with the nearest one that does.',
    'An empty environment variable counts as not set. Relative paths start at the working directory.',
    '',
    'Secrets are never printed. Each has a second form that ends in `_file` and names a file with the secret in it; as a flag',
    "only this form exists, since other users of a machine see a command's flags.",
    '',
    '`runnel config show` prints what is in force and where it comes from, `runnel config check` whether it is right.',
    '',
    '```toml',
    'server_name = "example.org"',
    'listen = ["127.0.0.1:8008", "[::1]:8008"]',
    'public_url = "https://matrix.example.org"',
    '```',
    '',
    ...sections,
  ].join('\n');
}

/** docs/SECURITY-CASES.md */
export function securityPage(root: string): string {
  const cases = securityCases(root);
  const whole = cases.filter(({ remark }) => remark === '').length;
  const rows = cases.map(({ number, behaviour, tests, remark }) => [
    `T${number}`,
    behaviour,
    tests.map((path) => `\`${path}\``).join('<br>'),
    remark,
  ]);
  return [
    '# Attacks and failures that are kept as tests',
    '',
    MADE('scripts/security-cases.tsv and the titles of tests'),
    '',
    'What homeservers were attacked with or fell over, each case with what is right. Tests name the cases they hold in their titles.',
    `Of ${cases.length} cases ${whole} are tested in every claim that concerns what exists; the last column says what of the others is not.`,
    'They are about JSON and HTTP (T1 to T47), event authorisation (T88 to T125), media and link previews (T206 to T227), the',
    'client API with its authentication, authorisation and leaks (T229 to T290), and globs, Unicode and identifiers (T291 to T299).',
    'The cases of federation come with it.',
    '',
    '`npm test` fails where a case without a remark has no test.',
    '',
    table(['case', 'what is right', 'tests', 'not tested'], rows),
    '',
  ].join('\n');
}

/** docs/STORE.md */
export function storePage(): string {
  const rows = [...KEYSPACES]
    .sort((a, b) => a.id - b.id)
    .map((keyspace) => [
      String(keyspace.id),
      `\`${keyspace.name}\``,
      keyspace.keyParts.map((part) => `\`${part}\``).join(', '),
      keyspace.purpose,
      `\`${keyspace.writer}\``,
      keyspace.derivedFrom ?? '',
    ]);
  return [
    '# What is on disk',
    '',
    MADE('src/store/schema.ts'),
    '',
    'Every row belongs to one keyspace. A key is the number of its keyspace and the parts named here, written so that their',
    'order on disk is the order of the parts. Only the writer puts and deletes rows. What is derived can be rebuilt.',
    '',
    table(['id', 'keyspace', 'key', 'a row says', 'writer', 'derived from'], rows),
    '',
  ].join('\n');
}

/** docs/ERRORS.md */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, [status, meaning]]) => [`\`${code}\``, String(status), meaning]);
  return [
    '# Errors',
    '',
    MADE('src/core/errors.ts'),
    '',
    'Every error is `{"errcode": "…", "error": "…"}` with the usual status named here; an endpoint may give another status where',
    'the specification says so.',
    '',
    table(['errcode', 'status', 'meaning'], rows),
    '',
  ].join('\n');
}

/** docs/ENDPOINTS.md */
export function endpointsPage(): string {
  const rows = [...ENDPOINTS, ...FEDERATION_ENDPOINTS]
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.method < b.method ? -1 : 1))
    .map((endpoint) => [
      `${endpoint.method} \`${endpoint.path}\``,
      endpoint.id,
      endpoint.caller,
      endpoint.limit,
      endpoint.aliases.map((alias) => `\`${alias}\``).join(' '),
    ]);
  return [
    '# Endpoints',
    '',
    MADE('src/api/endpoints.ts'),
    '',
    'Who may call: `user` a full account, `guest` a guest too, `user?` anyone, `admin` an administrator, `server` another server',
    'by the signature of its request (with the option `federation` only), `none` anyone, without a look at the token. The figures of the rate limits are in `src/http/limits.ts`. `npm run spec-check` holds this table against',
    "the specification's OpenAPI and names what is not there yet.",
    '',
    table(['method and path', 'operation', 'caller', 'limit', 'also as'], rows),
    '',
  ].join('\n');
}

const BEGIN = '<!-- layers: made from scripts/layers.ts by `npm run docs` -->';
const END = '<!-- end of layers -->';

/** docs/ARCHITECTURE.md with its table of layers; the rest is written by hand. */
export function architecturePage(now: string): string {
  const from = now.indexOf(BEGIN);
  const to = now.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/ARCHITECTURE.md has lost the marks around its table of layers');
  return `${now.slice(0, from)}${BEGIN}\n${layersTable()}\n${now.slice(to)}`;
}

/** All generated pages of the project in `root`. */
export function pages(root: string): Page[] {
  const read = (name: string): string | undefined => {
    const path = join(root, 'docs', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const architecture = read('ARCHITECTURE.md') ?? '';
  return [
    { name: 'CONFIG.md', now: read('CONFIG.md'), wanted: configPage() },
    { name: 'STORE.md', now: read('STORE.md'), wanted: storePage() },
    { name: 'ENDPOINTS.md', now: read('ENDPOINTS.md'), wanted: endpointsPage() },
    { name: 'SECURITY-CASES.md', now: read('SECURITY-CASES.md'), wanted: securityPage(root) },
    { name: 'ERRORS.md', now: read('ERRORS.md'), wanted: errorsPage() },
    { name: 'ARCHITECTURE.md', now: architecture, wanted: architecturePage(architecture) },
  ];
}
