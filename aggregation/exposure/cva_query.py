"""What a question about CVA asks, and what it opens: book, netting sets, values on paths, default curves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.book.book import Book
from aggregation.exposure.along_paths import Along
from aggregation.exposure.cva_figures import DateWeights, WrongWay, date_weights
from aggregation.exposure.default_curves import (
    DefaultCurves,
    base_market,
    default_curves,
    pricing_market,
    year_fractions,
)
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from aggregation.exposure.reference import Counterparty, ReferenceData, counterparties_of
from aggregation.exposure.scope import ExposureScope, OpenedBook, OpenedExposure, open_exposure
from aggregation.session import Session
from aggregation.types import or_text
from lake.arrays import Bools, Floats
from lake.errors import BadInput, unknown
from scenarios.types import tenor_years
from valuation.market.scenario_market import ScenarioMarket

SPREAD_TENORS = ("6M", "1Y", "3Y", "5Y", "10Y")
EVERYONE = "*"


class WrongWayRisk(BaseModel):
    """A hazard rate that moves with a risk factor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: str = Field(description="id of the risk factor, such as FX:EURUSD")
    correlation: float = Field(
        gt=-1.0, lt=1.0, description="of the hazard rate with it: positive where default is likelier when it is high"
    )
    counterparty: str = Field(EVERYONE, description="whose default; * for every counterparty not named otherwise")


def parse_wrong_way(text: str) -> WrongWayRisk:
    """From `FACTOR=CORRELATION` for every counterparty, or `COUNTERPARTY@FACTOR=CORRELATION` for one."""
    left, equals, right = text.rpartition("=")
    name, at, factor = left.rpartition("@")
    try:
        number = float(right)
    except ValueError:
        number = float("nan")
    if not equals or not factor.strip() or number != number:
        raise BadInput(
            f"The wrong-way risk {text!r} was given; expected FACTOR=CORRELATION or COUNTERPARTY@FACTOR=CORRELATION, such as "
            "FX:EURUSD=0.4."
        )
    return WrongWayRisk(factor=factor.strip(), correlation=number, counterparty=name.strip() if at else EVERYONE)


if TYPE_CHECKING:
    WrongWayOrText = WrongWayRisk
else:
    WrongWayOrText = or_text(WrongWayRisk, parse_wrong_way, r"^.+=[^=]+$")


class CvaScope(ExposureScope):
    """Whose CVA, on which day, along which paths."""

    wrong_way: tuple[WrongWayOrText, ...] = Field(
        (),
        max_length=100,
        description="wrong-way risk: FACTOR=CORRELATION of every counterparty's hazard rate, or COUNTERPARTY@FACTOR=CORRELATION",
    )
    recovery: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="recovery rate where neither the counterparty nor its credit curve names one; default none"
    )
    tenors: tuple[str, ...] = Field(
        SPREAD_TENORS,
        min_length=1,
        max_length=20,
        description="tenors that sensitivities to spreads are shared out among",
    )

    @model_validator(mode="after")
    def _risk_neutral(self) -> CvaScope:
        if self.measure != "risk_neutral":
            raise ValueError("CVA is a price: it is taken on risk_neutral paths")
        years = [tenor_years(t) for t in self.tenors]
        if years != sorted(set(years)):
            raise ValueError("tenors must ascend")
        names = [w.counterparty for w in self.wrong_way]
        if len(set(names)) < len(names):
            raise ValueError("wrong_way names a counterparty twice")
        return self


@dataclass(frozen=True)
class OpenedCva:
    """What CVA is made from. times : (n_dates,) years of today and the dates of the figures. weights : at the base."""

    query: CvaScope
    exposure: OpenedExposure
    market: ScenarioMarket
    held_levels: Mapping[str, str]
    known: ReferenceData[Counterparty]
    times: Floats
    curves: DefaultCurves
    weights: DateWeights

    @property
    def along(self) -> Along:
        return self.exposure.along

    @property
    def sets(self) -> NettingSets:
        return self.along.sets

    @property
    def paths(self) -> PathValues:
        return self.along.paths

    @property
    def book(self) -> Book:
        return self.along.book

    @property
    def covered(self) -> Bools:
        """Whether the contract of each kept position has values on the paths, (n_kept,)."""
        there: Bools = self.exposure.covered[self.sets.position]
        return there

    @property
    def days(self) -> list[dt.date]:
        """Today and the dates of the figures."""
        return [
            self.paths.as_of,
            *(d for d, r in zip(self.paths.dates, self.along.reported.tolist(), strict=True) if r),
        ]

    def curves_in(self, market: ScenarioMarket) -> DefaultCurves:
        """The curves of everyone in other states of the credit market."""
        return default_curves(market, self.known, self.names, self.times, self.query.recovery)

    @property
    def names(self) -> list[str]:
        """Counterparties and own entities."""
        return sorted({n for n in (*self.sets.counterparties, *self.sets.legal_entities) if n is not None})

    def reasons(self) -> list[tuple[str, str]]:
        """Why there is no CVA of each set, and no DVA; empty texts where there is."""
        return [
            (self.curves.reason(c), self.curves.reason(e))
            for c, e in zip(self.sets.counterparties, self.sets.legal_entities, strict=True)
        ]

    def wrong_way(self) -> tuple[dict[int, WrongWay], dict[int, Floats]]:
        """The wrong-way risk of each set that has some, and its default probabilities by date."""
        asked = {w.counterparty: w for w in self.query.wrong_way}
        there = {n for n in self.sets.counterparties if n is not None}
        for name in asked:
            if name != EVERYONE and name not in there:
                raise unknown("counterparty of wrong-way risk", name, there, pointer="wrong_way")
        for w in asked.values():
            self.market.index.require(w.factor)
        ways: dict[int, WrongWay] = {}
        by_date: dict[int, Floats] = {}
        for s, counterparty in enumerate(self.sets.counterparties):
            way = asked.get(counterparty or "", asked.get(EVERYONE))
            if way is None or counterparty is None or counterparty not in self.curves.curves:
                continue
            ways[s] = WrongWay(way.factor, way.correlation)
            by_date[s] = 1.0 - np.exp(self.curves.curves[counterparty].logs[:, 0])
        return ways, by_date


def open_cva(
    session: Session, query: CvaScope, *, held: OpenedBook | None = None, paths: PathValues | None = None
) -> OpenedCva:
    """Opens everything CVA is made from; raises `NotValued` where values on the paths are missing. held, paths : in place of the
    query's own."""
    exposure = open_exposure(session, query, held=held, paths=paths)
    snapshot, sets = exposure.held.snapshot, exposure.held.sets
    base = base_market(snapshot, query.as_of)
    market = pricing_market(base)
    known = counterparties_of(session.lake, query.as_of)
    reported = exposure.along.reported.tolist()
    days = [d for d, r in zip(exposure.along.paths.dates, reported, strict=True) if r]
    times = year_fractions(query.as_of, days)
    names = sorted({n for n in (*sets.counterparties, *sets.legal_entities) if n is not None})
    curves = default_curves(market, known, names, times, query.recovery)
    weights = date_weights(curves, sets.counterparties, sets.legal_entities, len(times))
    return OpenedCva(query, exposure, market, base.held, known, times, curves, weights)
