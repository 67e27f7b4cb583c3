#!/usr/bin/env bash
# pyarrow 26.0.1: `binary_join_element_wise` with `null_handling="skip"` returns fewer rows than it was given.
#
# Its documentation says that nulls are skipped, and it is named element-wise. A row in which all texts are null gives neither an
# empty text nor a null: it is left out, without an error, and all texts after it move up by a row. A table refuses the column for
# its length; what takes the array as it is has the texts of later rows beside earlier ones. "emit_null" and "replace" keep the
# length. narwhals met it in concat_str (narwhals-dev/narwhals issue 3965).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PY'
import pyarrow as pa
import pyarrow.compute as pc

print("pyarrow", pa.__version__)
desks = pa.array(["Rates", None, "FX"])
books = pa.array(["A", None, "B"])
joined = {how: pc.binary_join_element_wise(desks, books, "/", null_handling=how) for how in ("emit_null", "replace", "skip")}
for how, texts in joined.items():
    print(f"{how:9} {len(desks)} rows in, {len(texts)} out: {texts.to_pylist()}")
assert len(joined["emit_null"]) == len(joined["replace"]) == 3, "the behaviour has changed"
assert joined["skip"].to_pylist() == ["Rates/A", "FX/B"], "the behaviour has changed"
try:
    pa.table({"desk": desks}).append_column("path", joined["skip"])
except pa.ArrowInvalid as error:
    print("added to the table:", error)
else:
    raise SystemExit("the behaviour has changed: the table takes it")
PY
