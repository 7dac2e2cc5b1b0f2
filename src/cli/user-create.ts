import { ask } from '#cli/ask.js';
import { type Command, textFlag } from '#cli/command.js';
import { PASSWORD_FLAGS, passwordOf } from '#cli/password.js';

export const userCreate: Command = {
  name: 'user create',
  words: ['name'],
  summary: 'Make an account.',
  flags: {
    admin: { doc: 'The account is an administrator.' },
    displayname: { value: 'NAME', doc: 'The name that others see.' },
    ...PASSWORD_FLAGS,
  },
  async run(context, invocation) {
    const { password, generated } = passwordOf(context, invocation);
    const displayname = textFlag(invocation, 'displayname');
    const made = await ask(context, invocation, 'user create', {
      name: invocation.words[0]!,
      password,
      admin: invocation.flags['admin'] === true,
      ...(displayname !== undefined && { displayname }),
    });
    return {
      json: { ...made, ...(generated && { password }) },
      text: `Made ${made['user_id']}.${generated ? `\nIts password is ${password}` : ''}`,
    };
  },
};
