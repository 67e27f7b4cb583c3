"""What the API answers: one model a shape. They are the OpenAPI document's schemas; the tests hold the answers to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, create_model

from lake.landing.mapping import FileMapping
from lake.landing.positions_changes import Action
from lake.schemas import (
    POSITIONS,
    RISK_FACTORS,
    SCENARIO_SETS,
    VALUATION_FAILURES,
    VALUATION_SETS,
    Table,
)
from scenarios.store import SUMMARY_COLUMNS
from service.api.described import Described
from service.jobs import State


class Answer(Described):
    """Base of answers: they hold exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class Fault(Answer):
    pointer: str = Field(description="where: a JSON pointer, a parameter, a column")
    message: str = Field(description="what is wrong and what is expected")
    value: str | None = Field(description="what stood there")
    allowed: list[str] = Field(description="what may stand there, nearest first")


class Problem(Answer):
    """Every failure, from a bad date to a missing table (RFC 9457)."""

    type: str = Field(description="urn:varlake:problem:<kind>, or about:blank where title says it all")
    title: str
    status: int
    detail: str = Field(description="what was given, what was expected, what to do")
    instance: str = Field(description="path of the request, or of the job that failed")
    error_id: str = Field(description="stands in the server's log beside this failure")
    errors: list[Fault]


class _Suggested(Answer):
    toml: str = Field(description="the same as a file, doubts first")
    doubts: list[str] = Field(description="what is not certain about it")
    rows: list[dict[str, str | None]] = Field(description="the first rows as they would load, by column")
    faults: list[dict[str, Any]] = Field(description="what would not load, and why")


class SuggestedMapping(_Suggested):
    """How a file seems to be mapped; nothing is stored."""

    mapping: FileMapping = Field(description="the mapping that is guessed")


class SuggestedCatalogue(_Suggested):
    """How market files seem to be described; nothing is stored."""

    catalogue: dict[str, Any] = Field(description="the catalogue that is guessed")


class TradeVersionRow(Answer):
    positions_date: dt.date
    version: int = Field(description="of the table positions")
    loaded_at: dt.datetime
    action: Action = Field(
        description="earliest where the trade is in the first version of its book that is still in the lake"
    )
    file: str | None = Field(description="what was loaded")
    mapping: str | None = Field(description="digest of the mapping it was read by")
    changed: dict[str, tuple[Any, Any]] = Field(description="by column, attribute or term, what it was and what it is")


class TradeHistory(Answer):
    trade: str
    versions: list[TradeVersionRow] = Field(description="by date of the book, the oldest version first")
    notes: list[str] = Field(description="on versions that are no longer in the lake")


POSITION_COLUMNS = tuple(c.name for c in POSITIONS.columns if c.name != "attributes")
_PLAIN: dict[pa.DataType, Any] = {
    pa.string(): str,
    pa.int32(): int,
    pa.int64(): int,
    pa.float64(): float,
    pa.bool_(): bool,
    pa.date32(): dt.date,
}


def _python_type(type: pa.DataType) -> Any:
    if pa.types.is_timestamp(type):
        return dt.datetime
    if pa.types.is_list(type):
        return list[_python_type(type.value_type)]  # type: ignore[misc]
    if pa.types.is_map(type):
        return dict[str, _python_type(type.item_type)]  # type: ignore[misc]
    return _PLAIN.get(type, Any)


def row_model(name: str, table: Table, columns: Sequence[str] | None = None, **more: Any) -> type[Answer]:
    """The shape of a row of a lake table; the columns' meanings are its descriptions."""
    wanted = [c for c in table.columns if columns is None or c.name in columns]
    fields: dict[str, Any] = {c.name: (_python_type(c.type) | None, Field(description=c.meaning)) for c in wanted}
    return create_model(name, __base__=Answer, __doc__=f"One row is {table.one_row}.", **{**fields, **more})


class Choices(Answer):
    """What a lake has for the parameters of questions."""

    dates: list[str] = Field(description="that hold a book, newest first")
    valued_dates: list[str] = Field(description="of these, those on which questions are answered")
    dimensions: list[str] = Field(description="of the newest book, attributes and levels too")
    scenario_sets: list[str] = Field(description="names of scenario sets")


def page_model(name: str, row: type[BaseModel]) -> type[Answer]:
    """A page of rows and where the next begins."""
    return create_model(
        name,
        __base__=Answer,
        rows=(list[row], Field(description="the rows")),  # type: ignore[valid-type]
        next_cursor=(str | None, Field(description="the parameter cursor of the next page; null on the last")),
    )


class ParameterRow(Answer):
    name: str
    type: str = Field(description="JSON type")
    required: bool
    default: str | None = Field(description="default as JSON text")
    description: str


class InstrumentRow(Answer):
    instrument_type: str
    description: str
    version: str
    terms: list[ParameterRow]


class DimensionRow(Answer):
    name: str
    column: str
    meaning: str


class MeasureRow(Answer):
    name: str
    meaning: str
    unit: str
    source: str
    needs_level: bool
    additive: bool


class EstimatorRow(Answer):
    name: str
    meaning: str


class ScenarioMethodRow(Answer):
    method: str
    meaning: str
    parameters: list[ParameterRow]


class PositionsDateRow(Answer):
    positions_date: dt.date
    positions: int


class PositionRow(row_model("PositionColumns", POSITIONS, POSITION_COLUMNS)):  # type: ignore[misc]
    """One row is a trade. Each attribute brought with the file is a further column attribute.<name>, as in a query."""

    model_config = ConfigDict(extra="allow")


class ParameterOfQuestion(Answer):
    name: str
    path: list[str] = Field(description="the keys of its value in the body of a request")
    kind: str = Field(description="flag, one value, several, labels (which may hold commas), pairs or objects")
    required: bool
    default: Any = None
    description: str
    type: str = Field(description="of one value, as JSON Schema names it")
    format: str | None = Field(description="of a text, as JSON Schema names it: date")
    choices: list[str] | None = Field(description="all that may stand there; null where that is not a short list")


class QuestionRow(Answer):
    name: str
    meaning: str
    group: str = Field(description="what it is about, as its code is arranged")
    parameters: list[ParameterOfQuestion]
    in_address: bool = Field(description="whether GET asks it")
    drawn: bool = Field(description="whether it comes as a picture")
    example: dict[str, Any] = Field(description="a question of the documentation, on the demo lake")


class AllQuestions(Answer):
    rows: list[QuestionRow]


class OptionOfIngest(ParameterOfQuestion):
    beside: bool = Field(description="whether it names a file of the request, or one that is kept")


class IngestRow(Answer):
    name: str
    meaning: str
    files: str = Field(description="what the files are")
    route: str = Field(description="where they are sent, below /api/v1")
    suggested: bool = Field(description="whether route/suggestion guesses how a file is read")
    kept: list[str] = Field(description="names that an option may give in place of a file of the request")
    options: list[OptionOfIngest] = Field(description="parameters of the address of the route")


class AllIngests(Answer):
    rows: list[IngestRow]


class ValuedDayRow(Answer):
    valuation_date: dt.date
    valuation_set_id: str = Field(description="the valuation set that answers")
    scenario_set_name: str
    scenario_count: int
    sealed_at: dt.datetime


class MarketRangeRow(Answer):
    source: str = Field(description="the catalogue source")
    factors: int = Field(description="risk factors with a value")
    first: dt.date
    last: dt.date = Field(description="the newest date with a value of any of its factors")
    values: int = Field(description="values received")
    not_used: int = Field(description="of these, held or marked missing")


Dimensions = page_model("Dimensions", DimensionRow)
Measures = page_model("Measures", MeasureRow)
Estimators = page_model("Estimators", EstimatorRow)
Instruments = page_model("Instruments", InstrumentRow)
ScenarioMethods = page_model("ScenarioMethods", ScenarioMethodRow)
RiskFactors = page_model("RiskFactors", row_model("RiskFactorRow", RISK_FACTORS))
# the recipe of a set is an object, and stands in the answer about one set only
SCENARIO_SET_COLUMNS = tuple(c for c in SUMMARY_COLUMNS if c != "definition")
ScenarioSets = page_model("ScenarioSets", row_model("ScenarioSetRow", SCENARIO_SETS, SCENARIO_SET_COLUMNS))
ScenarioSetAnswer = row_model(
    "ScenarioSet", SCENARIO_SETS, definition=(dict[str, Any], Field(description="the parameters it was made with"))
)
ValuationSetAnswer = row_model("ValuationSet", VALUATION_SETS)
ValuationSets = page_model("ValuationSets", ValuationSetAnswer)
ValuationFailures = page_model("ValuationFailures", row_model("ValuationFailureRow", VALUATION_FAILURES))
PositionsDates = page_model("PositionsDates", PositionsDateRow)
Positions = page_model("Positions", PositionRow)
ValuedDays = page_model("ValuedDays", ValuedDayRow)
MarketRanges = page_model("MarketRanges", MarketRangeRow)


class PlanCost(Answer):
    missing: int
    expected_core_seconds: float
    core_seconds_range: list[float]
    measured: bool


class ValuationPlanAnswer(Answer):
    """What a valuation would take."""

    valuation_set: str
    valuation_date: dt.date
    scenario_set: str
    scenario_set_name: str
    scenarios: int
    wanted: int = Field(description="contracts held = present + missing + cannot_be_valued")
    present: int = Field(description="contracts whose vectors the lake holds")
    missing: int = Field(description="contracts to be priced")
    cannot_be_valued: int = Field(description="contracts known to fail without pricing")
    expected_core_seconds: float = Field(description="of one core, for pricing alone")
    core_seconds_range: list[float] = Field(description="what that lies between: two figures")
    measured: bool = Field(description="earlier runs of that size on this lake say so; else shipped figures do")
    start_seconds: dict[str, list[float]] = Field(
        description="between what a new process takes before it prices: to load kernels, and to start Spark where it is used"
    )
    by_instrument_type: dict[str, PlanCost]
    already_sealed: bool = Field(description="true when this very valuation set is complete")
    dropped_days: dict[str, str] = Field(description="days that are no scenario, with what they lack")
    excluded_factors: dict[str, str] = Field(description="risk factors that are not in the scenarios, with the reason")


class Progress(Answer):
    stage: str | None
    done: int
    total: int


class ProposalDetails(Answer):
    """What a job that another has to approve says beside its request, and what became of it."""

    proposer: str = Field(description="who may not approve it")
    against: dict[str, Any] = Field(description="what it was to change, as it was then")
    expires_at: dt.datetime
    decided_by: str | None = Field(description="who approved, rejected or withdrew it")
    decided_at: dt.datetime | None
    reason: str | None


class JobAnswer(Answer):
    job_id: str
    actor: str = Field(description="who asked for it; local where there are no users")
    kind: str
    state: State
    cancel_requested: bool
    attempts: int
    progress: Progress
    request: dict[str, Any]
    result: dict[str, Any] | None = Field(
        description="once done: the seal of the valuation set, what names the scenario set made, the reports of files"
    )
    problem: Problem | None = Field(description="why it failed")
    proposal: ProposalDetails | None = Field(
        description="of a job that another has to approve; null where nobody has to"
    )
    submitted_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


Jobs = page_model("Jobs", JobAnswer)


class EngineHealth(Answer):
    alive: bool
    process: int | None
    started_at: dt.datetime | None
    heartbeat_at: dt.datetime | None


class Health(Answer):
    status: Literal["ok", "no engine", "no writing"] = Field(
        description="no engine: queries are answered, valuations wait; no writing: they are answered, nothing can be stored"
    )
    notes: list[str] = Field(description="what is wrong with the disk and the job table, and what to do")
    lake: str = Field(description="folder of the lake")
    tables: dict[str, int] = Field(description="version of each table; -1 when never written")
    engine: EngineHealth
    versions: dict[str, str]
