import { ask } from '#cli/ask.js';
import type { Command } from '#cli/command.js';
import { columns, day, objects } from '#cli/table.js';

const FLAGS = ['admin', 'guest', 'locked', 'suspended', 'deactivated'] as const;

export const userList: Command = {
  name: 'user list',
  words: [],
  summary: 'List the accounts.',
  flags: {},
  async run(context, invocation) {
    const json = await ask(context, invocation, 'user list', {});
    const rows = objects(json, 'users').map((user) => [
      String(user['user_id']),
      `since ${day(user['created_ts'])}`,
      FLAGS.filter((flag) => user[flag] === true).join(' '),
    ]);
    return { json, text: rows.length === 0 ? 'There is no account yet.' : columns(rows) };
  },
};
