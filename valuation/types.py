"""Contracts, blocks of P&L and failures: what goes into the map step and what comes out."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lake.arrays import Floats, Ints
from lake.canonical import canonical_json, digest
from lake.errors import VarlakeError, counted
from lake.words import sentence
from scenarios.types import IMPORTED, FactorIndex, RiskClass, Roll

if TYPE_CHECKING:
    import pyarrow as pa


# of a question or a standard; limits stand before the validator, or they are lost to the schema
Currency = Annotated[
    str, Field(pattern="^[A-Z]{3}$"), BeforeValidator(lambda c: c.upper() if isinstance(c, str) else c)
]


class NotValuable(VarlakeError):
    """A contract that cannot be valued, and why; `reason` is a short code such as `matured`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


OnlyWith = Mapping[
    str, tuple[str, tuple[Any, ...]]
]  # term to another term and the values that one then has, empty for any


class InstrumentTerms(BaseModel):
    """Terms of a contract: what a pricer needs, without quantity or owner. Subclassed once an instrument.

    Field descriptions are the documentation of the positions file; every term stands in a column of its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    instrument_type: ClassVar[str]
    only_with: ClassVar[OnlyWith] = {}
    """Terms that do nothing without another."""

    currency: str

    @model_validator(mode="after")
    def _none_idle(self) -> Self:
        for name, (other, values) in self.only_with.items():
            beside = getattr(self, other)
            fits = beside in values if values else beside is not None
            if not fits and getattr(self, name) != type(self).model_fields[name].default:
                wanted = f"{other} {' or '.join(map(str, values))}".rstrip()
                raise ValueError(f"{name} does nothing without {wanted}; give that, or leave {name} out")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        """Raises `NotValuable` when the contract has no value on that date (matured, fixing missing).

        In a market rolled forward from `rolled_from`, what is fixed from that day on is known from the roll.
        """

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        """What whoever reads a value of that date should know; alike for contracts it is alike for."""
        return ()

    def to_json(self) -> str:
        """Canonical JSON: terms that are None are left out, so that a new optional term changes no id."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))

    def contract_id(self) -> str:
        return digest(self.instrument_type, self.to_json())


class Along(Protocol):
    """The way that market paths have taken to a day: what was fixed on it differs from path to path.

    All arrays have a number a state, (n_states,), the base first.
    """

    def growth(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        """What a unit grows to from `first` to `last` at the rate that the curve has on `first`."""
        ...

    def compounded(self, curve: str, first: dt.date, last: dt.date) -> Floats:
        """What a unit grows to from `first` to `last` at the overnight rate of each day."""
        ...

    def on(self, day: dt.date) -> Market:
        """The market of the same paths on an earlier day; with its base alone up to the day they set out."""
        ...

    def squares(self, risk_factor_id: str, since: dt.date) -> Floats:
        """Sum of squared logarithmic moves of a level from a day on, or from where the paths set out, to the valuation date."""
        ...


class Market(Protocol):
    """What pricers see; see `valuation.market.scenario_market.ScenarioMarket`. State 0 is the base, the others the scenarios in order."""

    valuation_date: dt.date
    index: FactorIndex
    n_states: int
    roll: Roll | None
    bumped: bool

    @property
    def states(self) -> Floats:
        """Levels of all risk factors, (n_factors, n_states), rows in the order of `index`."""
        ...

    @property
    def along(self) -> Along | None:
        """Of a market on paths the way there; None in any other."""
        ...

    def with_levels(self, levels: Floats) -> Market:
        """The same base with other scenarios, (n_factors, n_scenarios), rows in the order of `index`."""
        ...

    def level(self, risk_factor_id: str) -> Floats:
        """Levels of shape (n_states,)."""
        ...

    def levels(self, risk_factor_ids: Sequence[str]) -> Floats:
        """Levels of shape (len(ids), n_states)."""
        ...

    def fx(self, base: str, quote: str) -> Floats:
        """Price of one unit of `base` in `quote`, shape (n_states,); crosses are triangulated."""
        ...

    def discount(self, curve: str, times: Floats) -> Floats:
        """Discount factors of shape (len(times), n_states); times in years (Act/365F) from the valuation date, >= 0."""
        ...

    def survival(self, curve: str, times: Floats) -> Floats:
        """Survival probabilities of shape (len(times), n_states) on a credit curve, given survival to the valuation date."""
        ...

    def nodes(self, curve: str) -> Floats:
        """Times in years, (n,), between which the forward rate, or the hazard rate of a credit curve, is constant."""
        ...

    def passed(self, day: dt.date) -> Market | None:
        """The market of a day that has passed, where it is known; None in a market that time alone has rolled."""
        ...

    def fixed_growth(self, curve: str, first: dt.date, last: dt.date) -> float:
        """What a unit grows to from `first` to `last` at the rate that the roll fixes on `first`; of rolled markets only."""
        ...


class RolledMarkets(Protocol):
    """The base market rolled forward from `market_date` to any later day; see `valuation.market.rolled_market.RolledBase`."""

    market_date: dt.date

    def market(self, day: dt.date) -> Market: ...


@dataclass(frozen=True)
class CashFlow:
    """What one unit of a contract pays (negative) or is paid on a day, in the contract's currency; `kind` says what for.

    amount : on market paths an array (n_states,) where it differs from path to path.
    """

    day: dt.date
    amount: Any
    kind: str


class Instrument(Protocol):
    """What a module in `valuation.instruments` provides."""

    @property
    def VERSION(self) -> str: ...  # noqa: N802 - a constant of the module

    @property
    def Terms(self) -> type[InstrumentTerms]: ...  # noqa: N802 - a class of the module

    def risk_factors(self, terms: Any, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
        """Ids of exactly the risk factors that `value` reads on that date, each once; raises `MissingRiskFactor`.

        They and no other decide the value, to the last bit: of a curve just the pillars around what is left to be paid.
        """
        ...

    def value(self, terms: Sequence[Any], market: Market) -> Floats:
        """Value of one unit of each contract in its currency, shape (n_contracts, n_states)."""
        ...

    def cash_flows(self, terms: Any, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
        """What one unit pays after the market date that its value on `until` no longer holds, in the base market as rolled.

        So value + cash is conserved over every payment. Coupons paid on a day are out of that day's value; what a forward
        or an option settles is still in it, and is cash from the next day on.
        """
        ...


class Contract(NamedTuple):
    """A contract as the lake holds it; `terms` are canonical JSON, see `valuation.catalogue.terms_from_json`."""

    contract_id: str
    instrument_type: str
    terms: str

    @classmethod
    def of(cls, rows: pa.Table) -> list[Contract]:
        """Those in rows of the contracts table, in their order."""
        return list(map(cls._make, zip(*(rows[c].to_pylist() for c in cls._fields), strict=True)))


NOT_OURS = "Its P&L vector came from another system, and is known only under the scenarios it came with; nothing can be valued of it"
INCOMPLETE = "incomplete_vector"  # the reason of an imported vector with a hole

WHAT_TO_DO: Mapping[str, str] = {  # about contracts that failed, by reason
    "invalid_terms": "Correct the terms in the positions file.",
    "missing_risk_factor": "Load the market data it reads, or a proxy for it.",
    "matured": "Take it out of the positions.",
    "missing_fixing": "Give the fixing in the terms.",
    "forward_not_positive": "Look at its price, or use a model that takes negative prices.",
    "invalid_schedule": "Correct the dates in the terms.",
    "invalid_curve": "Correct the attributes of its risk factors.",
    "no_solution": "Look at the quotes of the curve.",
    IMPORTED: "Ask under the scenarios they came with.",
    INCOMPLETE: "Bring their whole vectors in.",
    "quantity_too_large": "Correct the quantity in the positions file.",
    "negative_rate": "Price it with model normal, or with model black and a shift.",
    "non_finite": "Look at the market data it reads, and at its terms.",
    "too_slow": "Look at its terms; if it is to take so long, raise VARLAKE_CONTRACT_SECONDS.",
    "too_large": "Look at its terms; if it is to take so much, raise VARLAKE_CONTRACT_MIB.",
    "crashed": "Please report this as a defect.",
    "pricer_error": "Please report this as a defect.",
}
_MOST_REASONS = _MOST_MESSAGES = 3


def failures_in_words(failures: Iterable[tuple[str, str, int]]) -> str:
    """The reasons that most have failed for, each with how many, the messages that most have and what to do; empty for none.

    failures : reason, message and how many (contracts or positions) have it.
    """
    told: dict[str, Counter[str]] = {}
    for reason, message, n in failures:
        told.setdefault(reason, Counter())[sentence(message)] += n
    reasons = sorted(told, key=lambda r: (-told[r].total(), r))
    words = [
        " ".join(filter(None, (f"{told[r].total():,} {r}:", _messages(told[r]), WHAT_TO_DO.get(r))))
        for r in reasons[:_MOST_REASONS]
    ]
    more = len(reasons) - _MOST_REASONS
    return " ".join([*words, *([f"And {counted(more, 'more reason')}."] if more > 0 else [])])


def _messages(counts: Counter[str]) -> str:
    """Those that most have, the first of them first, with how many where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    shown = [f"({n:,}) {message}" for message, n in counts.most_common(_MOST_MESSAGES)]
    more = len(counts) - _MOST_MESSAGES
    return " ".join([*shown, *([f"And {counted(more, 'more message')}."] if more > 0 else [])])


HUGE = "quantity_too_large"  # the reason of a contract that is held in a quantity with which sums may overflow
NO_RATE = "no_exchange_rate"  # the reason of a contract that has a value, but none in the reporting currency


STAGES = {  # at which a contract may fail, in words
    "terms": "while its terms were read",
    "check": "while its terms were checked",
    "factors": "while the risk factors it reads were found",
    "value": "while it was valued",
    "cash": "while its cash was added up",
    "conversion": "while its value was converted",
    "import": "while its vector was brought in",
}


@dataclass(frozen=True)
class ValuationFailure:
    """A contract that could not be valued: a result like any other."""

    contract_id: str
    instrument_type: str
    reason: str
    message: str
    stage: str | None = None
    """A key of `STAGES`; None where it was stored before that was kept."""


IMPORT_OF = (
    "imported:"  # in the versions of a set, before the name of a source of vectors: its files and what came with them
)
OF_BRANCH = "branch"  # in the versions of a set that was made for a branch: its branch_id
READER = (
    "reader"  # in those of a set that was valued for somebody who sees a part of the book: which, see `Lake.reader`
)
POSITIONS_DATES = "positions_dates"  # in those of a set of the books of other dates than its valuation date: as JSON
ASKED_AGAIN = "asked_again"  # in those of a set that was asked for once more when it was sealed: as JSON, see `ValuationSet.requests`


def id_for(
    reader: str, valuation_date: dt.date, scenario_set_id: str, classes: Sequence[str], pricer_version: str
) -> str:
    """The id of what a reader of a part of the book sees of all sets of these coordinates: one set, which grows, whatever others hold."""
    return digest(reader, str(valuation_date), scenario_set_id, canonical_json(classes), pricer_version)


@dataclass(frozen=True)
class ValuationSet:
    """The seal of a complete valuation set: a row of the lake's table valuation_sets, which says what each column holds.

    risk_classes : those shocked; empty for all.
    """

    valuation_set_id: str
    valuation_date: dt.date
    market_date: dt.date
    scenario_set_id: str
    scenario_set_name: str
    sample: bool
    risk_classes: tuple[str, ...]
    pricer_version: str
    scenario_count: int
    submitted: int
    valued: int
    reused: int
    failed: int
    unmoved: int
    cost_us: Mapping[str, float]
    pricing_seconds: float
    elapsed_seconds: float
    runner: str
    run_id: str
    table_versions: Mapping[str, str]
    code_version: str
    sealed_at: dt.datetime

    @property
    def for_branch(self) -> bool:
        """Whether it was made when a branch was saved, though the branch itself may not have been stored any more."""
        return OF_BRANCH in self.table_versions

    @property
    def reader(self) -> str:
        """What of the book they may see whom it was valued for; empty for everything."""
        return self.table_versions.get(READER, "")

    @property
    def positions_dates(self) -> tuple[dt.date, ...]:
        """The books whose contracts it holds."""
        told = self.table_versions.get(POSITIONS_DATES)
        return (self.valuation_date,) if told is None else tuple(map(dt.date.fromisoformat, json.loads(told)))

    def requests(self) -> list[ValuationSet]:
        """This seal, and after it one more for each later request that found the set sealed, as if it had been sealed for that request:
        at the versions of positions and of their terms, for the books, with the code and at the time of that request."""
        again = json.loads(self.table_versions.get(ASKED_AGAIN, "[]"))
        own = {k: v for k, v in self.table_versions.items() if k not in (ASKED_AGAIN, OF_BRANCH, POSITIONS_DATES)}
        later = [
            replace(
                self,
                table_versions={**own, **told["table_versions"]},
                code_version=told["code_version"],
                sealed_at=dt.datetime.fromisoformat(told["asked_at"]),
            )
            for told in again
        ]
        return [self, *later]

    def id_for(self, reader: str) -> str:
        """The id of what a reader sees of all sets of its coordinates."""
        return id_for(reader, self.valuation_date, self.scenario_set_id, self.shocked_classes, self.pricer_version)

    @property
    def imports(self) -> dict[str, Any]:
        """Sources of vectors that were not made here, by name: their files by digest, whether base values came, exchange rates."""
        marks = {k: v for k, v in self.table_versions.items() if k.startswith(IMPORT_OF)}
        return {k.removeprefix(IMPORT_OF): json.loads(v) for k, v in sorted(marks.items())}

    @property
    def order(self) -> tuple[int, dt.datetime]:
        """What sealed sets are ordered by, oldest first: the version of their table that they were planned at; the clock, which may
        have been wrong, only between sets planned at the same one."""
        return int(self.table_versions.get("valuation_sets", -1)), self.sealed_at

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ValuationSet:
        """From a row whose maps were read as dicts."""
        made = {name: row[name] for name in cls.__dataclass_fields__}
        made["risk_classes"] = tuple(row["risk_classes"] or ())
        return cls(**{**made, "cost_us": row["cost_us"] or {}, "table_versions": row["table_versions"] or {}})

    def to_dict(self) -> dict[str, Any]:
        """The row again, in the order of its columns."""
        return {**vars(self), "risk_classes": list(self.risk_classes)}

    @property
    def shocked_classes(self) -> tuple[str, ...]:
        """The risk classes it shocks, sorted."""
        return tuple(sorted(self.risk_classes or [c.value for c in RiskClass]))

    @property
    def key(self) -> str:
        """Names the seal, not the set: a set sealed anew, in a restored lake say, is read anew."""
        return digest(self.valuation_set_id, str(self.sealed_at))


@dataclass(frozen=True)
class PnLBlock:
    """P&L per unit of a batch of contracts.

    base : (n_contracts,) value at the base; pnl : (n_contracts, n_scenarios) scenario value minus base value, gains
    positive, both in each contract's own currency; cost_us : (n_contracts,) microseconds spent; states : (n_contracts,) in how many
    states each was priced, fewer than there are where some move nothing that it reads.
    """

    contract_ids: tuple[str, ...]
    currencies: tuple[str, ...]
    base: Floats
    pnl: Floats
    cost_us: Floats
    states: Ints
    failures: tuple[ValuationFailure, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.contract_ids)
        if not (len(self.currencies) == len(self.base) == len(self.pnl) == len(self.cost_us) == len(self.states) == n):
            raise ValueError(f"Expected {n} rows, one a contract, in every array of the block")
