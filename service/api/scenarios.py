"""Scenario sets made, looked at, checked, compared and carried out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import pyarrow as pa
from flask import Response, g
from pydantic import ConfigDict, Field, RootModel, model_validator

from aggregation.types import Whole
from lake.dates import Day
from lake.errors import validated
from scenarios.compare_sets import scenario_diff
from scenarios.plausibility.plausibility import Plausibility, PlausibilityRules, score
from scenarios.requests import ScenarioSetRequest, check_scenario_request
from scenarios.stress import forms
from scenarios.stress.bespoke import WRITERS, bespoke_document, check_bespoke, complete_bespoke
from scenarios.stress.generate import StressDefinition, generate
from scenarios.stress.language import MAX_TEXT
from scenarios.stress.preview import Preview
from scenarios.stress.preview import preview as preview_of
from service.api import data, models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, TableParameters
from service.api.responses import json_answer, offers, page_answer, tabular, text_answer
from service.api.valuations import accepted
from service.jobs import SCENARIO_SET

api = blueprint("scenarios", __name__, __doc__)


class ScenarioSetBody(Body, ScenarioSetRequest):
    """A scenario set to make and store."""

    model_config = ConfigDict(title="ScenarioSetRequest")


# beside the GET of the same path: the framework keeps the methods of a path only within one blueprint
@data.api.post("/scenario-sets", responses={202: models.JobAnswer})
def make_scenario_set(body: ScenarioSetBody) -> Response:
    """Queue the making of a scenario set; the answer is its job. A set that is stored already is stored once.

    Of the recipe everything that needs no market is checked at once.
    """
    check_scenario_request(body.as_of, body)
    return accepted(context().submit(SCENARIO_SET, body.model_dump(mode="json")))


_FORMS = ("text", "document", "csv")


class BespokeBody(Body):
    """A bespoke scenario in one of its three forms, on the market of a day."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"oneOf": [{"required": [form]} for form in _FORMS]}
    )

    as_of: Day = Field(description="market date")
    text: str = Field("", description="the scenario in the stress language")
    document: dict[str, Any] = Field(default_factory=dict, description="the same as a JSON document")
    csv: str = Field("", description="the same as CSV, a row a step")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [form for form in _FORMS if form in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(_FORMS)}; given {', '.join(given) or 'none'}")
        return self

    def definition(self) -> StressDefinition:
        """Raises `BadInput` with every fault of the form; a text is read later."""
        if "text" in self.model_fields_set:
            return StressDefinition(market_date=self.as_of, text=self.text)
        read = forms.from_csv(self.csv) if "csv" in self.model_fields_set else forms.from_json(self.document)
        return StressDefinition(market_date=self.as_of, document=read)


class PreviewBody(BespokeBody):
    """A bespoke scenario in one of its three forms, and whether to score it."""

    plausibility: bool = Field(False, description="also score each scenario: how far, how rare, the nearest past days")
    law: dict[str, Any] = Field(
        default_factory=dict,
        description="covariance, window and the other parameters of the return distribution it is scored by",
    )


@dataclass(frozen=True)
class ScoredPreview(Preview):
    """A preview with the score of each scenario shown; null where none was asked for."""

    plausibility: tuple[Plausibility, ...] | None


class PreviewAnswer(RootModel[ScoredPreview]):
    """What a scenario does: every risk factor before and after, curves, crosses, assertions, warnings."""


@api.post("/scenario-sets/preview", responses={200: PreviewAnswer})
def preview(body: PreviewBody) -> Response:
    """What a bespoke scenario does to every risk factor, before it is stored; the first 20 scenarios of several."""
    snapshot, definition = context().lake.snapshot(), body.definition()
    shown = preview_of(snapshot, definition, "preview")
    scores = None
    if body.plausibility:
        rules = validated(PlausibilityRules, {**body.law, "market_date": body.as_of}, "return distribution")
        labels = [s.label for s in shown.scenarios]
        scores = [s.to_dict() for s in score(snapshot, generate(snapshot, definition, "preview"), rules, labels)]
    return json_answer({**shown.to_dict(), "plausibility": scores})


class CheckAnswer(models.Answer):
    ok: bool = Field(description="no faults, and every assertion holds")
    faults: list[models.Fault] = Field(description="why the scenario cannot be used, each with its place")
    failed: list[str] = Field(description="assertions that do not hold")
    warnings: list[models.Fault] = Field(description="what looks wrong and may be meant")


@api.post("/scenario-sets/check", responses={200: CheckAnswer})
def check_scenario(body: BespokeBody) -> Response:
    """Everything that is wrong with a bespoke scenario, at once; a faulty one is answered with 200 and ok false."""
    given = body.model_fields_set
    form, content = (
        ("text", body.text) if "text" in given else ("csv", body.csv) if "csv" in given else ("json", body.document)
    )
    report = check_bespoke(context().lake.snapshot(), body.as_of, form, content)
    return json_answer({"ok": report.ok, **asdict(report)})


class CompletionBody(Body):
    """A text in the stress language that is being written, on the market of a day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="market date")
    text: str = Field(max_length=MAX_TEXT, description="the scenario, as far as it is written")
    at: Whole = Field(ge=0, description="where it is written: characters before the cursor")


class ProposalRow(models.Answer):
    text: str
    meaning: str


class CompletionAnswer(models.Answer):
    start: int = Field(description="a proposal takes the place of the characters from here")
    end: int = Field(description="to here")
    proposals: list[ProposalRow]
    more: int = Field(description="proposals that are not shown")


@api.post("/scenario-sets/complete", responses={200: CompletionAnswer})
def complete_scenario(body: CompletionBody) -> Response:
    """What may stand at the cursor of a bespoke scenario: classes, properties and names of the market, units, shapes."""
    at = min(body.at, len(body.text))
    return json_answer(asdict(complete_bespoke(context().lake.snapshot(), body.as_of, body.text, at)))


class DiffParameters(TableParameters):
    one: str = Field(description="name or id of a scenario set")
    two: str = Field(description="name or id of another")
    market_date: Day | None = Field(
        None, description="market date of the sets, where names are given; default the latest"
    )


class DiffRow(models.Answer):
    """A risk factor whose base or levels differ, with the scenario in which they differ most."""

    risk_factor: str
    difference: str = Field(description="levels, base and levels, or the set that alone has the factor")
    base_1: float | None
    base_2: float | None
    scenario: str | None = Field(description="label in the first set")
    level_1: float | None
    level_2: float | None


_DIFF = pa.schema(
    [(n, pa.string() if n in ("risk_factor", "difference", "scenario") else pa.float64()) for n in DiffRow.model_fields]
)
Diff = models.page_model("ScenarioSetDiff", DiffRow)


@api.get("/scenario-sets/diff", responses={200: Diff})
@tabular
def diff(query: DiffParameters) -> Response:
    """The risk factors in which two stored sets differ, with the largest difference of each."""
    rows = scenario_diff(context().lake.snapshot(), query.one, query.two, query.market_date)
    return page_answer(pa.Table.from_pylist(rows, schema=_DIFF), "scenario-sets-diff")


class ExportParameters(data.ScenarioSetParameters):
    format: Literal["text", "json", "csv"] | None = Field(
        None, description="form of the scenario; wins over the Accept header; default text"
    )


@api.get("/scenario-sets/<set_id>/export", responses={200: RootModel[dict[str, Any]]})
@offers(*WRITERS)
def export(path: data.SetPath, query: ExportParameters) -> Response:
    """A bespoke scenario as text, JSON or CSV; the three carry the same."""
    name, document = bespoke_document(context().lake.snapshot(), path.set_id, query.market_date)
    return text_answer(WRITERS[g.format](document), name=name)
