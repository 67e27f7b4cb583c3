#!/usr/bin/env bash
# pytest-xdist 3.8.0: `--dist loadfile` and `--dist loadscope` run one of several tests that have the same id, and report success.
#
# Schemathesis makes a test of every operation of an API, and all those of one function have one node id. pytest alone runs each of them, and so
# do the schedules load and worksteal, which hand out places in the collection. loadfile and loadscope keep the tests of a file in a
# dictionary by their ids: of three operations one is run, with no warning and exit code 0. The line "2 workers [4 items]" tells the number that
# were to run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0 schemathesis==4.32.5
mkdir "$folder/tests"
cat > "$folder/tests/test_api.py" <<'PY'
import schemathesis
from hypothesis import Phase, settings

ANSWERS = {"responses": {"200": {"description": "fine"}}}
schema = schemathesis.openapi.from_dict(
    {
        "openapi": "3.0.3",
        "info": {"title": "three", "version": "1"},
        "paths": {f"/{name}": {"get": ANSWERS} for name in ("var", "stress", "exposure")},
    }
)


@schema.parametrize()
@settings(max_examples=1, phases=[Phase.generate], deadline=None)
def test_operation(case):
    assert case.method == "GET"


def test_another():
    pass
PY
cd "$folder"
"$folder/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -E "^(pytest|pytest-xdist|schemathesis) "
passed() { "$folder/venv/bin/python" -m pytest -q -p no:cacheprovider "$@" tests 2>&1 | grep -oE "[0-9]+ passed"; }
for how in "-n0" "-n2 --dist load" "-n2 --dist worksteal" "-n2 --dist loadfile" "-n2 --dist loadscope"; do
    # shellcheck disable=SC2086
    found=$(passed $how)
    echo "$how: $found"
    case $how in
        *loadfile | *loadscope) expected="2 passed" ;;
        *) expected="4 passed" ;;
    esac
    [ "$found" = "$expected" ] || { echo "the behaviour has changed: expected $expected"; exit 1; }
done
