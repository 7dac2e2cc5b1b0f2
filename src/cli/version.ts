import type { Command } from '#cli/command.js';
import { VERSION } from '#util/version.js';

export const version: Command = {
  name: 'version',
  words: [],
  summary: 'Print the version.',
  flags: {},
  withoutConfig: true,
  run: async () => ({ json: { version: VERSION, node: process.versions.node }, text: `runnel ${VERSION}` }),
};
