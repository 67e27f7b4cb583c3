#!/usr/bin/env bash
# pyarrow 26.0.1: a filtered read of a column that is read as a dictionary keeps the values of the rows that the filter left out.
#
# The rows are right, and so is every text that is looked up. But the dictionary beside the codes has the values of all rows of the file,
# and they travel with the table: into IPC files, to another process, to whoever receives it. Who filters rows because their reader may
# not see the others hands their values over all the same. varlake reads columns of texts plainly where a reader sees a part
# of the rows (aggregation/book/book.py), and a test compares the bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

print("pyarrow", pa.__version__)
path = f"{sys.argv[1]}/positions.parquet"
pq.write_table(pa.table({"desk": ["Rates", "Credit"], "client": ["Alder Fund", "Birch Bank"]}), path)
form = ds.ParquetFileFormat(dictionary_columns=["client"])
read = ds.dataset(path, format=form).to_table(filter=ds.field("desk") == "Rates")
kept = sorted({v for chunk in read["client"].chunks for v in chunk.dictionary.to_pylist()})
sink = pa.BufferOutputStream()
with pa.ipc.new_stream(sink, read.schema) as stream:
    stream.write_table(read)
print("rows:", read.to_pylist())
print("values of the dictionary:", kept)
print("the value of the other row is in the IPC stream:", b"Birch Bank" in sink.getvalue().to_pybytes())
plain = ds.dataset(path).to_table(filter=ds.field("desk") == "Rates")
print("read without dictionaries, values:", plain["client"].unique().to_pylist())
assert read.num_rows == 1 and kept == ["Alder Fund", "Birch Bank"], "the behaviour has changed"
assert b"Birch Bank" in sink.getvalue().to_pybytes(), "the behaviour has changed"
PY
