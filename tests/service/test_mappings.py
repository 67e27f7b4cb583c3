"""Mappings, suggestions, unusable rows and the versions of a trade, at every door."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

EXPORT = b"Trade ID;B/S;Amount;Ticker\nT-1;B;1.500,5;AAA\nT-2;S;3;AAA\nT-3;X;3;AAA\n"
MAPPING = f"""
[dialect]
delimiter = ";"
decimal = ","
thousands = "."

[columns]
trade = "Trade ID"
quantity = {{ from = "Amount", side = {{ from = "B/S", buy = ["B"], sell = ["S"] }} }}
underlying = {{ from = "Ticker", prefix = "EQ:" }}
instrument = "Ticker"
instrument_type = {{ constant = "cash_equity" }}
currency = {{ constant = "USD" }}
positions_date = {{ constant = "{MONDAY}" }}
""" + "".join(f'{d} = {{ constant = "all" }}\n' for d in DIMENSION_COLUMNS if d not in ("trade", "instrument"))
PNL = f"Datum;P&L (TEUR);Tisch\n{MONDAY};-1,5;Aktien\n".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an export, its mapping, and a folder of kept mappings."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "bank.toml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "own.toml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "export.csv").write_bytes(EXPORT)
    return tmp_path


@pytest.fixture
def web(work_lake: Lake) -> FlaskClient:
    return create_app(Settings(lake=work_lake.path)).test_client()


def parts(**files: bytes) -> dict[str, Any]:
    return {"data": {"file": [(io.BytesIO(c), n.replace("_", ".")) for n, c in files.items()]}}


def held(lake: Lake) -> dict[str, float]:
    rows = lake.read("positions").to_pylist()
    return {r["trade"]: r["quantity"] for r in rows if r["trade"].startswith("T-")}


def test_a_file_loads_by_its_mapping_and_what_is_unusable_is_mended(work_lake: Lake, folder: Path) -> None:
    done = varlake("ingest", "positions", "export.csv", "--mapping", "own.toml", lake=work_lake.path, folder=folder)
    assert done.returncode == 3
    assert held(work_lake) == {"T-1": 1500.5, "T-2": -3.0}
    assert "expected B for bought or S for sold" in done.stdout
    assert "3 read = 2 loaded + 1 rejected" in done.stderr
    (rejects,) = (work_lake.state / "rejects").iterdir()
    assert str(rejects) in done.stderr
    rejects.write_text(rejects.read_text().replace('"X"', '"B"'))
    again = varlake(
        "ingest", "positions", rejects, "--mapping", "own.toml", "--json", lake=work_lake.path, folder=folder
    )
    assert again.returncode == 0
    (report,) = json.loads(again.stdout)
    assert (report["loaded"], report["rejects"], report["reasons"]) == (1, None, [])
    assert held(work_lake)["T-3"] == 3.0


def test_a_mapping_that_is_kept_has_a_name(
    work_lake: Lake, folder: Path, web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARLAKE_MAPPINGS", str(folder / "kept"))
    command = ("ingest", "positions", "export.csv", "--dry-run", "--json", "--mapping")
    (kept,) = json.loads(varlake(*command, "bank", lake=work_lake.path, folder=folder).stdout)
    (own,) = json.loads(varlake(*command, "own.toml", lake=work_lake.path, folder=folder).stdout)
    assert kept["mapping"] == own["mapping"] is not None
    tried = web.post("/api/v1/positions?dry_run=true&mapping=bank", **parts(export_csv=EXPORT))
    assert tried.status_code == 200, tried.get_json()
    assert tried.get_json()["reports"][0]["mapping"] == own["mapping"]
    absent = varlake(*command, "bnak", lake=work_lake.path, folder=folder)
    assert absent.returncode == 2
    assert "bnak cannot be read" in absent.stderr


def test_over_http_a_mapping_comes_with_the_files(web: FlaskClient) -> None:
    both = parts(export_csv=EXPORT, own_toml=MAPPING.encode())
    tried = web.post("/api/v1/positions?dry_run=true&mapping=own.toml", **both)
    assert tried.status_code == 200, tried.get_json()
    (report,) = tried.get_json()["reports"]  # the mapping is no file of positions
    assert (report["read"], report["loaded"], report["rejected"]) == (3, 2, 1)
    assert report["reasons"] == [
        {"column": "B/S", "reason": "expected B for bought or S for sold", "row": 4, "rows": 1, "value": "X"}
    ]
    elsewhere = web.post("/api/v1/positions?dry_run=true&mapping=/etc/passwd", **parts(export_csv=EXPORT))
    assert elsewhere.status_code == 422
    faulty = web.post(
        "/api/v1/positions?dry_run=true&mapping=own.toml", **parts(export_csv=EXPORT, own_toml=b"[columns]\ntrade = {}")
    )
    assert faulty.status_code == 422
    assert "give either from" in faulty.get_json()["detail"]


def test_single_columns_are_named_by_pairs(work_lake: Lake, folder: Path, web: FlaskClient) -> None:
    (folder / "pnl.csv").write_text(f"Day,pnl,currency,Trading desk\n{MONDAY},-12.5,USD,Options\n")
    pairs = ("--map", "Day=date", "--map", "Trading desk=desk")
    done = varlake("ingest", "pnl", "pnl.csv", *pairs, lake=work_lake.path, folder=folder)
    assert done.returncode == 0, done.stderr
    assert [(r["desk"], r["pnl"]) for r in work_lake.read("actual_pnl").to_pylist()] == [("Options", -12.5)]
    tried = web.post(
        "/api/v1/actual-pnl?dry_run=true&map=Day%3Ddate&map=Trading+desk%3Ddesk",
        **parts(pnl_csv=(folder / "pnl.csv").read_bytes()),
    )
    assert tried.get_json()["reports"][0]["unchanged"] == 1
    wrong = varlake("ingest", "pnl", "pnl.csv", "--map", "Day", lake=work_lake.path, folder=folder)
    assert (wrong.returncode, "'Day' is no pair" in wrong.stderr) == (2, True)
    (folder / "h.csv").write_text(
        "tree;level;member;parent_level;parent;von;bis\norg;desk;Options;division;Markets;1.1.2020;\n".replace(
            "1.1.", "01.01."
        )
    )
    (folder / "h.toml").write_text(
        'date_format = "%d.%m.%Y"\n[dialect]\ndelimiter = ";"\n[columns]\nhierarchy = "tree"\n'
        'effective_from = "von"\neffective_to = "bis"\n'
    )
    done = varlake("ingest", "hierarchy", "h.csv", "--mapping", "h.toml", lake=work_lake.path, folder=folder)
    assert done.returncode == 0, done.stderr
    (row,) = work_lake.read("hierarchies").to_pylist()
    assert (str(row["effective_from"]), row["parent"]) == ("2020-01-01", "Markets")
    (folder / "h.csv").write_text((folder / "h.csv").read_text().replace("01.01.2020", "31.02.2020"))
    wrong = varlake("ingest", "hierarchy", "h.csv", "--mapping", "h.toml", lake=work_lake.path, folder=folder)
    assert "has 1 fault" in wrong.stderr
    assert "column von: found '31.02.2020', expected a date of the format %d.%m.%Y" in wrong.stderr


def test_a_mapping_is_suggested_and_loads(work_lake: Lake, folder: Path, web: FlaskClient) -> None:
    (folder / "pnl.csv").write_bytes(PNL)
    before = work_lake.snapshot().versions
    done = varlake("ingest", "pnl", "pnl.csv", "--suggest", "--out", "guess.toml", lake=work_lake.path, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Doubt: 'P&L (TEUR)' is read in thousands" in done.stderr
    assert "-1500" in done.stdout
    assert work_lake.snapshot().versions == before
    told = web.post("/api/v1/actual-pnl/suggestion", **parts(pnl_csv=PNL))
    assert told.status_code == 200, told.get_json()
    assert told.get_json()["toml"] == (folder / "guess.toml").read_text()
    assert told.get_json()["mapping"]["columns"]["pnl"]["unit"] == "thousands"
    assert not any((work_lake.state / "uploads").glob("*"))
    shown = varlake("ingest", "pnl", "pnl.csv", "--suggest", lake=work_lake.path, folder=folder)
    assert "date_format" not in shown.stderr
    assert shown.stdout.startswith(told.get_json()["toml"].partition("\n")[0])
    loaded = varlake("ingest", "pnl", "pnl.csv", "--mapping", "guess.toml", lake=work_lake.path, folder=folder)
    assert loaded.returncode == 0, loaded.stderr
    assert [(r["desk"], r["pnl"], r["currency"]) for r in work_lake.read("actual_pnl").to_pylist()] == [
        ("Aktien", -1500.0, "EUR")
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("positions", "export.csv", "own.toml", "--suggest"), "--suggest looks at one file, and 2 were given"),
        (("positions", "export.csv", "--out", "x.toml"), "--out is where --suggest writes"),
        (("positions", "export.csv", "--suggest", "--replace-dates"), "does not read --replace-dates; leave that out"),
        (("positions", "absent.csv", "--suggest"), "There is no file absent.csv"),
        (("positions", "export.csv", "--mapping", "export.csv"), "cannot be read"),
    ],
)
def test_what_is_refused(work_lake: Lake, folder: Path, arguments: tuple[str, ...], says: str) -> None:
    done = varlake("ingest", *arguments, lake=work_lake.path, folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_two_files_are_not_suggested_for_over_http(web: FlaskClient) -> None:
    told = web.post("/api/v1/positions/suggestion", **parts(a_csv=EXPORT, b_csv=EXPORT))
    assert (told.status_code, "holds 2" in told.get_json()["detail"]) == (422, True)


def test_the_versions_of_a_trade(work_lake: Lake, folder: Path, web: FlaskClient) -> None:
    common = ("ingest", "positions", "--mapping", "own.toml")
    varlake(*common, "export.csv", lake=work_lake.path, folder=folder)
    (folder / "changes.csv").write_bytes(b"action;Trade ID;B/S;Amount;Ticker\namend;T-1;B;7;BBB\nremove;T-2;S;;\n")
    done = varlake(*common, "changes.csv", "--accept-unknown-factors", "--json", lake=work_lake.path, folder=folder)
    assert done.returncode == 0, done.stdout
    (report,) = json.loads(done.stdout)
    (day,) = report["dates"]
    assert (day["loaded"], day["changed"], day["removed"]) == (2, 1, 1)
    told = web.get("/api/v1/positions/history?trade=T-1").get_json()
    first, second = told["versions"]
    assert (first["action"], second["action"], second["file"]) == ("new", "amend", "changes.csv")
    assert second["changed"] == {
        "quantity": [1500.5, 7.0], "instrument": ["AAA", "BBB"], "underlying": ["EQ:AAA", "EQ:BBB"],
    }  # fmt: skip
    assert second["mapping"] == report["mapping"]
    shown = varlake("positions", "history", "T-1", lake=work_lake.path)
    assert "quantity 1,500.5 -> 7;" in shown.stdout
    assert varlake("positions", "history", "T-2", lake=work_lake.path).stdout.count("remove") == 1
    listed = json.loads(varlake("positions", "history", "T-2", "--date", MONDAY, "--json", lake=work_lake.path).stdout)
    assert [v["action"] for v in listed["versions"]] == ["new", "remove"]
    absent = web.get("/api/v1/positions/history?trade=T-11")
    assert (absent.status_code, "T-1" in absent.get_json()["detail"]) == (404, True)
    other = varlake("positions", "history", "T-1", "--date", "2019-01-01", lake=work_lake.path)
    assert (other.returncode, "was never in the book of 2019-01-01" in other.stderr) == (2, True)


def test_the_catalogue_of_market_files_is_suggested_over_http(web: FlaskClient) -> None:
    shares = b"Date,AAA,BBB\n2020-03-13,10,20\n2020-03-16,9,21\n"
    told = web.post("/api/v1/market-data/suggestion", **parts(stocks_csv=shares))
    assert told.status_code == 200, told.get_json()
    assert told.get_json()["catalogue"]["source"]
    assert told.get_json()["rows"]
