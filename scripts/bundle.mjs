// Bundles what the compiler has left in dist/ into dist/bundle/, which is what runs: see docs/decisions/0010-bundle.md and 0011.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

const OUT = 'dist/bundle';
/** Packages with parts of native code, which must stay where npm has put them. */
const NATIVE = ['@node-rs/argon2', 'sharp', 'classic-level/package.json'];
const COMMON = {
  outdir: OUT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  external: NATIVE,
  // Names stay, so that a stack trace can be read; the white space between them is a third of the text, which stays in memory.
  minifyWhitespace: true,
  lineLimit: 160,
  // V8 keeps a text with one character beyond ASCII in twice the memory.
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
};

/** LevelDB's own part is found by where the package lies, which is not where the bundle lies. */
const levelInItsPlace = {
  name: 'level-in-its-place',
  setup({ onLoad }) {
    onLoad({ filter: /classic-level[\\/]binding\.js$/ }, () => ({
      contents: `module.exports = require('node-gyp-build')(
        require('node:path').dirname(require.resolve('classic-level/package.json')));`,
    }));
  },
};

/** undici, a megabyte that most starts do not need, is a file of its own. */
const undiciApart = {
  name: 'undici-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^undici$/ }, () => ({ path: './undici.cjs', external: true }));
  },
};

/** fastify loads HTTP/2 though we never ask it for a server: 5 ms of each start. It gets one that is loaded when used. */
const http2WhenUsed = {
  name: 'http2-when-used',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:http2$/ }, ({ namespace }) =>
      namespace === 'http2' ? undefined : { path: 'node:http2', namespace: 'http2' },
    );
    onLoad({ filter: /.*/, namespace: 'http2' }, () => ({
      contents: `const when = (name) => (...given) => require('node:http2')[name](...given);
        module.exports = { createServer: when('createServer'), createSecureServer: when('createSecureServer') };`,
    }));
  },
};

rmSync(OUT, { recursive: true, force: true });
await Promise.all([
  // One script, and not a module: only scripts can be given code that was compiled before. It is a function of what Node
  // gives to CommonJS modules; `main.ts` calls it.
  build({
    ...COMMON,
    entryPoints: { program: 'dist/cli/program.js' },
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'bundleUrl' },
    banner: {
      js: "(function (require, __filename) { const bundleUrl = require('node:url').pathToFileURL(__filename).href;",
    },
    footer: { js: '})' },
    plugins: [levelInItsPlace, undiciApart, http2WhenUsed],
  }),
  build({
    ...COMMON,
    stdin: { contents: "module.exports = require('undici');", resolveDir: '.', sourcefile: 'undici.cjs' },
    outExtension: { '.js': '.cjs' },
    entryNames: 'undici',
    format: 'cjs',
  }),
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
