#!/bin/sh
# Runs bots on matrix-bot-sdk, each in a process of its own, against a server of ours. Needs only Node and npm.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

clients=spec-tests/clients
if ! cmp -s "$clients/package-lock.json" "$clients/node_modules/.installed-lock"; then
  echo 'Installing the clients …'
  (cd "$clients" && npm ci --include=dev --no-audit --no-fund --loglevel=error) >&2
  cp "$clients/package-lock.json" "$clients/node_modules/.installed-lock"
fi

npm run -s build
node_modules/.bin/tsc -b spec-tests
"$clients/node_modules/.bin/tsc" -p "$clients"

SPEC_NODE=$(command -v node)
export SPEC_NODE
exec "$clients/node_modules/.bin/node" --test --test-force-exit "$clients/bot.test.ts"
