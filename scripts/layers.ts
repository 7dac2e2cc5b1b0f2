/**
 * The walls of the house as data: which folder may import which, and which file alone may import a package. The table in
 * docs/ARCHITECTURE.md is made from it, and `tidy` checks the sources against it.
 */
export interface Layer {
  /** Folders of `src`, or files without their extension. */
  readonly names: readonly string[];
  readonly mayImport: readonly string[];
}

export const LAYERS: readonly Layer[] = [
  { names: ['util'], mayImport: [] },
  { names: ['core'], mayImport: ['util'] },
  { names: ['store'], mayImport: ['core', 'util'] },
  { names: ['remote'], mayImport: ['store', 'core', 'util'] },
  { names: ['rooms'], mayImport: ['remote', 'store', 'core', 'util'] },
  { names: ['users'], mayImport: ['rooms', 'remote', 'store', 'core', 'util'] },
  { names: ['media'], mayImport: ['remote', 'store', 'core', 'util'] },
  { names: ['sync'], mayImport: ['users', 'rooms', 'store', 'core', 'util'] },
  { names: ['outbound'], mayImport: ['users', 'rooms', 'remote', 'store', 'core', 'util'] },
  { names: ['http'], mayImport: ['core', 'util'] },
  { names: ['api'], mayImport: ['http', 'sync', 'users', 'rooms', 'media', 'core', 'util'] },
  { names: ['config', 'log'], mayImport: ['core', 'util'] },
  {
    names: ['server'],
    mayImport: [
      ...['config', 'log', 'api', 'http', 'outbound', 'sync', 'media'],
      ...['users', 'rooms', 'remote', 'store', 'core', 'util'],
    ],
  },
  {
    names: ['cli'],
    mayImport: [
      ...['server', 'config', 'log', 'api', 'http', 'outbound', 'sync', 'media'],
      ...['users', 'rooms', 'remote', 'store', 'core', 'util'],
    ],
  },
  { names: ['main'], mayImport: ['cli', 'util'] },
];

/** The one file, relative to `src`, that may import each package. */
export const GATES: Readonly<Record<string, string>> = {
  'canonical-json': 'core/canonical-json.ts',
  tweetnacl: 'core/signing.ts',
  ajv: 'core/schema.ts',
  level: 'store/db.ts',
  undici: 'remote/http.ts',
  '@node-rs/argon2': 'users/passwords.ts',
  fastify: 'http/framework.ts',
  pino: 'log.ts',
  'smol-toml': 'config.ts',
  sharp: 'media/make-thumbnail.ts',
  htmlparser2: 'media/page-tags.ts',
};

/** `core` is pure: of Node's own modules only these, in the files named, which compute and touch nothing outside. */
export const CORE_BUILTINS: Readonly<Record<string, readonly string[]>> = {
  'node:crypto': ['core/signing.ts'],
  'node:buffer': ['core/json.ts'],
};

/** Markdown table of layers and gates. */
export function layersTable(): string {
  const rows = LAYERS.map(({ names, mayImport }) => {
    const gates = Object.entries(GATES)
      .filter(([, file]) => names.includes(file.split('/')[0]!.replace(/\.ts$/, '')))
      .map(([name, file]) => `\`${file}\` ${name}`);
    return `| ${names.map((n) => `\`${n}\``).join(' ')} | ${mayImport.join(' ') || '–'} | ${gates.join(' · ')} |`;
  });
  return ['| folder or file | may import | only file that may import the package |', '|---|---|---|', ...rows].join(
    '\n',
  );
}
