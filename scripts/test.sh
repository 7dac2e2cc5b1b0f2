#!/bin/sh
# npm test: everything that needs only Node and npm.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh
exec node scripts/test.mjs "$@"
