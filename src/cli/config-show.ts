import type { Command } from '#cli/command.js';

/** Written where a secret is set. */
const MASK = '(secret, set)';

export const configShow: Command = {
  name: 'config show',
  words: [],
  summary: 'Print the options in force and where each comes from, secrets masked.',
  flags: {},
  async run(_, { settings }) {
    const rows = settings.map((setting) => ({
      name: setting.name,
      value: setting.secret && setting.text !== undefined ? MASK : setting.text,
      source: setting.source,
    }));
    const width = Math.max(...rows.map((row) => row.name.length));
    return {
      json: Object.fromEntries(rows.map(({ name, value, source }) => [name, { value: value ?? null, source }])),
      text: rows.map((row) => `${row.name.padEnd(width)} = ${row.value ?? '(not set)'}  (${row.source})`).join('\n'),
    };
  },
};
