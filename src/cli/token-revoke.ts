import { ask } from '#cli/ask.js';
import type { Command } from '#cli/command.js';

export const tokenRevoke: Command = {
  name: 'token revoke',
  words: ['token'],
  summary: 'Take a registration token back.',
  flags: {},
  async run(context, invocation) {
    const json = await ask(context, invocation, 'token revoke', { token: invocation.words[0]! });
    return { json, text: 'The token is revoked.' };
  },
};
