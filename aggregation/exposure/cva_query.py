"""What a question about CVA asks, and what it opens: book, netting sets, values on paths, default curves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.exposure.along_paths import Along
from aggregation.exposure.collateral import margin_period
from aggregation.exposure.cva_figures import DateWeights, WrongWay, date_weights
from aggregation.exposure.default_curves import (
    DefaultCurves,
    base_market,
    default_curves,
    pricing_market,
    year_fractions,
)
from aggregation.exposure.netting_sets import NettingSets, netting_sets
from aggregation.exposure.path_values import PathScope, PathValues, open_paths
from aggregation.exposure.reference import Counterparty, ReferenceData, counterparties_of
from aggregation.opened.inputs import book_of_scope
from aggregation.session import Session
from aggregation.types import Positions, Scope, or_text
from lake.arrays import Bools, Floats
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
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


class CvaScope(PathScope, Positions):
    """Whose CVA, on which day, along which paths."""

    collateral: bool = Field(True, description="whether collateral under the agreements counts")
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
    """What CVA is made from. times : (n_dates,) years of today and the dates of the paths. keep : (n_positions,). weights : at the base."""

    query: CvaScope
    snapshot: Snapshot
    along: Along
    keep: Bools
    market: ScenarioMarket
    held: Mapping[str, str]
    known: ReferenceData[Counterparty]
    times: Floats
    curves: DefaultCurves
    weights: DateWeights

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
        found = pc.index_in(self.book.contract_ids, self.paths.contract_ids).is_valid().to_numpy(zero_copy_only=False)
        there: Bools = found[np.searchsorted(self.book.starts, self.sets.position, side="right") - 1]
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
        for s, name in enumerate(self.sets.counterparties):
            way = asked.get(name or "", asked.get(EVERYONE))
            if way is None or name is None or name not in self.curves.curves:
                continue
            ways[s] = WrongWay(way.factor, way.correlation)
            by_date[s] = 1.0 - np.exp(self.curves.curves[name].logs[:, 0])
        return ways, by_date


def open_cva(session: Session, query: CvaScope) -> OpenedCva:
    """Opens everything CVA is made from; raises `NotValued` where values on the paths are missing."""
    paths = open_paths(session, query)
    snapshot = session.lake.snapshot()
    book = book_of(session, snapshot, query)
    return opened_from(session, query, snapshot, book, paths)


def opened_from(session: Session, query: CvaScope, snapshot: Snapshot, book: Book, paths: PathValues) -> OpenedCva:
    """The same from a book and values at hand."""
    keep = select(book, query.where)
    if not keep.any():
        raise BadInput("The filters leave no position; ask for others.")
    sets = netting_sets(snapshot, session.cache, book, keep, query.as_of)
    base = base_market(snapshot, query.as_of)
    market = pricing_market(base)
    known = counterparties_of(snapshot, query.as_of)
    along = along_of(query, book, sets, paths, market)
    days = [d for d, r in zip(paths.dates, along.reported.tolist(), strict=True) if r]
    times = year_fractions(query.as_of, days)
    names = sorted({n for n in (*sets.counterparties, *sets.legal_entities) if n is not None})
    curves = default_curves(market, known, names, times, query.recovery)
    weights = date_weights(curves, sets.counterparties, sets.legal_entities, len(times))
    return OpenedCva(query, snapshot, along, keep, market, base.held, known, times, curves, weights)


def along_of(query: CvaScope, book: Book, sets: NettingSets, paths: PathValues, market: ScenarioMarket) -> Along:
    """What exposures are computed from."""
    return Along(
        paths,
        book,
        sets,
        query.currency,
        lambda currency: float(market.fx(currency, query.currency)[0]),
        [margin_period(a) if a.margined else None for a in sets.agreements],
        sets.whole & query.collateral,
        lambda day, n: np.busday_offset(day, -n, roll="backward").astype(dt.date),
        np.ones(len(paths.dates), np.bool_),
    )


def book_of(session: Session, snapshot: Snapshot, query: CvaScope) -> Book:
    """The book or branch of the query, in the terms of its day."""
    scope = Scope(as_of=query.as_of, positions_date=query.positions_date, branch=query.branch, as_known=query.as_known)
    return book_of_scope(session.cache, snapshot, scope, query.as_of)
