"""The typed form of the stress language: what text, JSON and CSV all become.

A document is a list of scenarios, a scenario a list of steps. The grammar has no nesting, so depth is bounded by these types;
the limits below bound length.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lake.errors import nearest
from scenarios.types import RiskClass, tenor_years

MAX_SCENARIOS = 10_000  # states of a document, grids written out
MAX_STEPS = 500  # in one scenario

CLASSES: dict[str, RiskClass | None] = {
    "equity": RiskClass.EQUITY,
    "rate": RiskClass.RATES,
    "fx": RiskClass.FX,
    "commodity": RiskClass.COMMODITY,
    "credit": RiskClass.CREDIT,
    "vol": RiskClass.VOLATILITY,
    "factor": None,  # any class
}
UNITS = {
    "%": "per cent of the level; in `=` and `assert` per cent a year",
    "bp": "basis points, 0.0001",
    "pt": "percentage or volatility points, 0.01",
    "points": "index points",
}
SHAPES = {
    "steepener": "the long end rises against the short end",
    "flattener": "the long end falls against the short end",
    "twist": "the two ends move in opposite directions",
    "bucket": "the named pillars move, all others stay",
    "interpolated": "linear in time between the named pillars, flat outside them",
}
COMPARISONS = ("<", "<=", ">", ">=")
BARE = "is"  # key of a filter written without one: fx[EURUSD]

Shape = Literal["steepener", "flattener", "twist", "bucket", "interpolated"]
_TENOR = re.compile(r"[0-9]{1,3}[DWMY]")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _number(value: float) -> float:
    if value != 0 and not 1e-9 <= abs(value) <= 1e12:
        raise ValueError(f"{value} is out of range: a number is zero or from 1e-9 to 1e12 in size")
    return value + 0.0  # minus zero becomes zero


def _unit(unit: str) -> str:
    if unit and unit not in UNITS and not _CURRENCY.fullmatch(unit):
        raise ValueError(f"unknown unit {unit!r}; expected {', '.join(UNITS)} or a currency such as USD")
    return unit


def _text(value: str) -> str:
    if not value.isprintable() or '"' in value or value != value.strip():
        raise ValueError("a name is printable, without quotation marks and without spaces around it")
    return value


def _scenario_name(value: str) -> str:
    # a name that starts like a formula would be run by a spreadsheet
    if not (value[0].isalnum() or value[0] == "_"):
        raise ValueError(f"{value!r}: a scenario name starts with a letter or digit")
    return value


def _value(value: str) -> str:
    if value[0] in "=+-@":
        raise ValueError(f"{value!r}: a value starts with none of = + - @")
    return value


def tenor_range(text: str) -> tuple[float, float]:
    """First and last time in years of a pillar (10Y) or a range of pillars (2Y..10Y); raises `ValueError`."""
    ends = text.split("..")
    if len(ends) > 2 or not all(_TENOR.fullmatch(e) for e in ends):
        raise ValueError(f"{text!r} is no pillar; expected a form like 6M or 10Y, or a range like 2Y..10Y")
    first, last = tenor_years(ends[0]), tenor_years(ends[-1])
    if first > last:
        raise ValueError(f"{text!r} runs backwards; write {ends[1]}..{ends[0]}")
    return first, last


Number = Annotated[float, AfterValidator(_number)]
Unit = Annotated[str, Field(max_length=6), AfterValidator(_unit)]
Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_text), AfterValidator(_scenario_name)]
Value = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_text), AfterValidator(_value)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class FactorFilter(_Part):
    """A condition on a property of risk factors; several values mean any of them."""

    key: str = Field(BARE, pattern=r"^[a-z_][a-z0-9_]{0,39}$", description="property: ccy, region, pillar, ...")
    values: tuple[Value, ...] = Field(min_length=1, max_length=200, description="values, with * and ? as wildcards")
    negate: bool = Field(False, description="true for !=")

    @model_validator(mode="after")
    def _pillars(self) -> Self:
        if self.key == "pillar":
            for value in self.values:
                tenor_range(value)
        return self


class Selector(_Part):
    """Risk factors of one class that satisfy every filter."""

    risk_class: str = Field(alias="class", description="equity, rate, fx, commodity, credit, vol or factor")
    where: tuple[FactorFilter, ...] = Field((), max_length=10, description="conditions that all must hold")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.risk_class not in CLASSES:
            close = ", ".join(nearest(self.risk_class, CLASSES))
            raise ValueError(f"unknown class {self.risk_class!r}; nearest valid: {close}")
        return self


class _Step(_Part):
    then: bool = Field(False, description="whether the step acts on the result of those before it, not beside them")


class _Move(_Step):
    select: Selector = Field(description="the risk factors moved")
    moving: str | None = Field(None, description="for a currency cross: the currency whose held pair moves")

    @model_validator(mode="after")
    def _only_fx(self) -> Self:
        if self.moving is not None and self.select.risk_class != "fx":
            raise ValueError("`moving` says which leg of a currency cross moves; it goes with fx only")
        if self.moving is not None and not _CURRENCY.fullmatch(self.moving):
            raise ValueError(f"{self.moving!r} after `moving` is no currency; expected a code such as USD")
        return self


class Shift(_Move):
    """Add an amount: -20% of the level, +100bp, +10pt, +5USD."""

    step: Literal["shift"] = "shift"
    value: Number
    unit: Unit
    shape: Literal["parallel"] | None = Field(None, description="parallel may be said for rates; it changes nothing")

    @model_validator(mode="after")
    def _has_unit(self) -> Self:
        if not self.unit:
            raise ValueError(f"an amount needs a unit: {', '.join(UNITS)} or a currency such as USD")
        if self.shape and self.select.risk_class != "rate":
            raise ValueError("parallel is a shape of curves; it goes with rate only")
        return self


class Multiply(_Move):
    """Multiply the level: x1.5."""

    step: Literal["multiply"] = "multiply"
    value: Number = Field(gt=0)


class Assign(_Move):
    """Set the level: = 0.95, = 2.5%."""

    step: Literal["set"] = "set"
    value: Number
    unit: Unit = ""


class Knot(_Part):
    """An amount at a pillar; for a bucket also at a range of pillars."""

    at: str = Field(max_length=9)
    value: Number


class Curve(_Step):
    """Move a curve by a shape: an amount at each named pillar."""

    step: Literal["curve"] = "curve"
    select: Selector
    shape: Shape
    knots: tuple[Knot, ...] = Field(min_length=1, max_length=60)
    unit: Literal["bp", "pt", "%"] = Field(description="unit of every amount of the shape")

    @model_validator(mode="after")
    def _formed(self) -> Self:
        if self.select.risk_class != "rate":
            raise ValueError(f"{self.shape} is a shape of curves; it goes with rate only")
        ends = [tenor_range(k.at) for k in self.knots]
        if self.shape != "bucket" and any(".." in k.at for k in self.knots):
            raise ValueError("ranges of pillars stand in a bucket only")
        for i in range(1, len(ends)):
            if ends[i][0] <= ends[i - 1][1]:
                raise ValueError(
                    f"pillars go from short to long, but {self.knots[i].at} follows {self.knots[i - 1].at}"
                )
        first, last = self.knots[0].value, self.knots[-1].value
        if self.shape in ("steepener", "flattener", "twist") and len(self.knots) < 2:
            raise ValueError(f"a {self.shape} needs the short and the long end")
        if self.shape == "steepener" and not last > first:
            raise ValueError("a steepener moves the long end up against the short end; here it does not")
        if self.shape == "flattener" and not last < first:
            raise ValueError("a flattener moves the long end down against the short end; here it does not")
        if self.shape == "twist" and not first * last < 0:
            raise ValueError("a twist moves the two ends in opposite directions; here it does not")
        return self


class Include(_Step):
    """The moves of another scenario, scaled: an earlier one of the document, or a stored set by name or id."""

    step: Literal["include"] = "include"
    name: Name
    label: Name | None = Field(None, description="which of the set's scenarios; needed when it has several")
    scale: Number = Field(1.0, description="what the moves are multiplied by; negative turns them round")


class Axis(_Part):
    """A ladder of amounts on the selected factors, both ends included."""

    select: Selector
    start: Number
    stop: Number
    increment: Number = Field(gt=0)
    unit: Unit

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.unit:
            raise ValueError(f"an axis needs a unit: {', '.join(UNITS)} or a currency such as USD")
        steps = (self.stop - self.start) / self.increment
        if steps < 0:
            raise ValueError(f"the axis runs from {self.start} down to {self.stop}; write the lower end first")
        if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
            raise ValueError(f"from {self.start} to {self.stop} is no whole number of steps of {self.increment}")
        if steps >= MAX_SCENARIOS:
            raise ValueError(f"the axis has {steps + 1:.0f} values; a document has at most {MAX_SCENARIOS} scenarios")
        return self

    @property
    def size(self) -> int:
        return round((self.stop - self.start) / self.increment) + 1


class Grid(_Step):
    """Every combination of the axes' values, each a scenario of its own; the first axis turns slowest."""

    step: Literal["grid"] = "grid"
    axes: tuple[Axis, ...] = Field(min_length=1, max_length=4)

    @property
    def size(self) -> int:
        n = 1
        for axis in self.axes:
            n *= axis.size
        return n


class Assertion(_Part):
    """A bound every selected factor's scenario level must keep, checked whenever the scenario is made or used."""

    step: Literal["assert"] = "assert"
    select: Selector
    comparison: Literal["<", "<=", ">", ">="]
    value: Number
    unit: Unit = ""


Step = Annotated[Shift | Multiply | Assign | Curve | Include | Grid | Assertion, Field(discriminator="step")]


class Scenario(_Part):
    """Steps that together make one scenario, or, with a grid among them, one for each node of the grid."""

    name: Name | None = Field(None, description="label of the scenario; may be left out when it is the only one")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @property
    def grid(self) -> Grid | None:
        return next((s for s in self.steps if isinstance(s, Grid)), None)

    @property
    def size(self) -> int:
        return self.grid.size if self.grid else 1

    @model_validator(mode="after")
    def _formed(self) -> Self:
        if sum(isinstance(s, Grid) for s in self.steps) > 1:
            raise ValueError("a scenario has at most one grid; give it more axes, or write another scenario")
        if all(isinstance(s, Assertion) for s in self.steps):
            raise ValueError("a scenario of assertions alone moves nothing; give it a move, such as equity -20%")
        return self


class Document(_Part):
    """One scenario or several."""

    scenarios: tuple[Scenario, ...] = Field(min_length=1, max_length=MAX_SCENARIOS)

    @model_validator(mode="after")
    def _formed(self) -> Self:
        names = [s.name for s in self.scenarios]
        if len(names) > 1:
            if None in names:
                raise ValueError("with several scenarios every one needs a name")
            if repeated := sorted(
                {str(n) for n in names if names.count(n) > 1} if len(set(names)) < len(names) else ()
            ):
                raise ValueError(f"scenario names must differ; {', '.join(repeated)} stands more than once")
        if (total := sum(s.size for s in self.scenarios)) > MAX_SCENARIOS:
            raise ValueError(f"{total} scenarios were asked for; a document has at most {MAX_SCENARIOS}")
        return self
