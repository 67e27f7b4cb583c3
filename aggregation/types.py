"""Questions and answers of the reduce step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lake.dates import Day
from lake.errors import BadInput

CoverageStatus = Literal["complete", "partial", "invalid"]


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


class Filter(BaseModel):
    """Keeps the positions whose `dimension` is one of `values`, or none of them with `exclude`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: str
    values: tuple[str, ...] = Field(min_length=1)
    exclude: bool = False

    @classmethod
    def parse(cls, text: str) -> Filter:
        """A filter from text: `desk=Rates`, `desk=Rates,FX` (one of), `desk!=Rates` (none of)."""
        dimension, operator, values = text.partition("=")
        exclude = dimension.endswith("!")
        members = tuple(v.strip() for v in values.split(",") if v.strip())
        dimension = dimension.removesuffix("!").strip()
        if not operator or not dimension or not members:
            raise BadInput(
                f"The filter {text!r} was given; expected dimension=member[,member...] or dimension!=member."
            )
        return cls(dimension=dimension, values=members, exclude=exclude)


class RiskQuery(BaseModel):
    """One question: whose risk, on which day, measured how. Everything but the date has a stated default.

    Levels are decimal texts or numbers such as 0.99; they are read exactly (`aggregation.tail.exact_level`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    by: tuple[str, ...] = Field((), description="dimensions to group by, outermost first; empty for the total alone")
    where: tuple[Filter, ...] = Field((), description="filters, all of which must hold")
    measures: tuple[str, ...] = Field(("var",), min_length=1, description="measures, see /measures")
    levels: tuple[Level, ...] = Field(("0.99",), min_length=1, description="confidence levels, fractions such as 0.99")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="reporting currency, ISO 4217")
    estimator: str = Field("order_statistic", description="how a quantile is read from the scenarios")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    scenario_set: str | None = Field(None, description="scenario set name or id; default the one last valued for as_of")
    valuation_set: str | None = Field(None, description="valuation set id; default the newest that fits")


@dataclass(frozen=True)
class Coverage:
    """How much of the positions a number rests on; `status` is complete, partial or invalid (nothing covered)."""

    positions: int
    covered: int
    failed: int
    missing: int

    @property
    def status(self) -> CoverageStatus:
        if self.covered == self.positions:
            return "complete"
        return "partial" if self.covered else "invalid"

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "status": self.status}


@dataclass(frozen=True)
class Measure:
    """An entry of MEASURES. `function(pnl, level, weights, estimator)` maps (n_groups, n_scenarios) to (n_groups,).

    `tail_weights`, of the same parameters, gives w of shape (n_groups, n_scenarios) with measure = -sum_s w_s P&L_s, by
    which the measure splits into parts that add up; None where there are no such weights.
    """

    name: str
    meaning: str
    unit: str
    source: str
    needs_level: bool
    additive: bool
    function: Any
    tail_weights: Any = None


@dataclass(frozen=True)
class Dimension:
    """An entry of DIMENSIONS: `column` of the positions table, and what it means."""

    name: str
    column: str
    meaning: str


@dataclass(frozen=True)
class RiskResult:
    """An answer. `rows` has one row a group, sorted by group: the `by` columns, positions, covered, failed, missing,
    status, base_value and one column a measure and level (`var_0.99`). `total` has the same columns for all groups
    together, which is the one row when `by` is empty, and else `<measure>_standalone_sum` and
    `<measure>_diversification` (sum of the groups minus the total) beside them.
    `receipt` names every input: valuation set, scenario set, dates, counts, estimator, versions, digests.
    """

    query: RiskQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "query": self.query.model_dump(mode="json"),
            "rows": self.rows.to_pylist(),
            "total": dict(self.total),
            "coverage": self.coverage.to_dict(),
            "receipt": dict(self.receipt),
            "notes": list(self.notes),
        }
