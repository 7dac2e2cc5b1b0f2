#!/bin/sh
# Makes the virtual environment with the Synapse that `npm run differential` asks; does nothing where it is there.
set -eu
cd "$(dirname "$0")/../.."
version=1.163.2
venv=build/venv

if [ "$(cat "$venv/.synapse-version" 2>/dev/null)" = "$version" ]; then exit 0; fi
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
  echo "differential: needs Python 3.10 or later; there is no $python on the PATH." >&2
  exit 1
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "differential: needs Python 3.10 or later; this is $("$python" --version)." >&2
  exit 1
}
rm -rf "$venv"
"$python" -m venv "$venv" || {
  echo 'differential: Python can make no virtual environment (on Debian: apt install python3-venv).' >&2
  exit 1
}
echo "Installing Synapse $version into $venv …" >&2
"$venv/bin/pip" install --quiet --disable-pip-version-check "matrix-synapse==$version" || {
  echo "differential: could not install matrix-synapse $version from PyPI." >&2
  exit 1
}
"$venv/bin/python" -c 'import synapse.synapse_rust' || exit 1
echo "$version" >"$venv/.synapse-version"
