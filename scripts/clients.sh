#!/bin/sh
# Runs real clients against a server of ours: matrix-js-sdk in Node and in Chromium, and Hydrogen in Chromium. Needs,
# beside Node and npm, Debian's chromium, which it installs where it is missing. `SCREENSHOT=file.png` keeps what
# Hydrogen showed at the end.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

if ! command -v chromium >/dev/null 2>&1; then
  root=
  [ "$(id -u)" = 0 ] || root=sudo
  echo 'Installing chromium …'
  if ! { $root apt-get update -q && $root apt-get install -q -y --no-install-recommends chromium; } >&2; then
    echo 'The client tests need a chromium on the PATH, and apt-get could not install it.' >&2
    exit 1
  fi
fi

clients=spec-tests/clients
if ! cmp -s "$clients/package-lock.json" "$clients/node_modules/.installed-lock"; then
  echo 'Installing the clients …'
  (cd "$clients" && npm ci --include=dev --no-audit --no-fund --loglevel=error) >&2
  cp "$clients/package-lock.json" "$clients/node_modules/.installed-lock"
fi

npm run -s build
node_modules/.bin/tsc -b spec-tests
"$clients/node_modules/.bin/tsc" -p "$clients"

# The clients ask for a newer Node than the server, which runs on the one that is installed.
CHROMIUM=$(command -v chromium)
SPEC_NODE=$(command -v node)
export CHROMIUM SPEC_NODE

# Every test but those of the clients that have scripts of their own.
set --
for file in "$clients"/*.test.ts; do
  case $file in
  */nio.test.ts | */bot.test.ts | */rust.test.ts) ;;
  *) set -- "$@" "$file" ;;
  esac
done
exec "$clients/node_modules/.bin/node" --test --test-concurrency=1 --test-force-exit "$@"
