"""Measures over time against each day's own answer; every gap is a row with its reason, and unlike days are refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from reduce_lake import Valued, position, put_positions, put_valued

from aggregation.risk.query import run_query
from aggregation.risk.series import GAP, run_series
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput, NotFound
from lake.tables import Lake

DAYS = [dt.date(2020, 3, d) for d in (9, 10, 11, 12, 13)]
NO_VALUATION, NO_BOOK = DAYS[1], DAYS[3]
QUERY = RiskQuery(as_of=DAYS[-1], measures=("var", "es", "mean"), levels=("0.9",))


def valued(day: dt.date, **more: object) -> Valued:
    rng = np.random.default_rng(day.toordinal())
    vectors = {c: ("USD", 100.0, rng.normal(size=40)) for c in ("a", "b")}
    return Valued(vectors, day=day, sealed_at=dt.datetime(2020, 3, 17, 0, 0, day.day, tzinfo=dt.UTC), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Books on all days but one, valuations on all but another; desk FX is there on the first two days only."""
    lake = Lake.create(tmp_path_factory.mktemp("series") / "lake")
    for day in DAYS:
        if day != NO_VALUATION:
            put_valued(lake, valued(day))
        if day != NO_BOOK:
            rows = [position("1", "a", 2.0, desk="Rates", positions_date=day)]
            if day <= DAYS[1] or day == DAYS[4]:
                rows.append(position("2", "b", -1.0, desk="FX", positions_date=day))
            put_positions(lake, rows)
    return lake


def test_each_day_has_the_numbers_it_has_alone(lake: Lake) -> None:
    result = run_series(lake, QUERY, DAYS[0], DAYS[-1])
    assert result.totals["date"].to_pylist() == DAYS
    for row in result.totals.to_pylist():
        if row["date"] in (NO_VALUATION, NO_BOOK):
            continue
        (alone,) = run_query(lake, QUERY.model_copy(update={"as_of": row["date"]})).rows.to_pylist()
        assert {k: row[k] for k in alone} == alone
        assert row["reason"] is None


def test_gaps_are_rows_with_their_reason(lake: Lake) -> None:
    by_day = {r["date"]: r for r in run_series(lake, QUERY, DAYS[0], DAYS[-1]).totals.to_pylist()}
    assert by_day[NO_BOOK]["reason"] == f"No positions on {NO_BOOK}"
    assert by_day[NO_VALUATION]["reason"] == f"No valuation set of {NO_VALUATION}"
    for day in (NO_BOOK, NO_VALUATION):
        assert by_day[day]["status"] == GAP
        assert by_day[day]["var_0.9"] is None


def test_a_group_that_is_not_there_is_a_row_too(lake: Lake) -> None:
    rows = run_series(lake, QUERY.model_copy(update={"by": ("desk",)}), DAYS[0], DAYS[-1]).rows.to_pylist()
    seen = [(r["date"].day, r["desk"], r["status"]) for r in rows]
    assert seen == [
        (9, "FX", "complete"),
        (9, "Rates", "complete"),
        (10, None, GAP),
        (11, "FX", GAP),
        (11, "Rates", "complete"),
        (12, None, GAP),
        (13, "FX", "complete"),
        (13, "Rates", "complete"),
    ]
    assert rows[3]["reason"] == "no positions in this group on 2020-03-11"
    assert rows[3]["positions"] == 0


def test_a_filter_that_leaves_nothing_on_a_day_is_a_gap_of_that_day(lake: Lake) -> None:
    query = QUERY.model_copy(update={"where": (Filter.parse("desk=FX"),)})
    by_day = {r["date"]: r for r in run_series(lake, query, DAYS[0], DAYS[-1]).totals.to_pylist()}
    assert by_day[DAYS[2]]["status"] == GAP
    assert "Unknown desk on 2020-03-11 'FX'" in by_day[DAYS[2]]["reason"]
    assert by_day[DAYS[4]]["positions"] == 1


def test_only_days_with_books(lake: Lake) -> None:
    result = run_series(lake, QUERY, DAYS[0], dt.date(2020, 3, 20), calendar="books")
    assert result.totals["date"].to_pylist() == [d for d in DAYS if d != NO_BOOK]


@pytest.mark.parametrize("failing", [1, 2])
def test_why_positions_have_failed_is_what_the_last_such_day_says(tmp_path: Path, failing: int) -> None:
    lake = Lake.create(tmp_path / "lake")
    for day in DAYS[:2]:
        put_valued(lake, valued(day, failed={"c": "matured"}))
        rows = [position(str(i), "c", 1.0, positions_date=day) for i in range(failing)]
        put_positions(lake, [position("a", "a", 2.0, positions_date=day), *rows])
    notes = run_series(lake, QUERY, DAYS[0], DAYS[1]).notes
    assert sum(f"{failing} matured: matured. Take it out of the positions." in n for n in notes) == 1


def test_the_receipt_names_every_days_inputs_and_is_the_same_again(lake: Lake) -> None:
    one, two = (run_series(lake, QUERY, DAYS[0], DAYS[-1]).receipt for _ in range(2))
    assert one == two
    assert list(one["days"]) == [str(d) for d in DAYS if d not in (NO_BOOK, NO_VALUATION)]
    alone = run_query(lake, QUERY.model_copy(update={"as_of": DAYS[0]})).receipt
    assert one["days"][str(DAYS[0])]["result_digest"] == alone["result_digest"]


def test_faults_of_the_question_are_told_not_hidden_in_gaps(lake: Lake) -> None:
    with pytest.raises(BadInput, match="Nearest valid: desk"):
        run_series(lake, QUERY.model_copy(update={"by": ("desks",)}), DAYS[0], DAYS[-1])
    with pytest.raises(BadInput, match="Unknown measure 'vra'"):
        run_series(lake, QUERY.model_copy(update={"measures": ("vra",)}), DAYS[0], DAYS[-1])
    with pytest.raises(BadInput, match="lies before"):
        run_series(lake, QUERY, DAYS[-1], DAYS[0])
    with pytest.raises(BadInput, match="leave valuation_set out"):
        run_series(lake, QUERY.model_copy(update={"valuation_set": "x"}), DAYS[0], DAYS[-1])
    with pytest.raises(NotFound, match="No day from 2020-03-12 to 2020-03-12 has an answer, first: No positions"):
        run_series(lake, QUERY, NO_BOOK, NO_BOOK)
    with pytest.raises(NotFound, match="There is no day of calendar XNYS"):
        run_series(lake, QUERY, dt.date(2020, 3, 14), dt.date(2020, 3, 15))


@pytest.mark.parametrize(
    ("name", "value", "told"), [("horizon_days", 10, "is 1 on"), ("risk_classes", ("fx",), "fx on")]
)
def test_unlike_days_are_refused(tmp_path: Path, name: str, value: object, told: str) -> None:
    lake = Lake.create(tmp_path / "lake")
    for day, more in ((DAYS[0], {}), (DAYS[1], {name: value, "name": "other"})):
        put_valued(lake, valued(day, **more))
        put_positions(lake, [position("1", "a", 2.0, positions_date=day)])
    with pytest.raises(BadInput, match=f"Only like is put beside like: {name}.*{told}.*2020-03-10"):
        run_series(lake, QUERY, DAYS[0], DAYS[1])
