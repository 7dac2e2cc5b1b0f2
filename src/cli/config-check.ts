import type { Command } from '#cli/command.js';

export const configCheck: Command = {
  name: 'config check',
  words: [],
  summary: 'Say whether the configuration is right, and everything that is not.',
  flags: {},
  // A wrong configuration ends the command before it gets here, with all its problems and exit code 1.
  run: async () => ({ json: { ok: true }, text: 'The configuration is right.' }),
};
