"""A book held against ORE: values agree trade by trade, and a trade that ORE leaves out is told, never taken as zero."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, varlake
from examples import BASE, EXAMPLES, INDEX, LEVELS, TODAY, shocked_market
from ore_trades import Drawn
from support import new_lake, put_market

from aggregation.ore_check import AGREES, DIFFERS, MISSING, NOT_COMPARED
from lake.committer import Committer
from lake.errors import NotReady
from lake.tables import Lake
from scenarios import store
from scenarios.types import ScenarioSet
from valuation.batch import value_batch
from valuation.books.positions import ingest_positions
from valuation.books.trade_files import ore_names
from valuation.books.trade_files.ore_portfolio import WRITTEN
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.ore.facts import convention
from valuation.ore.ore_process import ore_values
from valuation.types import Contract

INVERSE = {
    "currency": "EUR",
    "base_currency": "USD",
    "quote_curve": "EUR",
    "base_curve": "USD",
    "strike": 0.91,
    "expiry": "2021-01-15",
}
ON_TIME = {"start": "2020-02-18", "first_period_end": None, "end_of_month": None}
OWNERS = dict.fromkeys(("portfolio", "client", "account", "book", "legal_entity", "counterparty"), "X")


def python_with_ore() -> Path:
    """A Python that has ORE; skips the test where none is at hand."""
    if named := os.environ.get("VARLAKE_ORE_PYTHON"):
        return Path(named)
    if importlib.util.find_spec("ORE") is None:
        pytest.skip("no ORE at hand: it is not installed, and VARLAKE_ORE_PYTHON names no Python that has it")
    return Path(sys.executable)


def row(kind: str, terms: dict[str, Any], quantity: float, trade: str) -> dict[str, str]:
    texts = {k: json.dumps(v) if isinstance(v, dict | list) else str(v) for k, v in terms.items() if v is not None}
    about = {"positions_date": str(TODAY), "trade": trade, "desk": kind, "instrument": kind, "instrument_type": kind}
    return {**about, **OWNERS, "quantity": str(quantity), **texts}


def lake_with(folder: Path, rows: list[dict[str, str]], levels: dict[str, float] = LEVELS) -> Lake:
    lake = new_lake(folder)
    factors = [dataclasses.replace(f, source="test") for f in INDEX.factors]
    put_market(lake, factors, {i: {TODAY: level} for i, level in levels.items()})
    with (folder / "positions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(c for r in rows for c in r)))
        writer.writeheader()
        writer.writerows(rows)
    with Committer(lake, "test") as committer:
        report = ingest_positions(committer, folder / "positions.csv")
    assert report.loaded == len(rows), report.reasons
    return lake


def checked(lake: Lake, folder: Path, *more: str, expected: int) -> dict[str, Any]:
    """The answer, with the trades by id."""
    done = varlake("check", "--against", "ore", "--as-of", TODAY, "--folder", folder, "--json", *more, lake=lake.path)
    assert done.returncode == expected, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer | {"trades": {t["trade"]: t for t in answer["trades"]}}


def random_trades(n: int, seed: int = 5, kinds: tuple[str, ...] = tuple(WRITTEN)) -> list[dict[str, str]]:
    """As many of each of the instruments."""
    return [row(*trade) for trade in Drawn(seed).trades(n, kinds)]


def by_trade(lake: Lake) -> dict[str, dict[str, Any]]:
    return {r["trade"]: r for r in lake.read("positions").to_pylist()}


# read where a shock leaves all of them valued, by formulas that are the same in ORE
EXACT = (
    "fx_forward", "fx_swap", "fx_option", "fx_barrier_option", "fx_digital_option", "equity_forward", "equity_option",
    "equity_barrier_option", "equity_digital_option", "commodity_forward", "commodity_option", "interest_rate_swap", "basis_swap",
    "cross_currency_swap", "cap_floor", "zero_bond", "fixed_bond", "step_bond", "amortising_bond", "floating_bond",
)  # fmt: skip
AMERICAN = ("fx_american_option", "equity_american_option", "commodity_american_option")
# by instrument whose value rests on another numerical method there: the largest difference of 30 trades, of a unit
NEAR = {
    "fx_american_option": 2e-4, "equity_american_option": 0.02, "commodity_american_option": 1.0, "bermudan_swaption": 1e-4,
    "credit_default_swap": 1e-4, "credit_index": 1e-4, "risky_bond": 0.02, "equity_asian_option": 0.1,
    "swaption": 1e-3,
}  # fmt: skip


def flat_levels() -> dict[str, float]:
    """The levels with each discount curve flat, in which ORE's conventions about rates along the way do not matter."""
    return LEVELS | {f.risk_factor_id: 0.01 for f in INDEX.factors if f.curve in ("USD", "EUR", "JPY")}


def test_ore_has_the_same_value_of_every_trade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(python_with_ore()))
    kinds = tuple(k for k in WRITTEN if k not in AMERICAN)
    written = [
        row(kind, terms, 1000.5, f"example-{kind}-{i}")
        for kind in ("fx_forward", "fx_option", "equity_forward", "equity_option", "interest_rate_swap")
        for i, terms in enumerate(EXAMPLES[kind])
    ]
    further = {
        "FUTURE": ("bond_future", EXAMPLES["bond_future"][0]),
        "INVERSE": ("fx_option", EXAMPLES["fx_option"][0] | INVERSE),
        "TWO-CURVES": ("interest_rate_swap", EXAMPLES["interest_rate_swap"][2] | ON_TIME),
    }
    more = [row(kind, terms, -2000, trade) for trade, (kind, terms) in further.items()]
    lake = lake_with(tmp_path, [*written, *random_trades(10, kinds=kinds), *more])
    found = checked(lake, tmp_path / "ore", expected=3)  # credit, Bermudan and geometric averages are near
    status = {t: c["status"] for t, c in found["trades"].items()}
    assert MISSING not in status.values()
    near = {t: c for t, c in found["trades"].items() if c["status"] == DIFFERS}
    assert {c["instrument_type"] for c in near.values()} <= NEAR.keys()
    assert all(c["reason"] for c in near.values())
    quantity = {t: abs(r["quantity"]) for t, r in by_trade(lake).items()}
    for t, c in near.items():
        assert abs(c["difference"]) < NEAR[c["instrument_type"]] * quantity[t], c
    exact = [c for c in found["trades"].values() if c["status"] == AGREES]
    assert {c["instrument_type"] for c in exact} >= set(kinds) - NEAR.keys()
    not_compared = {t: found["trades"][t]["reason"] for t, s in status.items() if s == NOT_COMPARED}
    assert not_compared.pop("TWO-CURVES") == (
        "the discount curve of USD is USD_SOFR for it and USD for a trade before it; ORE has one"
    )
    for trade in ("example-fx_forward-1", "example-fx_option-1"):  # their base currency has a rate of its own
        contradicted = "the discount curve of USD is 0.01 for it and USD for a trade before it; ORE has one"
        assert not_compared.pop(trade) == contradicted
    told = {t: reason[:30] for t, reason in not_compared.items() if not t[-1].isdigit() or t.startswith("example")}
    assert told == {
        "FUTURE": "trades of type bond_future are",
        "example-equity_forward-2": "it is priced with cash dividen",
        "example-equity_option-2": "it is priced with cash dividen",
        "example-equity_option-3": "it is priced with cash dividen",
        "example-interest_rate_swap-2": "the discount curve of USD is U",
    }
    for trades in ("example-fx_forward-1,example-fx_option-1", "TWO-CURVES", "INVERSE"):
        alone = checked(lake, tmp_path / "alone", "--where", f"trade={trades}", expected=0)
        assert {t["status"] for t in alone["trades"].values()} == {AGREES}


def test_ore_knows_what_calendars_conventions_and_day_counts_are_called_in_its_files() -> None:
    code = (
        "import json, sys, ORE\n"
        "parse = {'calendar': ORE.parseCalendar, 'convention': ORE.parseBusinessDayConvention, 'day_count': ORE.parseDayCounter}\n"
        "for kind, names in json.load(sys.stdin).items():\n"
        "    for name in names:\n"
        "        parse[kind](name)\n"
    )
    names = {kind: list(codes.values()) for kind, codes in ore_names.CODES.items()}
    assert len(names["calendar"]) > 15
    done = subprocess.run([python_with_ore(), "-c", code], input=json.dumps(names), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_contract_that_is_simulated_differs_for_that() -> None:
    terms = {**EXAMPLES["equity_american_option"][0], "engine": "longstaff_schwartz"}
    assert (
        convention(parse_terms("equity_american_option", terms)) == "here it is simulated, with the error of its paths"
    )


def test_options_exercised_early_are_near_where_rates_are_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ORE's grid takes forward rates from day to day, so that on a curve which is not flat it values another contract."""
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(python_with_ore()))
    lake = lake_with(tmp_path, random_trades(10, kinds=AMERICAN), flat_levels())
    found = checked(lake, tmp_path / "ore", "--tolerance", "2e-4", expected=0)
    assert {c["status"] for c in found["trades"].values()} == {AGREES}


def test_ore_has_the_same_values_in_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(python_with_ore()))
    lake = lake_with(tmp_path, random_trades(2, kinds=EXACT))
    levels = shocked_market(3).states[:, 1:]
    made = ScenarioSet(
        "", "shocks", "bespoke", TODAY, {}, INDEX, ("a", "b", "c"), BASE, levels, np.ones(len(BASE), dtype=np.bool_)
    )
    with Committer(lake, "test") as committer:
        store.save_scenario_set(committer, made)
    done = varlake(
        "check", "--against", "ore", "--as-of", TODAY, "--scenario-set", "shocks", "--scenario", "b", "--scenario", "c", "--json",
        lake=lake.path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    trades = json.loads(done.stdout)["trades"]
    assert Counter((t["scenario"], t["status"]) for t in trades) == {
        (s, AGREES): 2 * len(EXACT) for s in (None, "b", "c")
    }
    shown = {(t["trade"], t["scenario"]): t["value"] for t in trades}
    for kind, terms in ((r["instrument_type"], r) for r in random_trades(2, kinds=EXACT)):
        contract = parse_terms(kind, {k: v for k, v in terms.items() if k in INSTRUMENTS[kind].Terms.model_fields})
        block = value_batch([Contract(contract.contract_id(), kind, contract.to_json())], shocked_market(3))
        for scenario, moved in ((None, 0.0), ("b", block.pnl[0, 1]), ("c", block.pnl[0, 2])):
            expected = float(terms["quantity"]) * (block.base[0] + moved)
            assert shown[terms["trade"], scenario] == pytest.approx(expected, rel=1e-9, abs=1e-6)
    asked = ("check", "--against", "ore", "--as-of", TODAY, "--scenario", "b")
    assert "given without a scenario set" in refused(*asked, lake=lake.path)
    assert "Unknown scenario of shocks 'x'. Nearest valid: a, b, c" in refused(
        *asked[:-1], "x", "--scenario-set", "shocks", lake=lake.path
    )


def test_what_ore_leaves_out_is_told(tmp_path: Path) -> None:
    """A fixing that is missing, a type that it does not know and a curve that it lacks, each in ORE's own way."""
    python = python_with_ore()
    swap = EXAMPLES["interest_rate_swap"][0]
    lake = lake_with(
        tmp_path,
        [
            row("interest_rate_swap", swap, 1e6, "SWAP"),
            row("fx_forward", EXAMPLES["fx_forward"][0], 1e6, "FX"),
            row("commodity_forward", EXAMPLES["commodity_forward"][0], 1e6, "OIL"),
        ],
    )
    folder = tmp_path / "ore"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VARLAKE_ORE_PYTHON", str(python))
        checked(lake, folder, expected=0)
    (folder / "fixings.txt").write_text("\n")
    for name, old, new in (
        ("portfolio.xml", "FxForward", "FxForwards"),
        ("portfolio.xml", "HistoricalFixings", "EarlierFixings"),
        ("todaysmarket.xml", 'CommodityCurve name="CM:WTI"', 'CommodityCurve name="CM:BRENT"'),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    found = ore_values(folder, ["SWAP", "FX", "OIL", "NONE"], python)
    assert found.values == {}
    assert found.missing["NONE"] == "ORE has no row of it"
    assert "Missing" in found.missing["SWAP"]
    assert found.missing["FX"] == "ORE could not build it"  # of which it says nothing more
    assert "CM:WTI" in found.missing["OIL"]


def pretender(folder: Path, rows: str, code: int = 0) -> Path:
    """What is started as a Python that has ORE, and says these rows."""
    script = folder / "pretender"
    header = "#TradeId,TradeType,NPV,NpvCurrency"
    said = json.dumps(
        {"version": "0", "errors": [json.dumps({"message": "why", "sub_fields": [{"name": "tradeId", "value": "NA"}]})]}
    )
    script.write_text(
        f"#!/bin/sh\n[ {code} = 0 ] || exit {code}\ncat > npv.csv <<'X'\n{header}\n{rows}\nX\necho '{said}' > said.json\n"
    )
    script.chmod(0o755)
    return script


def test_a_trade_that_differs_or_is_missing_ends_with_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = {
        "currency": "USD",
        "underlying": "CM:WTI",
        "strike": 28.7,
        "maturity": "2020-03-17",
        "discount_curve": "USD",
    }
    lake = lake_with(
        tmp_path,
        [row("commodity_forward", {**terms, "strike": k}, 1e6, t) for t, k in (("A", 20), ("B", 30), ("NA", 1))],
    )
    ours = {"A": 8.7e6, "B": -1.3e6}  # before a day's discount
    said = pretender(
        tmp_path,
        f"A,CommodityForward,{ours['A']},USD\nB,Failed,0.000000,USD\nNA,CommodityForward,#N/A,#N/A\nELSE,X,1,USD",
    )
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(said))
    found = checked(lake, tmp_path / "ore", "--tolerance", "0.0001", expected=3)
    assert [(t["trade"], t["status"], t["reason"]) for t in found["trades"].values()] == [
        ("B", "missing", "ORE could not build it"),
        ("NA", "missing", "ORE could not value it: why"),
        ("A", "agrees", None),
    ]
    a = found["trades"]["A"]
    assert a["difference"] == a["value"] - 8.7e6
    assert a["relative"] == abs(a["difference"]) / 8.7e6
    assert found["passed"] is False
    (total,) = found["summary"]
    assert (total["trades"], total["missing"], total["agrees"], total["differs"]) == (3, 2, 1, 0)
    only_a = ("--where", "trade=A")
    assert (
        checked(lake, tmp_path / "ore", *only_a, "--tolerance", "1e-9", expected=3)["trades"]["A"]["status"]
        == "differs"
    )
    assert checked(lake, tmp_path / "ore", *only_a, "--tolerance", "0.0001", expected=0)["passed"] is True
    shown = varlake("check", "--against", "ore", "--as-of", TODAY, lake=lake.path)
    assert (shown.returncode, "ORE could not value it: why" in shown.stdout) == (3, True)


def test_a_python_without_ore_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_with(
        tmp_path,
        [row("fx_forward", EXAMPLES["fx_forward"][0], 1, "FX"), row("bond_future", EXAMPLES["bond_future"][0], 1, "B")],
    )
    asked = ("check", "--against", "ore", "--as-of", TODAY)
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(pretender(tmp_path, "", code=9)))
    assert "has no ORE: pip install 'varlake[ore]' in CPython 3.11" in refused(*asked, lake=lake.path)
    monkeypatch.setenv("VARLAKE_ORE_PYTHON", str(tmp_path / "nowhere"))
    assert "that can be started. Expected: pip install" in refused(*asked, lake=lake.path)
    assert "No trade of 1 can be put to ORE; the first, B: trades of type" in refused(
        *asked, "--where", "trade=B", lake=lake.path
    )
    assert "Nearest valid: ore" in refused("check", "--against", "or", "--as-of", TODAY, lake=lake.path)
    (tmp_path / "npv.csv").write_text("of an earlier run")
    with pytest.raises(NotReady, match="ORE ended without values: exit code 4"):
        ore_values(tmp_path, ["FX"], pretender(tmp_path, "", code=4))
