#!/bin/sh
# Kills the server under load ten times and compares what it had acknowledged (docs/durability.md).
set -eu
cd "$(dirname "$0")/../.."
. scripts/install.sh
exec npm run --silent kill -- --rounds 10 --seed "${SEED:-1}" --check-every 5
