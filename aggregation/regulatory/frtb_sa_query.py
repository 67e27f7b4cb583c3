"""What is asked of the FRTB standardised approach, and what is prepared before anything is valued: regime, classification, moves."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from aggregation.contributions.sensitivities import BumpedQuery
from aggregation.exposure.reference import Classification, ReferenceData, classifications_of
from aggregation.on_demand import plan_request, sealed_by, value_request
from aggregation.price import size_of
from aggregation.question import Plan
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.frtb_sa_factors import Choices, Mapped, Mapper, map_factors
from aggregation.regulatory.frtb_sa_parameters import SECTION, FrtbSa
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.whatif.request import ChangeRequest
from lake.dates import Day
from scenarios.derived.regulatory_bumps import RegulatoryBumpsDefinition
from scenarios.market.base_market import load_base
from scenarios.requests import ScenarioRequest
from valuation.sets.requests import ValuationRequest
from valuation.types import ValuationSet

METHOD = "regulatory_bumps"
_MOVES = "moves of the standardised approach"
Part = Literal["girr", "csr", "equity", "commodity", "fx", "drc", "rrao"]
PARTS: tuple[Part, ...] = ("girr", "csr", "equity", "commodity", "fx", "drc", "rrao")
Divided = Literal["divided", "full"]
_TABLES = ("classifications", "risk_factors", "market_data", "market_calendars")


class FrtbSaQuery(ChangeRequest, BumpedQuery):
    """Whose capital, by which rules and choices, and what of the book is changed before."""

    market_date: Day | None = Field(None, description="date of the base market, when not as_of")
    reference_date: Day | None = Field(None, description="date of the classifications, when not as_of")
    regime: RegimeName = "basel"
    parts: tuple[Part, ...] = Field(
        PARTS,
        min_length=1,
        max_length=len(PARTS),
        description="parts that are asked for: the classes of the sensitivities-based method, drc for default risk, rrao for residual risk",
    )
    liquid_rates: Divided = Field(
        "divided",
        description="weights of rates of the listed currencies and the reporting one: divided by the root of two, or full",
    )
    liquid_fx: Divided = Field(
        "divided",
        description="weights of the listed currencies against each other: divided by the root of two, or full",
    )
    fx_curvature: Divided = Field(
        "divided", description="curvature of currency options without the reporting currency: divided by 1.5, or full"
    )
    equity_maturity: Literal["1Y", "3M"] = Field("1Y", description="maturity of shares for default risk")
    standalone: bool = Field(False, description="whether the capital of each row alone is shown too")

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part is named twice in parts")
        return self

    @property
    def changed(self) -> bool:
        """Whether something of the book is changed."""
        return bool(self.add or self.remove or self.scale or self.replace)

    @property
    def choices(self) -> Choices:
        """As the method takes them."""
        return Choices(
            self.currency,
            self.liquid_rates == "divided",
            self.liquid_fx == "divided",
            self.fx_curvature == "divided",
        )


@dataclass(frozen=True)
class Prepared:
    """What a question rests on before the valuations: rules, classification, what the factors are, and the valuation under their moves.

    key : names the versions and choices that it was made from.
    """

    regime: Regime
    p: FrtbSa
    classified: ReferenceData[Classification]
    mapper: Mapper
    mapped: Mapped
    request: ValuationRequest
    key: tuple[Hashable, ...]


def prepare(session: Session, query: FrtbSaQuery) -> Prepared:
    """Raises `NotFound` for a day without a market, `BadInput` for an unknown regime or one that lacks the section, `MissingRiskFactor`
    for a currency into which the market has no exchange rate."""
    regime = regime_of(query.regime, query.as_of, session.lake)
    p = regime.section(SECTION, FrtbSa)
    snapshot = session.lake.snapshot(*_TABLES)
    market, known_on = query.market_date or query.as_of, query.reference_date or query.as_of
    key = (
        "frtb moves",
        *(snapshot.versions[t] for t in _TABLES),
        market,
        query.as_of,
        known_on,
        regime.digest,
        query.choices,
    )

    def make() -> tuple[ReferenceData[Classification], Mapper, Mapped]:
        classified = classifications_of(snapshot, known_on)
        mapper = Mapper(p, classified, query.choices)
        definition = RegulatoryBumpsDefinition(market_date=market)
        index = load_base(snapshot, market, definition.calendar, definition.max_held_days).index
        # before anything is valued for a question that has no answer
        index.some_without_rate({f.currency for f in index.factors}, query.currency)
        return classified, mapper, map_factors(index, mapper)

    classified, mapper, mapped = session.cache.keep(key, make)
    return Prepared(regime, p, classified, mapper, mapped, _request(query, p, mapped), key)


def _request(query: FrtbSaQuery, p: FrtbSa, mapped: Mapped) -> ValuationRequest:
    shifts = p.shifts
    parameters = {
        "rate": shifts.rate,
        "spread": shifts.spread,
        "price": shifts.price,
        "volatility": shifts.volatility,
        "shocks": [shock.model_dump(mode="json", exclude_defaults=True) for shock in mapped.shocks],
    }
    return ValuationRequest(
        as_of=query.as_of,
        positions_dates=() if query.branch else (query.positions_date or query.as_of,),
        branches=(query.branch,) if query.branch else (),
        market_date=query.market_date,
        scenarios=ScenarioRequest(method=METHOD, parameters=parameters, only_by_name=True),
    )


def plan_frtb(session: Session, query: FrtbSaQuery) -> Plan:
    """What is left to value of the moves of a day."""
    session = session.as_known(query.as_known)
    return plan_request(session, _MOVES, prepare(session, query).request)


def value_frtb(session: Session, query: FrtbSaQuery) -> FrtbSaQuery:
    """Values every contract under the moves, and stores it."""
    session = session.as_known(query.as_known)
    if not plan_frtb(session, query).ready:
        value_request(session, prepare(session, query).request)
    return query


def sealed_moves(session: Session, prepared: Prepared) -> ValuationSet:
    """The valuation under the moves; raises `NotValued` with what it takes where the lake lacks it."""
    lake = session.lake
    # a plan looks at every contract, and says the same while no table has changed
    key = ("frtb sealed", prepared.request.model_dump_json(), *sorted(lake.snapshot().named.items()))
    found: ValuationSet = session.cache.keep(key, lambda: sealed_by(plan_request(session, _MOVES, prepared.request))[0])
    return found


# seconds of a core, at most, for the terms of a contract that are read for its default, residual and option risk
_SECONDS_A_CONTRACT = 5e-5


def price_of_frtb(session: Session, query: FrtbSaQuery) -> float:
    """Seconds of a core, at most."""
    states = 4 * session.lake.count("risk_factors")
    size = size_of(session, query, scenarios=states)
    passes = 6.0 if query.standalone else 4.0
    return (
        size.planning
        + size.seconds(passes=passes, a_group=SECONDS_A_RANK * states)
        + _SECONDS_A_CONTRACT * size.of.contracts
    )
