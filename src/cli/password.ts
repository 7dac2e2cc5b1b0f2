import { CommandError, type Context, type Flag, type Invocation, textFlag } from '#cli/command.js';

/** 120 bits: no policy and no guesser has anything to say against it. */
const GENERATED_BYTES = 15;

export const PASSWORD_FLAGS: Readonly<Record<string, Flag>> = {
  'password-file': {
    value: 'FILE',
    doc: 'Take the password from a file, or from standard input with -. Without it one is made and printed.',
  },
};

/** The password that the command line names, or a new one. It is no flag itself: other users of a machine see those. */
export function passwordOf(context: Context, invocation: Invocation): { password: string; generated: boolean } {
  const file = textFlag(invocation, 'password-file');
  if (file === undefined) return { password: context.random.token(GENERATED_BYTES), generated: true };
  // One line feed at the end is the editor's or echo's, all else may be meant.
  const password = context.readFile(file).replace(/\r?\n$/, '');
  if (password === '') throw new CommandError('the password is empty');
  return { password, generated: false };
}
