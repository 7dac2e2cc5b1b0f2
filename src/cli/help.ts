import type { Command, Flag } from '#cli/command.js';
import { flagName, OPTIONS } from '#config';

function column(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join('\n');
}

function usage(command: Command): string {
  return [command.name, ...command.words.map((word) => word.toUpperCase())].join(' ');
}

/** The page that `runnel help` prints. */
export function generalHelp(commands: readonly Command[]): string {
  const rows = commands.map((command) => [usage(command), command.summary] as const);
  return [
    'runnel: a Matrix homeserver',
    '',
    'Usage: runnel COMMAND [flags]',
    '',
    column([...rows, ['help [COMMAND]', 'This page, or one about a command, with its flags.']]),
    '',
    "Every command takes the server's options as flags (--data DIR, --config FILE, …), reads RUNNEL_… from the",
    'environment, and prints JSON with --json. While the server runs, commands reach it through a socket in its data',
    'directory. Exit codes: 0 it worked, 1 it did not, 2 the command was not understood.',
  ].join('\n');
}

/** The page about one command. */
export function commandHelp(command: Command, common: Readonly<Record<string, Flag>>): string {
  const flagRows = [...Object.entries(command.flags), ...Object.entries(common)].map(
    ([name, flag]) => [`--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`, flag.doc] as const,
  );
  const optionRows = Object.entries<{ doc: string; secret?: true; fallback?: string }>(OPTIONS).map(
    ([name, option]) =>
      [
        `--${flagName(option.secret ? `${name}_file` : name)}`,
        `${option.doc}${option.fallback === undefined ? '' : ` Default: ${option.fallback}`}`,
      ] as const,
  );
  return [
    `runnel ${usage(command)} [flags]`,
    '',
    command.summary,
    ...(command.details === undefined ? [] : ['', command.details]),
    '',
    column(flagRows),
    '',
    'Options of the server:',
    column([['--config', 'Configuration file (TOML).'], ...optionRows]),
  ].join('\n');
}
