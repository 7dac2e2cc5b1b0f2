// Bundles what the compiler has left in dist/ into dist/bundle/, which is what runs: see docs/decisions/0010-bundle.md.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

const OUT = 'dist/bundle';
/** Packages with parts of native code, which must stay where npm has put them. */
const NATIVE = ['@node-rs/argon2', 'classic-level', 'sharp'];

rmSync(OUT, { recursive: true, force: true });
await build({
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
  // CommonJS packages ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
  },
});
