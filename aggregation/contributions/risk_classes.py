"""VaR and ES by risk class: each class shocked alone, the others at their base. Standalone: the figures do not add up.

Each class is a valuation set of its own under the same scenarios. What is missing is planned first and valued when the user
says so; most contracts read few classes, and one that reads none of a class is not priced for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.kernels.fixed_sums import difference
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_request, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Plan, Question, of_lake, plan_of
from aggregation.receipts import make_receipt
from aggregation.risk.query import risk_price, run_query
from aggregation.session import Session
from aggregation.types import VAR_AND_ES, Coverage, MeasureName, RiskQuery, RiskResult
from lake.canonical import digest
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.requests import ScenarioRequest
from scenarios.store import load_scenario_set
from scenarios.types import RiskClass
from valuation.sets.requests import ValuationRequest, plan_valuation
from valuation.types import ValuationSet

ALL = "all"  # what the row of all classes together is called
COLUMN = "risk_class"
NOTE = (
    "Standalone by risk class: only the factors of that class move, the others keep their base. The figures do not add up to "
    "that of all classes together."
)


@dataclass(frozen=True)
class RiskClassResult(Answer):
    """`rows`: a row a group and risk class, and one a group for all together: the `by` columns, risk_class, coverage,
    base_value and the measures. totals : the same for all groups, by class. diversification : figure to the sum of the classes minus
    that of all together. answers : the answer of each class, with its own receipt."""

    query: RiskQuery
    rows: pa.Table
    totals: Mapping[str, Mapping[str, Any]]
    diversification: Mapping[str, float | None]
    coverage: Coverage
    answers: Mapping[str, RiskResult] = field(metadata=HIDDEN)
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    @shown("receipts")
    def receipts(self) -> Mapping[str, Mapping[str, Any]]:
        """The receipt of each class's own answer."""
        return {c: a.receipt for c, a in self.answers.items()}


def requests(cache: VectorCache, query: RiskQuery) -> dict[str, ValuationRequest]:
    """The valuation of each risk class that the scenarios of the query move, by class.

    Raises `BadInput` when the valuation set of the query shocks a single class itself.
    """
    inputs = _open(cache, query)
    seal = inputs.valuation_set
    scenario_set = load_scenario_set(cache.lake, seal.scenario_set_id)
    moved = {f.risk_class.value for f, s in zip(scenario_set.index.factors, scenario_set.shocked, strict=True) if s}
    return {
        c.value: ValuationRequest(
            as_of=seal.valuation_date,
            positions_dates=(inputs.book.positions_date,),
            market_date=seal.market_date,
            scenario_set=seal.scenario_set_id,
            scenarios=ScenarioRequest(name=None),
            risk_classes=(c.value,),
        )
        for c in RiskClass
        if c.value in moved and c.value in seal.shocked_classes
    }


def _open(cache: VectorCache, query: RiskQuery) -> Inputs:
    inputs = open_inputs(cache, query)
    classes = inputs.valuation_set.shocked_classes
    if len(classes) < 2:
        raise BadInput(
            f"Valuation set {inputs.valuation_set.valuation_set_id} shocks {classes[0]} alone; name one that shocks all risk "
            "classes."
        )
    return inputs


def missing_classes(cache: VectorCache, query: RiskQuery) -> dict[str, ValuationRequest]:
    """The classes that have no sealed set under the scenarios of the query, with the valuation that makes it."""
    there = _sealed(cache, _open(cache, query))
    return {c: r for c, r in requests(cache, query).items() if c not in there}


def _sealed(cache: VectorCache, inputs: Inputs) -> dict[str, str]:
    """The newest sealed set of each single class on the coordinates of the inputs: class to valuation set id."""
    alike = _coordinates(inputs.valuation_set)
    return {
        s.shocked_classes[0]: s.valuation_set_id
        for s in cache.seals(inputs.snapshot)  # oldest first
        if len(s.shocked_classes) == 1 and _coordinates(s) == alike
    }


def _coordinates(s: ValuationSet) -> tuple[dt.date, dt.date, str, str]:
    return s.valuation_date, s.market_date, s.scenario_set_id, s.pricer_version


def run_risk_classes(lake: Lake, query: RiskQuery, *, cache: VectorCache | None = None) -> RiskClassResult:
    """The query answered for each class alone and for all together, from sealed sets; values nothing.

    Raises `NotFound` with the classes that are not valued yet.
    """
    cache = cache or VectorCache(lake)
    inputs = _open(cache, query)
    sealed, wanted = _sealed(cache, inputs), requests(cache, query)
    lacking = [c for c in wanted if c not in sealed]
    if lacking:
        raise NotValued(
            f"Not valued alone yet under {inputs.valuation_set.scenario_set_name} of {query.as_of}: {', '.join(lacking)}."
        )
    sets = {**{c: sealed[c] for c in wanted}, ALL: inputs.valuation_set.valuation_set_id}
    answers = {
        c: run_query(lake, query.model_copy(update={"valuation_set": v, "scenario_set": None}), cache=cache)
        for c, v in sets.items()
    }
    figures = [a.name for a in asked_measures(query)]
    whole = answers[ALL]
    tables = [
        a.rows.add_column(len(query.by), COLUMN, pa.array([c] * a.rows.num_rows, pa.string()))
        for c, a in answers.items()
    ]
    return RiskClassResult(
        query=query,
        rows=pa.concat_tables(tables),
        totals={c: a.total for c, a in answers.items()},
        diversification={f: _benefit([answers[c].total[f] for c in wanted], whole.total[f]) for f in figures},
        coverage=whole.coverage,
        answers=answers,
        receipt=make_receipt(
            "classes",
            query.model_dump(mode="json"),
            inputs,
            digest(*(p for c, a in answers.items() for p in (c, a.receipt["result_digest"]))),
            currency=query.currency,
            levels=list(query.levels),
            valuation_sets=sets,
        ),
        notes=(
            NOTE,
            *whole.notes,
        ),
    )


def _benefit(parts: list[float | None], whole: float | None) -> float | None:
    known = [p for p in parts if p is not None]
    return None if whole is None or len(known) < len(parts) else float(difference(sum(known), whole))


class RiskClassQuery(RiskQuery):
    """Whose risk, by risk class."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES


def _plan(session: Session, query: RiskClassQuery) -> Plan:
    whole = plan_scope(session, query)
    if not whole.ready:
        return whole
    snapshot = session.lake.snapshot()
    lacking = missing_classes(session.cache, query)
    return plan_of([(c, r, plan_valuation(snapshot, r)) for c, r in lacking.items()], classes=sorted(lacking))


def _value(session: Session, query: RiskClassQuery) -> RiskClassQuery:
    query = value_scope(session, query)
    for request in missing_classes(session.cache, query).values():
        value_request(session, request)
    return query


def _price(session: Session, query: RiskClassQuery) -> float:
    """Of each class alone and of all together."""
    return (1 + len(RiskClass)) * risk_price(session, query)


RISK_CLASSES = Question(
    RiskClassQuery,
    of_lake(run_risk_classes),
    {"as_of": "2020-03-16", "by": ["desk"]},
    _plan,
    _value,
    price=_price,
)
