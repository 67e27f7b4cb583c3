"""At the edges of its terms and of the market every instrument has the right limit, not NaN."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY, numbered

from scenarios.types import FACTOR_TYPES, RiskClass, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.rolled_market import Carry, RolledBase
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms, PnLBlock

every_example = pytest.mark.parametrize(("instrument_type", "number"), numbered())
NEAR = 1e-7
STILL = ScenarioSet(
    "", "still", "historical", TODAY, {}, INDEX, ("a",), BASE, BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
)


def block_of(terms: InstrumentTerms, levels: np.ndarray) -> PnLBlock:
    """One contract in markets (n_factors, n), the first of them the base."""
    contract = Contract(terms.contract_id(), terms.instrument_type, terms.to_json())
    return value_batch([contract], ScenarioMarket(TODAY, INDEX, levels[:, 0], levels))


def values(terms: InstrumentTerms, levels: np.ndarray) -> np.ndarray:
    """Values (n,) of one contract in markets (n_factors, n)."""
    block = block_of(terms, levels)
    assert block.failures == ()
    return block.base + block.pnl[0]


def holds_its_limit(terms: InstrumentTerms, at: np.ndarray, beside: list[np.ndarray], size: float = 1e-3) -> None:
    """The value at the edge is finite, and that of a market beside it: from one side at least where a payoff jumps."""
    edge, *near = values(terms, np.column_stack([at, *beside]))
    scale = max(abs(edge), *np.abs(near), size)
    assert min(abs(edge - v) for v in near) <= 1e-4 * scale


@every_example
def test_at_no_volatility(instrument_type: str, number: int) -> None:
    terms = parse_terms(instrument_type, EXAMPLES[instrument_type][number])
    rows = [i for i, f in enumerate(INDEX.factors) if f.risk_class is RiskClass.VOLATILITY]
    at, beside = BASE.copy(), BASE.copy()
    at[rows], beside[rows] = 0.0, BASE[rows] * 1e-5
    holds_its_limit(terms, at, [beside])


@every_example
@pytest.mark.parametrize("rate", [0.0, -0.01])
def test_at_rates_of_zero_and_below(instrument_type: str, number: int, rate: float) -> None:
    terms = parse_terms(instrument_type, EXAMPLES[instrument_type][number])
    yields = {"par_yield", "zero_rate", "deposit_rate", "fra_rate", "swap_rate", "inflation_rate"}
    at, up, down = BASE.copy(), BASE.copy(), BASE.copy()
    for row, f in enumerate(INDEX.factors):
        if f.type in yields:
            at[row], up[row], down[row] = rate, rate + NEAR, rate - NEAR
        elif f.type == "rate_future":
            at[row], up[row], down[row] = 100 * (1 - rate), 100 * (1 - rate - NEAR), 100 * (1 - rate + NEAR)
        elif f.type == "basis_spread":
            at[row] = up[row] = down[row] = 0.0
    if rate < 0 and {f.reason for f in block_of(terms, at[:, None]).failures} == {"negative_rate"}:
        # A model without negative rates refuses such a base; in a scenario it has its limit all the same.
        sides = np.column_stack([BASE, at, up, down])
        _, edge, *near = values(terms, sides)
        assert max(abs(edge - v) for v in near) <= 1e-5
        return
    holds_its_limit(terms, at, [up, down])


@every_example
def test_at_its_strike_and_at_its_barriers(instrument_type: str, number: int) -> None:
    terms = parse_terms(instrument_type, EXAMPLES[instrument_type][number])
    prices = {RiskClass.EQUITY, RiskClass.FX, RiskClass.COMMODITY}
    read = INSTRUMENTS[instrument_type].risk_factors(terms, INDEX, TODAY)
    rows = [INDEX.row[f] for f in read if INDEX.factors[INDEX.row[f]].risk_class in prices]
    rows = [row for row in rows if FACTOR_TYPES[INDEX.factors[row].type].coordinates == ()]
    for name in ("strike", "barrier", "upper_barrier", "lower_barrier"):
        level = getattr(terms, name, None)
        if level is None or level <= 0 or len(rows) != 1:
            continue
        sides = [BASE.copy() for _ in range(3)]
        for side, shift in zip(sides, (0.0, NEAR, -NEAR), strict=True):
            side[rows] = level * (1 + shift)
        holds_its_limit(terms, sides[0], sides[1:], level)


def dates_of(value: Any) -> set[dt.date]:
    if isinstance(value, dt.date):
        return {value}
    if isinstance(value, dict):
        return dates_of([*value, *value.values()])
    return set().union(*map(dates_of, value)) if isinstance(value, list | tuple) else set()


@functools.cache
def rolled() -> RolledBase:
    return RolledBase(STILL, "forwards", Carry())


@pytest.mark.parametrize("most", [3, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("instrument_type", "number"), numbered(slow_after=1))
def test_over_every_day_on_which_something_happens_value_and_cash_go_on(
    instrument_type: str, number: int, most: int
) -> None:
    """Value and the cash paid until then are one sum: across a fixing, a coupon, an expiry it moves as on any other day."""
    terms = parse_terms(instrument_type, EXAMPLES[instrument_type][number])
    contract = Contract(terms.contract_id(), terms.instrument_type, terms.to_json())
    module = INSTRUMENTS[instrument_type]
    markets = rolled()
    last = max(dates_of(dict(terms)) | {TODAY}) + dt.timedelta(days=10)
    paid = module.cash_flows(terms, markets, last)
    happens = {f.day for f in paid} | {d for d in dates_of(dict(terms)) if TODAY < d <= last}

    def held(day: dt.date) -> float:
        """Value on a day of what has not been paid, and what has: both undiscounted, so only one day apart compare."""
        cash = sum(f.amount for f in paid if f.day <= day)
        block = value_batch([contract], markets.market(day))
        if block.failures:
            assert {f.reason for f in block.failures} == {"matured"}, block.failures
            return cash
        return float(block.base[0]) + sum(f.amount for f in module.cash_flows(terms, markets, day))

    size = max([abs(f.amount) for f in paid] + [abs(held(TODAY)), 1e-3])
    for day in sorted(happens)[:most]:
        around = [held(day + dt.timedelta(days=k)) for k in (-1, 0, 1)]
        assert np.isfinite(around).all()
        assert np.abs(np.diff(around)).max() <= 0.02 * size, day


def test_the_suite_would_see_a_contract_that_fails() -> None:
    """A market in which the pricer has no value makes the suite fail, not pass."""
    terms = parse_terms("equity_option", EXAMPLES["equity_option"][0])
    broken = BASE.copy()
    broken[INDEX.row[terms.underlying]] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        holds_its_limit(terms, broken, [BASE])
