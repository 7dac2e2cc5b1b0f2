#!/bin/bash
# Builds the product's image from the Dockerfile as `runnel` (or the name given), on the base of base.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(bash scripts/image/base.sh)
DOCKER_BUILDKIT=0 docker build --network host -q --build-arg BASE="$base" -t "${1:-runnel}" .
