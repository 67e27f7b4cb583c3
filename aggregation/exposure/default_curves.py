"""Default of counterparties and of our own entities as the stored market has it: survival on dates, loss given default, bumped spreads.

A counterparty's row names its credit curve and what is recovered; without either it has no probability of default, and the reason is told.
Our own default is that of the counterparty row named as the legal entity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.exposure.reference import Counterparty, ReferenceData
from lake.arrays import Floats
from lake.errors import VarlakeError
from lake.tables import Snapshot
from scenarios.market.base_market import BaseMarket, load_base
from scenarios.market.moves import MoveRules
from scenarios.types import ScenarioSet, tenor_years
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket

BASIS_POINT = 1e-4


@dataclass(frozen=True)
class DefaultCurve:
    """How one name defaults. curve : its credit curve; loss : given default, a fraction, 1 less what is recovered; logs : (n_dates,
    n_states)
    log survival from today on, 0 at first, state 0 the base."""

    name: str
    curve: str
    loss: float
    logs: Floats


@dataclass(frozen=True)
class DefaultCurves:
    """Curves by name, and for each name without one the reason in words. n_states : of the market, the base among them."""

    curves: Mapping[str, DefaultCurve]
    reasons: Mapping[str, str]
    n_states: int

    def reason(self, name: str | None) -> str:
        """Why there is no curve of that name; empty where there is one."""
        if name is None:
            return "There is no counterparty, so none can default."
        return "" if name in self.curves else self.reasons[name]


def base_market(snapshot: Snapshot, as_of: dt.date) -> BaseMarket:
    """The stored market of the day, with levels held as in scenario sets of history; raises `NotFound` where there is none."""
    rules = MoveRules.model_validate({"market_date": as_of})
    return load_base(snapshot, as_of, rules.calendar, rules.max_held_days)


def pricing_market(market: BaseMarket, levels: Floats | None = None) -> ScenarioMarket:
    """The market as pricers see it, with scenarios (n_factors, n_scenarios) where given."""
    states = np.empty((len(market.base), 0)) if levels is None else levels
    return ScenarioMarket(market.market_date, market.index, market.base, states)


def market_of_set(scenarios: ScenarioSet) -> ScenarioMarket:
    """The base and all scenarios of a set, on its market date."""
    return ScenarioMarket.of(scenarios, scenarios.market_date)


def year_fractions(as_of: dt.date, dates: Sequence[dt.date]) -> Floats:
    """Years, Act/365F, from the day to itself and to each date, (1 + n_dates,)."""
    return np.array([0.0, *((d - as_of).days for d in dates)]) / DAYS_A_YEAR


def default_curves(
    market: ScenarioMarket,
    known: ReferenceData[Counterparty],
    names: Iterable[str],
    times: Floats,
    recovery: float | None = None,
) -> DefaultCurves:
    """The curves of the names at times (n_dates,) in years, the first of them 0.

    recovery : where neither the counterparty's row nor its curve names one.
    """
    curves: dict[str, DefaultCurve] = {}
    reasons: dict[str, str] = {}
    for name in sorted(set(names)):
        if name not in known:
            reasons[name] = known.lacking(name)
            continue
        row = known[name]
        if row.credit_curve is None:
            reasons[name] = f"Counterparty {name} has no credit curve; name one in its row of the table counterparties."
            continue
        loss, why = _loss(market, row, recovery)
        if why:
            reasons[name] = why
            continue
        try:
            with np.errstate(divide="ignore"):
                logs = np.log(market.survival(row.credit_curve, times))
        except VarlakeError as error:
            reasons[name] = f"The credit curve of counterparty {name} gives no default probability. {error.message}"
            continue
        logs[0] = 0.0
        if not np.isfinite(logs).all() or (np.diff(logs, axis=0) > 1e-12).any():
            reasons[name] = (
                f"Survival on credit curve {row.credit_curve} of counterparty {name} does not fall from 1 to above 0."
            )
            continue
        curves[name] = DefaultCurve(name, row.credit_curve, loss, logs)
    return DefaultCurves(curves, reasons, market.n_states)


def _loss(market: ScenarioMarket, row: Counterparty, recovery: float | None) -> tuple[float, str]:
    """Loss given default, or why there is none."""
    said = row.recovery
    assert row.credit_curve is not None
    if said is None:
        try:
            said = _of_curve(market, row.credit_curve)
        except VarlakeError as error:
            return 0.0, f"The credit curve of counterparty {row.counterparty} is not there. {error.message}"
    if said is None:
        said = recovery
    if said is None:
        return 0.0, (
            f"Neither counterparty {row.counterparty} nor its credit curve {row.credit_curve} has a recovery rate; give it in the table "
            "counterparties, or one for all such with recovery."
        )
    return 1.0 - said, ""


def _of_curve(market: ScenarioMarket, curve: str) -> float | None:
    """What the spreads of a curve are quoted with; None where its pillars do not say."""
    told = {dict(f.attributes).get("recovery", "") for f in market.index.curve(curve)}
    text = told.pop() if len(told) == 1 else ""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return float(market.level(text)[0])


def bumped_levels(
    market: ScenarioMarket, curves: Iterable[DefaultCurve], tenors: Sequence[str], size: float = BASIS_POINT
) -> Floats:
    """Levels (n_factors, 1 + n_tenors) with all spreads of the curves up by `size`: first parallel, then by tenor.

    The bump of a tenor falls linearly to its neighbours, so that those of all tenors add up to the parallel one. A hazard rate moves by
    the bump over the loss given default, which is what a spread of that size makes of it.
    """
    levels = np.repeat(market.states[:, :1], 1 + len(tenors), axis=1)
    done: set[str] = set()
    for curve in curves:
        if curve.curve in done:
            continue
        done.add(curve.curve)
        for pillar in market.index.curve(curve.curve):
            unit = size / curve.loss if pillar.type == "hazard_rate" and curve.loss > 0 else size
            row = market.index.row[pillar.risk_factor_id]
            levels[row, 0] += unit
            levels[row, 1:] += unit * tenor_weights(tenor_years(pillar.pillar or ""), tenors)
    return levels


def tenor_weights(years: float, tenors: Sequence[str]) -> Floats:
    """How a pillar is shared out among tenors, (n_tenors,), adding up to 1: linear in time between two, and all of it beyond the ends."""
    knots = [tenor_years(t) for t in tenors]
    if knots != sorted(set(knots)):
        raise ValueError(f"Expected tenors that ascend, but received {', '.join(tenors)}")
    out = np.zeros(len(tenors))
    at = int(np.searchsorted(knots, years))
    if at in (0, len(knots)):
        out[min(at, len(knots) - 1)] = 1.0
        return out
    share = (years - knots[at - 1]) / (knots[at] - knots[at - 1])
    out[at - 1], out[at] = 1.0 - share, share
    return out
