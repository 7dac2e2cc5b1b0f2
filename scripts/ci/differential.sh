#!/bin/sh
# A short run of the differential tests, the same on every run: three hundred cases of each kind.
set -eu
cd "$(dirname "$0")/../.."
. scripts/install.sh
exec npm run --silent differential -- --cases 300 --seed 1
