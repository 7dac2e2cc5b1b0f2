import { parseArgs } from 'node:util';
import {
  type Command,
  CommandError,
  type Context,
  EXIT,
  type Flag,
  type Invocation,
  UsageError,
} from '#cli/command.js';
import { commandHelp, generalHelp } from '#cli/help.js';
import { ConfigError, FLAGS, loadConfig, unknownName } from '#config';
import { MatrixError } from '#core/errors.js';
import { RemoteError } from '#remote/http.js';
import { StoreError } from '#store/store-error.js';

/** Flags of every command. */
const COMMON: Readonly<Record<string, Flag>> = {
  json: { doc: 'Print one JSON object instead of text.' },
  help: { doc: 'Say what the command does.' },
};

/** Runs one command line (without node and script) and returns the exit code. Never rejects. */
export async function run(args: readonly string[], commands: readonly Command[], context: Context): Promise<number> {
  const json = args.includes('--json');
  try {
    if (args[0] === undefined || args[0] === 'help' || args[0] === '--help' || args[0] === '-h') {
      const topic = args.slice(1).filter((word) => !word.startsWith('-'));
      const command = topic.length === 0 ? undefined : commandOf(topic, commands);
      context.out(command === undefined ? generalHelp(commands) : commandHelp(command, COMMON));
      return EXIT.ok;
    }
    const command = commandOf(args[0] === '--version' ? ['version'] : args, commands);
    const { words, flags } = parse(args.slice(command.name.split(' ').length), command);
    if (flags['help'] === true) {
      context.out(commandHelp(command, COMMON));
      return EXIT.ok;
    }
    if (words.length !== command.words.length) {
      const wanted = command.words.map((word) => word.toUpperCase()).join(' ') || 'no further words';
      throw new UsageError(`'runnel ${command.name}' takes ${wanted}, not ${words.length} words`);
    }
    const { config, settings } = loadConfig(
      command.withoutConfig ? { flags: {}, env: {}, readFile: () => '' } : configInput(flags, context),
    );
    const output = await command.run(context, { words, flags, config, settings });
    if (output === undefined) return EXIT.ok;
    context.out(json ? JSON.stringify(output.json) : output.text);
    return output.exitCode ?? EXIT.ok;
  } catch (error) {
    context.err(json ? JSON.stringify(errorJson(error)) : errorText(error));
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

function commandOf(args: readonly string[], commands: readonly Command[]): Command {
  const found = commands.find((c) => c.name === args.slice(0, 2).join(' ')) ?? commands.find((c) => c.name === args[0]);
  if (found !== undefined) return found;
  const group = commands.filter((c) => c.name.startsWith(`${args[0]} `));
  if (group.length > 0) {
    throw new UsageError(`'runnel ${args[0]}' needs one of: ${group.map((c) => c.name.split(' ')[1]).join(', ')}`);
  }
  const known = [...new Set(commands.map((c) => c.name.split(' ')[0] ?? ''))];
  throw new UsageError(unknownName('command', args[0] ?? '', [...known, 'help']));
}

function parse(args: readonly string[], command: Command): Pick<Invocation, 'words' | 'flags'> {
  // Without flags the words are the words: Node loads what reads flags when it is first used.
  if (!args.some((arg) => arg.startsWith('-'))) return { words: args, flags: {} };
  const own: Record<string, Flag> = { ...COMMON, ...command.flags };
  const options = Object.fromEntries([
    ...FLAGS.map((name) => [name, { type: 'string' }] as const),
    ...Object.entries(own).map(
      ([name, flag]) => [name, { type: flag.value === undefined ? 'boolean' : 'string' }] as const,
    ),
  ]);
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const flags = new Map<string, string | boolean>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) {
      throw new UsageError(
        unknownName(
          'flag',
          token.rawName,
          Object.keys(options).map((name) => `--${name}`),
        ),
      );
    }
    if (option.type === 'boolean') {
      if (token.value !== undefined) throw new UsageError(`--${token.name} takes no value`);
      flags.set(token.name, true);
    } else {
      // '-' alone names standard input; anything else with a dash in front is the next flag.
      const missing = token.value === undefined || (!token.inlineValue && /^-./.test(token.value));
      if (missing) throw new UsageError(`--${token.name} needs a value`);
      flags.set(token.name, token.value);
    }
  }
  return { words, flags: Object.fromEntries(flags) };
}

/** The flags that belong to the configuration, with the environment and the means to read files. */
export function configInput(flags: Invocation['flags'], context: Context): Parameters<typeof loadConfig>[0] {
  const ours = FLAGS.map((name) => [name, flags[name]] as const).filter(
    (pair): pair is readonly [string, string] => typeof pair[1] === 'string',
  );
  return { flags: Object.fromEntries(ours), env: context.env, readFile: context.readFile };
}

function errorText(error: unknown): string {
  if (error instanceof UsageError) return `runnel: ${error.message}\nSee 'runnel help'.`;
  if (error instanceof ConfigError) {
    return `runnel: the configuration is not right:\n${error.problems.map((p) => `  - ${p}`).join('\n')}`;
  }
  if (isExpected(error)) return `runnel: ${error.message}`;
  return `runnel: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function errorJson(error: unknown): object {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof MatrixError ? { errcode: error.errcode, error: message } : { error: message };
}

/** Errors whose message is made for whoever reads it; of all others the stack is shown, since they are bugs. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof CommandError ||
    error instanceof MatrixError ||
    error instanceof StoreError ||
    error instanceof RemoteError ||
    (error instanceof Error && 'syscall' in error)
  );
}
