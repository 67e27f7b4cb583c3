"""Every question's answer as a workbook: the same figures as JSON has, each in the format of its unit."""

from __future__ import annotations

import datetime as dt
import functools
import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
import python_calamine
from command_line import refused, varlake
from flask.testing import FlaskClient
from small_lake import FORMULA, FRIDAY, MONDAY, SHOCK, base

from aggregation.questions import QUESTIONS
from aggregation.units import units_of
from service.api.app import create_app
from service.choices import inputs_of
from service.config import Settings
from service.encoding import MEDIA_TYPES, as_json, to_rows, to_xlsx
from service.excel import template

Answers = Callable[[str, str], bytes]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def asking(answering_lake: Path) -> FlaskClient:
    return create_app(Settings(lake=answering_lake)).test_client()


def cells(data: bytes, sheet: int = 1) -> dict[str, tuple[ET.Element, str]]:
    """Every cell of a sheet with the code of its number format."""
    book = zipfile.ZipFile(io.BytesIO(data))
    styles = ET.fromstring(book.read("xl/styles.xml"))
    codes = {"3": "#,##0", "10": "0.00%"}  # that every workbook knows
    codes |= {f.get("numFmtId"): f.get("formatCode", "") for f in styles.iter(f"{MAIN}numFmt")}
    used = [x.get("numFmtId") for x in styles.find(f"{MAIN}cellXfs") or ()]
    rows = ET.fromstring(book.read(f"xl/worksheets/sheet{sheet}.xml"))
    return {c.get("r", ""): (c, codes.get(used[int(c.get("s", 0))], "")) for c in rows.iter(f"{MAIN}c")}


FORMATS = {"fraction": "0.00%", "count": "#,##0", "date": "yyyy-mm-dd"}


def plain(value: Any) -> Any:
    """A cell as JSON has it; an empty one is read as an empty text."""
    return None if value == "" else value.isoformat() if isinstance(value, dt.date) else value


def column(letters: str) -> int:
    """The place of a column of a sheet: 0 for A."""
    place = 0
    for letter in letters:
        place = 26 * place + ord(letter) - 64
    return place - 1


@pytest.fixture(scope="module")
def answers(asking: FlaskClient) -> Answers:
    """The example of every question as JSON, Arrow or Excel, each asked once and when a test needs it."""

    @functools.cache
    def asked(name: str, kind: str) -> bytes:
        return asking.post(f"/api/v1/{name}", json=base(name), headers={"Accept": MEDIA_TYPES[kind]}).data

    return asked


def table_of(answers: Answers, name: str) -> pa.Table:
    return pa.ipc.open_stream(answers(name, "arrow")).read_all()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_workbook_has_the_figures_of_json_to_the_last_digit(name: str, answers: Answers) -> None:
    said, table, data = json.loads(answers(name, "json")), table_of(answers, name), answers(name, "xlsx")
    rows = as_json(to_rows(table))
    assert said.get("rows", rows) == rows  # of drivers and the limit hedge JSON has more than a table
    book = python_calamine.load_workbook(io.BytesIO(data))
    header, *written = book.get_sheet_by_name("Answer").to_python()
    assert [dict(zip(header, map(plain, row), strict=True)) for row in written] == [
        {k: None if v == "" else json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
        for row in rows
    ]
    about = book.get_sheet_by_name("Context").to_python()
    assert ["receipt.receipt_digest", said["receipt"]["receipt_digest"]] in about
    assert [v for k, v in about if k == "notes"] == said["notes"]
    units = json.loads(table.schema.metadata[b"units"])
    assert {k.removeprefix("units."): v for k, v in about if k.startswith("units.")} == units
    assert {f.name for f in table.schema if pa.types.is_floating(f.type)} <= units.keys()
    formats = {cell[:-1]: code for cell, (_, code) in cells(data).items() if cell.endswith("2") and cell[:-1].isalpha()}
    assert {header[column(c)]: code for c, code in formats.items() if code} == {
        name: FORMATS.get(unit, f"[${unit}] #,##0.00")
        for name, unit in units.items()
        if rows and rows[0][name] is not None and unit != "number"
    }


# of the examples, all that is no money
OTHER_UNITS = {
    "fraction": {
        *("probability", "share", "stability", "p_value", "share_of_change", "share_of_positions", "density"),
        *("supervisory_factor", "utilisation", "utilisation_before", "volatility", "warning"),
    },
    "number": {
        *("quantity", "quantity_before", "quantity_after", "weight_before", "weight_after", "correlation", "Amount"),
        *("first", "second", "base", "level", "move", "deviations", "statistic", "multiplier", "supervisory_delta"),
        # of limits, each in its own currency
        *("amount", "used", "used_before", "change", "headroom"),
        *("shift", "S", "E", "M", "T", "P", "K", "MF", "maturity_before", "maturity_after", "maturity_difference"),
    },
}


def test_a_figure_is_money_unless_it_is_known_to_be_none(answers: Answers) -> None:
    found: dict[str, set[str]] = {}
    for table in (table_of(answers, name) for name in QUESTIONS):
        for column, unit in json.loads(table.schema.metadata[b"units"]).items():
            if pa.types.is_floating(table.schema.field(column).type):
                found.setdefault(unit, set()).add(column)
    assert {unit: names for unit, names in found.items() if unit != "USD"} == OTHER_UNITS
    euros = units_of(table_of(answers, "crif").schema, {"currency": "EUR"})
    assert {name: euros[name] for name in ("Amount", "AmountUSD")} == {"Amount": "number", "AmountUSD": "USD"}


def test_measures_that_are_no_money_have_their_unit(asking: FlaskClient) -> None:
    asked = {"as_of": str(MONDAY), "measures": ["kurtosis", "exceedance"], "thresholds": [100.0]}
    answers = [
        asking.post(f"/api/v1/{name}", json={**asked, **more}, headers={"Accept": MEDIA_TYPES["arrow"]}).data
        for name, more in (
            ("var", {}),
            ("pivot", {"rows": ["book"], "columns": ["desk"]}),
            ("pivot", {"rows": ["book"], "columns": ["desk"], "measures": ["kurtosis"], "thresholds": []}),
        )
    ]
    flat, wide, one = (json.loads(pa.ipc.open_stream(a).schema.metadata[b"units"]) for a in answers)
    assert (flat["kurtosis"], flat["exceedance_100"], flat["base_value"]) == ("number", "fraction", "USD")
    assert (wide["total kurtosis"], wide["total exceedance_100"]) == ("number", "fraction")
    assert set(one.values()) == {"number"}


def test_each_kind_of_value_is_what_it_is() -> None:
    instant = dt.datetime(2020, 3, 16, 18, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "text": [FORMULA, "-5", "plain", None],
            "money": [-1234.5, 0.1 + 0.2, 1e-300, None],
            "part": [0.5, 0.0, 1.0, None],
            "days": pa.array([1, -2, 10**17, None]),
            "date": [dt.date(2020, 3, 16), dt.date(1850, 1, 1), dt.date(9999, 12, 31), None],
            "at": pa.array([instant, None, None, None], pa.timestamp("us", "UTC")),
            "yes": [True, False, None, None],
        }
    )
    data = to_xlsx(table, {"units": {"money": "USD", "part": "fraction", "days": "count"}})
    found = cells(data)
    kinds = {c: cell.get("t", "n") for c, (cell, _) in found.items() if c[1:] == "2"}
    assert kinds == {"A2": "s", "B2": "n", "C2": "n", "D2": "n", "E2": "n", "F2": "n", "G2": "b"}
    assert found["B3"][0].findtext(f"{MAIN}v") == "0.30000000000000004"  # 17 digits
    assert found["B2"][1] == "[$USD] #,##0.00"
    assert [found[c][0].get("t") for c in ("E3", "D4")] == ["s", "s"]  # what Excel has no number for
    assert not zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").count(b"<f>")
    rows = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    assert rows[1] == [FORMULA, -1234.5, 0.5, 1.0, dt.date(2020, 3, 16), instant.replace(tzinfo=None), True]
    assert (rows[2][0], rows[2][4], rows[3][3]) == ("-5", "1850-01-01", "100000000000000000")
    styles = zipfile.ZipFile(io.BytesIO(data)).read("xl/styles.xml")
    assert styles.count(b'quotePrefix="1"') == 1  # and so it stays a text when the cell is edited


def test_a_text_too_long_for_a_cell_is_cut_and_said_to_be() -> None:
    book = python_calamine.load_workbook(io.BytesIO(to_xlsx(pa.table({"a": ["x" * 40_000]}), {"notes": ["b"]})))
    assert len(book.get_sheet_by_name("Answer").to_python()[1][0]) == 32_767
    assert book.get_sheet_by_name("Context").to_python()[-1][1].startswith("1 texts are longer than a cell holds")


def test_the_header_stays_and_filters(asking: FlaskClient) -> None:
    data = asking.get(f"/api/v1/var?as_of={MONDAY}&by=desk&format=xlsx").data
    sheet = ET.fromstring(zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml"))
    pane = next(sheet.iter(f"{MAIN}pane"))
    assert (pane.get("ySplit"), pane.get("state")) == ("1", "frozen")
    assert next(sheet.iter(f"{MAIN}autoFilter")).get("ref", "").startswith("A1:")
    assert all(float(c.get("width", 0)) >= 5 for c in sheet.iter(f"{MAIN}col"))


LISTS = {
    "dates": ["2020-03-16", "2020-03-13"],
    "dimensions": ["trade", "desk", "legal_entity"],
    "scenario_sets": ["historical-30"],
}
HARD = {"where": "desk=Équités & Co, 100%", "scenario": SHOCK + "; fx[EURUSD] +1%"}


def test_the_template_makes_addresses_that_are_answered(asking: FlaskClient) -> None:
    made = asking.get("/api/v1/excel-template", headers={"Accept": "*/*"})
    assert made.headers["Content-Disposition"] == "attachment; filename=varlake-template.xlsx"
    book = python_calamine.load_workbook(io.BytesIO(made.data))
    assert book.sheet_names == ["Parameters", "Questions", "Power Query", "Lists"]
    header, *rows = book.get_sheet_by_name("Questions").to_python()
    asked = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert (
        asked.keys()
        == {name for name in QUESTIONS if inputs_of(name) is not None}
        == set(QUESTIONS) - {"limit-hedge", "pre-trade"}
    )
    for name, row in asked.items():
        required = {i.name for i in inputs_of(name) or () if i.required}
        given = parse_qs(urlsplit(row["address"]).query)
        assert set(row["still needs"].split()) == required - given.keys()
        assert row["open"] == (f"needs {row['still needs']}" if row["still needs"] else "open")
    answered = asking.get(asked["var"]["address"].removeprefix("http://localhost"))
    assert answered.status_code == 200
    assert answered.mimetype == MEDIA_TYPES["xlsx"]
    assert f"&as_of={MONDAY}" in asked["var"]["address"]
    assert {f"&from={FRIDAY}", f"&to={MONDAY}"} <= {f"&{p}" for p in asked["compare"]["address"].split("&")}


def test_every_parameter_of_every_question_is_on_the_sheet_once_with_its_list() -> None:
    data = template("http://127.0.0.1:8050/", LISTS)
    book = python_calamine.load_workbook(io.BytesIO(data))
    _, *rows = book.get_sheet_by_name("Parameters").to_python()[5:]
    used = [(row[0], name) for row in rows for name in row[8].split(", ")]
    assert sorted(used) == sorted((i.name, name) for name in QUESTIONS for i in inputs_of(name) or ())
    lists = book.get_sheet_by_name("Lists").to_python()
    assert [row[0] for row in lists[1:3]] == LISTS["dates"]
    sheet = ET.fromstring(zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml"))
    validated = {v.get("sqref", ""): v.findtext(f"{MAIN}formula1") for v in sheet.iter(f"{MAIN}dataValidation")}
    place = {(row[0], row[8].split(", ")[0]): f"B{i}" for i, row in enumerate(rows, start=7)}
    assert validated[place["as_of", "var"]] == "Lists!$A$2:$A$3"
    assert validated[place["measures", "var"]].startswith("Lists!")
    assert place["where", "var"] not in validated  # any filter


def test_no_address_is_refused(asking: FlaskClient, tmp_path: Path, valued_lake: Path) -> None:
    said = asking.get("/api/v1/excel-template?address=here")
    assert (said.status_code, said.get_json()["errors"][0]["pointer"]) == (422, "/address")
    assert "expected one such as http" in refused(
        "excel-template", "--address", "here", tmp_path / "t.xlsx", lake=valued_lake
    )


def test_the_command_writes_it(tmp_path: Path, valued_lake: Path) -> None:
    file = tmp_path / "varlake-template.xlsx"
    done = varlake("excel-template", "--address", "https://risk.example:8443", file, lake=valued_lake)
    assert done.returncode == 0, done.stderr
    rows = python_calamine.load_workbook(file).get_sheet_by_name("Questions").to_python()
    assert rows[1][3].startswith("https://risk.example:8443/api/v1/var?format=xlsx&as_of=")
    assert "cannot be written" in refused("excel-template", tmp_path / "nowhere" / "t.xlsx", lake=valued_lake)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Any]:
    """A workbook as LibreOffice reads and recalculates it."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice Calc is not installed")
    home = tmp_path_factory.mktemp("office")
    (home / "profile" / "user").mkdir(parents=True)
    (home / "profile" / "user" / "registrymodifications.xcu").write_text(RECALCULATE)

    def opened(data: bytes) -> Any:
        # no value that a formula was given may be taken for one that was calculated
        with zipfile.ZipFile(io.BytesIO(data)) as made, zipfile.ZipFile(home / "book.xlsx", "w") as bare:
            for part in made.namelist():
                bare.writestr(part, re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1<v></v>", made.read(part)))
        command = [program, f"-env:UserInstallation={(home / 'profile').as_uri()}", "--headless", "--convert-to", "ods"]
        subprocess.run([*command, "--outdir", home, home / "book.xlsx"], check=True, capture_output=True, timeout=120)
        return python_calamine.load_workbook(home / "book.ods")

    return opened


RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>"""


def test_another_program_reads_the_same_and_calculates_the_same(office: Any, answers: Answers) -> None:
    for data in (template("http://127.0.0.1:8050", LISTS), answers("series", "xlsx")):
        ours, theirs = python_calamine.load_workbook(io.BytesIO(data)), office(data)
        for sheet in ours.sheet_names:
            assert shortened(theirs.get_sheet_by_name(sheet)) == shortened(ours.get_sheet_by_name(sheet))


def shortened(sheet: Any) -> list[list[Any]]:
    """The cells, numbers with the 15 digits that LibreOffice writes to its own files."""
    return [[float(f"{v:.14g}") if isinstance(v, float) else v for v in row] for row in sheet.to_python()]


def test_what_is_filled_in_stands_escaped_in_the_address(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "service.excel.first_values", lambda given, *_: (HARD[given.name],) if given.name in HARD else ()
    )
    data = template("http://127.0.0.1:8050", LISTS)
    stress = next(r for r in office(data).get_sheet_by_name("Questions").to_python() if r[0] == "stress")
    given = parse_qs(urlsplit(stress[3]).query)
    assert given == {"format": ["xlsx"], "where": [HARD["where"]], "scenario": [HARD["scenario"]]}
    # a program that lacks ENCODEURL
    data = re_zipped(data, rb"_xlfn.ENCODEURL\(([^)]*)\)", rb"_xlfn.NOTHERE(\1)")
    bare = next(r for r in office(data).get_sheet_by_name("Questions").to_python() if r[0] == "stress")
    assert parse_qs(urlsplit(bare[3]).query) == given


def re_zipped(data: bytes, pattern: bytes, by: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as made, zipfile.ZipFile(out, "w") as changed:
        for part in made.namelist():
            changed.writestr(part, re.sub(pattern, by, made.read(part)))
    return out.getvalue()
