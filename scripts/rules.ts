import { CORE_BUILTINS, GATES, LAYERS } from './layers.js';
import { codeOnly, importsOf, lineOf, type Source } from './source.js';

/** A broken rule of the house. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** What the rules need to know about keyspaces: the name exported by `store/schema.ts`, and its one writer. */
export interface Keyspaces {
  readonly [exportName: string]: { readonly writer: string };
}

const WARN_LINES = 400;
const MOST_LINES = 600;
/** One literal table each: they grow with what they list. */
const TABLES = ['store/schema.ts', 'api/endpoints.ts'];

const layerOf = (path: string): string => path.split('/')[0]!.replace(/(\.test)?\.c?ts$/, '');
const isTest = (path: string): boolean => path.endsWith('.test.ts') || /[/-]testing\.ts$/.test(path);
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Folders and packages: who imports what. */
export function layerFindings({ path, text }: Source): Finding[] {
  const layer = layerOf(path);
  const allowed = LAYERS.find(({ names }) => names.includes(layer));
  const findings: Finding[] = [];
  const say = (line: number, message: string): void => void findings.push({ path, line, message });
  if (allowed === undefined) say(1, `'${layer}' stands in no layer; see scripts/layers.ts`);
  for (const { from, line } of importsOf(text)) {
    if (from.startsWith('.')) say(line, `imports '${from}'; within src imports start with #`);
    else if (from.startsWith('#')) {
      const target = from.slice(1).split('/')[0]!;
      // A test may use what stands above it to set its scene, but never pulls the walls down for the code itself.
      if (target !== layer && !isTest(path) && !allowed?.mayImport.includes(target)) {
        say(line, `${layer} may not import ${target}`);
      }
    } else if (from.startsWith('node:')) {
      if (layer === 'core' && !isTest(path) && !CORE_BUILTINS[from]?.includes(path)) {
        say(line, `core is pure and may not import ${from}`);
      }
    } else {
      const name = packageOf(from);
      const gate = GATES[name];
      if (gate === undefined) say(line, `package ${name} has no gate in scripts/layers.ts`);
      else if (gate !== path && !isTest(path)) say(line, `only ${gate} may import ${name}`);
    }
  }
  return findings;
}

const BANS: readonly { readonly pattern: RegExp; readonly message: string; readonly inCoreOnly?: true }[] = [
  { pattern: /\bDate\.now\b/g, message: 'Date.now: time comes from a Clock' },
  { pattern: /\bnew Date\(\s*\)/g, message: 'new Date(): time comes from a Clock' },
  { pattern: /\bperformance\.now\b/g, message: 'performance.now: time comes from a Clock' },
  { pattern: /\bMath\.random\b/g, message: 'Math.random: randomness comes from a Random' },
  { pattern: /\brandom(?:Bytes|UUID|Int)\b/g, message: 'randomness comes from a Random' },
  { pattern: /\b(?:setTimeout|setInterval)\b/g, message: 'timers come from a Clock' },
];
const BANS_ALWAYS: typeof BANS = [
  { pattern: /\bObject\.assign\b/g, message: "Object.assign sets '__proto__'; spread instead" },
  { pattern: /\bfor\s*\(\s*(?:const|let|var)\s+\S+\s+in\b/g, message: 'for…in walks prototypes; use Object.entries' },
  { pattern: /\b(?:async|await)\b/g, message: 'core is synchronous', inCoreOnly: true },
  { pattern: /\bprocess\.(?!umask\b)/g, message: 'core is pure', inCoreOnly: true },
];

/** Words that the code may not have: time, randomness and timers from nowhere, and traps of JavaScript. */
export function bannedFindings({ path, text }: Source): Finding[] {
  const code = codeOnly(text);
  if (isTest(path)) return [];
  const bans = [...(layerOf(path) === 'util' ? [] : BANS), ...BANS_ALWAYS];
  return bans
    .filter((ban) => !ban.inCoreOnly || layerOf(path) === 'core')
    .flatMap(({ pattern, message }) =>
      [...code.matchAll(pattern)].map((match) => ({ path, line: lineOf(text, match.index), message })),
    );
}

/** Room versions are compared in one file only: algorithms take rules and never a version. */
export function versionFindings({ path, text }: Source): Finding[] {
  if (path === 'core/room-versions.ts' || isTest(path)) return [];
  const code = codeOnly(text);
  const findings: Finding[] = [];
  const comparison =
    /\w*[vV]ersion\b[\w.!)]*\s*(?:[!=]==?|[<>]=?)\s*(['"\d])|(['"])\s*\2\s*[!=]==\s*\w*\.?(?:roomVersion|version)\b/g;
  for (const match of code.matchAll(comparison)) {
    const quote = match[1];
    const literal = quote === undefined ? '' : text.slice(match.index + match[0].length);
    const isVersion =
      quote === undefined || (/['"]/.test(quote) ? /^\d{1,2}['"]/.test(literal) : /room/i.test(match[0]));
    if (isVersion) {
      findings.push({
        path,
        line: lineOf(text, match.index),
        message: 'compares a room version; give RoomRules a field in core/room-versions.ts',
      });
    }
  }
  return findings;
}

/** Every keyspace is written by its declared writer only; migrations rewrite what they must. */
export function writerFindings({ path, text }: Source, keyspaces: Keyspaces): Finding[] {
  if (isTest(path) || path === 'store/migrations.ts') return [];
  const code = codeOnly(text);
  const imported = importsOf(text)
    .filter(({ from }) => from === '#store/schema.js')
    .flatMap(({ names }) => names);
  const writes = [...code.matchAll(/\.(?:put|delete)\(\s*(\w+)\s*,\s*\[/g)];
  return writes
    .filter((match) => imported.includes(match[1]!) && Object.hasOwn(keyspaces, match[1]!))
    .filter((match) => keyspaces[match[1]!]!.writer !== path)
    .map((match) => ({
      path,
      line: lineOf(text, match.index),
      message: `writes ${match[1]}, whose one writer is ${keyspaces[match[1]!]!.writer}`,
    }));
}

/** A declared writer that does not exist guards nothing. */
export function missingWriters(paths: readonly string[], keyspaces: Keyspaces): Finding[] {
  return Object.entries(keyspaces)
    .filter(([, { writer }]) => !paths.includes(writer))
    .map(([name, { writer }]) => ({
      path: 'store/schema.ts',
      line: 1,
      message: `${name}: its writer ${writer} does not exist`,
    }));
}

/** Names and sizes of files. */
export function fileFindings({ path, text }: Source): Finding[] {
  const findings: Finding[] = [];
  if (/(^|\/)index\.ts$/.test(path)) findings.push({ path, line: 1, message: 'no index.ts that re-exports' });
  const named = /(Manager|Handler|Service|Helper|Utils)\b/.exec(
    codeOnly(text)
      .match(/\b(?:class|interface|type) \w+/g)
      ?.join('\n') ?? '',
  );
  if (named !== null) findings.push({ path, line: 1, message: `a type named …${named[1]} says nothing` });
  if (!TABLES.includes(path) && text.split('\n').length > MOST_LINES)
    findings.push({ path, line: MOST_LINES, message: `longer than ${MOST_LINES} lines` });
  return findings;
}

/** Files that want a split soon. */
export function longFiles(sources: readonly Source[]): string[] {
  return sources
    .map(({ path, text }) => ({ path, lines: text.split('\n').length }))
    .filter(({ path, lines }) => lines > WARN_LINES && !TABLES.includes(path))
    .map(({ path, lines }) => `${path}: ${lines} lines`);
}

/** All findings about one file. */
export function findingsOf(source: Source, keyspaces: Keyspaces): Finding[] {
  return [
    ...layerFindings(source),
    ...bannedFindings(source),
    ...versionFindings(source),
    ...writerFindings(source, keyspaces),
    ...fileFindings(source),
  ];
}
