"""Two days and the difference: outer join by group, totals, and the refusal of unlike things."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.change.compare import compare
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.risk.sampling_error import paired_resamples
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput, NotFound
from lake.tables import Lake

BEFORE = dt.date(2020, 2, 14)
AFTER = DAY
N = 100


def pnl(seed: int, n: int = N) -> Any:
    return np.random.default_rng(seed).standard_normal(n)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Desk `old` closes, desk `fresh` opens, `both` stays, `failing` has no number on the second day."""
    early = Valued({"a": ("USD", 1.0, pnl(1)), "b": ("USD", 2.0, pnl(2))}, day=BEFORE)
    late = Valued({"a": ("USD", 1.5, 3 * pnl(3)), "c": ("USD", 4.0, pnl(4))}, failed={"b": "matured"}, day=AFTER)
    lake = make_lake(
        tmp_path_factory.mktemp("compare"),
        early,
        [
            position("t1", "a", 1.0, positions_date=BEFORE, desk="both"),
            position("t2", "b", 1.0, positions_date=BEFORE, desk="old", attributes={"rating": "A"}),
            position("t3", "b", 4.0, positions_date=BEFORE, desk="failing"),
        ],
    )
    put_valued(lake, late)
    put_positions(
        lake,
        [
            position("t1", "a", 2.0, desk="both"),
            position("t3", "b", 4.0, desk="failing"),
            position("t4", "c", -5.0, desk="fresh"),
        ],
    )
    return lake


def asked(as_of: dt.date, **more: Any) -> RiskQuery:
    return RiskQuery(**{"as_of": as_of, "by": ("desk",), "measures": ("var", "worst"), **more})


def test_both_days_and_the_difference_by_group(lake: Lake) -> None:
    result = compare(lake, asked(BEFORE), asked(AFTER))
    rows = {r.pop("desk"): r for r in result.rows.to_pylist()}
    assert list(rows) == ["both", "failing", "fresh", "old"]
    assert {k: r["change"] for k, r in rows.items()} == {
        "both": "both",
        "failing": "both",
        "fresh": "new",
        "old": "gone",
    }
    worst = {
        "both": (max(-pnl(1)), max(-6 * pnl(3))),
        "failing": (max(-4 * pnl(2)), None),
        "fresh": (None, max(5 * pnl(4))),
        "old": (max(-pnl(2)), None),
    }
    for desk, (was, now) in worst.items():
        row = rows[desk]
        assert (row["worst_from"], row["worst_to"]) == (was, now)
        assert row["worst_change"] == (now or 0.0) - (was or 0.0)
    assert (rows["old"]["positions_from"], rows["old"]["positions_to"], rows["old"]["positions_change"]) == (
        1,
        None,
        -1,
    )
    assert rows["fresh"]["base_value_change"] == -20.0
    figures = ("positions", "base_value", "var_0.99", "worst")
    assert list(rows["both"]) == ["change", *(f"{f}_{side}" for f in figures for side in ("from", "to", "change"))]


def test_totals_and_diversification_are_those_of_each_day(lake: Lake) -> None:
    result = compare(lake, asked(BEFORE), asked(AFTER))
    one, two = run_query(lake, asked(BEFORE)), run_query(lake, asked(AFTER))
    for name in ("base_value", "var_0.99", "worst", "worst_standalone_sum", "worst_diversification"):
        assert result.total[f"{name}_from"] == one.total[name]
        assert result.total[f"{name}_to"] == two.total[name]
        assert result.total[f"{name}_change"] == two.total[name] - one.total[name]
    assert result.after.coverage.status == "partial"
    assert "it failed. 1 matured: " in result.after.notes[0]
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_day_against_itself_changes_nothing(lake: Lake) -> None:
    result = compare(lake, asked(AFTER), asked(AFTER))
    assert set(result.rows["change"].to_pylist()) == {"both"}
    assert set(result.rows["worst_change"].to_pylist()) == {0.0, None}  # no number on either side: no change either
    assert result.total["var_0.99_change"] == 0.0


def test_without_groups_there_is_one_row(lake: Lake) -> None:
    result = compare(lake, asked(BEFORE, by=()), asked(AFTER, by=()))
    (row,) = result.rows.to_pylist()
    assert row["change"] == "both"
    assert row["worst_change"] == result.total["worst_change"]


def test_null_members_join(lake: Lake) -> None:
    result = compare(lake, asked(BEFORE, by=("attribute.rating",)), asked(BEFORE, by=("attribute.rating",)))
    assert result.rows["attribute.rating"].to_pylist() == ["A", None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"currency": "EUR"}, "currency is USD on one side and EUR on the other"),
        ({"levels": ("0.95",)}, r"levels is 0\.99 on one side and 0\.95 on the other"),
        ({"estimator": "hf7"}, "estimator is order_statistic on one side and hf7"),
        ({"by": ()}, "by is desk on one side and nothing on the other"),
        ({"measures": ("es",)}, "measures is var, worst on one side and es on the other"),
    ],
)
def test_unlike_questions_are_refused(lake: Lake, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=f"Only like is compared with like: {message}"):
        compare(lake, asked(BEFORE), asked(AFTER, **change))


@pytest.mark.parametrize(
    ("unlike", "message"),
    [
        ({"horizon_days": 10}, "horizon_days of the valuation sets is 1 on 2020-02-14 and 10 on 2020-03-16"),
        ({"risk_classes": ("equity",)}, "risk_classes of the valuation sets is commodity, .* and equity on 2020-03-16"),
    ],
)
def test_unlike_valuations_are_refused(tmp_path: Path, unlike: dict[str, Any], message: str) -> None:
    rows = [position("t", "a", 1.0, positions_date=BEFORE)]
    lake = make_lake(tmp_path, Valued({"a": ("USD", 1.0, pnl(1))}, day=BEFORE), rows)
    put_valued(lake, Valued({"a": ("USD", 1.0, pnl(1))}, **unlike))
    put_positions(lake, [position("t", "a", 1.0)])
    with pytest.raises(BadInput, match=message):
        compare(lake, asked(BEFORE), asked(AFTER))


def test_other_scenario_counts_and_sets_are_noted(tmp_path: Path) -> None:
    rows = [position("t", "a", 1.0, positions_date=BEFORE)]
    lake = make_lake(tmp_path, Valued({"a": ("USD", 1.0, pnl(1))}, day=BEFORE), rows)
    put_valued(lake, Valued({"a": ("USD", 1.0, pnl(1, 50))}, name="other"))
    put_positions(lake, [position("t", "a", 1.0)])
    assert compare(lake, asked(BEFORE), asked(AFTER)).notes == (
        "Scenario counts differ: 100 on 2020-02-14, 50 on 2020-03-16.",
        "Scenario sets differ: hand on 2020-02-14, other on 2020-03-16.",
    )


def test_a_day_without_data_is_refused(lake: Lake) -> None:
    with pytest.raises(
        NotFound, match=r"2020-03-01 is a Sunday\. .*Nearest dates with positions: 2020-02-14, 2020-03-16\."
    ):
        compare(lake, asked(BEFORE), asked(dt.date(2020, 3, 1)))


def test_a_filter_of_one_day_only(lake: Lake) -> None:
    where = (Filter.parse("desk=fresh"),)
    result = compare(lake, asked(BEFORE, where=where), asked(AFTER, where=where))
    (row,) = result.rows.to_pylist()
    assert (row["desk"], row["change"], row["worst_from"]) == ("fresh", "new", None)
    assert row["worst_change"] == result.total["worst_change"] == max(5 * pnl(4))
    assert result.before.notes == ("Nothing passes desk=fresh on 2020-02-14: it counts as nothing held.",)
    assert result.before.coverage.positions == 0
    with pytest.raises(BadInput, match="frsh"):
        compare(lake, *(asked(d, where=(Filter.parse("desk=frsh"),)) for d in (BEFORE, AFTER)))


def test_the_interval_of_a_change_is_that_of_the_difference(lake: Lake) -> None:
    """Resampled by hand with the same counts: the difference of both sides' resampled VaR."""
    questions = [asked(d, measures=("var",), interval="0.9") for d in (BEFORE, AFTER)]
    result = compare(lake, *questions)
    rows = {r["desk"]: r for r in result.rows.to_pylist()}
    one, two = (open_inputs(VectorCache(lake), q) for q in questions)
    counts = [r.counts for r in paired_resamples(one, two)]
    drawn = [
        [-np.sort(np.repeat(p, c))[-(-N // 100) - 1] for c in cs]
        for p, cs in zip((pnl(1), 6 * pnl(3)), counts, strict=True)
    ]
    low, high = np.quantile(np.array(drawn[1]) - np.array(drawn[0]), [0.05, 0.95])
    assert (rows["both"]["var_0.99_change_low"], rows["both"]["var_0.99_change_high"]) == pytest.approx((low, high))
    assert "var_0.99_low_change" not in result.rows.column_names
    assert result.total["var_0.99_change_low"] < result.total["var_0.99_change"] < result.total["var_0.99_change_high"]
    json.dumps(result.to_dict(), allow_nan=False, default=str)
