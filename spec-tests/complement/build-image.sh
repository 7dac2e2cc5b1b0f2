#!/bin/bash
# Builds the image that Complement runs, on top of the product's image. Complement itself is run from its own checkout,
# with COMPLEMENT_BASE_IMAGE set to the name given here (runnel-complement). See docs/COMPLEMENT.md.
set -euo pipefail
cd "$(dirname "$0")"
bash ../../scripts/image/build.sh runnel
DOCKER_BUILDKIT=0 docker build -q -t "${1:-runnel-complement}" .
