#!/usr/bin/env bash
# Numba 0.68.1: two processes that first call one cached function at the same moment, for different types, can leave a cache that gives
# the code for one type to the other in every later process, without a word: here the sum of the integers 1, 2, 3 is 3e-323.
#
# A compiled version is stored in two steps: its number into the index of the function, then the file with that number. Both processes
# see an empty index and take number 1. The index of the one that writes it last stays, and so does the file of the one that writes that
# last, which may be the other. Numba finds the file by the types asked for and does not look for which types it was compiled.
# The script puts a pause before each step, as a busy machine does; nothing else of Numba is touched. A lock of one's own around the
# first call of a function, for all processes of the machine, keeps it from happening.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 llvmlite==0.50.0 numpy==2.4.6
cd "$folder"
export NUMBA_CACHE_DIR="$folder/cache"
cat > sums.py <<'PY'
import numba


@numba.njit(cache=True)
def total(values):
    out = 0.0
    for v in values:
        out += v
    return out
PY
cat > first_call.py <<'PY'
import sys, time
import numpy as np
from numba.core.caching import IndexDataCacheFile as File
from sums import total

kind, index, data = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])

def after(seconds, step):
    def paused(self, *given):
        time.sleep(seconds)
        return step(self, *given)
    return paused

File._save_index, File._save_data = after(index, File._save_index), after(data, File._save_data)
total(np.array([1, 2, 3], dtype=kind))
PY
run() { "$folder/venv/bin/python" "$@"; }
run -c "import numba; print('numba', numba.__version__)"
run first_call.py float64 8 16 &
run first_call.py int64 16 0 &
wait
found=$(run -c "import numpy as np; from sums import total; print(total(np.array([1, 2, 3])), sum(total.stats.cache_hits.values()))")
echo "the sum of the integers 1, 2, 3, and how often it was found in the cache: $found"
[[ "$found" == "3e-323 1" ]] || {
    echo "the behaviour has changed"
    exit 1
}
