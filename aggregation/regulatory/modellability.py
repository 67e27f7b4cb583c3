"""QUESTIONS "rfet": which risk factors are modellable: the risk factor eligibility test on real prices, by factor or
bucket (MAR31.12 to 31.19).

A pillar of a curve is tested with all that lies in its maturity bucket on that curve: a real price of any counts for the bucket.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field

from aggregation.answer import Answer
from aggregation.kernels.frtb_ima import PriceTest, bucket_of, price_test
from aggregation.price import SECONDS_A_LEVEL, SECONDS_A_QUESTION
from aggregation.question import Question
from aggregation.receipts import name_code
from aggregation.regimes.ima_parameters import PriceTestRules, ima_parameters
from aggregation.regimes.regimes import RegimeName, regime_of
from aggregation.session import Session
from aggregation.types import AsKnown
from lake.dates import Day
from lake.errors import BadInput, counted, unknown
from lake.tables import Snapshot
from scenarios.types import FactorIndex, RiskClass, RiskFactor, tenor_years

TABLE = "real_prices"
_CLASSES_OF_C = (RiskClass.CREDIT, RiskClass.EQUITY, RiskClass.VOLATILITY)  # whose maturities are in row C of MAR31.16


class RfetQuery(AsKnown):
    """Which risk factors are tested, on which day, by which rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="last day of the twelve months whose real prices count")
    regime: RegimeName = Field("basel")
    factors: tuple[str, ...] = Field((), description="risk factors to show, by id; default all of the lake")


@dataclass(frozen=True)
class Tested:
    """A factor's test. unit : what it is tested with, its curve and bucket or itself. test : None where it was never observed."""

    unit: str
    bucket: str
    test: PriceTest | None
    modellable: bool
    reason: str


@dataclass(frozen=True)
class Rfet(Answer):
    """rows : a row a risk factor: risk_factor_id, risk_class, unit and bucket that it is tested in, observations in
    twelve months, the fewest
    of them in any period, modellable and the reason. modellable, non_modellable : how many factors are."""

    query: RfetQuery
    regime: str
    rows: pa.Table
    modellable: int
    non_modellable: int
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def year_before(day: dt.date, months: int) -> dt.date:
    """The first day of the months that end on `day`, both included."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return dt.date(year, month + 1, last) + dt.timedelta(days=1)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def units_of(factors: Sequence[RiskFactor], rules: PriceTestRules) -> dict[str, tuple[str, str]]:
    """By factor id the unit that it is tested in, and its bucket in words; a factor without a maturity is a unit of its own."""
    return {f.risk_factor_id: _unit(f, rules) for f in factors}


def _unit(factor: RiskFactor, rules: PriceTestRules) -> tuple[str, str]:
    if factor.curve is None or factor.pillar is None:
        return factor.risk_factor_id, "by itself"
    try:
        years = tenor_years(factor.pillar)
    except BadInput:
        return factor.risk_factor_id, f"by itself: the pillar {factor.pillar} has no length"
    row = "C" if factor.risk_class in _CLASSES_OF_C else "A"
    edges = rules.buckets[row]
    at = bucket_of(years, edges)
    upper = f"{edges[at + 1]:g}" if at + 1 < len(edges) else "inf"
    return f"{factor.curve} {row}{at + 1}", f"row {row}, {edges[at]:g} to {upper} years"


def tested(
    snapshot: Snapshot, factors: Sequence[RiskFactor], rules: PriceTestRules, as_of: dt.date
) -> dict[str, Tested]:
    """Every factor's test on the real prices of the months before and on `as_of`."""
    first = year_before(as_of, rules.months)
    rows = snapshot.read(TABLE, ["price_date", "risk_factor_id"])
    units = units_of(factors, rules)
    days: dict[str, set[int]] = defaultdict(set)
    for day, factor in zip(*(rows[c].to_pylist() for c in ("price_date", "risk_factor_id")), strict=True):
        if factor in units and first <= day <= as_of:
            days[units[factor][0]].add(day.toordinal())
    tests = {
        unit: price_test(
            np.array(sorted(found), dtype=np.int64),
            first.toordinal(),
            as_of.toordinal(),
            least=rules.least,
            period=rules.period_days,
            least_in_period=rules.least_in_period,
            enough=rules.enough,
        )
        for unit, found in days.items()
    }
    return {f: _said(unit, bucket, tests.get(unit), rules) for f, (unit, bucket) in units.items()}


def _said(unit: str, bucket: str, test: PriceTest | None, rules: PriceTestRules) -> Tested:
    if test is None:
        return Tested(unit, bucket, None, False, f"no real price in {rules.months} months")
    prices = f"{counted(test.observations, 'day')} with a real price"
    if test.numerous:
        return Tested(unit, bucket, test, True, f"{prices}, of {rules.enough} that are enough")
    if test.frequent:
        return Tested(
            unit,
            bucket,
            test,
            True,
            f"{prices}, of {rules.least}, and {test.fewest} in the emptiest {rules.period_days} days",
        )
    why = (
        f"{prices}, fewer than {rules.least}"
        if test.observations < rules.least
        else f"{prices}, but {test.fewest} in some {rules.period_days} days, fewer than {rules.least_in_period}"
    )
    return Tested(unit, bucket, test, False, why)


def _answer(session: Session, query: RfetQuery) -> Rfet:
    session = session.as_known(query.as_known)
    snapshot = session.lake.snapshot("risk_factors", TABLE)
    regime = regime_of(query.regime, query.as_of, session.lake)
    rules = ima_parameters(regime).price_test
    index = FactorIndex.of(RiskFactor.from_dict(r) for r in snapshot.read("risk_factors").to_pylist())
    for name in query.factors:
        if name not in index.row:
            raise unknown("risk factor", name, index.row, pointer="factors")
    found = tested(snapshot, index.factors, rules, query.as_of)
    shown = [f for f in index.factors if not query.factors or f.risk_factor_id in query.factors]
    rows = pa.table(
        {
            "risk_factor_id": pa.array([f.risk_factor_id for f in shown], pa.string()),
            "risk_class": pa.array([f.risk_class.value for f in shown], pa.string()),
            **{
                name: pa.array([getattr(found[f.risk_factor_id], name) for f in shown], kind)
                for name, kind in (("unit", pa.string()), ("bucket", pa.string()))
            },
            **{
                name: pa.array(
                    [0 if (t := found[f.risk_factor_id].test) is None else getattr(t, name) for f in shown], pa.int64()
                )
                for name in ("observations", "fewest")
            },
            "modellable": pa.array([found[f.risk_factor_id].modellable for f in shown], pa.bool_()),
            "reason": pa.array([found[f.risk_factor_id].reason for f in shown], pa.string()),
        }
    )
    good = sum(found[f.risk_factor_id].modellable for f in shown)
    notes = [f"By {regime.title} ({regime.label}).", *regime.notes(query.as_of)]
    if not snapshot.read(TABLE, ["price_date"]).num_rows:
        notes.append("The lake holds no real prices (varlake ingest real-prices): no factor is modellable.")
    receipt = {**regime.named, "table_versions": snapshot.named, **name_code()}
    return Rfet(query, regime.label, rows, good, len(shown) - good, receipt, tuple(notes))


def _price(session: Session, query: RfetQuery) -> float:
    del query
    return SECONDS_A_QUESTION + SECONDS_A_LEVEL * 20 * session.lake.count(TABLE)


RFET = Question(RfetQuery, _answer, {"as_of": "2020-03-16"}, price=_price)
