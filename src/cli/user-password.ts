import { ask } from '#cli/ask.js';
import type { Command } from '#cli/command.js';
import { PASSWORD_FLAGS, passwordOf } from '#cli/password.js';

export const userPassword: Command = {
  name: 'user password',
  words: ['user'],
  summary: "Set an account's password and log out all its devices.",
  flags: { ...PASSWORD_FLAGS, 'keep-devices': { doc: 'Leave the devices logged in.' } },
  async run(context, invocation) {
    const { password, generated } = passwordOf(context, invocation);
    const json = await ask(context, invocation, 'user password', {
      user: invocation.words[0]!,
      password,
      logout_devices: invocation.flags['keep-devices'] !== true,
    });
    return {
      json: { ...json, ...(generated && { password }) },
      text: generated
        ? `The new password of ${json['user_id']} is ${password}`
        : `${json['user_id']} has a new password.`,
    };
  },
};
