import { ask } from '#cli/ask.js';
import type { Command } from '#cli/command.js';

export const userDeactivate: Command = {
  name: 'user deactivate',
  words: ['user'],
  summary: 'End an account for good: it leaves its rooms, and its name is never given out again.',
  flags: { erase: { doc: 'Erase the profile too, and show what it sent to nobody who joins later.' } },
  async run(context, invocation) {
    const json = await ask(context, invocation, 'user deactivate', {
      user: invocation.words[0]!,
      erase: invocation.flags['erase'] === true,
    });
    return { json, text: `${json['user_id']} is deactivated.` };
  },
};
