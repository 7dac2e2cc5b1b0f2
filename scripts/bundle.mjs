// Bundles what the compiler has left in dist/ into dist/bundle/, which is what runs: see docs/decisions/0010-bundle.md and 0011.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { build, transform } from 'esbuild';

const OUT = 'dist/bundle';
const gypBuild = createRequire(import.meta.resolve('classic-level'))('node-gyp-build');
/** Packages with parts of native code, which must stay where npm has put them. */
const NATIVE = ['@node-rs/argon2', 'sharp', 'classic-level/package.json'];
/** Parts of fastify that it loads only where they are used, and here they are not. The text of the bundle stays in memory. */
const UNUSED = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'];
const COMMON = {
  outdir: OUT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  external: [...NATIVE, ...UNUSED],
  // Names stay, so that a stack trace can be read; the white space between them is a third of the text, which stays in memory.
  minifyWhitespace: true,
  lineLimit: 160,
  // V8 keeps a text with one character beyond ASCII in twice the memory.
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
  // The paths in tsconfig.json lead to the sources: what runs is what the compiler has left.
  tsconfigRaw: {},
};

/**
 * LevelDB's own part is found by where the package lies, which is not where the bundle lies. First it is looked for where
 * it lay when the bundle was made: what finds it takes a millisecond.
 */
const levelInItsPlace = {
  name: 'level-in-its-place',
  setup({ onLoad }) {
    onLoad({ filter: /classic-level[\\/]binding\.js$/ }, ({ path }) => {
      const found = relative(resolve(OUT), gypBuild.resolve(dirname(path)));
      return {
        contents: `
          const { dirname, join } = require('node:path');
          try {
            process.dlopen(module, join(dirname(__filename), ${JSON.stringify(found)}));
          } catch {
            module.exports = require('node-gyp-build')(dirname(require.resolve('classic-level/package.json')));
          }`,
      };
    });
  },
};

/** The version is read when the bundle is made. */
const versionInside = {
  name: 'version-inside',
  setup({ onLoad }) {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    onLoad({ filter: /util[\\/]version\.js$/ }, () => ({ contents: `export const VERSION = '${version}';` }));
  },
};

/** Packages that a start imports and does not use, with the names that are asked of them later. */
const APART_WHEN_USED = { ajv: ['Ajv'], fastify: ['fastify'], pino: ['pino'], tweetnacl: ['sign'] };
/** The same of packages that stay in the bundle. */
const INSIDE_WHEN_USED = { '@fastify/proxy-addr': ['all', 'compile'], 'smol-toml': ['parse', 'TomlError'] };
/** What a start does not need is a file of its own each, beside the bundle, whose text stays in memory. */
const APART = ['undici', ...Object.keys(APART_WHEN_USED)];
/** Those of them that every server comes to load, once its start is over: their text is made as short as the bundle's. */
const LOADED_LATER = ['fastify', 'pino'];
const apart = {
  name: 'apart',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: 'apart' }));
    onLoad({ filter: /.*/, namespace: 'apart' }, ({ path }) => ({
      contents: `const { dirname, join } = require('node:path');
        module.exports = require(join(dirname(__filename), '${path}.cjs'));`,
    }));
  },
};

/**
 * What most starts would load and never use: here it is loaded when one of these names is first asked for, and has no others.
 * A consumer that takes a name when it is loaded itself loads it then.
 */
const WHEN_USED = {
  'node:crypto': [
    ...['createHash', 'createHmac', 'createPrivateKey', 'createPublicKey', 'hash', 'randomBytes', 'sign', 'verify'],
    'timingSafeEqual',
  ],
  'node:child_process': ['fork'],
  'node:dns/promises': ['Resolver'],
  'node:fs/promises': ['mkdir', 'open', 'readdir', 'readFile', 'rename', 'rm', 'stat', 'unlink'],
  'node:http2': ['createServer', 'createSecureServer'],
  'node:https': ['createServer'],
  'node:tls': ['rootCertificates'],
  semver: ['coerce', 'gt', 'satisfies'],
};
/** The same of modules that are used at once, but of which little is. */
const IN_SHORT = {
  // All its users here call it with a condition.
  assert: "module.exports = (holds, message) => holds || require('node:assert')(holds, message);",
  // LevelDB makes its folder.
  'fs/promises': "module.exports = { mkdir: require('node:util').promisify(require('node:fs').mkdir) };",
  module: "module.exports = { createRequire: (from) => require('node:module').createRequire(from) };",
  // For durations in fastify's own log, which is off; Node would load it for the start.
  perf_hooks: 'module.exports = { performance: { now: () => performance.now() } };',
  // The program runs on the main thread only.
  worker_threads:
    "module.exports = { isMainThread: true, get Worker() { return require('node:worker_threads').Worker; } };",
  'thread-stream': "module.exports = function (...given) { return new (require('thread-stream'))(...given); };",
};
/** fastify's router makes a tree for each method that it knows of, twice; here it is asked for these alone (`http/framework.ts`). */
const methodsInUse = {
  name: 'methods-in-use',
  setup({ onLoad }) {
    onLoad({ filter: /find-my-way[\\/]lib[\\/]http-methods\.js$/ }, () => ({
      contents: "module.exports = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];",
    }));
  },
};
/** For the bundle, or for what the package of this name is made into. */
const loadedWhenUsed = (itself) => ({
  name: 'loaded-when-used',
  setup({ onResolve, onLoad }) {
    const sources = new Map();
    for (const [id, names] of Object.entries({ ...WHEN_USED, ...APART_WHEN_USED, ...INSIDE_WHEN_USED })) {
      const members = names.map((name) => `get ${name}() { return require('${id}').${name}; }`);
      sources.set(id, `module.exports = { ${members.join(', ')} };`);
    }
    for (const [id, source] of Object.entries(IN_SHORT)) {
      sources.set(id, source);
      if (!sources.has(`node:${id}`)) sources.set(`node:${id}`, source);
    }
    onResolve({ filter: /^[@\w:/-]+$/ }, ({ path, namespace }) => {
      if (!sources.has(path) || path === itself) return undefined;
      if (namespace === 'when-used' && Object.hasOwn(INSIDE_WHEN_USED, path)) return undefined;
      // From in there it is what Node finds.
      if (namespace !== 'when-used') return { path, namespace: 'when-used' };
      return Object.hasOwn(APART_WHEN_USED, path) ? { path, namespace: 'apart' } : { path, external: true };
    });
    onLoad({ filter: /.*/, namespace: 'when-used' }, ({ path }) => ({ contents: sources.get(path), resolveDir: '.' }));
    // A name that is missing above would be missed only where it is used.
    onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, ({ path }) => {
      for (const [, given, id] of readFileSync(path, 'utf8').matchAll(/^import \{([^}]*)\} from '(.*)';$/gm)) {
        const names = WHEN_USED[id] ?? APART_WHEN_USED[id] ?? INSIDE_WHEN_USED[id];
        const asked = given.split(',').flatMap((one) => /\w+/.exec(one) ?? []);
        const missing = asked.filter((name) => !names?.includes(name));
        if (names !== undefined && missing.length > 0)
          return { errors: [{ text: `${id} is loaded without ${missing}` }] };
      }
      return undefined;
    });
  },
});

/**
 * One script, and not a module: only scripts can be given code that was compiled before. It is a function of what Node
 * gives to CommonJS modules; `main.cts` calls it.
 */
async function buildProgram() {
  const { outputFiles } = await build({
    ...COMMON,
    entryPoints: { program: 'dist/cli/program.js' },
    format: 'cjs',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'bundle.url' },
    plugins: [levelInItsPlace, versionInside, apart, loadedWhenUsed()],
    write: false,
  });
  // A script's own names are kept, which here are those of all our modules; those inside of functions are a quarter of the text.
  const { target, lineLimit, charset, minifyWhitespace } = COMMON;
  const { code } = await transform(outputFiles[0].text, {
    ...{ target, lineLimit, charset, minifyWhitespace },
    minifyIdentifiers: true,
  });
  const url = "const bundle = { get url() { return require('node:url').pathToFileURL(__filename).href; } };";
  writeFileSync(`${OUT}/program.cjs`, `(function (require, __filename) { ${url}\n${code}})\n`);
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
await Promise.all([
  buildProgram(),
  ...APART.map((name) =>
    build({
      ...COMMON,
      stdin: { contents: `module.exports = require('${name}');`, resolveDir: '.', sourcefile: `${name}.cjs` },
      outExtension: { '.js': '.cjs' },
      entryNames: name,
      format: 'cjs',
      ...(LOADED_LATER.includes(name) && {
        minifyIdentifiers: true,
        plugins: [apart, methodsInUse, loadedWhenUsed(name)],
      }),
    }),
  ),
  // Decoders are loaded when the first picture or page comes.
  build({
    ...COMMON,
    entryPoints: { 'worker-process': 'dist/media/worker-process.js' },
    splitting: true,
    format: 'esm',
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
    },
  }),
]);

// What it prints is for an operator. V8 takes the result only where its own options are the same.
const { NODE_OPTIONS: _, ...env } = process.env;
execFileSync(process.execPath, ['scripts/compile-cache.mjs'], { stdio: ['ignore', 'ignore', 'inherit'], env });
