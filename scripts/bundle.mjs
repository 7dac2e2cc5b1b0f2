// Bundles what the compiler has left in dist/ into dist/bundle/, which is what runs: see docs/decisions/0010-bundle.md.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const OUT = 'dist/bundle';
/** Packages with parts of native code, which must stay where npm has put them. */
const NATIVE = ['@node-rs/argon2', 'classic-level', 'sharp'];

const { outputFiles } = await build({
  entryPoints: { program: 'dist/cli/program.js', 'worker-process': 'dist/media/worker-process.js' },
  outdir: OUT,
  bundle: true,
  // What is imported late (undici, decoders) is loaded late.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: NATIVE,
  legalComments: 'none',
  logLevel: 'warning',
  write: false,
  // CommonJS packages ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
  },
});
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
// In code esbuild escapes what is not ASCII, so that the rest stands in comments. V8 keeps a text with one such character in twice
// the memory: 2.7 MB.
for (const { path, text } of outputFiles) writeFileSync(path, text.replace(/[^\0-\x7f]/g, '?'));
