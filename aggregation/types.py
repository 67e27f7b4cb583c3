"""Questions and answers of the reduce step."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from aggregation.answer import Answer, shown
from lake.dates import Day, day
from lake.errors import OBJECT_TAG, TEXT_TAG, BadInput
from lake.landing.numbers import MOST
from valuation.types import Currency as Currency

Model = TypeVar("Model", bound=BaseModel)

CoverageStatus = Literal["complete", "with substitutes", "partial", "invalid"]
Tail = Literal["loss", "gain"]
Translation = Literal["scenario", "spot"]


def _decimal_text(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


_LEVEL_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^0?\.[0-9]{0,9}[1-9][0-9]{0,9}$"},
        {"type": "number", "minimum": 0.0001, "exclusiveMaximum": 1},
    ]
}
# a number is kept as the shortest text that reads back to it: 0.99 stays 0.99
Level = Annotated[str, BeforeValidator(_decimal_text), WithJsonSchema(_LEVEL_SCHEMA, mode="validation")]


_CONDITION = re.compile(r"([^=!~<>]+)(!=|=|!~|~|>=|<=|>|<)(.*)", re.DOTALL)
_BOUND_OF = {">=": "at_least", "<=": "at_most", ">": "above", "<": "below"}


def whole(value: Any) -> Any:
    """A float that is a whole number as an integer: JSON has one kind of number, and 10.0 is an integer there."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# limits stand before the validator in Annotated, or they are lost to the schema
Whole = Annotated[int, BeforeValidator(whole)]
AtLeastOne = Annotated[int, Field(ge=1), BeforeValidator(whole)]
LABEL = "a text that may hold commas, such as a scenario"
Label = Annotated[str, LABEL]
# one of DIMENSIONS, a level of a hierarchy, or an attribute
DimensionName = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^([a-z][a-z0-9_]{0,63}|attribute\..+)$"})]


NAMES: dict[str, Collection[str]] = {}  # of measures and estimators; each dictionary enters itself


@dataclass(frozen=True)
class _OneOf:
    """Lists the names of a dictionary in the schema; an unknown one is refused where it is used, with the nearest."""

    names: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "enum": list(NAMES[self.names])}


MeasureName = Annotated[str, _OneOf("measures")]
EstimatorName = Annotated[str, _OneOf("estimators")]


@dataclass(frozen=True)
class TextForm:
    """For a model that may also be given as a text: `parse` reads it, `pattern` says what it looks like."""

    parse: Callable[[str], Any]
    pattern: str

    def __call__(self, value: Any) -> Any:
        try:
            return self.parse(value) if isinstance(value, str) else value
        except BadInput as error:
            raise ValueError(error.message) from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


def or_text(model: Any, parse: Callable[[str], Any], pattern: str) -> Any:
    """The model, or a text that `parse` makes one of."""
    form = TextForm(parse, pattern)
    text = Annotated[str, AfterValidator(form), WithJsonSchema(form.schema()), Tag(TEXT_TAG)]
    kind = Discriminator(lambda value: TEXT_TAG if isinstance(value, str) else OBJECT_TAG)
    return Annotated[Annotated[model, Tag(OBJECT_TAG)] | text, kind, form]


# a loss in the reporting currency; a gain is a negative one
Threshold = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]
REFERENCE = r"^[\w.:-]{1,80}(@[0-9]{1,9})?$"  # a branch, or a version of one
Amount = Annotated[float, Field(allow_inf_nan=False, ge=-MOST, le=MOST)]


def as_model(model: type[Model], wider: BaseModel) -> Model:
    """The question of `model` within a wider one that has all of its fields."""
    return model(**{name: getattr(wider, name) for name in model.model_fields})


class Filter(BaseModel):
    """Keeps the positions whose member of `dimension` meets one condition, or those that fail it with `exclude`.

    The condition is one of: `values`, where null is the empty member; `patterns`; or bounds, by number, date or text as
    `aggregation.book.filters` says. Upper and lower case differ everywhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: str
    values: tuple[str | None, ...] = Field((), description="members; null for positions without one")
    patterns: tuple[str, ...] = Field((), description="texts in which * is any run of characters and ? any one")
    at_least: str | None = Field(None, description="least member, itself included")
    at_most: str | None = Field(None, description="greatest member, itself included")
    above: str | None = Field(None, description="members greater than this")
    below: str | None = Field(None, description="members less than this")
    exclude: bool = Field(False, description="keep what fails the condition instead")

    @property
    def bounds(self) -> dict[str, str]:
        """The bounds given, by name."""
        names = _BOUND_OF.values()
        return {name: bound for name in names if (bound := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if sum(map(bool, (self.values, self.patterns, self.bounds))) != 1:
            raise ValueError("give either values, or patterns, or bounds (at_least, at_most, above, below)")
        return self

    @classmethod
    def parse(cls, text: str) -> Filter:
        """A filter from text.

        `desk=Rates,FX` (one of), `desk!=Rates` (none of), `book~Rates*,FX-?` (matches), `book!~Rates*`,
        `attribute.score>=3` (also > <= <), `attribute.maturity=2024-01-01..2026-12-31` (from, to; either may be left out),
        `attribute.rating=` (has none), `attribute.rating!=` (has one).
        """
        found = _CONDITION.fullmatch(text)
        dimension, operator, right = (part.strip() for part in found.groups()) if found else ("", "", "")
        members = tuple(v.strip() for v in right.split(",") if v.strip())
        given: dict[str, Any] = {}
        if operator in _BOUND_OF:
            given = {_BOUND_OF[operator]: right} if right else {}
        elif operator.endswith("~"):
            given = {"patterns": members} if members else {}
        elif right.count("..") == 1 and len(members) == 1:
            least, most = (bound.strip() or None for bound in right.split(".."))
            given = {"at_least": least, "at_most": most} if least or most else {}
        elif members or not right:
            given = {"values": members or (None,)}
        if not dimension or not given:
            raise BadInput(
                f"The filter {text!r} was given; expected dimension=member[,member...], dimension!=member, dimension~pattern, "
                "dimension>=bound or dimension=from..to."
            )
        return cls(dimension=dimension, exclude=operator.startswith("!"), **given)

    def __str__(self) -> str:
        """The filter as text."""
        no = "!" * self.exclude
        if self.patterns:
            return f"{self.dimension}{no}~{','.join(self.patterns)}"
        if self.values:
            return f"{self.dimension}{no}={','.join(v or '' for v in self.values)}"
        bounds = self.bounds
        if bounds.keys() <= {"at_least", "at_most"} and (self.exclude or len(bounds) == 2):
            return f"{self.dimension}{no}={bounds.get('at_least', '')}..{bounds.get('at_most', '')}"
        shown = " and ".join(f"{self.dimension}{o}{bounds[name]}" for o, name in _BOUND_OF.items() if name in bounds)
        return f"not ({shown})" if self.exclude else shown


if TYPE_CHECKING:
    Condition = Filter
else:
    Condition = or_text(Filter, Filter.parse, "^[^=!~<>]+(!?=.*|(!?~|[<>]=?).+)$")


def _known(told: str) -> str:
    from lake.versions import check_known  # noqa: PLC0415 - with Delta's logs, which most questions need not

    return check_known(told)


Known = Annotated[str, AfterValidator(_known)]
KNOWN: Any = Field(
    None,
    exclude_if=lambda told: told is None,
    description="answer from what was known then: an instant with its zone, such as 2020-03-20T18:00Z, or versions of tables, "
    "such as market_data@3,positions@5; default what is known now",
)


class AsKnown(BaseModel):
    """What was known of the lake where a question is answered; default what is known now."""

    as_known: Known | None = KNOWN


class Positions(AsKnown):
    """Whose positions, grouped by what, in which currency."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    by: tuple[DimensionName, ...] = Field(
        (), max_length=16, description="dimensions to group by, outermost first; empty for the total alone"
    )
    where: tuple[Condition, ...] = Field(
        (), description="filters, such as desk=Rates,FX or book!=B1, all of which must hold"
    )
    currency: Currency = Field(
        "USD", description="reporting currency, ISO 4217, such as USD; where none is given, that of the lake's standard"
    )


class Translated(Positions):
    """Whose P&L under chosen scenarios, and whether it holds the translation of values in other currencies."""

    translation: Translation = Field(
        "scenario",
        description="exchange rates of the P&L: scenario, the value at the scenario's less the value at the base's; or spot, P&L at "
        "the base's alone, without translation of the value",
    )


class Point(BaseModel):
    """A day: its valuation, market, book and scenarios."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    as_of: Day = Field(description="valuation date; also the date of market and positions unless those are given")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    market_date: Day | None = Field(None, description="date of the base market, when not as_of")
    scenario_set: str | None = Field(
        None, description="scenario set name or id; default the standard of the lake or desk"
    )
    valuation_set: str | None = Field(None, description="valuation set id; default the newest that fits")
    branch: str | None = Field(
        None,
        pattern=REFERENCE,
        description="branch in place of a book: NAME, or NAME@2 for a version",
    )
    as_known: Known | None = KNOWN


def _point(text: str) -> Point:
    return Point(as_of=day(text))


if TYPE_CHECKING:
    PointOrDay = Point
else:
    PointOrDay = or_text(Point, _point, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class Scope(Positions, Point):
    """What a question is about: whose positions, of which day, in which market, under which scenarios, in which currency."""


class Figures(BaseModel):
    """How risk is measured.

    Levels are decimal texts or numbers such as 0.99; they are read exactly (`aggregation.kernels.estimators.exact_level`).
    """

    measures: tuple[MeasureName, ...] = Field(
        ("var",), min_length=1, max_length=32, description="measures, see /measures"
    )
    levels: tuple[Level, ...] = Field(
        ("0.99",), min_length=1, max_length=32, description="confidence levels, fractions such as 0.99"
    )
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    tail: Tail = Field("loss", description="the tail that is measured: loss, or gain, which is the measure of -P&L")
    thresholds: tuple[Threshold, ...] = Field(
        (), max_length=32, description="losses whose exceedance probability is asked for"
    )
    pnl_decay: Level = Field(
        "0.94",
        description="decay a day of the P&L's own volatility, exponentially weighted, to which the own-volatility measures scale it",
    )
    tail_share: Level = Field(
        "0.1", description="share of the scenarios, the worst ones, that the generalised Pareto measures are fitted to"
    )
    scale_to_days: Annotated[int, Field(ge=1, le=250), BeforeValidator(whole)] | None = Field(
        None, description="scale to this horizon by the square root of time; default the scenarios' own"
    )
    interval: Level | None = Field(
        None, description="confidence of a sampling interval beside every figure, such as 0.95; default none"
    )


# the measures of a question that shows both where nothing is said
VAR_AND_ES: Any = Field(
    ("var", "es"), min_length=1, max_length=32, description=Figures.model_fields["measures"].description
)


class RiskQuery(Figures, Scope):
    """One question: whose risk, on which day, measured how. Everything but the date has a stated default."""


class OneFigure(BaseModel):
    """One measure at one level."""

    measure: Literal["var", "es"] = Field("var", description="var or es")
    level: Level = Field("0.99", description="confidence level, a fraction such as 0.99")


class TwoPoints(Figures, Positions):
    """The same question at two points, which may differ in dates, sets and branch."""

    from_: PointOrDay = Field(alias="from", description="the first point, which is subtracted: a date, or a point")
    to: PointOrDay = Field(description="the second point: a date, or a point")
    scenario_set: str | None = Field(None, description="scenario set of both points, where a point names none")

    def points(self) -> tuple[RiskQuery, RiskQuery]:
        """The question at either point."""
        asked = {name: getattr(self, name) for name in (*Positions.model_fields, *Figures.model_fields)}
        one, two = (
            RiskQuery(
                **{
                    **asked,
                    **dict(point),
                    "scenario_set": point.scenario_set or self.scenario_set,
                    "as_known": point.as_known or self.as_known,
                }
            )
            for point in (self.from_, self.to)
        )
        return one, two

    @model_validator(mode="after")
    def _known_once(self) -> Self:
        if self.as_known and (self.from_.as_known or self.to.as_known):
            raise ValueError("give as_known for both points, or for either point, not both")
        return self


@dataclass(frozen=True)
class Coverage(Answer):
    """How much of the positions a number rests on.

    substituted : of the covered, those on market data held from an earlier day or moved by a proxy; None where not known.
    status : complete, with substitutes (all covered, some substituted), partial or invalid (nothing covered).
    """

    positions: int
    covered: int
    failed: int
    missing: int
    substituted: int | None = None

    @property
    @shown("status")
    def status(self) -> CoverageStatus:
        if self.covered == self.positions:
            return "with substitutes" if self.substituted else "complete"
        return "partial" if self.covered else "invalid"


@dataclass(frozen=True)
class Measure:
    """An entry of MEASURES. `function(pnl, level, weights, estimator)` maps (n_groups, n_scenarios) to (n_groups,).

    `tail_weights`, of the same parameters, gives w of shape (n_groups, n_scenarios) with measure = -sum_s w_s P&L_s, by
    which the measure splits into parts that add up; None where there are no such weights. of_tail : it is of one tail, and
    with the gain tail is that of -P&L. scales : it grows with the square root of time. of_money : it is an amount at risk, which has a
    diversification.
    needs_threshold : the parameter `level` holds a loss in the currency. reading(n, level, weighted, estimator) : how it reads
    ranked scenarios (`tail.RankReading`), where it does. sampled : resampling the scenarios tells its sampling error. Ask
    through `measures.asked_measures`. counts : it depends on how many scenarios there are, so that one drawn twice is two of them
    and not one of twice the weight. fits_tail : its function takes the `share` of the scenarios that a tail is fitted to.
    scaling(pnl, decay) : what each P&L is multiplied by before it is measured; scenarios must be days in order. undefined : where
    it is NaN.
    """

    name: str
    meaning: str
    unit: str
    source: str
    needs_level: bool
    additive: bool
    function: Any
    tail_weights: Any = None
    of_tail: bool = False
    scales: bool = False
    of_money: bool = True
    needs_threshold: bool = False
    reading: Any = None
    sampled: bool = True
    counts: bool = False
    fits_tail: bool = False
    scaling: Any = None
    undefined: str = "the P&L does not vary"


@dataclass(frozen=True)
class Dimension:
    """An entry of DIMENSIONS: `column` of the positions table, and what it means."""

    name: str
    column: str
    meaning: str


class TableQuery(RiskQuery):
    """A question, and how the rows of its answer are laid out."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES
    subtotals: bool = Field(False, description="also a row for every prefix of by, the outermost first")
    sort: tuple[str, ...] = Field(
        (), max_length=16, description="columns to sort by, -column for descending; default the members"
    )
    limit: AtLeastOne | None = Field(None, description="rows shown, of each parent with subtotals; the rest is one row")
    bounds: bool = Field(
        False, description="also what failed and missing contracts could do to the figures of each row"
    )
    whole_firm: bool = Field(
        False,
        exclude_if=lambda asked: not asked,
        description="the total of everything held, for whoever sees a part of the book and is granted firm totals",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        parts = [n for n in ("by", "where", "branch", "valuation_set", "bounds", "as_known") if getattr(self, n)]
        if self.whole_firm and parts:
            raise ValueError(f"the total of the whole firm has no {' and no '.join(parts)}; ask one or the other")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked for beyond the rows themselves."""
        return not (self.subtotals or self.sort or self.limit or self.bounds)

    def plain(self) -> RiskQuery:
        """The question alone."""
        return as_model(RiskQuery, self)


@dataclass(frozen=True)
class RiskResult(Answer):
    """An answer. `rows` has one row a group, sorted by group: the `by` columns, positions, covered, failed, missing,
    substituted, status, base_value and one column a measure and level (`var_0.99`). `total` has the same columns for all groups
    together, which is the one row when `by` is empty, and else `<measure>_standalone_sum` and
    `<measure>_diversification` (sum of the groups minus the total) beside them.
    `receipt` names every input: valuation set, scenario set, dates, counts, estimator, versions, digests.
    """

    query: RiskQuery | TableQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()
