# Sourced by start.sh and test.sh, in the project's directory: checks Node and installs the packages where they are
# missing or package-lock.json has changed since they were installed.

if ! command -v node >/dev/null 2>&1; then
  echo 'Runnel needs Node.js 20.19 or later; there is no node on the PATH.' >&2
  exit 1
fi
node -e '
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) process.exit(0);
  console.error(`Runnel needs Node.js 20.19 or later; this is ${process.version}.`);
  process.exit(1);
' || exit 1

if ! cmp -s package-lock.json node_modules/.installed-lock; then
  echo 'Installing packages …'
  npm ci --include=dev --no-audit --no-fund --loglevel=error >&2
  cp package-lock.json node_modules/.installed-lock
fi
