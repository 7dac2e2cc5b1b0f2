import { ask } from '#cli/ask.js';
import { type Command, textFlag, UsageError } from '#cli/command.js';

const UNIT_MS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** `90m`, `12h`, `7d`, `2w` in milliseconds. */
function durationMs(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (unitMs === undefined) throw new UsageError(`'${text}' is no duration; write 90m, 12h, 7d or 2w`);
  return Number(count) * unitMs;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`'${text}' is no whole number from 1`);
  return Number(text);
}

export const tokenCreate: Command = {
  name: 'token create',
  words: [],
  summary: 'Make a registration token to give to somebody.',
  flags: {
    token: { value: 'TEXT', doc: 'The token itself; made up where absent.' },
    uses: { value: 'COUNT', doc: 'How many accounts may be made with it. Default: 1' },
    unlimited: { doc: 'Any number of accounts may be made with it.' },
    'expires-in': { value: 'TIME', doc: 'How long it holds: 90m, 12h, 7d, 2w. Default: for ever' },
    admin: { doc: 'The accounts made with it are administrators.' },
  },
  async run(context, invocation) {
    const uses = textFlag(invocation, 'uses');
    const token = textFlag(invocation, 'token');
    const expiresIn = textFlag(invocation, 'expires-in');
    const unlimited = invocation.flags['unlimited'] === true;
    if (unlimited && uses !== undefined) throw new UsageError('--uses and --unlimited exclude each other');
    const json = await ask(context, invocation, 'token create', {
      ...(token !== undefined && { token }),
      ...(!unlimited && { uses_allowed: wholeNumber(uses ?? '1') }),
      ...(expiresIn !== undefined && { expires_in_ms: durationMs(expiresIn) }),
      admin: invocation.flags['admin'] === true,
    });
    return { json, text: String(json['token']) };
  },
};
