"""What the FRTB standardised approach asks of the contracts of a book: their terms, options, maturities, and what a default or a residual
risk is of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.regulatory.frtb_sa_factors import COMMODITY, EQUITY, FX, GIRR
from aggregation.session import Session
from lake.arrays import Bools, Floats
from lake.errors import VarlakeError
from scenarios.surfaces import surface_of
from scenarios.types import FactorIndex, RiskFactor
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import terms_from_json
from valuation.types import Contract, InstrumentTerms

DAYS_A_YEAR = 365.0
_BONDS = (
    *("government_bond", "zero_bond", "fixed_bond", "step_bond", "amortising_bond"),
    *("floating_bond", "inflation_bond", "bond_forward", "bond_future"),
)


@dataclass(frozen=True)
class ContractTerms:
    """The contracts of a book, in its order. terms : None where they cannot be read, such as of an imported vector, with the reason in
    `unread` by place."""

    kinds: tuple[str, ...]
    terms: tuple[InstrumentTerms | None, ...]
    unread: Mapping[int, str]


def contracts_of(session: Session, book: Book, added: pa.Table | None = None) -> ContractTerms:
    """The terms of the contracts of a book. added : rows of contracts that the lake may not hold."""
    if book.files:  # whose names are digests of what is in it
        key = ("frtb terms", book.positions_date, book.files, book.said, len(book.contract_ids))
        found: ContractTerms = session.cache.keep(key, lambda: _read(session, book.contract_ids, added))
        return found
    return _read(session, book.contract_ids, added)


def _read(session: Session, ids: pa.Array, added: pa.Table | None) -> ContractTerms:
    new = Contract.of(added) if added is not None else []
    held = ids if not new else ids.filter(pc.invert(pc.is_in(ids, value_set=pa.array([c.contract_id for c in new]))))
    return read_contracts(sorted({*new, *Contract.of(contracts_by_id(session.lake, held))}))


def read_contracts(contracts: Sequence[Contract]) -> ContractTerms:
    """The terms of contracts."""
    terms: list[InstrumentTerms | None] = []
    unread: dict[int, str] = {}
    for place, contract in enumerate(contracts):
        try:
            terms.append(terms_from_json(contract.instrument_type, contract.terms))
        except VarlakeError as error:
            terms.append(None)
            unread[place] = error.message
    return ContractTerms(tuple(c.instrument_type for c in contracts), tuple(terms), unread)


def years_until(day: dt.date, as_of: dt.date) -> float:
    """Years from one day to another, Act/365; none before it."""
    return max((day - as_of).days, 0) / DAYS_A_YEAR


def last_day(terms: Any) -> dt.date | None:
    """The day on which a contract ends, None for one without an end."""
    for name in ("maturity", "expiry", "delivery"):
        if (found := getattr(terms, name, None)) is not None:
            return found  # type: ignore[no-any-return]
    return None


class HeldOption(NamedTuple):
    """What vega asks of an option. expiry : years to its last exercise; underlying : years that the underlying has then still to run, of
    options on rates; 0 of others. volatilities : ids or surfaces. name : the underlying as a risk factor, a pair or a currency."""

    risk_class: str
    name: str
    expiry: float
    underlying: float
    volatilities: tuple[str, ...]


def option_of(kind: str, terms: Any, as_of: dt.date) -> HeldOption | None:
    """The option that a contract is; None for one that reads no volatility."""
    named = tuple(n for n in (getattr(terms, "volatility", None), getattr(terms, "second_volatility", None)) if n)
    named += tuple(n for n in (getattr(terms, "smile", None),) if isinstance(n, str))
    if not named:
        return None
    if kind.startswith("fx_"):
        pair = terms.base_currency + terms.currency
        return HeldOption(FX, pair, years_until(terms.expiry, as_of), 0.0, named)
    if kind == "cap_floor":
        return HeldOption(GIRR, terms.currency, years_until(terms.maturity, as_of), 1.0 / terms.float_frequency, named)
    if kind == "bermudan_swaption":
        exercise = max(terms.exercise_dates)
        return HeldOption(
            GIRR, terms.currency, years_until(exercise, as_of), years_until(terms.maturity, exercise), named
        )
    if kind == "swaption":
        underlying = years_until(terms.maturity, terms.expiry)
        return HeldOption(GIRR, terms.currency, years_until(terms.expiry, as_of), underlying, named)
    end = last_day(terms)
    assert end is not None
    risk_class = COMMODITY if kind.startswith("commodity") else EQUITY
    return HeldOption(risk_class, terms.underlying, years_until(end, as_of), 0.0, named)


def options_of(contracts: ContractTerms, with_options: Sequence[str], as_of: dt.date) -> dict[int, HeldOption]:
    """The options of the book, by place."""
    wanted = set(with_options)
    found = {
        place: option_of(kind, terms, as_of)
        for place, (kind, terms) in enumerate(zip(contracts.kinds, contracts.terms, strict=True))
        if kind in wanted and terms is not None
    }
    return {place: option for place, option in found.items() if option is not None}


def volatility_of(options: Mapping[int, HeldOption]) -> dict[str, HeldOption]:
    """Of each volatility that an option names, by the name of the factor or surface, an option on it: that of the first underlying."""
    out: dict[str, HeldOption] = {}
    for option in sorted(options.values()):
        for name in option.volatilities:
            out.setdefault(name, option)
    return out


def underlying_of(f: RiskFactor, by_name: Mapping[str, HeldOption], index: FactorIndex) -> tuple[str, str] | None:
    """Class and name of what a volatility is of: as its attribute `asset` says, else as the options on it do; None where neither does."""
    names = (f.risk_factor_id, surface_of(f), dict(f.attributes).get("surface"))
    option = next((by_name[n] for n in names if n is not None and n in by_name), None)
    asset = dict(f.attributes).get("asset", "")
    if asset.startswith("FX:"):
        return FX, asset[-6:]
    if asset in index.row:
        kind = index.factors[index.row[asset]].type
        if kind in ("equity_price", "index_level"):
            return EQUITY, asset
        if kind == "commodity_price":
            return COMMODITY, asset
    return None if option is None else (option.risk_class, option.name)


def involves(terms: Any, currency: str) -> bool:
    """Whether a contract is in a currency, or on it."""
    return currency in (getattr(terms, "currency", None), getattr(terms, "base_currency", None))


def mask_of(n: int, places: Sequence[int]) -> Bools:
    """(n,) true at the places."""
    out = np.zeros(n, np.bool_)
    out[list(places)] = True
    return out


def is_sovereign(kind: str, terms: Any) -> bool:
    """Whether a contract is on a bond whose curve is the yield of its issuer: one without a spread of its own."""
    return kind in _BONDS and getattr(terms, "credit_spread", None) is None


def maturities(contracts: ContractTerms, as_of: dt.date) -> Floats:
    """Years to the end of each contract, NaN for one without."""
    days = (None if t is None else last_day(t) for t in contracts.terms)
    return np.array([np.nan if d is None else years_until(d, as_of) for d in days])
