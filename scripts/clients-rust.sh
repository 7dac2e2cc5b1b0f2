#!/bin/sh
# Runs matrix-rust-sdk from crates.io, which Element X stands on, against a server of ours: simplified sliding sync, the
# room list, timelines, threads and encryption. Needs, beside Node and npm, a Rust of the version that
# spec-tests/clients/rust/Cargo.toml names, and a C compiler (for SQLite and for the TLS of the client), which it installs
# from Debian where it is missing; so it does with rustup where there is no cargo.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

clients=spec-tests/clients
root=
[ "$(id -u)" = 0 ] || root=sudo
if ! command -v cargo >/dev/null 2>&1; then
  echo 'Installing rustup …'
  if ! { $root apt-get update -q && $root apt-get install -q -y --no-install-recommends rustup &&
    rustup toolchain install stable --profile minimal; } >&2; then
    echo 'These tests need a cargo of Rust 1.93 or later on the PATH, and Debian had no rustup to install.' >&2
    exit 1
  fi
fi
if ! command -v cc >/dev/null 2>&1; then
  echo 'Installing a C compiler …'
  { $root apt-get update -q && $root apt-get install -q -y --no-install-recommends gcc libc6-dev; } >&2
fi

if ! cmp -s "$clients/package-lock.json" "$clients/node_modules/.installed-lock"; then
  echo 'Installing the clients …'
  (cd "$clients" && npm ci --include=dev --no-audit --no-fund --loglevel=error) >&2
  cp "$clients/package-lock.json" "$clients/node_modules/.installed-lock"
fi

echo 'Building with matrix-rust-sdk …'
cargo build --quiet --locked --manifest-path "$clients/rust/Cargo.toml" --target-dir build/rust

npm run -s build
node_modules/.bin/tsc -b spec-tests
"$clients/node_modules/.bin/tsc" -p "$clients"

RUST_PARTY=$PWD/build/rust/debug/rust-party
SPEC_NODE=$(command -v node)
export RUST_PARTY SPEC_NODE
exec "$clients/node_modules/.bin/node" --test --test-force-exit "$clients/rust.test.ts"
