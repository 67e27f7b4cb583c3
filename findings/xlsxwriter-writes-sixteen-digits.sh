#!/usr/bin/env bash
# XlsxWriter 3.3.1: numbers are written with 16 significant digits, so that a double does not always read back as itself.
#
# A double needs up to 17 digits. 0.1 + 0.2 is written as 0.3, and of a thousand amounts of money a quarter come back with
# another last bit. Who compares a workbook with an answer to the bit finds differences that are the
# file's; varlake's other formats (JSON, CSV, Arrow, Parquet) hold every bit, and docs/api.md says what Excel holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xlsxwriter==3.3.1 python-calamine==0.9.1
"$folder/venv/bin/python" - "$folder/book.xlsx" <<'PY'
import random
import re
import sys
import zipfile

import python_calamine
import xlsxwriter

print("XlsxWriter", xlsxwriter.__version__)
draw = random.Random(1)
values = [0.1 + 0.2, *(draw.uniform(1e5, 1e8) for _ in range(1000))]
with xlsxwriter.Workbook(sys.argv[1]) as book:
    book.add_worksheet().write_column(0, 0, values)
written = re.findall("<v>(.*?)</v>", zipfile.ZipFile(sys.argv[1]).read("xl/worksheets/sheet1.xml").decode())
read = [row[0] for row in python_calamine.load_workbook(sys.argv[1]).get_sheet_by_index(0).to_python()]
other = sum(a != b for a, b in zip(values, read, strict=True))
print("0.1 + 0.2 is", repr(values[0]), "and is written as", written[0])
print(other, "of", len(values), "doubles read back as others; the longest text has", max(len(w.replace(".", "")) for w in written), "digits")
assert written[0] == "0.3" and read[0] == 0.3, "the behaviour has changed"
assert other > len(values) / 5, "the behaviour has changed"
PY
