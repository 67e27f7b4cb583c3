"""QUESTIONS "pla" and "desk-eligibility": P&L attribution, and which desks may use the internal model, from backtest
and attribution (MAR32).

Theoretical P&L is the lake's own, revalued by the pricers of the risk model; hypothetical P&L comes by file from the front office
(varlake ingest pnl, kind hypothetical), else the actual one. Exceptions are those of `backtest`: a day without VaR or P&L is one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from aggregation.answer import Answer
from aggregation.backtest.backtest import BACKTEST
from aggregation.backtest.judgement import BacktestQuery, BacktestResult, NodeBacktest
from aggregation.kernels.frtb_ima import PnlComparison, compare_pnl
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Plan, Question
from aggregation.receipts import name_code
from aggregation.regimes.ima_parameters import ImaParameters, ima_parameters
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.session import Session
from aggregation.types import DimensionName, Whole
from lake.dates import Day
from lake.errors import counted
from lake.words import sentence

INTERNAL, SURCHARGED, STANDARDISED, UNDECIDED = (
    "internal model",
    "internal model with surcharge",
    "standardised",
    "undecided",
)
APPROACH = {"green": INTERNAL, "amber": SURCHARGED, "red": STANDARDISED}
_OF_SERIES = ("theoretical", "hypothetical")


class DeskQuery(BacktestQuery):
    """Which desks are tested over which days, by which rules. Levels and window are the regime's."""

    by: tuple[DimensionName, ...] = Field(("desk",), max_length=16, description="dimensions that make a desk")
    simulations: Whole = Field(0, ge=0, le=100_000, description="simulations of the ES statistics; 0 leaves them out")
    regime: RegimeName = Field("basel")


class PlaQuery(DeskQuery):
    """Which P&L series are compared: those of the lake between two days, or two series that are given."""

    first: Day | None = Field(
        None, alias="from", description="first day whose P&L is compared less one; leave out with series"
    )  # type: ignore[assignment]
    last: Day | None = Field(None, alias="to", description="last day whose P&L is compared; leave out with series")  # type: ignore[assignment]
    theoretical: tuple[float, ...] = Field(
        (), max_length=5000, description="risk-theoretical P&L by day, in place of the lake's"
    )
    hypothetical: tuple[float, ...] = Field((), max_length=5000, description="hypothetical P&L of the same days")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days, series = (self.first is None) + (self.last is None), len(self.theoretical) + len(self.hypothetical)
        if series and (days != 2 or len(self.theoretical) != len(self.hypothetical)):
            raise ValueError(
                "give both days, or two series of the same length; "
                f"given were {2 - days} days and {len(self.theoretical)} and {len(self.hypothetical)} values"
            )
        if not series and days:
            raise ValueError("give from and to, or the series theoretical and hypothetical")
        if self.first is not None and self.last is not None and self.last <= self.first:
            raise ValueError("expected a last day after the first")
        return self


@dataclass(frozen=True)
class DeskTests(Answer):
    """rows : a row a desk, the total first: the `by` columns, `total`, days compared, Spearman's correlation, the
    Kolmogorov-Smirnov distance and
    its p-value, the zone; for eligibility also days tested, exceptions and limit at each level, the multiplier of the total, the
    approach and the reason."""

    query: DeskQuery
    regime: str
    rows: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PnlAttribution(DeskTests):
    """As `DeskTests`, without what eligibility adds."""

    query: PlaQuery


def _rules(session: Session, query: DeskQuery, day: Any) -> tuple[Regime, ImaParameters]:
    regime = regime_of(query.regime, day, session.lake)
    return regime, ima_parameters(regime)


def _backtest(session: Session, query: DeskQuery, rules: ImaParameters) -> BacktestResult:
    asked = {
        "levels": tuple(rules.backtesting.desk_limits),
        "window": rules.backtesting.days,
    }
    given = {n: getattr(query, n) for n in BacktestQuery.model_fields}
    found: BacktestResult = BACKTEST.answer(session, BacktestQuery(**{**given, **asked}))
    return found


def _compared(found: PnlComparison, rules: ImaParameters) -> dict[str, Any]:
    zone = None
    if found.spearman is not None and found.distance is not None:
        zone = rules.attribution.zone(found.spearman, found.distance)
    return {
        "compared": found.days,
        "spearman": found.spearman,
        "distance": found.distance,
        "p_value": found.p_value,
        "zone": zone,
    }


def _attributed(node: NodeBacktest) -> PnlComparison:
    a = node.attribution
    if a is None:
        return PnlComparison(0, None, None, None)
    return PnlComparison(a.days, a.spearman, a.kolmogorov_smirnov, a.kolmogorov_smirnov_p_value)


def _short(found: Mapping[str, Any], rules: ImaParameters) -> str | None:
    """Why the zone is not that of the rule; None where it is."""
    if found["zone"] is None:
        return (
            "no hypothetical or actual P&L by file to compare with"
            if not found["compared"]
            else "a series does not vary"
        )
    if found["compared"] < rules.attribution.days:
        return f"attribution over {found['compared']} of {rules.attribution.days} days"
    return None


_PLA_SCHEMA = {
    "compared": pa.int64(),
    "spearman": pa.float64(),
    "distance": pa.float64(),
    "p_value": pa.float64(),
    "zone": pa.string(),
}


def _table(rows: Sequence[Mapping[str, Any]], by: Sequence[str], kinds: Mapping[str, pa.DataType]) -> pa.Table:
    schema = pa.schema([*((d, pa.string()) for d in by), ("total", pa.bool_()), *kinds.items()])
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema=schema)


def _pla(session: Session, query: PlaQuery) -> PnlAttribution:
    kinds = {**_PLA_SCHEMA, "against": pa.string(), "reason": pa.string()}
    if query.theoretical:
        regime, rules = _rules(session, query, dt.date.max)
        found = _compared(compare_pnl(np.array(query.theoretical), np.array(query.hypothetical)), rules)
        row = {**found, "total": True, "against": "series given", "reason": _short(found, rules)}
        rows = _table([row], (), kinds)
        return PnlAttribution(
            query, regime.label, rows, {**regime.named, **name_code(), "table_versions": {}}, _told(regime, None)
        )
    regime, rules = _rules(session, query, query.last)
    tested = _backtest(session, query, rules)
    listed = []
    for node in tested.nodes:
        found = _compared(_attributed(node), rules)
        listed.append(
            {**node.node, "total": not node.node, **found, "against": node.attributed, "reason": _short(found, rules)}
        )
    rows = _table(listed, query.by, kinds)
    notes = (*_told(regime, query.last), *_without_figures(tested), *tested.notes)
    return PnlAttribution(query, regime.label, rows, {**tested.receipt, **regime.named}, notes)


def _without_figures(tested: BacktestResult) -> tuple[str, ...]:
    """The days of the total that have no VaR or no P&L, with the reason of the first: they count as exceptions (MAR32.8)."""
    days = tested.nodes[0].days
    lacking = [d for d in days if d["remark"]]
    if not lacking:
        return ()
    n = f"{len(lacking):,} of {counted(len(days), 'day')}"
    return (f"On {n} VaR or P&L is not whole, first on {lacking[0]['day']}: {sentence(lacking[0]['remark'])}",)


def _told(regime: Regime, day: Any) -> tuple[str, ...]:
    return (f"By {regime.title} ({regime.label}).", *(() if day is None else regime.notes(day)))


def eligibility(node: NodeBacktest, rules: ImaParameters) -> dict[str, Any]:
    """Counts, attribution, approach and reason of one desk (MAR32.18, 32.19, 32.42)."""
    found = _compared(_attributed(node), rules)
    row: dict[str, Any] = {"tested": len(node.days), **found}
    over = []
    for level in node.levels:
        limit = rules.backtesting.desk_limits[level.level]
        row |= {f"exceptions_{level.level}": level.exceptions, f"limit_{level.level}": limit}
        if level.exceptions > limit:
            over.append(f"{level.exceptions} exceptions at {level.level}, more than {limit}")
        if level.level == rules.backtesting.bank_level:
            row["multiplier"] = rules.backtesting.multiplier(level.exceptions)
    short = [
        f"backtest over {len(node.days)} of {rules.backtesting.days} days"
        if len(node.days) < rules.backtesting.days
        else None,
        _short(found, rules),
    ]
    lacking = [s for s in short if s]
    if over:
        return {**row, "approach": STANDARDISED, "reason": "; ".join(over)}
    if found["zone"] == "red":
        return {**row, "approach": STANDARDISED, "reason": "; ".join(["attribution is red", *lacking])}
    if lacking:
        return {**row, "approach": UNDECIDED, "reason": "; ".join(lacking)}
    return {**row, "approach": APPROACH[found["zone"]], "reason": None}


def _desks(session: Session, query: DeskQuery) -> DeskTests:
    regime, rules = _rules(session, query, query.last)
    tested = _backtest(session, query, rules)
    levels = list(rules.backtesting.desk_limits)
    counts = {f"{what}_{level}": pa.int64() for level in levels for what in ("exceptions", "limit")}
    kinds = {"tested": pa.int64(), **counts, **_PLA_SCHEMA, "multiplier": pa.float64(), "approach": pa.string()}
    listed = [
        {**eligibility(node, rules), **({"multiplier": None} if node.node else {}), **node.node, "total": not node.node}
        for node in tested.nodes
    ]
    notes = list(_told(regime, query.last))
    undecided = sum(r["approach"] == UNDECIDED for r in listed)
    if undecided:
        notes.append(
            f"{counted(undecided, 'row')} cannot be decided: see the reason. A desk must pass both tests over twelve months."
        )
    notes.append(
        "A desk that comes back from red or amber must also have met the limits of the backtest for twelve months (MAR32.43)."
    )
    rows = _table(listed, query.by, {**kinds, "reason": pa.string()})
    return DeskTests(
        query,
        regime.label,
        rows,
        {**tested.receipt, **regime.named},
        (*notes, *_without_figures(tested), *tested.notes),
    )


def _plan(session: Session, query: DeskQuery) -> Plan:
    assert BACKTEST.plan is not None
    return Plan() if query.first is None else BACKTEST.plan(session, query)


def _value(session: Session, query: Any) -> Any:
    assert BACKTEST.value is not None
    return query if query.first is None else BACKTEST.value(session, query)


def _price(session: Session, query: DeskQuery) -> float:
    return SECONDS_A_QUESTION if query.first is None else BACKTEST.price(session, query)


_EXAMPLE = {"from": "2020-02-14", "to": "2020-03-16", "calendar": "books"}
DESK_ELIGIBILITY = Question(DeskQuery, _desks, _EXAMPLE, _plan, _value, price=_price)
PLA = Question(PlaQuery, _pla, _EXAMPLE, _plan, _value, price=_price)
