#!/usr/bin/env bash
# The tests of what runs (units and black-box) with each later Node that has long support: V8 and Node's own modules differ.
# The Nodes come from npm; the machine's own is not touched. What each builds lies in a copy of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

versions=(22 24 26)
. scripts/install.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
platform=$(node -p '`${process.platform}-${process.arch}`')

failed=()
for version in "${versions[@]}"; do
  copy=$work/$version
  mkdir -p "$copy/project" "$copy/node"
  npm install --prefix "$copy/node" --no-save --no-audit --no-fund --loglevel=error "node-$platform@$version" >&2
  tar -cf - --exclude=./.git --exclude=./node_modules --exclude=./dist --exclude=./build --exclude=./.venv . |
    tar -xf - -C "$copy/project"
  cp -a node_modules "$copy/project/node_modules"
  path=$copy/node/node_modules/node-$platform/bin:$PATH
  printf '\n-- Node %s\n' "$(PATH=$path node --version)"
  (cd "$copy/project" && PATH=$path npm test -- units black-box) || failed+=("Node $version")
  rm -rf "$copy"
done

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'FAILED with %s\n' "${failed[@]}"
  exit 1
fi
