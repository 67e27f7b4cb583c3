"""Drivers of a change of VaR and ES against contributions added up one by one from vectors that are known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.change.drivers import DriversResult, run_drivers
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput
from lake.tables import Lake

BEFORE = dt.date(2020, 3, 13)
N = 100
RNG = np.random.default_rng(8)
DESKS, PARTIES = [f"D{i}" for i in range(5)], [f"P{i}" for i in range(8)]


def vectors(seed: int) -> dict[str, tuple[str, float, np.ndarray]]:
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, N)
    return {f"c{i:02}": ("EUR" if i % 3 == 0 else "USD", 100.0 + i, common + rng.standard_normal(N)) for i in range(30)}


FX = {day: (1.1, 1.1 * (1 + 0.01 * np.random.default_rng(i).standard_normal(N))) for i, day in enumerate((BEFORE, DAY))}
VECTORS = {BEFORE: vectors(1), DAY: vectors(2)}


def book(day: dt.date) -> list[dict[str, Any]]:
    """400 trades; on the second day D2 with P5 hold forty times as much, T1 is gone, X1 is new, T2 has moved to D0."""
    rows = []
    for i in range(400):
        desk, party = DESKS[i % 5], PARTIES[i // 5 % 8]
        quantity = 1.0 + i % 7
        if day == DAY:
            if (desk, party) == ("D2", "P5"):
                quantity *= 40
            desk = "D0" if i == 2 else desk
        attributes = {"rating": "AA"} if i % 2 else {}
        if day == DAY:
            attributes["fresh"] = "yes"
        rows.append(
            position(
                f"T{i:03}",
                f"c{i % 30:02}",
                quantity,
                desk=desk,
                counterparty=party,
                attributes=attributes,
                positions_date=day,
            )
        )
    if day == DAY:
        rows = [r for r in rows if r["trade"] != "T001"] + [position("X1", "c05", 3.0, desk="D1", counterparty="P1")]
    return rows


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("drivers")
    days = {d: Valued(VECTORS[d], day=d, fx={"EURUSD": FX[d]}) for d in (BEFORE, DAY)}
    lake = make_lake(folder, days[DAY], book(DAY))
    put_valued(lake, days[BEFORE])
    put_positions(lake, [*book(DAY), *book(BEFORE)])
    return lake


def ask(lake: Lake, *days: dt.date, most: int = 5, over: tuple[str, ...] = (), **more: Any) -> DriversResult:
    queries = [RiskQuery(as_of=d, measures=("es",), levels=("0.95",), **more) for d in days]
    return run_drivers(lake, queries, most=most, over=over)


def contributions(day: dt.date) -> dict[str, float]:
    """ES 95% of 100 scenarios is the mean of the five worst; each trade's share of it, one by one, in USD."""
    pnl = {}
    for row in book(day):
        currency, base, vector = VECTORS[day][row["contract_id"]]
        fx0, fx = FX[day] if currency == "EUR" else (1.0, np.ones(N))
        pnl[row["trade"]] = row["quantity"] * ((base + vector) * fx - base * fx0)
    worst = np.argsort(sum(pnl.values()), kind="stable")[:5]
    return {trade: -float(p[worst].mean()) for trade, p in pnl.items()}


def test_the_planted_driver_is_found_and_everything_adds_up(lake: Lake) -> None:
    result = ask(lake, BEFORE, DAY)
    first = result.drivers[0]
    assert dict(first.members) == {"desk": "D2", "counterparty": "P5"}
    assert first.text == "desk=D2 and counterparty=P5"
    total = {
        d: run_query(lake, RiskQuery(as_of=d, measures=("es",), levels=("0.95",))).total["es_0.95"]
        for d in (BEFORE, DAY)
    }
    assert (result.before, result.after) == (total[BEFORE], total[DAY])
    assert result.measure == "es_0.95"
    everything = [*(d.figures for d in result.drivers), result.rest]
    for name, value in (("change", result.change), ("before", result.before), ("after", result.after)):
        assert sum(f[name] for f in everything) == pytest.approx(value, rel=1e-12)
    assert sum(f["positions"] for f in everything) == 401  # a trade counts once, and the one that moved too
    for f in everything:
        assert f["new"] + f["closed"] + f["held"] == pytest.approx(f["change"], rel=1e-12)
        assert f["after"] - f["before"] == pytest.approx(f["change"], rel=1e-9, abs=1e-9)
    assert result.scale >= abs(result.change)
    assert result.unexplained == pytest.approx(abs(result.rest["change"]) / result.scale, rel=1e-12)
    assert sum(f["gross"] for f in everything) == pytest.approx(result.gross, rel=1e-12)


def test_figures_against_contributions_one_by_one(lake: Lake) -> None:
    result = ask(lake, BEFORE, DAY)
    was, now = contributions(BEFORE), contributions(DAY)
    held = [r["trade"] for r in book(DAY) if (r["desk"], r["counterparty"]) == ("D2", "P5")]
    first = result.drivers[0].figures
    assert first["before"] == pytest.approx(sum(was[t] for t in held), rel=1e-12)
    assert first["after"] == pytest.approx(sum(now[t] for t in held), rel=1e-12)
    assert (first["new"], first["closed"], first["positions"]) == (0.0, 0.0, len(held))
    assert result.gross == pytest.approx(sum(abs(now.get(t, 0) - was.get(t, 0)) for t in {*was, *now}), rel=1e-12)
    everything = [*(d.figures for d in result.drivers), result.rest]
    assert sum(f["new"] for f in everything) == pytest.approx(now["X1"], rel=1e-12)
    assert sum(f["closed"] for f in everything) == pytest.approx(-was["T001"], rel=1e-12)


def test_one_day_by_itself(lake: Lake) -> None:
    result = ask(lake, DAY)
    assert dict(result.drivers[0].members) == {"desk": "D2", "counterparty": "P5"}
    assert result.before == 0.0
    now = contributions(DAY)
    inside = [r["trade"] for r in book(DAY) if (r["desk"], r["counterparty"]) == ("D2", "P5")]
    assert result.drivers[0].figures["change"] == pytest.approx(sum(now[t] for t in inside), rel=1e-12)
    assert result.change == result.after == pytest.approx(sum(now.values()), rel=1e-12)
    assert "after" not in result.receipt


def test_the_search_can_be_narrowed(lake: Lake) -> None:
    result = ask(lake, BEFORE, DAY, over=("desk",), most=1)
    assert [d.text for d in result.drivers] == ["desk=D2"]
    filtered = ask(lake, BEFORE, DAY, where=(Filter(dimension="desk", values=("D2",)),))
    assert dict(filtered.drivers[0].members) == {"counterparty": "P5"}
    with pytest.raises(BadInput, match="Nearest valid: desk"):
        ask(lake, BEFORE, DAY, over=("desc",))


def test_a_filter_that_one_date_does_not_pass_leaves_the_other(lake: Lake) -> None:
    result = ask(lake, BEFORE, DAY, where=(Filter(dimension="trade", values=("X1",)),))
    assert result.before == 0.0 != result.after
    assert result.rest["new"] == pytest.approx(result.after, rel=1e-12)
    assert result.drivers == ()  # one position is the whole of itself


def test_var_in_another_currency_and_the_same_day_twice(lake: Lake) -> None:
    queries = [RiskQuery(as_of=d, currency="EUR") for d in (BEFORE, DAY)]
    result = run_drivers(lake, queries)
    assert result.after == run_query(lake, queries[1]).total["var_0.99"]
    still = ask(lake, DAY, DAY)
    assert (still.change, still.gross, still.unexplained, still.drivers) == (0.0, 0.0, 0.0, ())
    assert still.notes == ("Nothing changed.",)
    assert still.rest["share_of_change"] is None


def test_the_same_question_gives_the_same_receipt(lake: Lake) -> None:
    one, two = (ask(lake, BEFORE, DAY) for _ in range(2))
    assert one.to_dict() == two.to_dict()
    assert one.receipt["before"]["positions_date"] == str(BEFORE)
    assert one.rows.num_rows == len(one.drivers) + 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"by": ("desk",)}, "leave out by desk"),
        ({"measures": ("var", "es")}, "one measure at one level"),
        ({"measures": ("volatility",)}, "no sum over scenarios"),
        ({"where": (Filter(dimension="desk", values=("D9",)),)}, "Unknown desk"),
    ],
)
def test_bad_questions(lake: Lake, more: dict[str, Any], says: str) -> None:
    for days in ((DAY,), (BEFORE, DAY)):
        with pytest.raises(BadInput, match=says):
            run_drivers(lake, [RiskQuery(as_of=d, **more) for d in days])


def test_holes_are_told_and_count_as_no_change(tmp_path: Path) -> None:
    valued = Valued({"a": ("USD", 1.0, np.linspace(-5, 5, N))}, failed={"b": "broken"})
    lake = make_lake(tmp_path, valued, [position("t", "a", 1.0), position("u", "b", 1.0)])
    result = ask(lake, DAY)
    assert result.coverage[0].status == "partial"
    assert "1 position is not in the numbers" in result.notes[0]
    nothing = ask(lake, DAY, where=(Filter(dimension="trade", values=("u",)),))
    assert (nothing.drivers, nothing.coverage[0].status) == ((), "invalid")
    assert "None of the positions is covered: there is no number." in nothing.notes
