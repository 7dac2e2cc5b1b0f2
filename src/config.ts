import { isIPv4, SocketAddress } from 'node:net';
import { parse as parseToml, TomlError } from 'smol-toml';
import { ServerName } from '#core/ids.js';
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS } from '#core/room-versions.js';
import { parseTerms, type TermsPolicies } from '#core/terms.js';
import { nearest } from '#util/nearest.js';

/** An address to listen on; port 0 asks the system for a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** How one option is read. `parse` throws a plain `Error` whose message completes "server_name: …". */
interface Kind<T> {
  /** What may stand there, for docs and help. */
  readonly form: string;
  parse(text: string): T;
}
interface Option<T> {
  readonly kind: Kind<T>;
  /** As one would write it; undefined where the option has no value unless set. */
  readonly fallback?: string;
  /** One or two sentences. */
  readonly doc: string;
  /** Never printed, not taken from a flag (other users of the machine see those), and readable from a file. */
  readonly secret?: true;
}

const text: Kind<string> = { form: 'text', parse: (given) => given };
const oneOf = <const T extends string>(...values: readonly T[]): Kind<T> => ({
  form: values.map((v) => `\`${v}\``).join(', '),
  parse(given) {
    const found = values.find((value) => value === given);
    if (found === undefined) throw new Error(`'${given}' is none of ${values.join(', ')}`);
    return found;
  },
});
const onOff: Kind<boolean> = {
  form: '`on`, `off`',
  parse(given) {
    if (given === 'on' || given === 'true') return true;
    if (given === 'off' || given === 'false') return false;
    throw new Error(`'${given}' is neither on nor off`);
  },
};
const serverName: Kind<ServerName> = {
  form: 'host name, with a port where needed',
  parse(given) {
    if (!ServerName.is(given)) throw new Error(`'${given}' is not a server name, such as example.org`);
    return given;
  },
};
const url: Kind<string> = {
  form: 'URL',
  parse(given) {
    const parsed = URL.canParse(given) ? new URL(given) : undefined;
    const plain = parsed !== undefined && parsed.search === '' && parsed.hash === '' && parsed.username === '';
    if (!plain || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) {
      throw new Error(`'${given}' is not an http or https URL without a query`);
    }
    return given.replace(/\/+$/, '');
  },
};
const listen: Kind<readonly ListenAddress[]> = {
  form: '`host:port`, several by commas',
  parse: (given) =>
    list(given).map((item) => {
      const parts = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(item);
      const port = Number(parts?.[2]);
      if (parts === null || port > 65_535) throw new Error(`'${item}' is not host:port, such as 127.0.0.1:8008`);
      return { host: parts[1]!.replace(/^\[|\]$/g, ''), port };
    }),
};
const networks: Kind<readonly string[]> = {
  form: 'addresses or networks (`10.0.0.0/8`), by commas',
  parse: (given) =>
    list(given).map((item) => {
      const [address = '', bits, ...rest] = item.split('/');
      const six = address.includes(':');
      const bitsFit = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (six ? 128 : 32));
      const isAddress = six ? isIpv6(address) : isIPv4(address);
      if (!isAddress || !bitsFit || rest.length > 0) throw new Error(`'${item}' is no address and no network`);
      return item;
    }),
};

/** `isIPv6` of node:net would compile an expression for 3 ms, at each start. */
function isIpv6(address: string): boolean {
  try {
    new SocketAddress({ address, family: 'ipv6' });
    return true;
  } catch {
    return false;
  }
}

const UNITS = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;
/** In bytes. */
const size: Kind<number> = {
  form: 'bytes, or with a unit: `512K`, `50M`, `2G`',
  parse(given) {
    const [, digits, unit = ''] = /^(\d{1,12})([KMGTkmgt]?)$/.exec(given) ?? [];
    const bytes = Number(digits) * UNITS[unit.toUpperCase() as keyof typeof UNITS];
    if (!Number.isSafeInteger(bytes) || bytes === 0) throw new Error(`'${given}' is not a size such as 50M`);
    return bytes;
  },
};
/** In milliseconds. */
const days: Kind<number> = {
  form: 'days, such as `90d`',
  parse(given) {
    const [, digits] = /^([1-9]\d{0,4})d$/.exec(given) ?? [];
    if (digits === undefined) throw new Error(`'${given}' is not a number of days such as 90d`);
    return Number(digits) * 86_400_000;
  },
};
const hosts: Kind<readonly string[]> = {
  form: 'host names (`*.example.org` for all below one), by commas',
  parse: (given) =>
    list(given).map((item) => {
      if (!/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(item)) throw new Error(`'${item}' is no host name`);
      return item.toLowerCase();
    }),
};

const policies: Kind<TermsPolicies> = {
  form: '`id version language url name`, several by commas',
  parse: (given) => parseTerms(list(given)),
};

function list(given: string): string[] {
  return given
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/**
 * Every option there is. The name in the file is the key; the environment has `RUNNEL_` and capitals before it, the flag
 * has dashes; `Config` has it in camelCase. To add an option, add a line here: file, environment, flag, help,
 * `config show` and docs/CONFIG.md follow.
 */
export const OPTIONS = {
  server_name: {
    kind: serverName,
    fallback: 'localhost',
    doc: 'The part of every user id after the colon. It is stored with the data at the first start and can not change afterwards.',
  },
  listen: { kind: listen, fallback: '127.0.0.1:8008', doc: 'Where to accept connections. Port 0 takes a free one.' },
  tls_listen: {
    kind: listen,
    doc: 'Where to accept TLS connections besides, with `tls_certificate` and `tls_key`.',
  },
  tls_certificate: { kind: text, doc: 'File with the certificate chain for `tls_listen`, in PEM.' },
  tls_key: { kind: text, doc: 'File with the private key for `tls_listen`, in PEM.' },
  data: {
    kind: text,
    fallback: './data',
    doc: 'Directory of the database, the signing key and the control socket.',
  },
  public_url: {
    kind: url,
    doc: 'Where clients reach this server from outside, such as `https://matrix.example.org`. Told to clients by `.well-known`.',
  },
  federation_address: {
    kind: text,
    doc: '`host:port` at which other servers reach this one where that is not its server name. Told to them by `.well-known`.',
  },
  federation: {
    kind: oneOf('off', 'on'),
    fallback: 'off',
    doc: 'Whether other servers may take part in rooms of this one. Not whole yet: users of this server can neither join rooms elsewhere nor invite people there, so it is off unless you try it out.',
  },
  federation_allow: {
    kind: networks,
    doc: 'Networks with other servers although they are not public. Every address of a private or special network is refused otherwise.',
  },
  federation_ca: {
    kind: text,
    doc: 'File with certificates, in PEM, of further authorities that other servers may be certified by.',
  },
  support_contact: {
    kind: text,
    doc: 'Matrix id or email address of the administrator, for `.well-known/matrix/support`.',
  },
  support_page: { kind: url, doc: 'Page with help for users of this server, for `.well-known/matrix/support`.' },
  registration: {
    kind: oneOf('closed', 'token', 'open'),
    fallback: 'token',
    doc: 'Who may make an account: nobody, whoever has a registration token, or anyone.',
  },
  terms: {
    kind: policies,
    doc: 'Documents that whoever registers must agree to, such as `privacy 1.2 en https://example.org/privacy Privacy policy`. Of each, further languages are further items with the same id and version. What was agreed to is kept with the account.',
  },
  registration_shared_secret: {
    kind: text,
    secret: true,
    doc: "Lets whoever knows it make accounts at `/_synapse/admin/v1/register`, as Synapse's `register_new_matrix_user` does.",
  },
  rate_limits: { kind: onOff, fallback: 'on', doc: 'Whether clients that ask too often are slowed down.' },
  default_room_version: {
    kind: oneOf(...ROOM_VERSIONS),
    fallback: DEFAULT_ROOM_VERSION,
    doc: 'Version of new rooms, unless the client names one.',
  },
  guests: { kind: onOff, fallback: 'off', doc: 'Whether guests may come in without an account.' },
  trusted_proxies: {
    kind: networks,
    fallback: '127.0.0.0/8,::1',
    doc: 'Reverse proxies whose `X-Forwarded-For` is believed: addresses and networks.',
  },
  media_directory: {
    kind: text,
    doc: 'Directory of uploaded files. Where it is not set: `media` inside the data directory.',
  },
  max_upload_size: { kind: size, fallback: '50M', doc: 'Largest file that may be uploaded.' },
  media_quota: {
    kind: size,
    doc: 'How much one user may have uploaded in all. Where it is not set, there is no such limit.',
  },
  media_lifetime: {
    kind: days,
    doc: 'Uploaded files that nobody asked for during this time are deleted. Where it is not set, they are kept.',
  },
  legacy_media: {
    kind: onOff,
    fallback: 'off',
    doc: 'Whether the old download paths, which ask for no access token, serve everything. While off, they serve only what was uploaded while they were open.',
  },
  url_previews: {
    kind: onOff,
    fallback: 'off',
    doc: 'Whether the server fetches web pages that users ask a preview of. The pages see the address of the server.',
  },
  url_preview_allow: {
    kind: networks,
    doc: 'Networks that previews may be fetched from although they are not public. Every address of a private or special network is refused otherwise.',
  },
  url_preview_deny: { kind: hosts, doc: 'Hosts that no preview is fetched from.' },
  push_allow: {
    kind: networks,
    doc: 'Networks with push gateways although they are not public; there plain HTTP will do. Every other gateway must be public and have HTTPS.',
  },
  log: {
    kind: oneOf('silent', 'error', 'warn', 'info', 'debug', 'trace'),
    fallback: 'info',
    doc: 'How much is logged.',
  },
  log_format: { kind: oneOf('text', 'json'), fallback: 'text', doc: 'Lines for people, or one JSON object a line.' },
} as const satisfies Record<string, Option<unknown>>;

type Options = typeof OPTIONS;
export type OptionName = keyof Options;
type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
type Value<O> = O extends { kind: Kind<infer T> } ? (O extends { fallback: string } ? T : T | undefined) : never;
/** The options in force. */
export type Config = { readonly [K in OptionName as Camel<K>]: Value<Options[K]> };

/** Where a value came from: `default`, `file`, an environment variable or a flag by its name. */
export interface Setting {
  readonly name: OptionName;
  /** As given; undefined where neither given nor defaulted. */
  readonly text: string | undefined;
  readonly source: string;
  readonly secret: boolean;
}

/** The configuration is wrong. `problems` has a sentence for each thing to put right, without any secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Where the options are read from. */
export interface ConfigInput {
  /** Flags without their dashes, as `node:util` parseArgs gives them: `{ 'server-name': 'example.org' }`. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a text file, or throws. */
  readonly readFile: (path: string) => string;
}

const PREFIX = 'RUNNEL_';
const entries = Object.entries(OPTIONS) as [OptionName, Option<unknown>][];

export const envName = (option: string): string => PREFIX + option.toUpperCase();
export const flagName = (option: string): string => option.replaceAll('_', '-');

/** Names of all flags, secrets by their `-file` form only; `config` names the file. */
export const FLAGS: readonly string[] = [
  'config',
  ...entries.map(([name, option]) => flagName(option.secret ? `${name}_file` : name)),
];
const FILE_KEYS = entries.flatMap(([name, option]) => (option.secret ? [name, `${name}_file`] : [name]));
const ENV_NAMES = ['RUNNEL_CONFIG', ...FILE_KEYS.map(envName)];

/** Names that Kubernetes gives every container beside a service called `runnel`; they are none of ours. */
const KUBERNETES = /^RUNNEL_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$/;

/** "unknown key 'x'; did you mean 'y'?" */
export function unknownName(what: string, given: string, known: readonly string[]): string {
  const guess = nearest(given, known);
  return `unknown ${what} '${given}'${guess === undefined ? '' : `; did you mean '${guess}'?`}`;
}

/**
 * Reads flags, environment and file, in this order of precedence, over the defaults. Throws `ConfigError` with every
 * problem there is: unknown names (with the nearest known one), values that don't fit, files that can't be read.
 */
export function loadConfig(input: ConfigInput): { config: Config; settings: readonly Setting[] } {
  const problems: string[] = [];
  const givenEnv = envOf(input.env, problems);
  for (const flag of Object.keys(input.flags)) {
    if (!FLAGS.includes(flag))
      problems.push(
        unknownName(
          'flag',
          `--${flag}`,
          FLAGS.map((f) => `--${f}`),
        ),
      );
  }
  const file = fileOf(input.flags['config'] ?? givenEnv.get('RUNNEL_CONFIG'), input.readFile, problems);

  const settings: Setting[] = [];
  const config: Record<string, unknown> = {};
  for (const [name, option] of entries) {
    const candidates: [source: string, value: string | undefined, path: string | undefined][] = [
      [
        `--${flagName(name)}`,
        option.secret ? undefined : input.flags[flagName(name)],
        option.secret ? input.flags[flagName(`${name}_file`)] : undefined,
      ],
      [envName(name), givenEnv.get(envName(name)), option.secret && givenEnv.get(envName(`${name}_file`))],
      ['file', file.get(name), option.secret && file.get(`${name}_file`)],
    ];
    const found = candidates.find(([, value, path]) => value !== undefined || path !== undefined);
    let given = found?.[1] ?? option.fallback;
    const source = found?.[0] ?? 'default';
    if (found?.[2] !== undefined) {
      if (found[1] !== undefined) problems.push(`${name}: given both as a value and as a file; give one`);
      given = secretFrom(found[2], name, input.readFile, problems);
    }
    settings.push({ name, text: given, source, secret: option.secret === true });
    if (given === undefined) continue;
    try {
      config[camel(name)] = option.kind.parse(given);
    } catch (error) {
      const why = option.secret ? 'the value does not fit' : (error as Error).message;
      problems.push(`${name}${source === 'default' ? '' : ` (${source})`}: ${why}`);
    }
  }
  for (const [name, option] of entries) {
    const value = config[camel(name)];
    if (option.fallback !== undefined && Array.isArray(value) && value.length === 0) problems.push(`${name}: is empty`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: config as unknown as Config, settings };
}

function camel(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** Our variables that are set; an empty one counts as not set, since that is what composing tools make of an absent one. */
function envOf(env: ConfigInput['env'], problems: string[]): Map<string, string> {
  const given = new Map<string, string>();
  const inKubernetes = env['KUBERNETES_SERVICE_HOST'] !== undefined;
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || (inKubernetes && KUBERNETES.test(name))) continue;
    if (!ENV_NAMES.includes(name)) problems.push(unknownName('environment variable', name, ENV_NAMES));
    else if (value !== undefined && value !== '') given.set(name, value);
  }
  return given;
}

function fileOf(path: string | undefined, readFile: ConfigInput['readFile'], problems: string[]): Map<string, string> {
  const given = new Map<string, string>();
  if (path === undefined) return given;
  let table: Record<string, unknown>;
  try {
    table = parseToml(readFile(path), { useLegacyDate: true });
  } catch (error) {
    // The parser's message quotes the lines around the mistake, and a secret may stand there.
    const why = error instanceof TomlError ? `line ${error.line} is not TOML` : (error as Error).message;
    problems.push(`${path}: ${why}`);
    return given;
  }
  for (const [key, value] of Object.entries(table)) {
    if (!FILE_KEYS.includes(key)) problems.push(`${path}: ${unknownName('key', key, FILE_KEYS)}`);
    else {
      const asText = textOf(value);
      if (asText === undefined) problems.push(`${path}: ${key} must be a string, a number, true, false or a list`);
      else given.set(key, asText);
    }
  }
  return given;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (!Array.isArray(value)) return undefined;
  return value.every((item) => typeof item === 'string') ? value.join(',') : undefined;
}

function secretFrom(
  path: string,
  name: string,
  readFile: ConfigInput['readFile'],
  problems: string[],
): string | undefined {
  try {
    const secret = readFile(path).trim();
    if (secret === '') problems.push(`${name}: ${path} is empty`);
    return secret;
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`);
    return undefined;
  }
}
