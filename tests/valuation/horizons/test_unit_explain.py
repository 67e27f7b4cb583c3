"""What one unit gains from one day to another: for contracts whose value hangs on the base, and where something is fixed on the way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
from examples import EXAMPLES, INDEX, LEVELS
from support import put_market

from lake.tables import Lake
from scenarios.types import RiskFactor, ShiftType
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.horizons.unit_explain import MarketPath, UnitExplain, _valued_alone, explain_units, unit_values
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract

THURSDAY, FRIDAY, MONDAY = dt.date(2020, 3, 12), dt.date(2020, 3, 13), dt.date(2020, 3, 16)
FIXING = RiskFactor(
    "FIX:USD_3M", "fixing", "USD_3M", "USD", attributes=(("projection_curve", "USD_3M"), ("tenor", "3M"))
)
HANGING = {
    "variance_swap": (0, 3),
    "equity_option": (3, 5),
    "equity_american_option": (2,),
    "credit_default_swap": (0, 1),
}


def contract(instrument_type: str, terms: dict[str, Any]) -> Contract:
    parsed = parse_terms(instrument_type, terms)
    return Contract(parsed.contract_id(), instrument_type, parsed.to_json())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> MarketPath:
    """A market of three days in which every factor moves each day, and a stored fixing that no curve has."""
    rng = np.random.default_rng(3)
    levels: dict[str, dict[dt.date, float | None]] = {}
    for f in INDEX.factors:
        level, series = LEVELS[f.risk_factor_id], {}
        for day in (THURSDAY, FRIDAY, MONDAY):
            noise = float(rng.standard_normal())
            level = level + 0.0002 * noise if f.shift_type is ShiftType.ABSOLUTE else level * (1 + 0.02 * noise)
            series[day] = level
        levels[f.risk_factor_id] = series
    levels[FIXING.risk_factor_id] = {THURSDAY: 0.011, FRIDAY: 0.0125, MONDAY: 0.009}
    lake = Lake.create(tmp_path_factory.mktemp("path") / "lake")
    put_market(lake, [dataclasses.replace(f, source="test") for f in (*INDEX.factors, FIXING)], levels)
    return MarketPath(lake.snapshot(), THURSDAY, MONDAY)


def explained(path: MarketPath, contracts: list[Contract]) -> UnitExplain:
    units = explain_units(unit_values(contracts, path.whole(end=False)), path)
    assert units.opening.failures == units.failures == ()
    np.testing.assert_allclose(
        units.opening.values + units.theta + units.market.sum(axis=1) + units.factors,
        units.cash + units.closing,
        rtol=1e-12,
        atol=1e-12,
    )
    return units


def plain(path: MarketPath, contracts: list[Contract]) -> list[float]:
    block = value_batch(contracts, path.whole(end=True))
    assert block.failures == ()
    return block.base.tolist()


def test_what_hangs_on_the_base_is_explained_to_the_value_of_the_last_market(path: MarketPath) -> None:
    contracts = [contract(t, EXAMPLES[t][i]) for t, which in HANGING.items() for i in which]
    units = explained(path, contracts)
    np.testing.assert_allclose(units.closing, plain(path, contracts), rtol=1e-12)  # as the second book has them
    moved = value_batch(contracts, path.subsets(MONDAY))
    hanging = ~np.isclose(moved.base + moved.pnl[:, -1], units.closing, rtol=1e-9)
    assert hanging.sum() >= 5  # of scenarios that start from the first date's market this is not so
    assert (np.abs(units.market) > 0).any(axis=1).all()
    # each class by itself: the mixture in which it alone has moved, as a market of its own
    for k, _ in enumerate(path.classes):
        alone = value_batch(contracts, path.on(MONDAY, 1 << k))
        assert np.isfinite(alone.base).all()


def test_a_mixture_is_a_market_of_its_own(path: MarketPath) -> None:
    """The part of a class, by all orders of the classes, of a protected name whose spreads moved."""
    (swap,) = contracts = [contract("credit_default_swap", EXAMPLES["credit_default_swap"][0])]
    units = explained(path, contracts)
    credit, rates = path.classes.index("credit"), path.classes.index("rates")

    def worth(*classes: int) -> float:
        return float(value_batch([swap], path.on(MONDAY, sum(1 << c for c in classes))).base[0])

    # of all classes it reads these two, so that each of their two orders counts half
    by_hand = 0.5 * (worth(credit) - worth() + worth(credit, rates) - worth(rates))
    assert units.market[0, credit] == pytest.approx(by_hand, rel=1e-9)
    assert units.market[0, credit] != 0.0


def test_every_contract_has_in_every_mixture_the_value_of_that_market_to_the_last_bit(path: MarketPath) -> None:
    """Of all instruments, though each is valued once for the mixtures that differ in what it does not read."""
    every = {c.contract_id: c for kind, terms in EXAMPLES.items() for c in (contract(kind, t) for t in terms)}
    contracts = list(every.values())
    rows, values, failures = _valued_alone(contracts, path, np.full(len(contracts), np.nan))
    valued = [contracts[i] for i in rows]
    assert len(valued) > 0.8 * len(contracts)
    lacking = {f.contract_id for f in value_batch(contracts, path.closing()).failures if f.reason == "missing_fixing"}
    failed = {f.contract_id for f in failures}
    for subset in np.random.default_rng(5).choice(path.n_subsets, 10, replace=False).tolist():
        on = path.on(MONDAY, subset)
        plainly = ScenarioMarket(MONDAY, path.index, on.states[:, 0], on.states[:, :0])
        worth = {}
        for market, of in ((plainly, False), (on, True)):
            block = value_batch([c for c in valued if (c.contract_id in lacking) is of], market)
            worth |= dict(zip(block.contract_ids, block.base.tolist(), strict=True))
        for c, value in zip(valued, values[:, subset].tolist(), strict=True):
            assert value == worth.get(c.contract_id) or c.contract_id in failed, (c.instrument_type, subset)


def level(path: MarketPath, name: str, day: dt.date) -> float:
    market = path.on(day, path.n_subsets - 1)
    return float(market.level(name)[0])


def test_a_price_that_was_fixed_on_the_way_is_the_stored_one_of_that_day(path: MarketPath) -> None:
    asian = EXAMPLES["equity_asian_option"][1] | {"averaging_dates": ["2020-01-31", "2020-03-13", "2020-09-30"]}
    oil = EXAMPLES["commodity_swap"][1] | {"fixings": {"2020-03-10": 34.36, "2020-03-11": 32.98}}
    oil_days = {d: level(path, "CM:WTI.M3", dt.date.fromisoformat(d)) for d in ("2020-03-12", "2020-03-13")}
    real = EXAMPLES["non_deliverable_forward"][0] | {"fixing_date": "2020-03-13", "maturity": "2020-03-20"}
    friday = path.on(FRIDAY, path.n_subsets - 1)
    cross = EXAMPLES["cross_currency_swap"][1] | {
        "start": "2019-12-13", "maturity": "2023-03-13", "fixings": {"2019-12-13": 0.019, "2020-03-13": 0.011},
        "base_fixings": {"2019-12-13": -0.004, "2020-03-13": -0.0041},
    }  # fmt: skip
    lacking = [
        contract("equity_asian_option", asian),
        contract("commodity_swap", oil),
        contract("non_deliverable_forward", real),
        contract("cross_currency_swap", cross),
    ]
    knowing = [
        contract(
            "equity_asian_option", asian | {"fixings": asian["fixings"] | {"2020-03-13": level(path, "EQ:A", FRIDAY)}}
        ),
        contract("commodity_swap", oil | {"fixings": oil["fixings"] | oil_days}),
        contract("non_deliverable_forward", real | {"fixing": float(friday.fx("USD", "BRL")[0])}),
        contract("cross_currency_swap", cross | {"fx_fixings": {"2020-03-13": float(friday.fx("EUR", "USD")[0])}}),
    ]
    units = explained(path, lacking)
    np.testing.assert_allclose(units.closing, plain(path, knowing), rtol=1e-12)


@pytest.mark.parametrize("projection", ["USD_3M", "USD"])
def test_a_rate_that_was_fixed_on_the_way_is_the_stored_fixing_else_that_of_the_curve_of_the_day(
    path: MarketPath, projection: str
) -> None:
    swap = {
        "currency": "USD", "pay_fixed": True, "fixed_rate": 0.01, "start": "2019-12-13", "maturity": "2022-12-13",
        "fixed_frequency": 1, "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
        "discount_curve": "USD", "projection_curve": projection, "fixings": {"2019-12-13": 0.019},
    }  # fmt: skip
    days = (dt.date(2020, 6, 15) - FRIDAY).days
    rate = 0.0125
    if projection == "USD":
        growth = 1 / float(path.on(FRIDAY, path.n_subsets - 1).discount("USD", np.array([days / 365]))[0, 0])
        rate = (growth - 1) * 360 / days
    fixed = swap | {"fixings": json.dumps({"2019-12-13": 0.019, "2020-03-13": rate})}
    lacking, knowing = (contract("interest_rate_swap", terms) for terms in (swap, fixed))
    units = explained(path, [lacking])
    np.testing.assert_allclose(units.closing, plain(path, [knowing]), rtol=1e-10)
    assert units.cash[0] == pytest.approx(0.019 * 91 / 360, rel=1e-12)
