#!/bin/sh
# npm start: installs and builds what is missing, then becomes the server. Arguments are flags of `runnel serve`.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

# dist/.built is younger than everything that the build reads and names the Node that it was made with, unless something changed.
inputs='src package.json scripts/bundle.mjs scripts/compile-cache.mjs tsconfig.json tsconfig.base.json'
if [ "$(cat dist/.built 2>/dev/null)" != "$(node --version)" ] || [ -n "$(find $inputs -newer dist/.built -print | head -n 1)" ]; then
  echo 'Building …'
  mkdir -p dist
  node --version >dist/.building
  node_modules/.bin/tsc -b tsconfig.json
  node scripts/bundle.mjs
  mv dist/.building dist/.built
fi

# glibc would come to keep tens of megabytes that were freed, in an arena for each thread: docs/benchmarks/server.md.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-131072}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}"

# V8's own look for garbage at rest comes late, and again: src/cli/rest.ts does it. It takes this from the command line only.
exec node --no-memory-reducer dist/main.cjs serve "$@"
