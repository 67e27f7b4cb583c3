"""Values of contracts along market paths to T1, T2, ...: how a question names them, and how it reads them.

Every contract of a book is valued at every date of a grid on every path, per unit and in its own currency. A question that rests on
such values derives its query from `PathScope`, and reads them through `PathValues`: a block of one date at a time, never all of it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from aggregation.types import KNOWN, REFERENCE, Currency, Known, whole
from lake.arrays import Floats, Ints
from lake.dates import Day
from lake.errors import BadInput, NotAllowed, unknown
from scenarios.kernels.random_blocks import Sampling
from valuation.types import ValuationFailure

if TYPE_CHECKING:
    from aggregation.question import Plan
    from aggregation.session import Session

MOST_DATES = 120
MOST_PATHS = 100_000
Measure = Literal["risk_neutral", "real_world"]

Q = TypeVar("Q", bound="PathScope")


class PathScope(BaseModel):
    """Which market paths a book is valued along: from which day, to which dates, how many and under which measure."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    as_of: Day = Field(description="date of market and book, from which the paths set out")
    grid: tuple[str, ...] = Field(
        (),
        max_length=MOST_DATES,
        description="T1, T2, ... as tenors such as 1W, 1M, 5Y; where none is given, weeks, then months, then years to the last "
        "maturity of the book, at most 30 years",
    )
    paths: Annotated[int, Field(ge=2, le=MOST_PATHS), BeforeValidator(whole)] = Field(
        1000, description="number of market paths"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(whole)] = Field(
        1, description="the same seed gives the same paths"
    )
    measure: Measure = Field(
        "risk_neutral",
        description="risk_neutral: models fitted to the stored market, for prices such as CVA; real_world: moves as in history, for limits",
    )
    sampling: Sampling = Field("random", description="random, antithetic pairs, or scrambled Sobol points")
    numeraire: Currency = Field(
        "USD", description="currency whose bank account prices are relative to on risk-neutral paths"
    )
    path_window: Annotated[int, Field(ge=20, le=7500), BeforeValidator(whole)] = Field(
        250, description="business days of history that volatilities and correlations of the paths are read from"
    )
    mean_reversion: dict[str, float] = Field(
        default_factory=dict, description="mean reversion of the short rate by currency, a year; 0.03 where not given"
    )
    rate_volatility: dict[str, float] = Field(
        default_factory=dict,
        description="normal volatility of the short rate by currency, a year; else from stored swaption volatilities, else from history",
    )
    price_volatility: dict[str, float] = Field(
        default_factory=dict,
        description="lognormal volatility by risk factor id, or by currency for its price in the numeraire; else as stored, else history",
    )
    credit_paths: Literal["lognormal", "deterministic"] = Field(
        "lognormal",
        description="credit curves and spreads: around their forwards by a lognormal factor, or the forwards themselves",
    )
    discount_curves: dict[str, str] = Field(
        default_factory=dict, description="discount curve by currency, where it is not the one named like it"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    branch: str | None = Field(
        None, pattern=REFERENCE, description="branch in place of a book: NAME, or NAME@2 for a version"
    )
    as_known: Known | None = KNOWN

    @field_validator("grid", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        # a list becomes a tuple here: bodies are read strictly, where a list that has passed through Python is no array any more
        return tuple(value.split(",")) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("grid")
    @classmethod
    def _differ(cls, grid: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(grid)) < len(grid):
            raise ValueError("a date of the grid is named twice")
        return grid

    @model_validator(mode="after")
    def _pairs(self) -> PathScope:
        if self.sampling == "antithetic" and self.paths % 2:
            raise ValueError(f"antithetic paths come in pairs; ask for an even number of paths, not {self.paths}")
        return self


class PathSource(Protocol):
    """Where the blocks of `PathValues` come from; arguments and results are those of its methods, checked there."""

    def values(self, k: int, rows: Ints | None) -> Floats: ...

    def cash(self, k: int, rows: Ints | None) -> Floats: ...

    def fx(self, k: int, currency: str, into: str) -> Floats: ...

    def discount(self, k: int, currency: str) -> Floats: ...

    def level(self, k: int, risk_factor_id: str) -> Floats: ...


@dataclass(frozen=True)
class PathValues:
    """Values of contracts on paths; `dates` T1, T2, ... ascend, all after as_of, and k counts them from 0.

    contract_ids : (n_contracts,) sorted; currencies : of each. base : (n_contracts,) value of one unit today. failures : the contracts
    that have no values, and why; they are in none of the arrays. receipt : what the paths and values were made from, by name.
    """

    as_of: dt.date
    dates: tuple[dt.date, ...]
    n_paths: int
    contract_ids: pa.Array
    currencies: tuple[str, ...]
    base: Floats
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]
    source: PathSource

    def values(self, k: int, rows: Ints | None = None) -> Floats:
        """Value of one unit at dates[k], (n_rows, n_paths), in each contract's currency; 0 once matured. rows : places in `contract_ids`,
        all of them where None. What is given may be a view of a mapped file: it is not to be written to."""
        return self.source.values(self._date(k), rows)

    def cash(self, k: int, rows: Ints | None = None) -> Floats:
        """Cash that one unit pays in (dates[k-1], dates[k]], as_of before the first, (n_rows, n_paths), as `values`; received positive."""
        return self.source.cash(self._date(k), rows)

    def fx(self, k: int, currency: str, into: str) -> Floats:
        """Price of one unit of `currency` in `into` at dates[k], (n_paths,)."""
        return np.ones(self.n_paths) if currency == into else self.source.fx(self._date(k), currency, into)

    def rates(self, k: int, currencies: Sequence[str], into: str) -> Floats:
        """The price `fx` of each of the currencies, (n_currencies, n_paths)."""
        rates = [self.fx(k, c, into) for c in currencies]
        return np.array(rates, np.float64).reshape(len(currencies), self.n_paths)

    def discount(self, k: int, currency: str) -> Floats:
        """What an amount of `currency` at dates[k] is multiplied with on each path, (n_paths,): the mean over paths is its price today.

        For the numeraire's currency it is one over its bank account. For another it is that times the exchange rate into the numeraire at
        dates[k] over the one of today, since the paths are risk-neutral in the numeraire. On real-world paths the bank account of the
        currency itself, which discounts and prices nothing.
        """
        return self.source.discount(self._date(k), currency)

    def level(self, k: int, risk_factor_id: str) -> Floats:
        """Level of a risk factor at dates[k], (n_paths,); raises `MissingRiskFactor` for one that the market does not have."""
        return self.source.level(self._date(k), risk_factor_id)

    def _date(self, k: int) -> int:
        if not 0 <= k < len(self.dates):
            raise BadInput(f"Date number {k} was asked for; the paths have {len(self.dates)}, numbered from 0.")
        return k


@dataclass(frozen=True)
class GivenPaths:
    """Values on paths from arrays that are at hand.

    all_values, all_cash : (n_dates, n_contracts, n_paths); spots : by currency the price of one unit in one common currency,
    (n_dates, n_paths); discounts : by currency, (n_dates, n_paths); levels : by risk factor id, (n_dates, n_paths).
    """

    all_values: Floats
    all_cash: Floats
    spots: Mapping[str, Floats] = field(default_factory=dict)
    discounts: Mapping[str, Floats] = field(default_factory=dict)
    levels: Mapping[str, Floats] = field(default_factory=dict)

    def values(self, k: int, rows: Ints | None) -> Floats:
        block: Floats = self.all_values[k]
        return block if rows is None else block[rows]

    def cash(self, k: int, rows: Ints | None) -> Floats:
        block: Floats = self.all_cash[k]
        return block if rows is None else block[rows]

    def fx(self, k: int, currency: str, into: str) -> Floats:
        spots: list[Floats] = [_named(self.spots, "currency", c)[k] for c in (currency, into)]
        return spots[0] / spots[1]

    def discount(self, k: int, currency: str) -> Floats:
        found: Floats = _named(self.discounts, "currency", currency)[k]
        return found

    def level(self, k: int, risk_factor_id: str) -> Floats:
        found: Floats = _named(self.levels, "risk factor", risk_factor_id)[k]
        return found


@dataclass(frozen=True)
class SamePaths:
    """Exchange rates, discount factors and levels of the paths of `whole`: for a source of more contracts, or of fewer."""

    whole: PathValues

    def fx(self, k: int, currency: str, into: str) -> Floats:
        return self.whole.fx(k, currency, into)

    def discount(self, k: int, currency: str) -> Floats:
        return self.whole.discount(k, currency)

    def level(self, k: int, risk_factor_id: str) -> Floats:
        return self.whole.level(k, risk_factor_id)


@dataclass(frozen=True)
class _SomeContracts(SamePaths):
    """Values of some of the contracts. place : (n,) their rows in the whole."""

    place: Ints

    def values(self, k: int, rows: Ints | None) -> Floats:
        return self.whole.values(k, self.place if rows is None else self.place[rows])

    def cash(self, k: int, rows: Ints | None) -> Floats:
        return self.whole.cash(k, self.place if rows is None else self.place[rows])


def without(paths: PathValues, failures: Sequence[ValuationFailure]) -> PathValues:
    """The paths with these contracts among the failures, in place of their values."""
    failed = pa.array([f.contract_id for f in failures], pa.string())
    place = np.flatnonzero(pc.invert(pc.is_in(paths.contract_ids, failed)).to_numpy(zero_copy_only=False))
    return dataclasses.replace(
        paths,
        contract_ids=paths.contract_ids.take(pa.array(place)),
        currencies=tuple(paths.currencies[i] for i in place.tolist()),
        base=paths.base[place],
        failures=(*paths.failures, *failures),
        source=_SomeContracts(paths, place),
    )


def _named(table: Mapping[str, Floats], what: str, name: str) -> Floats:
    if name not in table:
        raise unknown(what, name, table)
    return table[name]


def given_path_values(
    as_of: dt.date,
    dates: Sequence[dt.date],
    contract_ids: Sequence[str],
    currencies: Sequence[str],
    base: Floats,
    values: Floats,
    cash: Floats | None = None,
    *,
    spots: Mapping[str, Floats] | None = None,
    discounts: Mapping[str, Floats] | None = None,
    levels: Mapping[str, Floats] | None = None,
    failures: Sequence[ValuationFailure] = (),
    notes: Sequence[str] = (),
) -> PathValues:
    """`PathValues` of arrays, as `GivenPaths` has them; contracts in any order.

    Raises `BadInput` where shapes do not agree or an id comes twice.
    """
    n, shape = len(contract_ids), np.shape(values)
    if len(shape) != 3 or shape[:2] != (len(dates), n) or np.shape(base) != (n,) or len(currencies) != n:
        raise BadInput(
            f"Expected values of {len(dates)} dates x {n} contracts x paths, with a base and a currency of each contract, but "
            f"received values {shape}, base {np.shape(base)} and {len(currencies)} currencies."
        )
    if cash is not None and np.shape(cash) != shape:
        raise BadInput(f"Expected cash of the shape of the values, {shape}, but received {np.shape(cash)}.")
    if list(dates) != sorted(set(dates)) or (dates and dates[0] <= as_of) or len(set(contract_ids)) < n:
        raise BadInput(f"Expected dates that ascend after {as_of}, and contracts that differ.")
    order = np.array(sorted(range(n), key=lambda i: contract_ids[i]), dtype=np.int64)
    paid = np.zeros(shape) if cash is None else np.asarray(cash, dtype=np.float64)
    return PathValues(
        as_of=as_of,
        dates=tuple(dates),
        n_paths=shape[2],
        contract_ids=pa.array([contract_ids[i] for i in order], pa.string()),
        currencies=tuple(currencies[i] for i in order),
        base=np.asarray(base, dtype=np.float64)[order],
        failures=tuple(failures),
        receipt={"paths": "given"},
        notes=tuple(notes),
        source=GivenPaths(
            np.asarray(values, dtype=np.float64)[:, order], paid[:, order], spots or {}, discounts or {}, levels or {}
        ),
    )


def refuse_part(session: Session) -> None:
    """Raises `NotAllowed` for whoever sees a part of the book: collateral is called on netting sets as a whole, and dates and models of the
    paths are those of all contracts held."""
    if session.lake.reader:
        raise NotAllowed(
            "Values along paths are of the whole book, and you see a part of it. Whoever sees all of it may ask."
        )


def plan_paths(session: Session, query: PathScope) -> Plan:
    """Which contracts have no values on the paths of the query yet, and what valuing them costs; runs nothing."""
    from aggregation.exposure import stored_paths  # noqa: PLC0415 - it reads the pricers, which a stored answer need not

    return stored_paths.plan(session, query)


def value_paths(session: Session, query: Q) -> Q:
    """Values what `plan_paths` says and stores it; the same query then finds it."""
    from aggregation.exposure import stored_paths  # noqa: PLC0415

    return stored_paths.value(session, query)


def open_paths(session: Session, query: PathScope) -> PathValues:
    """The stored values of the query's book on its paths; raises `NotValued` with what it takes where any is missing."""
    from aggregation.exposure import stored_paths  # noqa: PLC0415

    return stored_paths.opened(session, query)
