"""The change of VaR and ES by desk and cause: against plain loops, each cause alone, and what must hold of any change."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from explain_lake import MONDAY, TUESDAY, Point, cells_by_loops, es, tables, total, two_points, var
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregation.change.explain import CAUSES, explain, on_grid
from aggregation.change.sides import compared
from aggregation.risk.query import run_query
from aggregation.types import Filter
from lake.errors import BadInput

A = [-50.0, -30.0, -20.0, 10.0, 20.0, 30.0, 40.0, 50.0]  # VaR at 0.75 is the second worst of eight
LABELS = [f"2020-01-{d:02}" for d in range(1, 9)]
BASE = Point([("t1", "a", 2.0, "Rates")], {"a": ("USD", 100.0, A)}, LABELS)
ZERO = dict.fromkeys(CAUSES, 0.0)


def ask(folder: Path, one: Point, two: Point, monkeypatch: Any, **more: Any) -> Any:
    lake, a, b = two_points(folder, one, two, monkeypatch)
    return explain(lake, a.model_copy(update=more), b.model_copy(update=more))


class TestACauseAlone:
    """Where only one thing changes, its cause has the whole change and every other has nothing."""

    @pytest.mark.parametrize(
        ("change", "cause", "expected"),
        [
            ({"positions": [("t1", "a", 3.0, "Rates")]}, "amended", 30.0),
            ({"positions": [("t1", "a", 2.0, "Rates"), ("t2", "a", 1.0, "Rates")]}, "new", 30.0),
            ({"vectors": {"a": ("USD", 100.0, [2 * x for x in A])}}, "revaluation", 60.0),
            ({"labels": ["2020-01-09", *LABELS[1:]], "vectors": {"a": ("USD", 100.0, [60.0, *A[1:]])}}, None, -20.0),
            ({"positions": [("t1", "b", 1.0, "Rates")], "vectors": {"b": ("USD", 1.0, A)}}, "amended", -30.0),
            ({}, None, 0.0),
        ],
    )
    def test_it_has_the_whole_change(
        self, tmp_path: Path, monkeypatch: Any, change: dict, cause: str | None, expected: float
    ) -> None:
        found = ask(tmp_path, BASE, BASE.but(day=TUESDAY, **change), monkeypatch)
        assert found.change == expected
        if cause is not None:
            assert found.causes == {**ZERO, cause: expected}
        else:  # a window that rolls: what leaves and what enters, and nothing else
            assert found.causes["left"] + found.causes["entered"] == expected
            assert {c: v for c, v in found.causes.items() if c not in ("left", "entered")} == {
                c: 0.0 for c in CAUSES if c not in ("left", "entered")
            }

    def test_closed(self, tmp_path: Path, monkeypatch: Any) -> None:
        one = BASE.but(positions=[*BASE.positions, ("t2", "a", 1.0, "FX")])
        found = ask(tmp_path, one, BASE.but(day=TUESDAY), monkeypatch)
        assert found.causes == {**ZERO, "closed": -30.0}
        assert tables(found.rows)["FX"]["closed"] == -30.0
        assert tables(found.rows)["Rates"]["change"] == 0.0

    def test_a_trade_that_goes_to_another_desk(self, tmp_path: Path, monkeypatch: Any) -> None:
        two = BASE.but(day=TUESDAY, positions=[("t1", "a", 3.0, "FX")])
        found = ask(tmp_path, BASE, two, monkeypatch)
        assert found.causes == {**ZERO, "amended": 30.0}
        rows = tables(found.rows)
        assert (rows["Rates"]["transferred"], rows["FX"]["transferred"], rows["FX"]["amended"]) == (-60.0, 60.0, 30.0)

    def test_a_trade_that_leaves_the_filter(self, tmp_path: Path, monkeypatch: Any) -> None:
        one = BASE.but(positions=[*BASE.positions, ("t2", "a", 1.0, "Rates")])
        two = BASE.but(day=TUESDAY, positions=[*BASE.positions, ("t2", "a", 1.0, "FX")])
        found = ask(tmp_path, one, two, monkeypatch, where=(Filter.parse("desk=Rates"),))
        assert found.causes == {**ZERO, "transferred": -30.0}

    def test_a_contract_that_failed_is_no_closed_trade(self, tmp_path: Path, monkeypatch: Any) -> None:
        one = BASE.but(
            positions=[*BASE.positions, ("t2", "b", 1.0, "FX")], vectors={**BASE.vectors, "b": ("USD", 1.0, A)}
        )
        two = one.but(day=TUESDAY, vectors=BASE.vectors, failed={"b": "no curve"})
        found = ask(tmp_path, one, two, monkeypatch)
        assert found.causes == {**ZERO, "coverage": -30.0}
        assert (
            "1 of 2 positions is not in the number of 2020-03-17: 1 failed, 0 not valued. 1 no curve: no curve."
            in found.notes
        )

    def test_only_exchange_rates_move(self, tmp_path: Path, monkeypatch: Any) -> None:
        one = BASE.but(vectors={"a": ("EUR", 100.0, A)}, fx={"EURUSD": (1.0, [1.0] * 8)})
        two = one.but(day=TUESDAY, fx={"EURUSD": (1.5, [1.5] * 8)})
        found = ask(tmp_path, one, two, monkeypatch)
        assert found.causes == {**ZERO, "currency": 30.0}

    def test_the_base_value_carries_currency_risk(self, tmp_path: Path, monkeypatch: Any) -> None:
        """A value that does not move in its own currency, in scenarios whose rate moves twice as far: nothing but currency."""
        flat = {"a": ("EUR", 100.0, [0.0] * 8)}
        falls = [-0.4, -0.3, -0.2, 0.0, 0.1, 0.2, 0.3, 0.4]
        one = BASE.but(vectors=flat, fx={"EURUSD": (1.0, [1.0 + x / 2 for x in falls])})
        two = one.but(day=TUESDAY, fx={"EURUSD": (1.0, [1.0 + x for x in falls])})
        found = ask(tmp_path, one, two, monkeypatch)
        assert found.causes["currency"] == pytest.approx(found.change) == pytest.approx(30.0)
        assert found.causes == pytest.approx({**ZERO, "currency": 30.0}, abs=1e-12)

    def test_a_cancelled_and_rebooked_trade_changes_nothing_but_its_name(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        moved = {"a": ("USD", 100.0, [2 * x for x in A])}
        two = BASE.but(day=TUESDAY, positions=[("t9", "a", 2.0, "Rates")], vectors=moved)
        found = ask(tmp_path, BASE, two, monkeypatch)
        assert found.causes["new"] == -found.causes["closed"]
        assert found.causes["revaluation"] == found.change == 60.0

    def test_another_tail_is_told_from_other_moves(self, tmp_path: Path, monkeypatch: Any) -> None:
        """Adding to one position makes another scenario the one at the quantile: amended at mean weights, and tail."""
        b = [10.0, -35.0, -45.0, 5.0, 0.0, 0.0, 0.0, 0.0]
        one = BASE.but(
            positions=[*BASE.positions, ("t2", "b", 0.0, "FX")], vectors={**BASE.vectors, "b": ("USD", 1.0, b)}
        )
        two = one.but(day=TUESDAY, positions=[*BASE.positions, ("t2", "b", 1.0, "FX")])
        found = ask(tmp_path, one, two, monkeypatch)
        # totals -100, -60, -40, ... and -90, -95, -85: second worst is scenario 2, then scenario 1
        assert (found.before, found.after) == (60.0, 90.0)
        assert found.causes == {**ZERO, "amended": (35.0 - 10.0) / 2, "tail": (100.0 + 90.0) / 2 - (60.0 + 95.0) / 2}


def random_point(rng: np.random.Generator, day: dt.date, first: int, desks: int = 3) -> Point:
    n = 20
    labels = [str(dt.date(2020, 1, 1) + dt.timedelta(days=first + i)) for i in range(n)]
    contracts = [c for c in "abcdef" if rng.random() < 0.8] or ["a"]
    vectors = {
        c: ("EUR" if c in "ef" else "USD", round(rng.normal() * 50, 3), rng.normal(size=n).round(3).tolist())
        for c in contracts
    }
    positions = [
        (f"t{i}", str(rng.choice(list("abcdef"))), float(rng.integers(-9, 9)), f"d{rng.integers(desks)}")
        for i in range(12)
        if rng.random() < 0.8
    ]
    positions.append(("always", contracts[0], 1.0, "d0"))
    fx = {"EURUSD": (1.1, (1.1 + 0.05 * rng.normal(size=n)).tolist())}
    missing = {c: "none" for c in "abcdef" if c not in vectors}
    return Point(positions, vectors, labels, day, fx, failed=missing)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), shift=st.sampled_from([0, 1, 5, 19, 40]), measure=st.sampled_from(["var", "es"]))
@pytest.mark.slow
def test_any_two_points_against_plain_loops(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shift: int, measure: str
) -> None:
    rng = np.random.default_rng(seed)
    one, two = random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, shift)
    with pytest.MonkeyPatch.context() as patch:
        found = ask(tmp_path_factory.mktemp("two"), one, two, patch, measures=(measure,), levels=("0.85",))
    by = {"var": var, "es": es}[measure]
    expected = cells_by_loops(one, two, by, 0.85)
    before, after = by(total(one), 0.85)[0], by(total(two), 0.85)[0]
    assert found.before == pytest.approx(before, rel=1e-12, abs=1e-12)
    assert found.after == pytest.approx(after, rel=1e-12, abs=1e-12)
    assert sum(expected.values()) == pytest.approx(after - before, abs=1e-9)
    for row in found.rows.to_pylist():
        for cause in CAUSES:
            if cause in ("revaluation", "currency"):
                continue
            assert row[cause] == pytest.approx(expected.get((row["desk"], cause), 0.0), abs=1e-9), (row["desk"], cause)
        unit_change = row["revaluation"] + row["currency"]
        assert unit_change == pytest.approx(expected.get((row["desk"], "unit"), 0.0), abs=1e-9)
        assert sum(row[c] for c in CAUSES) == row["change"]
    assert abs(found.residual) <= 1e-9 * max(abs(before), abs(after), 1.0)
    # to the last bit, in any order: down the columns, across the rows, and all cells
    cells = np.array([[r[c] for c in CAUSES] for r in found.rows.to_pylist()])
    assert cells.sum() == cells[::-1, ::-1].sum() == sum(found.causes.values())
    assert [float(x) for x in cells.sum(axis=0)] == list(found.causes.values())
    assert found.before + cells.sum() + found.residual == pytest.approx(found.after, abs=1e-9)


def test_the_product_identity_in_sql(tmp_path: Path, monkeypatch: Any) -> None:
    """With the same scenarios on both sides the causes add up to the textbook sum, here by DuckDB over the union of positions."""
    rng = np.random.default_rng(3)
    one = random_point(rng, MONDAY, 0)
    two = random_point(rng, TUESDAY, 0)
    one, two = (p.but(fx={"EURUSD": (1.1, [1.1] * 20)}) for p in (one, two))
    found = ask(tmp_path, one, two, monkeypatch)
    rows = [
        (k, t, s, q * unit_usd(p, c, s), var(total(p), 0.75)[1][s])
        for k, p in enumerate((one, two))
        for t, c, q, _ in p.positions
        if c in p.vectors
        for s in range(20)
    ]
    with duckdb.connect() as sql:
        sql.execute("create table p (point int, trade text, s int, pnl double, w double)")
        sql.executemany("insert into p values (?, ?, ?, ?, ?)", rows)
        (whole, at_mean_weights) = sql.execute(
            """with w as (select point, s, any_value(w) w from p group by all),
            p0 as (select * from p where point = 0), p1 as (select * from p where point = 1)
            select -sum((w1.w + w0.w) / 2 * (coalesce(p1.pnl, 0) - coalesce(p0.pnl, 0))
                        + (coalesce(p1.pnl, 0) + coalesce(p0.pnl, 0)) / 2 * (w1.w - w0.w)),
                   -sum((w1.w + w0.w) / 2 * (coalesce(p1.pnl, 0) - coalesce(p0.pnl, 0)))
            from p0 full join p1 using (trade, s)
            join w w0 on w0.s = coalesce(p0.s, p1.s) and w0.point = 0
            join w w1 on w1.s = coalesce(p0.s, p1.s) and w1.point = 1"""
        ).fetchone() or (None, None)
    assert found.change == pytest.approx(whole, rel=1e-12)
    assert found.causes["tail"] == pytest.approx(whole - at_mean_weights, rel=1e-9)
    assert found.causes["left"] == found.causes["entered"] == 0.0


def unit_usd(point: Point, contract: str, s: int) -> float:
    from explain_lake import unit

    return unit(point, contract, s)


class TestWhatMustHold:
    @pytest.fixture
    def pair(self) -> tuple[Point, Point]:
        rng = np.random.default_rng(11)
        return random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, 3)

    def test_the_measures_are_those_of_a_query(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        lake, a, b = two_points(tmp_path, *pair, monkeypatch)
        found = explain(lake, a, b)
        assert found.before == run_query(lake, a).total["var_0.75"]
        assert found.after == run_query(lake, b).total["var_0.75"]
        assert float(np.sum(found.rows["before"].to_numpy())) == pytest.approx(found.before, rel=1e-12)

    def test_backwards_is_the_same_with_the_other_sign(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        lake, a, b = two_points(tmp_path, *pair, monkeypatch)
        there, back = explain(lake, a, b), explain(lake, b, a)
        mirrored = {"new": "closed", "closed": "new", "left": "entered", "entered": "left"}
        for cause, value in there.causes.items():
            assert back.causes[mirrored.get(cause, cause)] == pytest.approx(-value, abs=1e-9) or cause in (
                "amended",
                "transferred",
            )
        # of a trade that moves and is amended, the amendment counts where it arrives
        for pair_of in (("amended", "transferred"),):
            assert sum(back.causes[c] for c in pair_of) == pytest.approx(
                -sum(there.causes[c] for c in pair_of), abs=1e-9
            )

    def test_a_point_against_itself(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        lake, a, _ = two_points(tmp_path, *pair, monkeypatch)
        assert explain(lake, a, a).causes == ZERO

    def test_threads_and_order_of_rows_change_no_bit(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        lake, a, b = two_points(tmp_path, *pair, monkeypatch)
        turned = [p.but(positions=list(p.positions)[::-1], vectors=dict(reversed(p.vectors.items()))) for p in pair]
        other, c, d = two_points(tmp_path / "turned", *turned, monkeypatch)
        tables = [explain(lake, a, b, threads=n).rows for n in (1, 3)] + [explain(other, c, d).rows]
        assert tables[0].equals(tables[1])
        assert tables[0].equals(tables[2])

    def test_scaling_the_book_scales_every_cell(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        doubled = [p.but(positions=[(t, c, 2 * q, d) for t, c, q, d in p.positions]) for p in pair]
        one, two = ask(tmp_path / "a", *pair, monkeypatch), ask(tmp_path / "b", *doubled, monkeypatch)
        assert {c: v / 2 for c, v in two.causes.items()} == one.causes

    def test_without_groups_there_is_one_row(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        found = ask(tmp_path, *pair, monkeypatch, by=())
        (row,) = found.rows.to_pylist()
        assert {c: row[c] for c in CAUSES} == found.causes

    def test_weighted_scenarios(self, tmp_path: Path, monkeypatch: Any) -> None:
        weights = np.linspace(1, 2, 8) / np.linspace(1, 2, 8).sum()
        one = BASE.but(weights=weights.tolist())
        two = one.but(day=TUESDAY, positions=[("t1", "a", 3.0, "Rates")], weights=weights[::-1].tolist())
        found = ask(tmp_path, one, two, monkeypatch, measures=("es",))
        assert sum(found.causes.values()) == pytest.approx(found.change, rel=1e-12)
        assert found.causes["tail"] != 0.0
        assert found.causes["left"] == found.causes["entered"] == 0.0

    @pytest.mark.parametrize("estimator", ["hf7", "hf2"])
    def test_interpolating_estimators(self, tmp_path: Path, monkeypatch: Any, pair: Any, estimator: str) -> None:
        found = ask(tmp_path, *pair, monkeypatch, estimator=estimator)
        assert sum(found.causes.values()) == pytest.approx(found.change, rel=1e-9)

    def test_it_is_data(self, tmp_path: Path, monkeypatch: Any, pair: Any) -> None:
        found = ask(tmp_path, *pair, monkeypatch)
        said = json.loads(json.dumps(found.to_dict(), allow_nan=False, default=str))
        assert [c["cause"] for c in said["causes"]] == list(CAUSES)
        assert said["receipt"]["from"]["positions_date"] == "2020-03-16"
        assert said["revaluation"] == [
            "valuation date: 2020-03-16 to 2020-03-17",
            "market date: 2020-03-16 to 2020-03-17",
        ]


class TestOneSideOnly:
    def test_a_member_of_one_day_counts_as_nothing_on_the_other(self, tmp_path: Path, monkeypatch: Any) -> None:
        two = BASE.but(day=TUESDAY, positions=[*BASE.positions, ("t2", "a", 1.0, "FX")])
        found = ask(tmp_path, BASE, two, monkeypatch, where=(Filter.parse("desk=FX"),))
        assert (found.before, found.after) == (0.0, 30.0)
        assert found.causes["new"] + found.causes["tail"] == 30.0
        assert "Nothing passes the filter at 2020-03-16: desk=FX counts as zero there." in found.notes

    def test_a_member_of_neither_day_is_refused(self, tmp_path: Path, monkeypatch: Any) -> None:
        with pytest.raises(BadInput, match="Nearest valid: Rates"):
            ask(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch, where=(Filter.parse("desk=Ratse"),))

    def test_scenarios_that_do_not_match_have_left_and_entered(self, tmp_path: Path, monkeypatch: Any) -> None:
        two = BASE.but(
            day=TUESDAY, labels=[f"2019-01-{d:02}" for d in range(1, 9)], positions=[("t1", "a", 3.0, "Rates")]
        )
        found = ask(tmp_path, BASE, two, monkeypatch)
        assert found.causes == {**ZERO, "left": -60.0, "entered": 90.0}
        assert found.notes[0].startswith("No scenario of hand (2020-01-01 ...) is one of hand (2019-01-01 ...)")


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"measures": ("volatility",)},
                "volatility_?.* is no sum over scenarios and has no parts that add up; var, es, .*have",
            ),
            ({"measures": ("var", "es")}, "One measure at one level is explained at a time"),
            ({"levels": ("0.99", "0.95")}, "One measure at one level is explained at a time"),
        ],
    )
    def test_what_does_not_split(self, tmp_path: Path, monkeypatch: Any, change: dict, message: str) -> None:
        with pytest.raises(BadInput, match=message):
            ask(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch, **change)

    def test_unlike_questions(self, tmp_path: Path, monkeypatch: Any) -> None:
        lake, a, b = two_points(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch)
        with pytest.raises(BadInput, match="currency is USD on one side and EUR on the other"):
            explain(lake, a, b.model_copy(update={"currency": "EUR"}))

    def test_causes_that_do_not_add_up_are_an_error_and_no_answer(self, tmp_path: Path, monkeypatch: Any) -> None:
        from aggregation.change.explain import explained

        lake, a, b = two_points(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch)
        comparison = compared(lake, a, b)
        wrong = dataclasses.replace(comparison.sides[1], value=comparison.sides[1].value + 1e-6)
        with pytest.raises(AssertionError, match="add up"):
            explained(dataclasses.replace(comparison, sides=(comparison.sides[0], wrong)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60))
def test_on_the_grid_sums_are_exact_in_any_order(values: list[float]) -> None:
    """Against sums of exact fractions."""
    from fractions import Fraction

    rounded = on_grid(np.array(values))
    exact = sum(map(Fraction, rounded.tolist()))
    assert Fraction(float(rounded.sum())) == Fraction(float(rounded[::-1].sum())) == exact
    assert np.abs(rounded - values).max() <= 1e-15 * np.abs(values).sum() + 1e-300
