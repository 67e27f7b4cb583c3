#!/usr/bin/env bash
# pyarrow 26.0.1: importing pyarrow.dataset, or making one scalar, imports pandas wherever it is installed.
#
# `import pyarrow.parquet` does not. The dataset module makes scalars of its own while it is imported, and pyarrow.scalar looks
# whether its value might be a pandas object by importing pandas. Where pandas is installed for another reason, the start of a short
# command pays for it: more than the import of NumPy and pyarrow.parquet together. Nothing in pyarrow turns it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==2.3.3 numpy==2.4.6
run() { "$folder/venv/bin/python" -c "import sys, time; start = time.process_time(); $1; print('$2', 'pandas' in sys.modules, round(time.process_time() - start, 2), 's')"; }
"$folder/venv/bin/python" -c "import pyarrow; print('pyarrow', pyarrow.__version__)"
one=$(run "import numpy, pyarrow.parquet" "import pyarrow.parquet: pandas imported")
two=$(run "import pyarrow.dataset" "import pyarrow.dataset: pandas imported")
three=$(run "import pyarrow; pyarrow.scalar(1)" "pyarrow.scalar(1): pandas imported")
printf '%s\n' "$one" "$two" "$three"
[[ "$one" == *"imported False"* && "$two" == *"imported True"* && "$three" == *"imported True"* ]] || {
    echo "the behaviour has changed"
    exit 1
}
