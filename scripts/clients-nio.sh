#!/bin/sh
# Runs matrix-nio from PyPI, a client stack of its own in Python and libolm, against a server of ours, with matrix-js-sdk
# as the other party. Needs, beside Node and npm, Python 3 and Debian's libolm-dev and compiler, which it installs where
# they are missing.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

VERSION=0.25.2
python=build/nio/bin/python
if ! [ -e "build/nio/.installed-$VERSION" ]; then
  echo 'Installing matrix-nio …'
  if ! [ -e /usr/include/olm/olm.h ] || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q >&2
    $root apt-get install -q -y --no-install-recommends libolm-dev python3-dev python3-venv gcc g++ make cmake >&2
  fi
  rm -rf build/nio
  python3 -m venv build/nio
  "$python" -m pip install -q --disable-pip-version-check "matrix-nio[e2e]==$VERSION" >&2
  touch "build/nio/.installed-$VERSION"
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

NIO_PYTHON=$PWD/$python
SPEC_NODE=$(command -v node)
export NIO_PYTHON SPEC_NODE
exec "$clients/node_modules/.bin/node" --test --test-force-exit "$clients/nio.test.ts"
