import { type Logger, pino } from 'pino';
import type { Clock } from '#util/clock.js';
import { isoTime } from '#util/date.js';
import type { Log, LogFields } from '#util/log.js';

/** From the least on; `silent` is above all that is logged. */
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** A log that is made ready with its first line: a start for people writes none. */
export interface OpenedLog extends Log {
  /** Makes it ready before that. */
  prepare(): void;
}

export interface LogOptions {
  readonly level: (typeof LEVELS)[number];
  readonly format: 'text' | 'json';
  readonly clock: Clock;
  /** Takes whole lines, their line feed included. Default: standard output. */
  readonly write?: (line: string) => void;
}

/** Query and form keys and field names whose values never reach the log, compared without `_` and `-`, in lower case. */
const SECRETS = new Set(
  [
    'access_token refresh_token login_token registration_token id_token token next_token',
    'password new_password old_password passphrase client_secret registration_shared_secret secret mac nonce',
    'authorization proxy_authorization cookie set_cookie signing_key private_key seed code_verifier',
  ].flatMap((line) => line.split(' ').map(bare)),
);
const MASK = '<redacted>';
const LONGEST_TEXT = 4096;

function bare(name: string): string {
  return name.replace(/[_-]/g, '').toLowerCase();
}

function isSecret(name: string): boolean {
  let decoded = name;
  // A key can be written with any of its characters percent-encoded, more than once: `access%5Ftoken`, `access%255Ftoken`.
  for (let i = 0; i < 3 && decoded.includes('%'); i++) {
    decoded = decoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return SECRETS.has(bare(decoded));
}

/** Masks the values of secret keys in URLs, forms and headers that stand in a text. */
export function redact(text: string): string {
  return text
    .replace(/([\w.~%+-]{1,120})=([^&\s#"']*)/g, (whole, key: string) => (isSecret(key) ? `${key}=${MASK}` : whole))
    .replace(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, (_, scheme: string) => `${scheme} ${MASK}`);
}

/** Writes control characters, escape sequences for terminals and separators of lines in a visible form. */
export function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === '\n') return '\\n';
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function clean(text: string): string {
  const short = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  return escapeControls(redact(short));
}

function cleanFields(fields: LogFields, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [clean(name), isSecret(name) ? MASK : cleanValue(value, depth)]),
  );
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return clean(value);
  if (value instanceof Error) {
    const cause = value.cause === undefined || depth > 3 ? [] : [`caused by ${cleanValue(value.cause, depth + 1)}`];
    const lines = (value.stack ?? `${value.name}: ${value.message}`).split('\n').slice(0, 30).map(clean);
    return [...lines, ...cause].join('\n    ');
  }
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 3) return '…';
  if (Array.isArray(value)) return value.slice(0, 50).map((item) => cleanValue(item, depth + 1));
  return cleanFields(value as LogFields, depth + 1);
}

/** `12:00:01 warn  message  key=value`; an error's stack follows on lines of its own, indented. */
function textLine(record: Record<string, unknown>): string {
  const { level, time, msg, ...fields } = record;
  const pairs: string[] = [];
  let below = '';
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string' && value.includes('\n')) below += `\n    ${value}`;
    else pairs.push(`${name}=${typeof value === 'string' && !/[\s="]/.test(value) ? value : JSON.stringify(value)}`);
  }
  const head = `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${msg}`;
  return `${[head, ...pairs].join('  ')}${below}\n`;
}

/**
 * The log: a line for people or a JSON object, without secrets, and without anything from outside that could pass for a
 * line of its own or command a terminal.
 */
export function openLog(options: LogOptions): OpenedLog {
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  const stream = {
    write: (line: string): void =>
      write(options.format === 'json' ? line : textLine(JSON.parse(line) as Record<string, unknown>)),
  };
  const made = (): Logger =>
    pino(
      {
        level: options.level,
        base: null,
        timestamp: () => `,"time":"${isoTime(options.clock.now())}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      stream,
    );
  let logger: Logger | undefined;
  const lowest = LEVELS.indexOf(options.level);
  const at = (level: 'error' | 'warn' | 'info' | 'debug') => {
    const isEnabled = LEVELS.indexOf(level) >= lowest;
    return (message: string, fields: LogFields = {}): void => {
      if (!isEnabled) return;
      logger ??= made();
      logger[level](cleanFields(fields), clean(message));
    };
  };
  const prepare = (): void => {
    logger ??= made();
  };
  return { prepare, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}
