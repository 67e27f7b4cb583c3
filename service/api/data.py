"""What the lake holds: risk factors, scenario sets, valuation sets, positions."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from flask import Response
from pydantic import ConfigDict, Field

from aggregation.answer import plain
from aggregation.book.filters import page_of_positions
from aggregation.dimensions import dimensions_of
from aggregation.opened.valuation_choice import answered_days
from lake.dates import Day
from lake.errors import NotFound, unknown
from lake.schemas import CORPORATE_ACTIONS, HIERARCHIES, VALUATION_SETS
from lake.tables import Lake, Snapshot
from scenarios.market.ranges import ranges_by_source
from scenarios.store import find_scenario_set, list_scenario_sets
from scenarios.types import RiskClass
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.paging import PageParameters, cut_page, encode_cursor, pinned, start_of_page
from service.api.requests import Body, FilterText, Parameters, TableParameters
from service.api.responses import json_answer, page_answer, tabular
from service.api.valuations import accepted
from service.encoding import to_rows
from service.jobs import NETTING
from valuation.books.orders import NettingRequest, check_netting
from valuation.books.trade_history import trade_history
from valuation.sets.store import find_sealed

api = blueprint("data", __name__, __doc__)
_VALUED_DAYS = pa.schema([VALUATION_SETS.schema.field(name) for name in models.ValuedDayRow.model_fields])


class RiskFactorParameters(PageParameters):
    risk_class: RiskClass | None = Field(None, description="only factors of this class")
    source: str | None = Field(None, description="only factors of this catalogue source")


class ScenarioSetParameters(Parameters):
    market_date: Day | None = Field(
        None, description="market date of the set, where a name is given; default the latest"
    )


class PositionsParameters(PageParameters):
    date: Day = Field(description="date of the book")
    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"
    )


class TradeHistoryParameters(Parameters):
    trade: str = Field(description="id of the trade")
    date: Day | None = Field(None, description="only in the book of this date")


class SetPath(Parameters):
    set_id: str = Field(description="id of the set; of a scenario set also its name")


@api.get("/risk-factors", responses={200: models.RiskFactors})
@tabular
def risk_factors(query: RiskFactorParameters) -> Response:
    """The risk factors, by id."""
    lake = context().lake
    version, after = start_of_page(lake, "risk_factors", query.cursor)
    where = ds.scalar(True)
    if query.risk_class is not None:
        where &= ds.field("risk_class") == query.risk_class.value
    if query.source is not None:
        where &= ds.field("source") == query.source
    rows = lake.read("risk_factors", where=where, version=version)
    page, following = cut_page(rows, "risk_factor_id", query.limit, version, after)
    return page_answer(page, "risk-factors", following)


@api.get("/positions/history", responses={200: models.TradeHistory})
def positions_history(query: TradeHistoryParameters) -> Response:
    """The versions of a trade: when it was loaded, from which file, what changed."""
    return json_answer(plain(trade_history(context().lake, query.trade, query.date)))


@api.get("/scenario-sets", responses={200: models.ScenarioSets})
@tabular
def scenario_sets(query: TableParameters) -> Response:
    """The scenario sets, oldest first."""
    return page_answer(list_scenario_sets(context().lake, models.SCENARIO_SET_COLUMNS), "scenario-sets")


@api.get("/scenario-sets/<set_id>", responses={200: models.ScenarioSetAnswer})
def scenario_set(path: SetPath, query: ScenarioSetParameters) -> Response:
    """A scenario set: its recipe, its labels, what was excluded, held and dropped, and why."""
    lake = context().lake
    found = find_scenario_set(lake, path.set_id, query.market_date)
    same = (ds.field("scenario_set_id") == found.scenario_set_id) & (ds.field("name") == found.name)
    row = to_rows(lake.read("scenario_sets", where=same))[0]
    return json_answer({**row, "definition": json.loads(row["definition"])})


@api.get("/valuation-sets", responses={200: models.ValuationSets})
@tabular
def valuation_sets(query: TableParameters) -> Response:
    """The sealed valuation sets, oldest first."""
    return page_answer(context().lake.read("valuation_sets").sort_by("sealed_at"), "valuation-sets")


@api.get("/valuation-sets/<set_id>", responses={200: models.ValuationSetAnswer})
def valuation_set(path: SetPath, query: Parameters) -> Response:
    """The seal of a valuation set: its coordinates, inputs, counts and cost."""
    lake = context().lake
    seal = find_sealed(lake, path.set_id)
    if seal is None:
        raise _no_valuation_set(lake, path.set_id)
    return json_answer(seal.to_dict())


@api.get("/valuation-sets/<set_id>/failures", responses={200: models.ValuationFailures})
@tabular
def valuation_failures(path: SetPath, query: PageParameters) -> Response:
    """The contracts that could not be valued, each with the reason."""
    lake = context().lake
    if find_sealed(lake, path.set_id) is None:
        raise _no_valuation_set(lake, path.set_id)
    version, after = start_of_page(lake, "valuation_failures", query.cursor)
    rows = lake.read("valuation_failures", version=version, among={"valuation_set_id": [path.set_id]})
    page, following = cut_page(rows, "contract_id", query.limit, pinned(lake, "valuation_failures", version), after)
    return page_answer(page, "valuation-failures", following)


def _no_valuation_set(lake: Lake, set_id: str) -> Exception:
    sealed = lake.read("valuation_sets", ["valuation_set_id"])["valuation_set_id"].to_pylist()
    return unknown("valuation set", set_id, sealed, pointer="/set_id", error=NotFound)


class ValuedDaysParameters(TableParameters):
    scenario_set: str | None = Field(None, description="scenario set name or id; default the standard of the lake")


@api.get("/valuation-sets/days", responses={200: models.ValuedDays})
@tabular
def valued_days(query: ValuedDaysParameters) -> Response:
    """The valuation dates that a question of these scenarios is answered on, newest first, each with the set that answers."""
    here = context()
    known = here.cache.known(here.lake.snapshot("valuation_sets", "scenario_sets", "standards"))
    rows = [
        {c: getattr(s, c) for c in models.ValuedDayRow.model_fields} for s in answered_days(known, query.scenario_set)
    ]
    return page_answer(pa.Table.from_pylist(rows, _VALUED_DAYS), "valued-days")


@api.get("/market-data/ranges", responses={200: models.MarketRanges})
@tabular
def market_ranges(query: TableParameters) -> Response:
    """What market data there is, by source: its dates, its risk factors, and how many values are not used."""
    return page_answer(ranges_by_source(context().lake), "market-data")


@api.get("/positions/dates", responses={200: models.PositionsDates})
@tabular
def positions_dates(query: TableParameters) -> Response:
    """The dates that hold a book, each with its number of positions."""
    days = context().lake.read("positions", ["positions_date"])["positions_date"]
    counts = pc.value_counts(days)
    table = pa.table({"positions_date": counts.field("values"), "positions": counts.field("counts")})
    return page_answer(table.sort_by("positions_date"), "positions-dates")


@api.get("/positions", responses={200: models.Positions})
@tabular
def positions(query: PositionsParameters) -> Response:
    """The positions of a date, by trade; filtered as a risk query is, and with the same columns to filter by."""
    here = context()
    version, after = start_of_page(here.lake, "positions", query.cursor)
    book = here.cache.book(Snapshot(here.lake, {"positions": version}), query.date)
    table, more = page_of_positions(book, query.where, after, query.limit)
    told = pinned(here.lake, "positions", version)
    following = encode_cursor(told, table["trade"][-1].as_py()) if more else None
    return page_answer(table, f"positions-{query.date}", following)


class DateParameters(TableParameters):
    as_of: Day = Field(description="positions date")


class BookDimensionRow(models.Answer):
    dimension: str
    members: int = Field(description="members it has on that date, the empty one counted")
    meaning: str


BookDimensions = models.page_model("BookDimensions", BookDimensionRow)
Hierarchies = models.page_model("Hierarchies", models.row_model("HierarchyRow", HIERARCHIES))


@api.get("/dimensions/of-date", responses={200: BookDimensions})
@tabular
def dimensions_of_date(query: DateParameters) -> Response:
    """What the book of a date can be grouped and filtered by: dimensions, attributes, levels of hierarchies."""
    here = context()
    book = here.cache.book(here.lake.snapshot("positions", "hierarchies"), query.as_of)
    return page_answer(pa.Table.from_pylist(dimensions_of(book.columns)), f"dimensions-{query.as_of}")


@api.get("/hierarchies", responses={200: Hierarchies})
@tabular
def hierarchies(query: TableParameters) -> Response:
    """The parents of every level of every hierarchy, with the dates on which they hold."""
    keys = [(k, "ascending") for k in HIERARCHIES.key]
    return page_answer(context().lake.read("hierarchies").sort_by(keys), "hierarchies")


CorporateActions = models.page_model("CorporateActions", models.row_model("CorporateActionRow", CORPORATE_ACTIONS))


@api.get("/corporate-actions", responses={200: CorporateActions})
@tabular
def corporate_actions(query: TableParameters) -> Response:
    """The corporate actions that history and books are adjusted for, by share and ex date."""
    keys = [(k, "ascending") for k in CORPORATE_ACTIONS.key]
    return page_answer(context().lake.read("corporate_actions").sort_by(keys), "corporate-actions")


class NettingBody(Body, NettingRequest):
    """Until which instant orders are netted, and to the positions of which date."""

    model_config = ConfigDict(title="NettingRequest")


@api.post("/positions/netted", responses={202: models.JobAnswer})
def net_positions(body: NettingBody) -> Response:
    """Queue the netting of all orders up to an instant to the positions of a date; the answer is the job."""
    here = context()
    check_netting(here.lake)
    return accepted(here.submit(NETTING, body.model_dump(mode="json")))
