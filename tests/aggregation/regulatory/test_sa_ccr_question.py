"""The questions of SA-CCR through a lake: rows, contributions, trades, changes, and what is told of what is not there."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from small_lake import FRIDAY, MONDAY, build_lake, no_spark, request

from aggregation.questions import ask, read
from aggregation.regulatory.sa_ccr.question import SaCcrAnswer
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.reference import ingest_reference
from lake.tables import Lake
from valuation.catalogue import INSTRUMENTS
from valuation.sets.requests import run_valuation

EUR_FORWARD = {
    "instrument_type": "fx_forward",
    "currency": "USD",
    "base_currency": "EUR",
    "quote_curve": "USD",
    "base_rate": "0.0",
    "strike": "1.1",
    "maturity": "2021-03-16",
}
SHARE_FORWARD = {
    "instrument_type": "equity_forward",
    "currency": "USD",
    "underlying": "EQ:AAA",
    "strike": "95",
    "maturity": "2022-03-16",
    "discount_curve": "USD",
}
OPTION = {
    "instrument_type": "equity_option",
    "currency": "USD",
    "underlying": "EQ:AAA",
    "volatility": "IV:AAA",
    "strike": "100",
    "expiry": "2020-12-18",
    "option_type": "call",
    "discount_curve": "USD",
}
UNKNOWN = {**SHARE_FORWARD, "underlying": "EQ:BBB", "currency": "EUR", "discount_curve": "USD"}
SHARE = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAA"}
# positions 0, 2, ... are with counterparty-0 (margined), the others with counterparty-1
BOOK = [
    ("FX", 100_000.0, EUR_FORWARD),
    ("Equities", 1_000.0, SHARE_FORWARD),
    ("Options", -500.0, OPTION),
    ("Options", 300.0, OPTION),
    ("Equities", 50.0, SHARE),
    ("Equities", -800.0, SHARE_FORWARD),
    ("Equities", 10.0, {**OPTION, "expiry": "2019-12-20"}),
]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    lake = build_lake(tmp_path_factory.mktemp("sa-ccr") / "lake", held=BOOK)
    with Committer(lake, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    return reading(Lake.open(lake.path))


def of(session: Session, name: str = "sa-ccr", **asked: Any) -> Any:
    return ask(session, name, read(name, {"as_of": str(MONDAY), **asked}))


def by_set(answer: SaCcrAnswer) -> dict[str, dict[str, Any]]:
    return {r["netting_set"]: r for r in answer.rows.to_pylist()}


def test_the_netting_sets_are_those_of_the_formulas(session: Session) -> None:
    """A book of four trades by hand: NET-1 has no margin, CSA-0 has."""
    rows = by_set(of(session))
    assert set(rows) == {"CSA-0", "NET-1"}
    lake, trades = session.lake, of(session, "sa-ccr-trades").rows.to_pylist()
    level = {
        r["risk_factor_id"]: r["value_used"]
        for r in lake.read("market_data", among={"as_of_date": [MONDAY]}).to_pylist()
    }
    share, euro = level["EQ:AAA"], level["FX:EURUSD"]
    without = [t for t in trades if t["netting_set"] == "NET-1" and t["state"] == "covered"]
    delta = next(t["supervisory_delta"] for t in without if t["instrument_type"] == "equity_option")
    time = (dt.date(2020, 12, 18) - MONDAY).days / 365
    option = next(t for t in without if t["instrument_type"] == "equity_option")
    spread = 1.2 * math.sqrt(time)
    d = (math.log(option["P"] / 100) + spread**2 / 2) / spread
    assert delta == pytest.approx(0.5 * math.erfc(-d / math.sqrt(2)), rel=1e-12)
    effective = share * (1_000 - 800 + 600 * delta * math.sqrt(time))  # the Options desk holds twice as much on Monday
    add_on = 0.32 * abs(effective)
    v = sum(t["v"] for t in without)
    row = rows["NET-1"]
    assert row["addon_equity"] == pytest.approx(add_on, rel=1e-12)
    assert row["v"] == pytest.approx(v, abs=1e-6)
    multiplier = min(1.0, 0.05 + 0.95 * math.exp(v / (2 * 0.95 * add_on)))
    assert row["ead"] == pytest.approx(1.4 * (max(v, 0.0) + multiplier * add_on), abs=2e-3)
    with_margin = rows["CSA-0"]
    assert with_margin["c"] == pytest.approx(15_000 + 3_000 * euro, rel=1e-12)
    assert with_margin["margined"]
    fx, short = 0.04 * 100_000 * euro, 0.32 * share * 1_000 * delta
    least = 1_000 + 100 - 3_000 * euro
    over = with_margin["v"] - with_margin["c"]
    found = {}
    for how, scale_fx, scale, rc in (
        ("with", 0.3, 0.3, max(over, least, 0.0)),
        ("without", 1.0, math.sqrt(time), max(over, 0.0)),
    ):
        total = fx * scale_fx + short * scale
        found[how] = 1.4 * (rc + total * min(1.0, 0.05 + 0.95 * math.exp(over / (1.9 * total))))
    assert with_margin["ead"] == pytest.approx(min(found.values()), abs=2e-3)


def test_finer_groups_add_up_to_the_netting_set_to_the_last_bit(session: Session) -> None:
    whole = of(session)
    for by in (["netting_set", "desk"], ["netting_set", "trade"], ["netting_set", "attribute.rating", "portfolio"]):
        sums: dict[str, float] = defaultdict(float)
        for row in reversed(of(session, by=by).rows.to_pylist()):
            sums[row["netting_set"]] += row["ead"] or 0.0  # none of a trade that has failed
        assert dict(sums) == {name: r["ead"] or 0.0 for name, r in by_set(whole).items()}
    for by in ([], ["desk"], ["counterparty"], ["legal_entity", "desk"], ["instrument_type"]):
        assert sum(e or 0.0 for e in of(session, by=by).rows["ead"].to_pylist()) == whole.total["ead"]


def test_contributions_of_the_trades_are_those_of_the_groups(session: Session) -> None:
    trades = {t["trade"]: t["ead"] for t in of(session, "sa-ccr-trades").rows.to_pylist() if t["state"] == "covered"}
    grouped = {
        r["trade"]: r["ead"]
        for r in of(session, by=["trade"]).rows.to_pylist()
        if r["part"] == "trades" and r["covered"]
    }
    assert trades == grouped


def test_a_contribution_is_the_slope_of_the_exposure(session: Session) -> None:
    """Of a netting set without margin and collateral, EAD of a book that holds a little more of a trade."""
    grouped = {r["trade"]: r["ead"] for r in of(session, by=["trade"]).rows.to_pylist() if r["part"] == "trades"}
    for trade in ("T00000-1", "T00000-3", "T00000-5"):
        step = 1e-4
        up, down = (
            of(session, "sa-ccr-what-if", scale=[f"trade={trade}*{1 + s}"]).rows["ead_after"][0].as_py()
            for s in (step, -step)
        )
        assert grouped[trade] == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=15.0)


def test_where_a_trade_nets_with_nothing_it_stands_alone(session: Session) -> None:
    added = {"instrument_type": "equity_forward", "terms": SHARE_FORWARD, "trade": "N1", "quantity": 100.0}
    added["terms"] = {k: v for k, v in SHARE_FORWARD.items() if k != "instrument_type"}
    answer = of(session, "sa-ccr-what-if", add=[{**added, "counterparty": "nobody", "legal_entity": "legal_entity-0"}])
    (row,) = answer.rows.to_pylist()
    assert (row["netting_set"], row["change"], row["ead_before"]) == ("trade:N1", "new", 0.0)
    assert row["ead_after"] > 0.0
    assert answer.total["ead_difference"] == row["ead_after"]


def test_a_new_netting_set_has_a_charge_and_one_that_is_gone_has_none(session: Session) -> None:
    terms = {k: v for k, v in SHARE_FORWARD.items() if k != "instrument_type"}
    added = {"instrument_type": "equity_forward", "terms": terms, "trade": "N1", "quantity": 100.0}
    where = {"counterparty": "counterparty-1", "legal_entity": "nobody"}
    answer = of(session, "ba-cva-what-if", add=[{**added, **where}])
    (row,) = answer.rows.to_pylist()
    assert (row["netting_set"], row["change"], row["scva_before"]) == ("trade:N1", "new", 0.0)
    assert row["scva_after"] > 0.0
    assert answer.total["capital_difference"] > 0.0
    unknown = of(session, "ba-cva-what-if", add=[{**added, **where, "counterparty": "nobody"}])
    assert unknown.rows["scva_after"].to_pylist() == [None]
    assert "nobody" in unknown.rows["reason"][0].as_py()
    assert any("no charge" in note for note in unknown.notes)
    sets = [r["netting_set"] for r in of(session, "ba-cva").rows.to_pylist()]
    gone = of(session, "ba-cva-what-if", scale=["*0"])
    assert sorted(r["netting_set"] for r in gone.rows.to_pylist()) == sorted(sets)
    assert gone.total["capital_after"] == 0.0 < gone.total["capital_before"]


def test_a_sold_option_outside_agreements_has_no_exposure(session: Session) -> None:
    terms = {k: v for k, v in OPTION.items() if k != "instrument_type"}
    for quantity, exposed in ((-100.0, False), (100.0, True)):
        added = {
            "instrument_type": "equity_option",
            "terms": terms,
            "trade": "N1",
            "quantity": quantity,
            "counterparty": "nobody",
        }
        (row,) = of(session, "sa-ccr-what-if", add=[{**added, "legal_entity": "legal_entity-0"}]).rows.to_pylist()
        assert (row["ead_after"] > 0.0) is exposed
        assert row["rule_after"] == ("unmargined" if exposed else "sold option, premium paid")


def test_a_change_gives_the_bits_of_the_changed_book(session: Session, tmp_path: Path) -> None:
    """Half of a trade, one gone and one new, against a lake whose book is that; and the capital for CVA risk that follows."""
    terms = {k: v for k, v in EUR_FORWARD.items() if k != "instrument_type"}
    new = {
        "instrument_type": "fx_forward",
        "terms": {**terms, "strike": "1.2"},
        "quantity": 5_000.0,
        "trade": "T00000-7",
    }
    where = {d: f"{d}-1" for d in ("portfolio", "account", "book", "legal_entity", "counterparty")}
    changes = {
        "remove": ["T00000-5"],
        "scale": ["trade=T00000-0*0.5"],
        "add": [{**new, **where, "desk": "FX"}],
    }
    changed = of(session, "sa-ccr-what-if", **changes)
    book = [list(p) for p in BOOK]
    book[0][1] = 50_000.0
    book[5] = ["Equities", 1.0, SHARE]  # no derivative
    book.append(["FX", 5_000.0, {**EUR_FORWARD, "strike": "1.2"}])
    lake = build_lake(tmp_path / "lake", held=book)  # type: ignore[arg-type]
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    there = reading(Lake.open(lake.path))
    for more in ({}, {"approach": "reduced"}):
        capital = of(session, "ba-cva-what-if", **changes, **more)
        whole = of(there, "ba-cva", **more)
        assert capital.total["capital_before"] == pytest.approx(
            of(session, "ba-cva", **more).total["capital"], rel=1e-12
        )
        assert capital.total["capital_after"] == pytest.approx(whole.total["capital"], rel=1e-12)
        of_sets = {r["netting_set"]: r for r in whole.sets.to_pylist()}
        for row in capital.rows.to_pylist():
            expected = of_sets[row["netting_set"]]
            for figure in ("ead", "maturity", "scva"):
                assert row[f"{figure}_after"] == pytest.approx(expected[figure], rel=1e-12), figure
    anew = by_set(of(there))
    rows = {r["netting_set"]: r for r in changed.rows.to_pylist()}
    assert set(rows) == {"CSA-0", "NET-1"}
    for name, row in rows.items():
        for figure in ("ead", "rc", "pfe"):
            assert row[f"{figure}_after"] == anew[name][figure], (name, figure)


def test_what_is_no_derivative_and_what_has_failed_is_told(session: Session) -> None:
    answer = of(session)
    assert answer.not_in_scope == (
        {"instrument_type": "cash_equity", "reason": answer.not_in_scope[0]["reason"], "positions": 1},
    )
    assert "no derivative" in answer.not_in_scope[0]["reason"]
    assert [f.reason for f in answer.failures] == ["matured"]
    assert (answer.coverage.failed, answer.coverage.status) == (1, "partial")
    assert by_set(answer)["CSA-0"]["status"] == "partial"
    assert by_set(answer)["NET-1"]["status"] == "complete"
    assert any("basel@2023" in note for note in answer.notes)
    assert any("no figure" in note for note in answer.notes)
    assert answer.receipt["regime"] == "basel@2023"
    assert answer.receipt["table_versions"].keys() >= {"agreements", "collateral", "classifications"}


def test_an_unclassified_share_fails_with_its_name(session: Session, tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake", held=BOOK)
    file = tmp_path / "classifications.csv"
    file.write_text(
        "name,effective_from,effective_to,kind,sector,capitalisation,economy\nEQ:AAA,2019-01-01,2020-03-13,equity,financial_technology,large,advanced\n"
    )
    with Committer(lake, "test") as committer:
        ingest_reference(committer, {"classifications": file}, INSTRUMENTS)
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    answer = of(reading(Lake.open(lake.path)))
    assert {f.reason for f in answer.failures} == {"matured", "unclassified"}
    assert "EQ:AAA" in next(f.message for f in answer.failures if f.reason == "unclassified")
    assert by_set(answer)["NET-1"]["status"] == "invalid"
    assert by_set(answer)["NET-1"]["ead"] is None


def test_other_rules(session: Session) -> None:
    assert of(session, regime="eu").receipt["regime"].startswith("eu@")
    with pytest.raises(BadInput, match="basel"):
        of(session, regime="basell")
    with pytest.raises(BadInput, match="CSA-0"):
        of(session, illiquid=["CSA-1"])
    longer = by_set(of(session, illiquid=["CSA-0"]))["CSA-0"]["addon_fx"]
    assert longer == pytest.approx(by_set(of(session))["CSA-0"]["addon_fx"] * math.sqrt(2), rel=1e-12)
    with pytest.raises(BadInput, match="twice"):
        of(session, by=["desk", "desk"])
    with pytest.raises(BadInput, match="desk"):
        of(session, by=["desc"])


def test_a_filter_asks_about_a_part_and_says_that_the_collateral_is_of_all(session: Session) -> None:
    answer = of(session, where=["desk=FX"])
    assert by_set(answer).keys() == {"CSA-0"}
    assert any("collateral is held against all" in note for note in answer.notes)


def test_the_limit_leaves_out_the_smallest(session: Session) -> None:
    answer = of(session, "sa-ccr-trades", limit=2)
    everything = of(session, "sa-ccr-trades").rows.to_pylist()
    largest = sorted({t["trade"]: abs(t["ead"] or 0.0) for t in everything}.items(), key=lambda i: -i[1])[:2]
    assert {t["trade"] for t in answer.rows.to_pylist()} == {name for name, _ in largest}
    assert answer.omitted == len({t["trade"] for t in everything}) - 2
