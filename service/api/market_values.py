"""Market values that the gates hold: listed, released, overridden, proxied."""

from __future__ import annotations

import pyarrow as pa
from flask import Response
from pydantic import ConfigDict

from lake.schemas import MARKET_ISSUES
from scenarios.market.intraday_covariance import IntradayCovarianceRequest
from scenarios.market.issues import CheckScope, IssueFilter, MarketAct, check_act, list_issues
from service.api import models
from service.api.context import check_signed, context
from service.api.document import blueprint
from service.api.paging import PageParameters, cut_page, start_of_page
from service.api.requests import Body
from service.api.responses import page_answer, tabular
from service.api.valuations import accepted
from service.jobs import COVARIANCE, MARKET_ACT, MARKET_CHECK

api = blueprint("market", __name__, __doc__)


class IssueParameters(PageParameters, IssueFilter):
    """Which market issues are listed."""


class ActBody(Body, MarketAct):
    """What a person does about a market value."""

    model_config = ConfigDict(title="MarketAct")


class CheckBody(Body, CheckScope):
    """The gates run over what is stored, with the parameters of the service."""

    model_config = ConfigDict(title="MarketCheck")


class CovarianceBody(Body, IntradayCovarianceRequest):
    """Of which buckets of intraday levels a covariance is made, and under which name it is stored."""

    model_config = ConfigDict(title="IntradayCovariance")


MarketIssues = models.page_model("MarketIssues", models.row_model("MarketIssue", MARKET_ISSUES, key=(str, ...)))


@api.get("/market/issues", responses={200: MarketIssues})
@tabular
def issues(query: IssueParameters) -> Response:
    """Market values that a rule holds, or that somebody has released, overridden or proxied; and runs of missing ones."""
    here = context().lake
    version, after = start_of_page(here, "market_issues", query.cursor)
    wanted = IssueFilter(**{name: getattr(query, name) for name in IssueFilter.model_fields})
    found = list_issues(here.at({"market_issues": version}), wanted)
    rows = pa.Table.from_pylist(found, MARKET_ISSUES.schema)
    keys = [f"{i['as_of_date']} {i['risk_factor_id']}" for i in found]
    rows, following = cut_page(
        rows.append_column("key", pa.array(keys, pa.string())), "key", query.limit, version, after
    )
    return page_answer(rows, "market-issues", following)


@api.post("/market/acts", responses={202: models.JobAnswer})
def act_on_market(body: ActBody) -> Response:
    """Queue an act: a held value released, overridden or proxied; the answer is the job. What was received stays."""
    check_signed("author", body.author)
    check_act(context().lake, body)
    return accepted(context().submit(MARKET_ACT, body.model_dump(mode="json")))


@api.post("/market/check", responses={202: models.JobAnswer})
def check_stored_market(body: CheckBody) -> Response:
    """Queue a run of the gates over what is stored; the result of the job lists what is suspicious."""
    own = context().settings.gates
    asked = {**body.model_dump(mode="json"), "gates": str(own.absolute()) if own else None}
    return accepted(context().submit(MARKET_CHECK, asked))


@api.post("/covariances/intraday", responses={202: models.JobAnswer})
def make_covariance(body: CovarianceBody) -> Response:
    """Queue a covariance of intraday levels, stored under a name as one that is brought in; the answer is the job."""
    return accepted(context().submit(COVARIANCE, body.model_dump(mode="json")))
