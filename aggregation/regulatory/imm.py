"""Exposure profiles with the exposure at default of the internal models method: EAD = alpha times effective EPE (CRE53.13).

The figures themselves are of `aggregation.exposure`; here stand what a regime prescribes and the questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa
from pydantic import ConfigDict, Field, field_validator

from aggregation.answer import Answer
from aggregation.exposure.pricing import plan_exposure, price_of_exposure, value_exposure
from aggregation.exposure.profile_tables import ProfileTables, profiles
from aggregation.exposure.scope import ExposureScope, MarginFloors, OpenedExposure, horizon_notes
from aggregation.kernels.estimators import exact_level
from aggregation.question import Question
from aggregation.regimes.regimes import Parameters, Regime, RegimeName, regime_of
from aggregation.session import Session
from aggregation.types import Coverage, Level
from lake.errors import BadInput, counted

SECTION = "imm"


class _MarginPeriod(Parameters):
    """Least margin periods of risk, business days."""

    usual: int = Field(ge=1)
    large: int = Field(ge=1)
    large_more_than: int = Field(ge=0)
    dispute_multiple: int = Field(ge=1)


class Imm(Parameters):
    """The section imm of a regime."""

    alpha: float = Field(gt=0)
    alpha_floor: float = Field(gt=0)
    margin_period: _MarginPeriod

    @property
    def floors(self) -> MarginFloors:
        """As exposure takes them."""
        m = self.margin_period
        return MarginFloors(m.usual, m.large, m.large_more_than, m.dispute_multiple)


class ExposureQuery(ExposureScope):
    """Whose exposure over time, read how."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    levels: tuple[Level, ...] = Field(
        ("0.95", "0.99"),
        min_length=1,
        max_length=16,
        description="levels of potential future exposure, fractions such as 0.95",
    )
    regime: RegimeName = "basel"
    alpha: float | None = Field(
        None, gt=0, le=10, description="own estimate of alpha for the exposure at default; default that of the regime"
    )

    @field_validator("levels")
    @classmethod
    def _exact(cls, levels: tuple[str, ...]) -> tuple[str, ...]:
        once: dict[Fraction, str] = {}
        for level in levels:
            once.setdefault(exact_level(level), level)
        return tuple(once.values())

    @property
    def exact_levels(self) -> list[Fraction]:
        """The levels as fractions."""
        return [exact_level(level) for level in self.levels]


@dataclass(frozen=True)
class Exposure(Answer):
    """Exposure over time, from our side: positive is what counterparties would owe.

    rows : a row a group and date, today first: the `by` columns, date and years; value, the mean value of the trades; ee, expected exposure
    after collateral; ene, theirs to us; collateral, the mean that counts against ours, so that ee - ene = value - collateral but for margin
    that is kept apart; effective_ee, which never falls; discounted_ee, the price of ee; a column pfe_LEVEL each; and
    standard errors that end in _se. Where `by` is finer than netting permits, what a group's trades contribute to ee and pfe, and `part`
    is trades, collateral or cash flows.
    summary : a row a group: current exposure; epe and enpe, averages of ee and ene over all dates; over the first year epe_year, and eepe,
    the average of effective_ee; ead, alpha times that; peak_pfe_LEVEL and peak_date_LEVEL.
    total : the summary of all groups together. node : the dimensions of `by` whose exposures the contributions add up to; None where the
    rows are no contributions. alpha : as it was used.
    """

    query: ExposureQuery
    rows: pa.Table
    summary: pa.Table
    total: Mapping[str, Any]
    node: tuple[str, ...] | None
    alpha: float
    regime: str
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


def imm_of(session: Session, query: ExposureQuery) -> tuple[Regime, Imm, float]:
    """The regime of the query, its section, and alpha; raises `BadInput` for an own alpha below the floor."""
    regime = regime_of(query.regime, query.as_of, session.lake)
    section = regime.section(SECTION, Imm)
    alpha = section.alpha if query.alpha is None else query.alpha
    if alpha < section.alpha_floor:
        raise BadInput(
            f"alpha {alpha:g} was given, and {regime.label} allows an own estimate of {section.alpha_floor:g} at the least; give that or "
            "more, or leave alpha out."
        )
    return regime, section, alpha


def exposure(
    session: Session, query: ExposureQuery, opened: OpenedExposure | None = None
) -> tuple[ProfileTables, Exposure]:
    """The figures and the answer; opened : in place of what the query opens."""
    regime, section, alpha = imm_of(session, query)
    found = profiles(
        session, query, query.exact_levels, query.levels, floors=section.floors, factor=alpha, opened=opened
    )
    coverage = found.opened.coverage()
    node = found.nodes.by if found.nodes.finer else None
    notes = [
        *found.opened.notes,
        *horizon_notes(found.opened),
        *_notes(query, found, section, node),
        *regime.notes(query.as_of),
    ]
    receipt = {**found.opened.receipt, **regime.named, "alpha": alpha}
    answer = Exposure(
        query,
        found.rows,
        found.summary,
        found.total,
        node,
        alpha,
        regime.label,
        coverage,
        receipt,
        tuple(dict.fromkeys(notes)),
    )
    return found, answer


def _notes(query: ExposureQuery, found: ProfileTables, section: Imm, node: tuple[str, ...] | None) -> list[str]:
    notes = []
    if node is not None:
        whole = f"that of its {' and '.join(node)}" if node else "the exposure of all together"
        notes.append(
            f"Netting sets hold several of {', '.join(found.nodes.finer)}: rows are contributions, which add up to {whole}. "
            "Collateral is a line of its own."
        )
    held = found.opened.held
    if query.margin_period == "agreement":
        m = section.margin_period
        short = [
            a.agreement
            for a, lag, on in zip(held.sets.agreements, held.lags, held.collateralised, strict=False)
            if lag is not None and on and lag < m.usual + (a.margin_frequency_days or 1) - 1
        ]
        if short:
            notes.append(
                f"EAD rests on margin periods below the floor of {m.usual} business days for {counted(len(short), 'netting set')}, the "
                f"first {short[0]}; ask with margin_period=regime for that floor."
            )
    if query.measure == "risk_neutral":
        notes.append(
            "Paths are risk-neutral: fit for prices; limits are often set on real-world paths (measure=real_world)."
        )
    return notes


def _answer(session: Session, query: ExposureQuery) -> Exposure:
    return exposure(session, query)[1]


def floors_of(session: Session, query: ExposureQuery) -> MarginFloors:
    """The least margin periods of the query's regime."""
    return imm_of(session, query)[1].floors


EXPOSURE = Question(
    ExposureQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["counterparty"], "grid": ["1M", "6M", "1Y"], "paths": 200},
    plan_exposure(floors_of),
    value_exposure(floors_of),
    price=price_of_exposure(floors_of),
)
