import { ask } from '#cli/ask.js';
import type { Command } from '#cli/command.js';
import { columns, day, objects } from '#cli/table.js';

export const tokenList: Command = {
  name: 'token list',
  words: [],
  summary: 'List the registration tokens with their uses and expiry.',
  flags: {},
  async run(context, invocation) {
    const json = await ask(context, invocation, 'token list', {});
    const rows = objects(json, 'registration_tokens').map((row) => [
      String(row['token']),
      `used ${row['completed']} of ${row['uses_allowed'] ?? 'any number'}`,
      row['expiry_time'] === null ? 'does not expire' : `until ${day(row['expiry_time'])}`,
      row['admin'] === true ? 'makes administrators' : '',
    ]);
    return { json, text: rows.length === 0 ? 'There is no registration token.' : columns(rows) };
  },
};
