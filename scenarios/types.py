"""Risk factors, market snapshots and scenario sets: immutable, columnar, in the market's words."""

from __future__ import annotations

import abc
import datetime as dt
import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lake.arrays import Floats
from lake.errors import BadInput, NotFound, counted, unknown
from lake.words import first_of, in_text

Level = TypeVar("Level", float, Floats)  # of a factor: one, or in every state


class RiskClass(StrEnum):
    EQUITY = "equity"
    RATES = "rates"
    FX = "fx"
    COMMODITY = "commodity"
    CREDIT = "credit"
    VOLATILITY = "volatility"


class ShiftType(StrEnum):
    """How a move between two levels is measured and applied; `scenarios.kernels.shifts` holds the arithmetic."""

    RELATIVE = "relative"
    LOG = "log"
    ABSOLUTE = "absolute"


@dataclass(frozen=True)
class FactorType:
    """What all risk factors of a type share."""

    risk_class: RiskClass
    shift_type: ShiftType
    unit: str
    meaning: str
    plausible: tuple[float, float] = (-math.inf, math.inf)
    """Levels beyond are held back until somebody says that they are meant: most are in another unit."""
    curved: bool = False
    """Whether each is a pillar of a curve."""
    coordinates: tuple[str, ...] = ()
    """Attributes that each has: where it lies."""
    conventions: tuple[str, ...] = ()
    """Attributes of a pillar that say what is quoted there; a value that reads it depends on them."""


_DATES = ("calendar", "business_day_convention", "start")
_BETWEEN_CURVES = ("discount_curve", "float_frequency", "float_day_count")


def _quote(
    meaning: str,
    *conventions: str,
    plausible: tuple[float, float] = (-0.05, 0.3),
    unit: str = "fraction a year",
) -> FactorType:
    """A quote that a curve of rates is made from."""
    said = (*_DATES, *conventions)
    return FactorType(RiskClass.RATES, ShiftType.ABSOLUTE, unit, meaning, plausible, curved=True, conventions=said)


# Prices and lognormal vols move by relative return, rates and spreads absolutely, and whatever can be negative
# (commodity prices were, on 2020-04-20) never by log.
FACTOR_TYPES: dict[str, FactorType] = {
    "equity_price": FactorType(RiskClass.EQUITY, ShiftType.RELATIVE, "currency per share", "price of a share"),
    "index_level": FactorType(RiskClass.EQUITY, ShiftType.RELATIVE, "index points", "level of an equity index"),
    "fx_rate": FactorType(
        RiskClass.FX, ShiftType.RELATIVE, "quote per base", "units of quote currency for one of base"
    ),
    "zero_rate": FactorType(
        RiskClass.RATES,
        ShiftType.ABSOLUTE,
        "fraction a year",
        "continuously compounded zero rate",
        (-0.05, 0.3),
        curved=True,
    ),
    "par_yield": FactorType(
        RiskClass.RATES,
        ShiftType.ABSOLUTE,
        "fraction a year",
        "par yield, semi-annual bond basis",
        (-0.05, 0.3),
        curved=True,
    ),
    "implied_vol": FactorType(
        RiskClass.VOLATILITY, ShiftType.RELATIVE, "fraction a year", "lognormal implied volatility", (0.002, 3.0)
    ),
    "commodity_price": FactorType(RiskClass.COMMODITY, ShiftType.RELATIVE, "currency per unit", "price of a commodity"),
    "credit_spread": FactorType(
        RiskClass.CREDIT, ShiftType.ABSOLUTE, "fraction a year", "spread over government", (-0.05, 0.5)
    ),
    "credit_yield": FactorType(
        RiskClass.CREDIT, ShiftType.ABSOLUTE, "fraction a year", "yield of the bonds of a rating", (-0.05, 0.5)
    ),
    "hazard_rate": FactorType(
        RiskClass.CREDIT,
        ShiftType.ABSOLUTE,
        "fraction a year",
        "default intensity of a name, on average to a tenor",
        (0.0, 1.0),
        curved=True,
    ),
    "dividend": FactorType(
        RiskClass.EQUITY,
        ShiftType.RELATIVE,
        "currency per share",
        "dividend that a share is expected to pay, by ex-date",
        (0.0, math.inf),
        coordinates=("asset", "ex_date"),
    ),
    "traded_volume": FactorType(
        RiskClass.EQUITY, ShiftType.RELATIVE, "units a day", "shares or contracts traded in a day"
    ),
    "fixing": FactorType(
        RiskClass.RATES,
        ShiftType.ABSOLUTE,
        "fraction a year",
        "interest rate published for a day",
        (-0.05, 0.3),
        conventions=("projection_curve", "tenor", "day_count"),
    ),
    "deposit_rate": _quote("simple rate of a deposit", "day_count", "spot_lag"),
    "fra_rate": _quote("forward rate agreement", "day_count", "spot_lag"),
    "rate_future": _quote(
        "price of an interest-rate future",
        "day_count",
        "tenor",
        plausible=(70.0, 105.0),
        unit="100 less percent a year",
    ),
    "swap_rate": _quote("par rate of a swap", "day_count", "spot_lag", "frequency", *_BETWEEN_CURVES),
    "basis_spread": _quote(
        "spread that makes a basis or cross-currency swap worth nothing",
        "spot_lag",
        *_BETWEEN_CURVES,
        "reference_curve",
        "reference_frequency",
        "spread_leg",
        "projection_curve",
        "reference_discount_curve",
        "resetting",
        plausible=(-0.05, 0.05),
    ),
    "inflation_rate": _quote("fixed rate of a zero-coupon inflation swap"),
    "price_index": FactorType(RiskClass.RATES, ShiftType.RELATIVE, "index points", "level of a consumer price index"),
    "normal_vol": FactorType(
        RiskClass.VOLATILITY,
        ShiftType.RELATIVE,
        "fraction a year",
        "normal (Bachelier) implied volatility of a rate",
        (0.0, 0.1),
    ),
    "normal_price_vol": FactorType(
        RiskClass.VOLATILITY,
        ShiftType.RELATIVE,
        "currency per unit a year",
        "normal (Bachelier) implied volatility of a price",
        (0.0, math.inf),
    ),
    "cds_spread": FactorType(
        RiskClass.CREDIT,
        ShiftType.ABSOLUTE,
        "fraction a year",
        "par spread of credit default swaps on a name",
        (0.0, 1.0),
        curved=True,
        conventions=("discount_curve", "recovery", "maturity"),
    ),
    "recovery_rate": FactorType(
        RiskClass.CREDIT, ShiftType.ABSOLUTE, "fraction of face", "what is recovered in a default", (0.0, 1.0)
    ),
}

POSITIVE_TYPES = (  # whose levels are above zero
    "equity_price",
    "index_level",
    "fx_rate",
    "implied_vol",
    "normal_vol",
    "normal_price_vol",
    "price_index",
    "traded_volume",
)

# types of factors that are a yield, to which a basis point is added
YIELDS = ("zero_rate", "par_yield", "deposit_rate", "fra_rate", "swap_rate")
RATES = (*YIELDS, "rate_future", "basis_spread")  # all that is quoted of interest rates but volatilities and inflation
SHARES = ("equity_price", "index_level")  # types of factors that a share or an index is priced on

_TENOR = re.compile(r"^(\d+)([DWMY])$")
_TENOR_YEARS = {"D": 1 / 365, "W": 7 / 365, "M": 1 / 12, "Y": 1.0}


def tenor_years(tenor: str) -> float:
    """Length in years of a tenor such as 3M or 10Y (a month is 1/12, a day 1/365)."""
    match = _TENOR.match(tenor)
    if match is None:
        raise unknown("tenor", tenor, ("1D", "1W", "1M", "3M", "6M", "1Y", "2Y", "10Y", "30Y"))
    return int(match[1]) * _TENOR_YEARS[match[2]]


_WRITTEN_TENOR = re.compile(r"X?(\d+(?:\.\d+)?)\s*(d|w|mo|m|y)(?:ays?|eeks?|nths?|onths?|rs?|ears?)?", re.IGNORECASE)


def tenor_of(text: str) -> str:
    """A tenor as people write it, 3 Mo, X3M or 0.25y, as 3M; any other text as it is."""
    match = _WRITTEN_TENOR.fullmatch(text.strip())
    if match is None:
        return {"O/N": "1D", "ON": "1D"}.get(text.strip().upper(), text)
    unit = match[2][0].upper()
    size = float(match[1]) * (12 if unit == "Y" and "." in match[1] else 1)
    if not size.is_integer():
        return text
    if unit == "Y" and "." in match[1]:  # in months now
        return f"{size / 12:.0f}Y" if size % 12 == 0 else f"{size:.0f}M"
    return f"{size:.0f}{unit}"


@dataclass(frozen=True, order=True)
class RiskFactor:
    """A number the market sets and contracts depend on.

    FX factors are named FX:BASEQUOTE (`FX:EURUSD` = USD for one EUR); curve pillars YC:CURVE:PILLAR.
    """

    risk_factor_id: str
    type: str
    name: str
    currency: str
    curve: str | None = None
    pillar: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    source: str = ""
    synthetic: bool = False

    @property
    def risk_class(self) -> RiskClass:
        return FACTOR_TYPES[self.type].risk_class

    @property
    def shift_type(self) -> ShiftType:
        return FACTOR_TYPES[self.type].shift_type

    @property
    def unit(self) -> str:
        return FACTOR_TYPES[self.type].unit

    def to_dict(self) -> dict[str, Any]:
        return {
            "risk_factor_id": self.risk_factor_id,
            "type": self.type,
            "name": self.name,
            "currency": self.currency,
            "curve": self.curve,
            "pillar": self.pillar,
            "attributes": dict(self.attributes),
            "source": self.source,
            "synthetic": self.synthetic,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RiskFactor:
        attributes = data["attributes"]
        pairs = attributes.items() if isinstance(attributes, Mapping) else (attributes or ())
        return cls(**{**{k: data[k] for k in cls.__dataclass_fields__}, "attributes": tuple(sorted(pairs))})


class MissingRiskFactor(NotFound):
    """A contract or a conversion reads a risk factor that the market at hand does not hold."""


@dataclass(frozen=True)
class FactorIndex:
    """The risk factors at hand, found by id, by curve and by currency pair."""

    factors: tuple[RiskFactor, ...]

    @classmethod
    def of(cls, factors: Iterable[RiskFactor]) -> FactorIndex:
        return cls(tuple(sorted(factors)))

    @functools.cached_property
    def row(self) -> dict[str, int]:
        """Risk factor id to its row in every array of levels."""
        return {f.risk_factor_id: i for i, f in enumerate(self.factors)}

    @functools.cached_property
    def memo(self) -> dict[Any, Any]:
        """What others have worked out from these factors alone, by a key of their own."""
        return {}

    @functools.cached_property
    def _curves(self) -> dict[str, tuple[RiskFactor, ...]]:
        curves: dict[str, list[RiskFactor]] = {}
        for f in self.factors:
            if f.curve is not None and f.pillar is not None:
                curves.setdefault(f.curve, []).append(f)
        return {c: tuple(sorted(fs, key=lambda f: tenor_years(f.pillar or ""))) for c, fs in curves.items()}

    @functools.cached_property
    def _quotes(self) -> dict[str, dict[str, tuple[str, int]]]:
        quotes: dict[str, dict[str, tuple[str, int]]] = {}
        for f in self.factors:
            if f.type == "fx_rate":
                base, quote = f.risk_factor_id[-6:-3], f.risk_factor_id[-3:]
                quotes.setdefault(base, {})[quote] = (f.risk_factor_id, 1)
                quotes.setdefault(quote, {})[base] = (f.risk_factor_id, -1)
        return quotes

    def require(self, risk_factor_id: str) -> str:
        """The id itself; raises `MissingRiskFactor` with the nearest ids when it is not at hand."""
        if risk_factor_id not in self.row:
            raise unknown("risk factor", risk_factor_id, self.row, error=MissingRiskFactor)
        return risk_factor_id

    def curve(self, name: str) -> tuple[RiskFactor, ...]:
        """The pillars of a curve, shortest first."""
        if name not in self._curves:
            raise unknown("curve", name, self._curves, error=MissingRiskFactor)
        return self._curves[name]

    def has_curve(self, name: str) -> bool:
        return name in self._curves

    def curve_in(self, name: str, currency: str, role: str) -> tuple[RiskFactor, ...]:
        """As `curve`, of that currency alone; raises `MissingRiskFactor` with the nearest that are. role : what the curve is used as."""
        pillars = self.curve(name)
        found = {f.currency for f in pillars}
        if found != {currency}:
            risk_class = pillars[0].risk_class
            fitting = [
                c
                for c, fs in self._curves.items()
                if {(f.risk_class, f.currency) for f in fs} == {(risk_class, currency)}
            ]
            error = unknown(f"curve of {currency}", name, fitting, error=MissingRiskFactor)
            message = (
                f"Curve {name} is of {' and '.join(sorted(found))}, and {role} must be of {currency}. {error.message}"
            )
            raise MissingRiskFactor(message, issues=error.issues)
        return pillars

    def fx_path(self, base: str, quote: str) -> tuple[tuple[str, int], ...]:
        """Factors whose product (power +1) or quotient (power -1) is the price of one `base` in `quote`.

        Empty for the same currency; one leg where the pair itself (or its inverse) is at hand; else two legs through
        the alphabetically first common currency, so that crosses are triangulated from base pairs and open no arbitrage.
        """
        if base == quote:
            return ()
        here = self._quotes.get(base, {})
        if quote in here:
            return (here[quote],)
        for pivot in sorted(here):
            there = self._quotes[pivot].get(quote)
            if there is not None:
                return (here[pivot], there)
        for currency in (quote, base):
            if currency not in self._quotes:
                raise unknown("currency of an exchange rate", currency, self._quotes, error=MissingRiskFactor)
        raise unknown(
            "currency pair",
            f"{base}{quote}",
            (i for i, f in zip(self.row, self.factors, strict=True) if f.type == "fx_rate"),
            error=MissingRiskFactor,
        )

    def cross(self, base: str, quote: str, level: Callable[[str], Level], one: Level) -> Level:
        """Price of one `base` in `quote`, from the level of each factor of `fx_path`; one : the price where both are the same currency."""
        price = one
        for risk_factor_id, power in self.fx_path(base, quote):
            found = level(risk_factor_id)
            price = price * found if power > 0 else price / found
        return price

    def without_rate(self, currencies: Iterable[str], reporting: str) -> dict[str, str]:
        """The currencies that have no exchange rate into the reporting currency, and what to do about positions in them."""
        gone = {}
        for currency in sorted(set(currencies)):
            try:
                self.fx_path(currency, reporting)
            except MissingRiskFactor as error:
                gone[currency] = (
                    f"Positions in {currency} cannot be reported in {reporting}: the market has no exchange rate between them. "
                    f"{error.message} Load one, or leave them out with the filter currency!={currency}."
                )
        return gone

    def some_without_rate(self, currencies: Iterable[str], reporting: str) -> dict[str, str]:
        """As `without_rate`; raises `MissingRiskFactor` where no currency has a rate, so that nothing can be reported."""
        named = set(currencies)
        gone = self.without_rate(named, reporting)
        if gone and gone.keys() == named:
            raise MissingRiskFactor(next(iter(gone.values())))
        return gone


IMPORTED = (
    "imported"  # method of a set whose scenarios came with P&L vectors; instrument type of what has such a vector
)
BUMPS = "bumps"  # method of a set of small moves, for derivatives
DIFFERENCES = (
    BUMPS,
    "regulatory_bumps",
)  # methods whose P&L are differences: simulations keep the paths and the policy of the base
NOT_SCALED = "not scaled: "  # what `fitted` says of a factor that keeps its moves begins so
LARGEST_ARRAY = 1 << 30  # bytes of generated levels that are made as one array


class GeneratedLevels(abc.ABC):
    """Levels of shape (n_factors, n_scenarios) that are made when they are asked for.

    Any block of scenarios is made without the others and has the same bits whatever its bounds. Reads like an array:
    `levels[rows, first:stop]`, and `np.asarray(levels)` where all of it fits into memory.
    """

    shape: tuple[int, int]
    atom: int
    """Scenarios that are drawn together: blocks that begin and end at its multiples waste nothing."""

    @abc.abstractmethod
    def block(self, first: int, stop: int, rows: npt.NDArray[np.intp]) -> Floats:
        """Levels of the scenarios `first` to `stop - 1` for the factors `rows`, shape (len(rows), stop - first)."""

    @property
    @abc.abstractmethod
    def content(self) -> str:
        """Digest of everything that decides the levels."""

    @abc.abstractmethod
    def row_key(self, row: int) -> str:
        """Digest of everything that decides the levels of one factor."""

    def __getitem__(self, key: Any) -> Floats:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if not isinstance(columns, slice) or columns.step not in (None, 1):
            raise TypeError("Generated levels are read by blocks of scenarios: levels[rows, first:stop]")
        first, stop, _ = columns.indices(self.shape[1])
        picked = np.arange(self.shape[0])[rows]
        size = picked.size * max(stop - first, 0) * 8
        if size > LARGEST_ARRAY:
            raise BadInput(
                f"{picked.size:,} risk factors x {stop - first:,} scenarios were asked for at once, {size / 2**30:.1f} GiB. "
                f"Read generated levels by blocks of scenarios, at most {LARGEST_ARRAY >> 30} GiB each."
            )
        made = self.block(first, max(stop, first), np.atleast_1d(picked))
        return made if picked.ndim else made[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


@dataclass(frozen=True)
class ScenarioSummary:
    """What a stored scenario set is, of its row in the lake's table scenario_sets, which says what each column holds."""

    scenario_set_id: str
    name: str
    version: int
    method: str
    sample: bool
    market_date: dt.date
    horizon_days: int
    horizons: tuple[int, ...]
    seed: int | None
    synthetic: bool
    market_data_version: int | None
    corporate_actions_version: int | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """From a row whose maps were read as dicts; lists and maps that are null are empty, `weights` apart."""
        return cls(**{name: _plain(name, row[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class ScenarioDetails(ScenarioSummary):
    """The summary with the recipe, the scenarios by name and weight, and the factors that are special; no levels."""

    definition: Mapping[str, Any]
    labels: tuple[str, ...]
    weights: tuple[float, ...] | None
    excluded: Mapping[str, str]
    held: Mapping[str, str]
    proxied: Mapping[str, str]
    dropped: Mapping[str, str]
    holidays: Mapping[str, str]
    fitted: Mapping[str, str]

    @property
    def in_order(self) -> bool:
        """Whether the scenarios are days in order, so that one has an age and a day before it."""
        days = self.method == "historical" or (self.method == IMPORTED and all(map(_DAY.fullmatch, self.labels)))
        return days and list(self.labels) == sorted(self.labels)

    @property
    def unscaled(self) -> list[str]:
        """Risk factors that keep their moves where those of others are scaled by volatility."""
        return [factor for factor, text in self.fitted.items() if text.startswith(NOT_SCALED)]

    @property
    def window(self) -> str | None:
        """First and last scenario where they are days of history; None for generated or chosen ones."""
        ends = [label for label in self.labels[:1] + self.labels[-1:] if _DAY.fullmatch(label)]
        return " to ".join(ends) if len(ends) == 2 and self.sample else None


def days_left_out(dropped: Mapping[str, str]) -> list[str]:
    """A line on the days that are no scenario and why, as in `ScenarioSet.dropped`; none where there are none."""
    by_reason: dict[str, list[str]] = {}
    for day, why in sorted(dropped.items()):
        by_reason.setdefault(why, []).append(day)
    texts = [f"{first_of(days, 3)} ({why})" for why, days in by_reason.items()]
    n = counted(len(dropped), "day is", "days are")
    return [f"{n} left out of the scenarios: {first_of(texts, between='; ')}."] if dropped else []


def factors_left_out(excluded: Mapping[str, str]) -> list[str]:
    """A line on the risk factors that are not in the scenarios and why, as in `ScenarioSet.excluded`; none where there are none."""
    texts = [f"{factor} ({why})" for factor, why in sorted(excluded.items())]
    return [f"Not in the scenarios: {first_of(texts, between='; ')}."] if excluded else []


_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _plain(name: str, value: Any) -> Any:
    if name == "definition":
        return json.loads(value or "{}")
    if name in ("horizons", "labels"):
        return tuple(value or ())
    if name in ("excluded", "held", "proxied", "dropped", "holidays", "fitted"):
        return value or {}
    return tuple(value) if name == "weights" and value is not None else value


RolledMarket = Literal["forwards", "constant"]


@dataclass(frozen=True)
class Roll:
    """How the base of a set was rolled forward in time, from its market date `since` to `to`.

    market : `forwards` (what the curves of that date imply came true), `constant` (every level stayed, time passed) or `observed` (the
    base is the market of `to`, and what is fixed on the way without being given is taken from that of `since`).
    origin : (n_factors,) base levels on the market date.
    """

    since: dt.date
    to: dt.date
    market: RolledMarket | Literal["observed"]
    origin: Floats


@dataclass(frozen=True)
class ScenarioSet:
    """Full market states, as absolute levels. Raises `BadInput` where the shapes do not agree; their content is not looked at.

    base : (n_factors,) and levels : (n_factors, n_scenarios), rows in the order of `index`, columns in that of `labels`.
    shocked : (n_factors,) bool; False declares the factor unchanged in every scenario.
    weights : (n_scenarios,) probabilities, or None for equal weights. The base is not a scenario.
    excluded, held : risk factor id to why it is not in the set, or which earlier base level is held for it.
    dropped : scenario label to why that day is not a scenario.
    proxied : risk factor id to the factor and beta that stand in where its own moves are missing, and in how many scenarios.
    holidays : scenario label to the markets closed on that day, whose factors are unchanged in it.
    derived : shocked risk factor id that no step of a bespoke scenario names to why it moves all the same.
    fitted : risk factor id to the model fitted to its moves, with its parameters, or why they are not scaled (`NOT_SCALED`).
    horizons : business days of T1, T2, ... where every path has a scenario at each, in that order (T0 is 0 days); empty
    where all scenarios span `horizon_days`, which is the longest of them otherwise.
    calibration : what the calibration of a random method found, by name, in words or figures.
    roll : how base and levels were rolled forward to a later date; None where they are of the market date.
    of_book : whether its recipe follows from what a book holds, so that only those who see that book may see it.
    """

    scenario_set_id: str
    name: str
    method: str
    market_date: dt.date
    definition: Mapping[str, Any]
    index: FactorIndex
    labels: tuple[str, ...]
    base: Floats
    levels: Floats | GeneratedLevels
    shocked: npt.NDArray[np.bool_]
    weights: Floats | None = None
    horizon_days: int = 1
    sample: bool = True
    seed: int | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    proxied: Mapping[str, str] = field(default_factory=dict)
    holidays: Mapping[str, str] = field(default_factory=dict)
    fitted: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    horizons: tuple[int, ...] = ()
    calibration: Mapping[str, str] = field(default_factory=dict)
    roll: Roll | None = None
    version: int = 0
    market_data_version: int | None = None
    corporate_actions_version: int | None = None
    of_book: bool = False

    def __post_init__(self) -> None:
        factors, n = len(self.index.factors), self.n_scenarios
        if self.levels.shape != (factors, n):
            raise BadInput(
                f"Expected levels of {factors} risk factors x {n} scenarios, but received {self.levels.shape}."
            )
        origin = self.base if self.roll is None else self.roll.origin
        for name, values in (("base levels", self.base), ("shocked flags", self.shocked), ("rolled levels", origin)):
            if values.shape != (factors,):
                raise BadInput(f"Expected {name} of {factors} risk factors, but received {values.shape}.")
        if self.weights is not None and self.weights.shape != (n,):
            raise BadInput(f"Expected weights of {n} scenarios, but received {self.weights.shape}.")
        if self.horizons and (n % len(self.horizons) or self.horizons[-1] != self.horizon_days):
            raise BadInput(
                f"Expected every path to have a scenario at each of {len(self.horizons)} horizons, the last at "
                f"{self.horizon_days} days, but received {n} scenarios at {in_text(self.horizons)}."
            )

    @property
    def n_scenarios(self) -> int:
        return len(self.labels)

    @property
    def synthetic(self) -> bool:
        return any(f.synthetic for f in self.index.factors)
