"""What holes could do to a number: the bound itself from the definition, and that it holds for every measure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.risk.query import run_query
from aggregation.risk.table import run_table
from aggregation.types import RiskQuery, RiskResult, TableQuery
from lake.tables import Lake

RNG = np.random.default_rng(11)
N = 60
FRIDAY, THURSDAY = dt.date(2020, 3, 13), dt.date(2020, 3, 12)
CURRENCIES = {"good": "USD", "well": "EUR", "lost": "EUR", "sick": "USD", "never": "USD"}
WHOLE = {c: (k, float(RNG.normal(50, 9)), RNG.standard_normal(N)) for c, k in CURRENCIES.items()}
RATES = {"EURUSD": (1.1, 1.1 * np.exp(0.02 * RNG.standard_normal(N)))}
BOOK = [
    ("a", "good", 3.0), ("a", "sick", 2.0), ("a", "sick", -0.5), ("a", "lost", 1.5),
    ("b", "well", -2.0), ("b", "sick", -2.0), ("b", "never", 7.0), ("c", "good", 1.0), ("d", "lost", 4.0),
]  # fmt: skip
MEASURES = ("var", "es", "mean", "volatility", "worst")


def valued(day: dt.date, contracts: str, failed: str = "", **more: Any) -> Valued:
    vectors = {c: WHOLE[c] for c in contracts.split()}
    return Valued(vectors, failed=dict.fromkeys(failed.split(), "x"), fx=RATES, day=day, **more)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Today `sick` failed, `lost` and `never` are missing; the newest earlier vectors are of Friday and of Thursday."""
    rows = [position(f"t{i}", c, q, desk=d) for i, (d, c, q) in enumerate(BOOK)]
    made = make_lake(tmp_path, valued(DAY, "good well", "sick"), rows)
    old = {"sick": ("USD", 1.0, 100 * WHOLE["sick"][2])}  # older, and therefore not taken
    put_valued(made, Valued({**valued(THURSDAY, "lost").vectors, **old}, fx=RATES, day=THURSDAY))
    put_valued(made, valued(FRIDAY, "sick well"))
    return made


def ask(lake: Lake, **more: Any) -> RiskResult:
    return run_table(lake, TableQuery(as_of=DAY, measures=MEASURES, levels=("0.9",), bounds=True, **more))


def expected(positions: list[tuple[str, str, float]], currency: str) -> float:
    """From the definition: |net| (|base| max|fx - fx0| + max|P&L| max fx), contract by contract."""
    total = 0.0
    for contract in ("sick", "lost"):
        held, base, pnl = WHOLE[contract]
        fx0, fx = (1.0, np.ones(N)) if held == "USD" else RATES["EURUSD"]
        if currency == "EUR":
            fx0, fx = fx0 / RATES["EURUSD"][0], fx / RATES["EURUSD"][1]
        net = sum(q for _, c, q in positions if c == contract)
        total += abs(net) * (abs(base) * np.abs(fx - fx0).max() + np.abs(pnl).max() * np.abs(fx).max())
    return total


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_from_the_definition_by_group_and_in_total(lake: Lake, currency: str) -> None:
    result = ask(lake, by=("desk",), currency=currency)
    for row in result.rows.to_pylist():
        held = [p for p in BOOK if p[0] == row["desk"]]
        assert row["bound"] == pytest.approx(expected(held, currency), rel=1e-12)
        assert row["unbounded"] == sum(c == "never" for _, c, _ in held)
    assert result.total["bound"] == pytest.approx(expected(BOOK, currency), rel=1e-12)
    assert result.total["unbounded"] == 1
    assert result.total["bound"] < sum(r["bound"] for r in result.rows.to_pylist())  # what nets between desks
    (friday, thursday) = ([s for s in result.receipt["bounds_from"] if str(d) in s] for d in (FRIDAY, THURSDAY))
    assert (len(friday), len(thursday)) == (1, 1)
    assert any("1 position has no earlier vector" in n for n in result.notes)
    assert ask(lake, currency=currency).total == {
        k: v for k, v in result.total.items() if "standalone" not in k and "div" not in k
    }


def test_every_measure_stays_within_it(lake: Lake) -> None:
    """The holes are filled with the very vectors that judged them, or with any other no larger."""
    before = ask(lake, by=("desk",))
    for k in range(6):
        filled = {c: WHOLE[c] for c in ("good", "well")}
        for c in ("sick", "lost"):
            held, base, pnl = WHOLE[c]
            filled[c] = (
                held,
                base,
                pnl if k == 0 else np.abs(pnl).max() * np.sign(np.random.default_rng(k).normal(size=N)),
            )
        sealed = dt.datetime(2020, 3, 18 + k, tzinfo=dt.UTC)
        put_valued(lake, Valued(filled, fx=RATES, name=f"filled{k}", sealed_at=sealed))
        query = RiskQuery(as_of=DAY, by=("desk",), measures=MEASURES, levels=("0.9",), scenario_set=f"filled{k}")
        after = {r["desk"]: r for r in run_query(lake, query).rows.to_pylist()}
        for row in before.rows.to_pylist():
            for name in ("var_0.9", "es_0.9", "mean", "volatility", "worst"):
                was = row[name] or 0.0  # of nothing covered
                assert abs(after[row["desk"]][name] - was) <= row["bound"] * (1 + 1e-12), (name, row["desk"])


def test_nothing_failed_is_bounded_by_nothing(lake: Lake) -> None:
    put_positions(lake, [position("t1", "good", 1.0)])
    total = ask(lake).total
    assert (total["bound"], total["unbounded"], total["status"]) == (0.0, 0, "complete")


def test_bounds_go_with_any_layout(lake: Lake) -> None:
    result = ask(lake, by=("desk",), subtotals=True, sort=("-bound",), limit=2)
    rows = result.rows.to_pylist()
    assert [r["level"] for r in rows] == [0, 1, 1, 1]
    rest = [p for p in BOOK if p[0] not in {r["desk"] for r in rows if r["desk"]}]
    assert rows[-1]["others"] == 2
    assert rows[-1]["bound"] == pytest.approx(expected(rest, "USD"), rel=1e-12)
    assert dataclasses.is_dataclass(result)
