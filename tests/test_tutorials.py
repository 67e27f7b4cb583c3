"""The tutorials, as a user pastes them: every command of each page in order, in an empty folder, by the real entry point."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import importlib.util
import json
import os
import re
import shlex
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, varlake

PAGES = Path(__file__).parents[1] / "docs" / "tutorials"
DESK = "European Equities"


class Page:
    """A tutorial that has been followed to its end in `folder`."""

    def __init__(self, name: str, folder: Path, market: str | None = None, without: str | None = None) -> None:
        """`market` is a command to take instead of making and bringing in the synthetic market; commands with `without` are not run."""
        self.folder = folder
        self.lake = Path()
        self.ran: dict[str, Done] = {}
        text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        for block in re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            # a file that is written and a command are a piece each
            for line in re.findall(r"^cat > (?:.|\n)*?^END$|^.+$", block, flags=re.MULTILINE):
                if export := re.fullmatch(r"export VARLAKE_LAKE=(\S+)", line):
                    self.lake = Path(export[1])
                elif written := re.fullmatch(r"cat > (\S+) <<'END'\n(.*)END", line, flags=re.DOTALL):
                    (folder / written[1]).write_text(written[2], encoding="utf-8")
                elif market and line.startswith(("varlake sample market", "varlake ingest market")):
                    if line.startswith("varlake ingest"):
                        self.run(market)
                elif without is None or without not in line:
                    assert line.startswith("varlake "), f"{name}: only commands that are run may stand here: {line}"
                    self.ran[line] = self.run(line)

    def run(self, line: str) -> Done:
        """Runs the line, which must end with the exit code it announces, else 0."""
        announced = re.search(r"# exit code (\d+)$", line)
        done = varlake(*shlex.split(line, comments=True)[1:], lake=self.lake, folder=self.folder)
        assert done.returncode == (int(announced[1]) if announced else 0), (line, done)
        return done

    def command(self, part: str) -> str:
        """The one command of the page that holds `part`."""
        (found,) = (line for line in self.ran if f"{part} " in f"{line} ")
        return found

    def printed(self, part: str) -> Done:
        """What the command that holds `part` printed."""
        return self.ran[self.command(part)]

    def data(self, part: str) -> Any:
        """The command again with `--json`: the answer as data, of what the table showed."""
        command = self.command(part).removesuffix(" --json")
        return json.loads(self.run(f"{command} --json").stdout)


def pnl(row: dict[str, Any]) -> list[float]:
    return [v for k, v in row.items() if k.startswith("pnl_")]


def by_desk(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {r["desk"]: r for r in answer["rows"]}


@pytest.mark.slow
def test_a_bespoke_stress(tmp_path: Path) -> None:
    page = Page("bespoke-stress", tmp_path)
    assert "expected core seconds" in page.printed("--by desk,instrument_type --plan").stdout
    first = page.data("--by desk,instrument_type --value")
    shares = [r for r in first["rows"] if r["instrument_type"] == "cash_equity"]
    assert {r["base_value"] > 0 for r in shares} == {True, False}
    for row in shares:
        assert pnl(row) == [pytest.approx(-0.2 * row["base_value"])]
    shown = page.printed("--by desk,instrument_type --value").stdout
    for row in first["rows"]:
        assert row["desk"] in shown
        if row["instrument_type"] in ("interest_rate_swap", "government_bond", "fx_forward"):
            assert pnl(row) == [0]
    assert pnl(first["total"]) == [pytest.approx(sum(v for r in first["rows"] for v in pnl(r)))]
    # by another dimension nothing is valued
    again = page.run(f"{page.command('--by legal_entity')} --plan --json")
    assert json.loads(again.stdout)["ready"]

    preview = page.printed("scenarios preview").stdout
    assert re.search(r"IDX:SPX .* -20.00%", preview)
    assert "unchanged:" in preview
    faults = page.printed("exit code 1").stdout
    assert "EQ:AAPL" in faults
    assert "USD" in faults

    stressed = page.data("--scenario crash --by desk")
    assert [k for k in stressed["total"] if k.startswith("pnl_")] == ["pnl_shares", "pnl_shares and rates"]
    assert page.data("import crash.csv")["version"] == page.data("import crash.txt")["version"] == 1

    differ = {r["risk_factor"] for r in page.data("scenarios diff")}
    assert {"IDX:SPX", "IV:SPX", "YC:USD:10Y"} <= differ
    assert not any(f.startswith(("FX:", "CMD:", "YC:EUR")) for f in differ)
    compared = by_desk(page.data("stress-compare"))
    assert compared[DESK]["crash: shares"] == pytest.approx(2 * compared[DESK]["milder: shares"])


def replayed(page: Page) -> None:
    """What holds in any market."""
    facts = page.data("scenarios show")
    assert (facts["method"], facts["scenarios"]) == ("replay", 1)
    assert facts["window"].startswith("2020-02-20..2020-03-23")
    whole = by_desk(page.data("--scenario march-2020 --by desk"))
    shown = page.printed("--scenario march-2020 --by desk").stdout
    assert all(desk in shown for desk in whole)
    daily, path = page.data("--scenario march-2020-daily"), page.data("--scenario march-2020-path")
    assert len(pnl(daily["total"])) == len(pnl(path["total"])) == 23
    total = [sum(v for r in whole.values() for v in pnl(r))]
    # the move up to the last day is the whole move
    assert pnl(path["total"])[-1:] == pytest.approx(total, rel=1e-6)
    compared = by_desk(page.data("stress-compare"))
    assert compared[DESK]["march-2020"] == pnl(whole[DESK])[0]
    assert compared[DESK]["march-2020-rates"] == 0
    assert compared["Interest Rate Swaps"]["march-2020-equity"] == 0
    assert compared["Interest Rate Swaps"]["march-2020-rates"] != 0


@pytest.mark.slow
def test_march_2020_replayed(tmp_path: Path) -> None:
    page = Page("march-2020-replayed", tmp_path)
    replayed(page)
    assert "synthetic" in page.printed("--scenario march-2020 --by desk").stderr


@pytest.mark.marketdata
@pytest.mark.slow
def test_march_2020_replayed_on_the_real_market(tmp_path: Path, market_data_dir: Path) -> None:
    page = Page("march-2020-replayed", tmp_path, f'varlake ingest market "{market_data_dir}" --catalogue marketdata')
    replayed(page)
    assert "synthetic" not in page.printed("--scenario march-2020 --by desk").stderr
    asked = "varlake stress --as-of 2022-06-15 --scenario march-2020 --by instrument,instrument_type --json"
    rows = json.loads(page.run(asked).stdout)["rows"]
    before, after = closes(market_data_dir, dt.date(2020, 2, 19)), closes(market_data_dir, dt.date(2020, 3, 23))
    shares = [r for r in rows if r["instrument_type"] == "cash_equity" and r["instrument"] in before]
    assert len(shares) > 5
    for row in shares:
        name = row["instrument"]
        # as the newspapers had it, from the files themselves
        assert pnl(row) == [pytest.approx(row["base_value"] * (after[name] / before[name] - 1), rel=1e-9)], name
    assert all(after[r["instrument"]] < before[r["instrument"]] for r in shares)


def closes(folder: Path, day: dt.date) -> dict[str, float]:
    """Closing prices of the US shares, by ticker, as the source has them."""
    with gzip.open(folder / "skfolio" / "sp500_dataset.csv.gz", "rt", newline="") as file:
        row = next(r for r in csv.DictReader(file) if r["Date"].startswith(str(day)))
    return {name: float(value) for name, value in row.items() if name != "Date"}


@pytest.mark.slow
def test_a_reverse_stress(tmp_path: Path) -> None:
    page = Page("reverse-stress", tmp_path)
    assert "expected core seconds" in page.printed("--plan").stdout
    small, large = page.data("--name five-million"), page.data("--name ten-million")
    for found, asked in ((small, 5e6), (large, 1e7)):
        assert found["loss"] == pytest.approx(asked, rel=1e-3)
        assert found["loss"] >= asked
        reaching = [d["distance"] for d in found["days"] if d["reaches"]]
        assert reaching == sorted(reaching)
        assert all((d["loss"] >= asked) == d["reaches"] for d in found["days"])
        # days are further away than the scenario that is the nearest of all
        assert all(distance >= found["distance"] for distance in reaching)
    assert small["distance"] < large["distance"]
    assert "ewma" in page.printed("five-million-ewma").stdout
    # valued like any other set, by map and reduce, the desk loses what the search found
    desk = by_desk(page.data("--scenario five-million --by desk"))[DESK]
    assert pnl(desk) == [pytest.approx(-small["loss"])]
    compared = by_desk(page.data("stress-compare"))[DESK]
    assert compared["ten-million"] < compared["five-million"] < 0


def test_your_first_var(tmp_path: Path) -> None:
    page = Page("your-first-var", tmp_path)
    suggested = page.printed("--suggest")
    assert "is taken for the face amount of bonds" in suggested.stderr
    assert "equity_option" in suggested.stdout
    assert "about 900" in page.printed("--dry-run").stdout
    assert "Nominal" in page.printed("--rejects").stdout
    assert "strike 68.5 -> 72" in page.printed("positions history").stdout

    now = page.data("varlake pnl --as-of 2022-06-15 --worst 5")
    (worst, *_, fifth) = [r["pnl"] for r in now["rows"]]
    asked = page.data("varlake var --as-of 2022-06-15 --by desk --value")
    rows = by_desk(asked)
    with (tmp_path / "market" / "synthetic_us_stocks.csv").open() as file:
        close = next(r for r in csv.DictReader(file) if r["Date"] == "2022-06-15")
    # by hand, from the two files: shares after the cancelled sale, and the option beside them
    shares = 12_000 * float(close["JPM"]) + 900 * float(close["KO"])
    by_type = json.loads(page.run("varlake var --as-of 2022-06-15 --by instrument_type --json").stdout)["rows"]
    assert {r["instrument_type"]: r["base_value"] for r in by_type}["cash_equity"] == pytest.approx(shares, rel=1e-12)
    # 20,000 units of 100 face, near par or above
    assert 1.5e6 < rows["Rates"]["base_value"] < 2.5e6
    # of 500 scenarios at 99% VaR is the fifth worst
    assert asked["total"]["var_0.99"] == pytest.approx(-fifth, rel=1e-12)
    assert worst <= fifth < 0

    assert (
        "no P&L under 1 of 10 scenarios, first 2022-06-02 (vectors.csv, row 4)"
        in page.printed("pnl-vectors vectors.csv").stdout
    )
    (partial,) = (
        d for line, d in page.ran.items() if line.endswith("risksys --level 0.8 --by desk") and " var " in line
    )
    assert "2 of 3 positions covered (partial)" in partial.stdout + partial.stderr
    asked = page.data("--scenario-set risksys --level 0.8 --by desk --measure var,es")
    # by hand: the euros in each scenario, less the euros at the base; the second worst of ten, and the mean of the worst two
    euros = [
        (400_000 + pnl) * rate - 400_000 * 1.04
        for pnl, rate in zip(
            (900, -300, -2100, 1200, 700, -500, -900, -3300, -2800, 1000),
            (1.05, 1.04, 1.03, 1.04, 1.05, 1.04, 1.05, 1.03, 1.02, 1.01),
            strict=True,
        )
    ]
    dollars = (-4100, 2500, 1800, -7200, 300, 5100, -1500, -9800, -12400, -15100)
    loans = (-200, 150, 40, 90, -60, 210, -75, -480, -510, -930)
    worst_two = sorted(map(sum, zip(euros, dollars, loans, strict=True)))[:2]
    assert asked["total"]["var_0.8"] == pytest.approx(-worst_two[1], rel=1e-12)
    assert asked["total"]["es_0.8"] == pytest.approx(-sum(worst_two) / 2, rel=1e-12)
    assert by_desk(asked)["Loans"]["var_0.8"] == pytest.approx(510)
    parts = page.data("contributions --as-of 2022-06-14")
    assert sum(r["component"] for r in parts["rows"]) == pytest.approx(-worst_two[1], rel=1e-12)


YEAR = ("2020-02-14", "2020-03-16", "2020-06-15")


def tabled(name: str) -> dict[str, list[str]]:
    """The figures of the tables of a page, by the field that their row names."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`[^|]*\|(.+)\|$", text, flags=re.MULTILINE)
    return {field: [cell.strip() for cell in cells.split("|")] for field, cells in rows}


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_cva_and_capital_through_2020(tmp_path: Path) -> None:
    page, told = Page("cva-and-capital", tmp_path), tabled("cva-and-capital")

    def totals(*parts: str) -> list[dict[str, Any]]:
        return [page.data(part)["total"] for part in parts]

    cva = totals(*(f"varlake cva --as-of {day}" for day in YEAR))
    causes = totals("cva-explain --from 2020-02-14", "cva-explain --from 2020-03-16")
    ead = totals(*(f"varlake sa-ccr --as-of {day}" for day in YEAR))
    changed = totals("cva-what-if", "sa-ccr-what-if", "frtb-sa --as-of 2020-03-16 --remove")
    shown = 0
    for answers in (cva, causes, ead, *([c] for c in changed)):
        for field, figures in told.items():
            if field in answers[0]:
                assert figures == [f"{round(a[field]):,}" for a in answers], field
                shown += 1
    assert shown == len(told)

    names = ("ageing", "market", "credit_spreads", "agreements", "trades")
    for found, before, after in zip(causes, cva, cva[1:], strict=False):
        assert (found["cva_from"], found["cva_to"]) == pytest.approx((before["cva"], after["cva"]), rel=1e-12)
        assert sum(Fraction(found[n]) for n in names) == Fraction(found["change"])
    assert {found["status"] for found in cva} == {"partial"}
    assert "has no credit curve" in page.printed("varlake cva --as-of 2020-03-16").stderr

    charge, market = totals("varlake ba-cva", "frtb-sa --as-of 2020-03-16 --by desk")
    assert f"asks {round(charge['capital']):,} of" in (PAGES / "cva-and-capital.md").read_text(encoding="utf-8")
    report = page.data("varlake capital")
    parts = {part["risk"]: part for part in report["parts"]}
    credit = page.data("credit-rwa")["total"]
    for risk, own in (("credit", credit), ("cva", charge), ("market", market)):
        assert (parts[risk]["rwa_asked"], parts[risk]["capital"]) == (own["rwa"], own["capital"])
        assert parts[risk]["regime"] == "basel@2023"
    assert sum(Fraction(r["rwa"]) for r in report["rows"]) == Fraction(report["total"]["rwa"])
    assert "in force from 2023" in page.printed("varlake capital").stderr
    assert changed[1]["ead_before"] == ead[1]["ead"]
    assert changed[2]["capital_before"] == market["capital"]
    exposure = page.data("varlake exposure")
    assert {r["counterparty"] for r in exposure["rows"]} == {"Thalarrow Bank"}
    assert len(exposure["rows"]) == 4


AGAINST_ORE = "check --against ore"


def test_trades_from_ore_and_fpml(tmp_path: Path) -> None:
    python = python_with_ore()
    page = Page("your-trades-from-ore-and-fpml", tmp_path, without=AGAINST_ORE)
    told = "".join(page.printed("--dry-run")[1:])
    assert "CB-1 (CallableBond)" in told
    assert "4 read = 3 loaded + 1 rejected" in told
    # one message, two trades, three contracts; of the wide table one contract is that of a trade of ORE
    assert "3 read = 3 loaded + 0 rejected; 3 new contracts" in "".join(page.printed("message.xml")[1:])
    assert "3 read = 3 loaded + 0 rejected; 2 new contracts" in "".join(page.printed("positions wide.csv")[1:])

    rows = {
        r["trade"]: r for r in json.loads(page.run("varlake var --as-of 2022-06-15 --by trade --json").stdout)["rows"]
    }
    assert sorted(rows) == ["EQ-1", "EQ-2", "EQ-3", "FX-1", "FX-2", "IR-1", "IR-2/1", "IR-2/2", "IR-3"]
    with (tmp_path / "market" / "synthetic_us_stocks.csv").open() as file:
        close = next(r for r in csv.DictReader(file) if r["Date"] == "2022-06-15")
    assert rows["EQ-2"]["base_value"] == pytest.approx(12_000 * float(close["MSFT"]), rel=1e-12)
    # 4 of the 10 millions are sold back
    assert rows["IR-3"]["base_value"] == pytest.approx(-0.4 * rows["IR-1"]["base_value"], rel=1e-12)
    desks = by_desk(page.data("--by desk --value"))
    assert set(desks) == {"FX", "Equities", "Rates"}
    assert "quantity 5,000,000 -> 2,500,000" in page.printed("positions history").stdout
    first = page.data("what-if")
    assert first["total"]["var_0.99_before"] == page.data("--by desk --value")["total"]["var_0.99"]
    assert {r["risk_class"] for r in page.data("greeks")["rows"]} == {"equity", "fx", "rates", "volatility"}

    if python is None:
        pytest.skip("no ORE at hand: the check of the last section was not run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VARLAKE_ORE_PYTHON", str(python))
        answer = json.loads(page.run(f"varlake {AGAINST_ORE} --as-of 2022-06-15 --json").stdout)
    status = {r["trade"]: r["status"] for r in answer["trades"]}
    assert set(status) == set(rows)
    assert not {"differs", "missing"} & {*status.values()}
    assert {"EQ-1", "EQ-3", "FX-1", "IR-1", "IR-2/1", "IR-2/2", "IR-3"} <= {
        t for t, s in status.items() if s == "agrees"
    }


def python_with_ore() -> Path | None:
    """A Python that has ORE, where one is at hand."""
    if named := os.environ.get("VARLAKE_ORE_PYTHON"):
        return Path(named)
    return Path(sys.executable) if importlib.util.find_spec("ORE") else None


@pytest.mark.slow
def test_a_trading_day(tmp_path: Path) -> None:
    page = Page("a-trading-day", tmp_path)
    listed = page.data("live snapshots")
    one, two = listed["snapshots"]
    assert one["orders"] < two["orders"]
    compared = json.loads(page.run(f"{listed['compare']} --json").stdout)["total"]
    for end, taken in (("from", one), ("to", two)):
        asked = json.loads(page.run(f"{taken['command']} --json").stdout)["total"]
        assert compared[f"var_0.99_{end}"] == asked["var_0.99"]
    closed = page.data("varlake intraday")
    assert closed["watermark"]["orders"] == 60
    assert closed["watermark"]["counted"] + closed["watermark"]["cancelled"] == 60
    for cause in closed["causes"]:
        steps = [v for k, v in cause.items() if k not in ("figure", "open", "now", "change")]
        assert sum(steps) == pytest.approx(cause["change"], rel=1e-9, abs=1e-3)
