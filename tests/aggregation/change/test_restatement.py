"""A day as known at two times: what was restated, and what each restatement did, by hand."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import factor, put_market

from aggregation import questions
from aggregation.change.restatement import CAUSES
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import ask, read
from aggregation.recomputed import recompute
from aggregation.replay import replay
from aggregation.session import Session, reading
from lake.canonical import from_json
from lake.committer import Committer
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from service.encoding import to_json
from valuation.books.positions import ingest_positions
from valuation.sets.imported import ingest_vectors
from valuation.sets.requests import ValuationRequest, run_valuation

DAY = dt.date(2020, 3, 16)
DAYS = [dt.date(2020, 3, d) for d in (10, 11, 12, 13, 16)]
FACTORS = [factor("EQ:A", "equity_price")]
LEVELS = dict(zip(DAYS, (100.0, 110.0, 99.0, 99.0, 108.9), strict=True))  # moves: +10%, -10%, 0, +10%


def no_spark() -> Any:
    raise AssertionError("no Spark is needed")


def instant() -> str:
    time.sleep(0.003)
    told = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.003)
    return told


def book(lake: Lake, held: Mapping[str, float]) -> None:
    file = lake.path.parent / "book.csv"
    columns = ["positions_date", "quantity", *DIMENSION_COLUMNS, "instrument_type", "currency", "underlying"]
    lines = []
    for trade, quantity in held.items():
        known = {"positions_date": DAY, "quantity": quantity, "trade": trade, "instrument_type": "cash_equity"}
        row = {**dict.fromkeys(columns, "one"), **known, "currency": "USD", "underlying": "EQ:A"}
        lines.append(",".join(str(row[c]) for c in columns))
    file.write_text("\n".join([",".join(columns), *lines]) + "\n")
    with Committer(lake, "test") as committer:
        assert ingest_positions(committer, file, replace_dates=True).rejected == 0


def value(lake: Lake) -> None:
    with Committer(lake, "test") as committer:
        asked = {"as_of": DAY, "scenarios": {"parameters": {"scenarios": 4}}, "runner": "in-process"}
        run_valuation(committer, ValuationRequest.model_validate(asked), spark=no_spark)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ten shares at 108.9; the worst of four moves is -10%."""
    lake = Lake.create(tmp_path / "lake")
    put_market(lake, FACTORS, {"EQ:A": LEVELS})
    book(lake, {"t1": 10.0})
    value(lake)
    return lake


def compared(lake: Lake, then: str, *, make: bool = True, now: str | None = None, **more: Any) -> Any:
    query = read(
        "compare",
        {
            "from": {"as_of": str(DAY), "as_known": then},
            "to": {"as_of": str(DAY), **({"as_known": now} if now else {})},
            "levels": ["0.75"],
            "measures": ["var"],
            **more,
        },
    )
    if make:
        with Committer(lake, "test") as committer:
            session = Session(lake, VectorCache(lake), committer=committer, spark=no_spark)  # type: ignore[arg-type]
            query = questions.value(session, "compare", query)
            assert questions.plan(session, "compare", query).ready
    return ask(reading(lake), "compare", query)


def test_each_restatement_is_a_cause_and_they_add_up(lake: Lake) -> None:
    then = instant()
    put_market(lake, FACTORS, {"EQ:A": {**LEVELS, DAYS[1]: 120.0, DAYS[4]: 118.8}})
    book(lake, {"t1": 5.0, "t2": 25.0})
    value(lake)
    found = compared(lake, then)
    (row,) = found.restated.causes.to_pylist()
    assert row["measure"] == "var_0.75"
    # 10 x 108.9 x 10%; then 30 shares; then at 118.8; then the worst move is 99 / 120 - 1 = -17.5%
    assert row["from"] == pytest.approx(108.9, rel=1e-12)
    assert row["positions"] == pytest.approx(326.7 - 108.9, rel=1e-12)
    assert row["market"] == pytest.approx(356.4 - 326.7, rel=1e-12)
    assert row["scenarios"] == pytest.approx(623.7 - 356.4, rel=1e-12)
    assert row["model"] == 0.0
    assert row["to"] == pytest.approx(623.7, rel=1e-12)
    parts = [row[c] for c in CAUSES]
    assert math.fsum(parts) == row["change"] == found.total["var_0.75_change"]
    trades = [
        (t["trade"], t["change"], t["quantity_from"], t["quantity_to"]) for t in found.restated.positions.to_pylist()
    ]
    assert trades == [("t1", "amended", 10.0, 5.0), ("t2", "added", None, 25.0)]
    assert found.restated.market_data.to_pylist() == [
        {"as_of_date": DAYS[1], "risk_factor_id": "EQ:A", "value_from": 110.0, "value_to": 120.0, "change": 10.0},
        {
            "as_of_date": DAYS[4],
            "risk_factor_id": "EQ:A",
            "value_from": 108.9,
            "value_to": 118.8,
            "change": 118.8 - 108.9,
        },
    ]
    assert any("2 trades (1 added, 1 amended)" in n for n in found.notes)
    assert any("2 values, of 2020-03-11 to 2020-03-16" in n for n in found.notes)
    assert replay(lake, from_json(to_json(found.to_dict()))).verdict == "same bits"


def test_the_other_way_round_every_cause_has_the_other_sign_of_change(lake: Lake) -> None:
    then = instant()
    book(lake, {"t2": 30.0})
    there = compared(lake, then).restated
    assert there.causes["positions"].to_pylist() == there.causes["change"].to_pylist()
    assert there.positions["change"].to_pylist() == ["removed", "added"]
    query = {"from": str(DAY), "to": {"as_of": str(DAY), "as_known": then}, "levels": ["0.75"], "measures": ["var"]}
    back = ask(reading(lake), "compare", read("compare", query))
    assert back.restated.causes["change"].to_pylist() == [-c for c in there.causes["change"].to_pylist()]
    assert replay(lake, from_json(to_json(back.to_dict()))).verdict == "same bits"


def test_without_the_valuations_between_the_difference_is_told_and_what_is_missing(lake: Lake) -> None:
    then = instant()
    put_market(lake, FACTORS, {"EQ:A": {**LEVELS, DAYS[1]: 120.0, DAYS[4]: 118.8}})
    value(lake)
    found = compared(lake, then, make=False)
    assert found.total["var_0.75_change"] == pytest.approx(10 * 118.8 * 0.175 - 108.9, rel=1e-12)
    assert found.restated.missing == 1
    assert found.restated.causes.num_rows == 0
    assert any("1 valuation between the points is missing" in n for n in found.notes)


def test_a_vector_of_another_system_that_came_again_is_a_cause(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    header = "date,trade,currency,base_value,2019-01-02,2019-01-03,2019-01-04,2019-01-07\n"

    def bring(name: str, pnl: str) -> None:
        (tmp_path / name).write_text(f"{header}{DAY},{pnl}\n")
        with Committer(lake, "test") as committer:
            ingest_vectors(committer, tmp_path / name, source="risksys")

    bring("first.csv", f"T1,USD,100,-1,2,-3,4\n{DAY},T2,USD,50,-4,-1,-1,-1")
    then = instant()
    kept = from_json(to_json(ask(reading(lake), "var", read("var", {"as_of": str(DAY), "levels": ["0.75"]})).to_dict()))
    bring("again.csv", "T1,USD,100,-1,2,-9,4")
    found = compared(lake, then, make=False)
    (row,) = found.restated.causes.to_pylist()
    # the worst of four: -1 - 4, and then -9 - 1
    assert (row["from"], row["to"], row["vectors"], row["model"]) == (5.0, 10.0, 5.0, 0.0)
    assert found.restated.vectors == {"risksys": ("again.csv",)}
    assert "Restated P&L vectors of risksys: again.csv." in found.notes
    assert "Restated P&L vectors of risksys: again.csv." in recompute(reading(lake), kept).notes


def test_nothing_restated_is_no_cause(lake: Lake) -> None:
    then = instant()
    put_market(lake, FACTORS, {"EQ:A": {**LEVELS, dt.date(2020, 3, 17): 1.0}})  # after the market date
    found = compared(lake, then)
    assert found.restated.positions_count == found.restated.market_data_count == 0
    assert found.restated.causes["change"].to_pylist() == [0.0]


def test_two_states_that_both_are_past(lake: Lake) -> None:
    first = instant()
    book(lake, {"t1": 20.0})
    second = instant()
    book(lake, {"t1": 40.0})
    row = compared(lake, first, now=second).restated.causes.to_pylist()[0]
    assert (row["from"], row["to"]) == (pytest.approx(108.9), pytest.approx(217.8))


@pytest.mark.parametrize("method", ["causes", "sequential", "shapley"])
def test_an_explanation_between_two_states_adds_up(lake: Lake, method: str) -> None:
    then = instant()
    put_market(lake, FACTORS, {"EQ:A": {**LEVELS, DAYS[1]: 120.0, DAYS[4]: 118.8}})
    book(lake, {"t2": 30.0})
    value(lake)
    query = read(
        "explain",
        {"from": {"as_of": str(DAY), "as_known": then}, "to": str(DAY), "levels": ["0.75"], "method": method},
    )
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer=committer, spark=no_spark)  # type: ignore[arg-type]
        query = questions.value(session, "explain", query)
    found = ask(reading(lake), "explain", query)
    assert (found.before, found.after) == (pytest.approx(108.9), pytest.approx(623.7))
    assert math.fsum(found.causes.values()) + found.residual == pytest.approx(found.change, rel=1e-15)
    if method == "sequential":
        closed_and_new = found.causes["new"] + found.causes["closed"]
        assert closed_and_new == pytest.approx(326.7 - 108.9)
        assert found.causes["market"] == pytest.approx(29.7)


def test_a_receipt_is_asked_again_of_what_is_known_now(lake: Lake) -> None:
    asked = {"as_of": str(DAY), "levels": ["0.75"], "measures": ["var"]}
    published = ask(reading(lake), "var", read("var", asked))
    put_market(lake, FACTORS, {"EQ:A": {**LEVELS, DAYS[1]: 120.0, DAYS[4]: 118.8}})
    book(lake, {"t1": 5.0, "t2": 25.0})
    value(lake)
    for kept in (published.to_dict(), published.receipt):
        found = recompute(reading(lake), from_json(to_json(kept)))
        (figure,) = [r for r in found.rows.to_pylist() if r["column"] == "var_0.75" and r["place"].startswith("/total")]
        assert (float(figure["as_published"]), float(figure["now"])) == (pytest.approx(108.9), pytest.approx(623.7))
        assert figure["change"] == float(figure["now"]) - float(figure["as_published"])
        assert found.positions["trade"].to_pylist() == ["t1", "t2"]
        assert found.market_data["as_of_date"].to_pylist() == [DAYS[1], DAYS[4]]
        assert found.now["total"]["var_0.75"] == pytest.approx(623.7)
        assert found.tables.keys() >= {"positions", "valuation_sets", "scenario_sets"}
    # an answer that was as known itself, of a valuation set it named: now it is that of its scenarios
    then = instant()
    put_market(lake, FACTORS, {"EQ:A": LEVELS})
    value(lake)
    named = {**asked, "as_known": then, "valuation_set": published.receipt["valuation_set_id"]}
    found = recompute(reading(lake), ask(reading(lake), "var", read("var", named)).to_dict())
    assert found.now["total"]["var_0.75"] == pytest.approx(30 * 10.89)


def test_nothing_restated_nothing_changed(lake: Lake) -> None:
    published = ask(reading(lake), "var", read("var", {"as_of": str(DAY)}))
    found = recompute(reading(lake), from_json(to_json(published.to_dict())))
    assert (found.rows.num_rows, found.positions.num_rows, found.market_data.num_rows) == (0, 0, 0)
    assert found.tables == {}
