"""Why: P&L explained, the drivers of a change of risk, another system's number reproduced."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from aggregation.types import Filter
from lake.dates import Day
from service.api.answers import json_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer
from service.api.requests import FilterText, Parameters, TableParameters
from service.api.risk import DimensionName
from service.pnl_explain import PnlExplainRequest, plan_pnl_explain, pnl_explain

api = blueprint("causes", __name__, __doc__)

_WHERE = "filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"


class PnlExplainParameters(Parameters):
    """The two dates of an explain, and what it is about."""

    from_: Day = Field(alias="from", description="the earlier date: market and book the value comes from")
    to: Day = Field(description="the later date: market and book the value goes to")
    by: tuple[DimensionName, ...] = Field((), max_length=16, description="dimensions to group by, outermost first")
    where: tuple[FilterText, ...] = Field((), description=_WHERE)
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="reporting currency, ISO 4217")

    def request(self) -> PnlExplainRequest:
        return PnlExplainRequest(
            **{"from": self.from_}, to=self.to, by=self.by, where=self.where, currency=self.currency
        )


class PnlExplainTable(PnlExplainParameters, TableParameters):
    """The same, in a format."""


class PnlExplainQuestion(BaseModel):
    from_: dt.date = Field(alias="from")
    to: dt.date
    by: list[str]
    where: list[Filter]
    currency: str


class FailureRow(Answer):
    contract_id: str
    instrument_type: str
    date: dt.date
    reason: str
    message: str


class PnlExplainAnswer(Answer):
    request: PnlExplainQuestion
    rows: list[dict[str, Any]] = Field(
        description="a row a group: its positions, status, and every line of the explain"
    )
    total: dict[str, Any] = Field(description="the same for all together")
    classes: list[str] = Field(description="the risk classes that moved")
    failures: list[FailureRow] = Field(description="contracts without a value on the way, and why")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


class TypeCost(Answer):
    contracts: int
    expected_core_seconds: float


class PnlExplainPlanAnswer(Answer):
    """What an explain would price."""

    positions_from: int
    positions_to: int
    contracts_from: int
    contracts_to: int
    classes: list[str] = Field(description="the risk classes that moved")
    states: int = Field(description="market states every contract of the first date is valued in on the second")
    expected_core_seconds: float
    by_instrument_type: dict[str, TypeCost]


@api.get("/pnl-explain", responses={200: PnlExplainAnswer})
@tabular
def explain_pnl(query: PnlExplainTable) -> Response:
    """Why a book is worth what it is, given what it was worth on an earlier date.

    Prices both books and the way between them, and stores nothing; `/pnl-explain/plan` says beforehand how long that takes.
    """
    here = context()
    result = pnl_explain(here.lake, query.request(), cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"pnl-explain-{query.from_}-{query.to}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=dict(result.receipt),
    )


@api.get("/pnl-explain/plan", responses={200: PnlExplainPlanAnswer})
def plan_explain_pnl(query: PnlExplainParameters) -> Response:
    """What the explain would price, and how long that is expected to take; prices nothing."""
    here = context()
    return json_answer(plan_pnl_explain(here.lake, query.request(), cache=here.cache).to_dict())
