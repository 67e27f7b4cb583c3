#!/usr/bin/env bash
# deltalake 1.6.6: a table whose `_last_checkpoint` names a checkpoint that is gone cannot be opened, though its log is whole.
#
# The file is a hint that saves listing the log. Every entry since version 0 is there, so that all rows are known; deltalake raises
# all the same, and opens the table as soon as the hint is removed as well. varlake reads such a table from its entries
# (lake/delta_log.py), and its next commit removes what is left of the checkpoints.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder/table" <<'PY'
import importlib.metadata
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

print("deltalake", importlib.metadata.version("deltalake"))
table = sys.argv[1]
for i in range(3):
    write_deltalake(table, pa.table({"x": [i]}), mode="append")
DeltaTable(table).create_checkpoint()
log = Path(table) / "_delta_log"
for checkpoint in log.glob("*.checkpoint.parquet"):
    checkpoint.unlink()
print("the log holds", sorted(p.name for p in log.iterdir()))
try:
    DeltaTable(table)
except DeltaError as error:
    print("refused:", error)
else:
    sys.exit("the behaviour has changed: it opens")
(log / "_last_checkpoint").unlink()
opened = DeltaTable(table)
print("without the hint it opens at version", opened.version(), "with", len(opened.file_uris()), "files")
assert opened.version() == 2 and len(opened.file_uris()) == 3, "the behaviour has changed"
PY
