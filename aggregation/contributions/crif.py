"""The book's own first-order sensitivities by trade in ISDA's CRIF, as margin systems read them, and `varlake ingest sensitivities` does.

An amount is the gain for a basis point up of rates and spreads, for 1% up of prices and currencies, and for one point up of the
volatility of a share, a currency or a commodity; of rates it is the volatility times the derivative.
Source: ISDA, *SIMM: Risk Data Standards*.
"""

from __future__ import annotations

import bisect
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from aggregation.answer import Answer
from aggregation.contributions.sensitivities import BumpedQuery, open_bumped, plan_bumped, price_of_bumped, value_bumped
from aggregation.question import Question
from aggregation.reduce.coverage import failed_contracts
from aggregation.reduce.selection import Selection
from aggregation.session import Session
from lake.errors import BadInput, counted
from scenarios.surfaces import VOLATILITIES, surface_of
from scenarios.types import RATES, SHARES, FactorIndex, RiskClass, RiskFactor, tenor_years
from valuation.books.contracts import contracts_by_id
from valuation.books.sensitivity_layouts import CRIF, RELATIVE
from valuation.catalogue import instrument
from valuation.types import Contract, ValuationFailure, failures_in_words

_BY = ("trade", "portfolio", "instrument_type")
_TEXTS = ("TradeID", "PortfolioID", "ProductClass", "RiskType", "Qualifier", "Bucket", "Label1", "Label2")
_SCHEMA = pa.schema(
    [
        *((c, pa.string()) for c in ("ValuationDate", *_TEXTS)),
        ("Amount", pa.float64()),
        ("AmountCurrency", pa.string()),
        ("AmountUSD", pa.float64()),
    ]
)
_PRODUCT = {"equity": "Equity", "commodity": "Commodity", "credit": "Credit"}  # by asset class; else RatesFX
_LOW_VOLATILITY = ("JPY",)
_REGULAR = ("USD", "EUR", "GBP", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "HKD", "KRW", "SGD", "TWD")
_RESIDUAL, _INDEX_BUCKET, _OTHER_COMMODITY = "Residual", "11", "16"
_TENORS = ("2w", "1m", "3m", "6m", "1y", "2y", "3y", "5y", "10y", "15y", "20y", "30y")
_CREDIT_TENORS = ("1y", "2y", "3y", "5y", "10y")
_VOLATILITIES = ("Risk_IRVol", "Risk_FXVol", "Risk_CommodityVol", "Risk_EquityVol")
_VOLATILITY_OF = {RiskClass.RATES: "Risk_IRVol", RiskClass.FX: "Risk_FXVol", RiskClass.COMMODITY: "Risk_CommodityVol"}


class CrifQuery(BumpedQuery):
    """Whose sensitivities, on which day."""


@dataclass(frozen=True)
class Crif(Answer):
    """rows : a row a trade and risk factor that it depends on, in the columns of CRIF, sorted by trade."""

    query: CrifQuery
    rows: pa.Table
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


class _Place(NamedTuple):
    """Where a sensitivity stands in CRIF."""

    risk_type: str
    qualifier: str
    bucket: str = ""
    label1: str = ""
    label2: str = ""


def _answer(session: Session, query: CrifQuery) -> Crif:
    if query.by:
        raise BadInput("A CRIF file is by trade and portfolio; leave by out, and choose trades with where.")
    bumped = open_bumped(session, query.model_copy(update={"by": _BY}))
    selection, scenario_set = bumped.selection, bumped.scenarios
    index = scenario_set.index
    held = _held(session, selection)
    classes = _classes_of(c for c, _ in held.values())
    places = [
        _places(f, b, index, query.currency, classes)
        for f, b in zip(index.factors, scenario_set.base.tolist(), strict=True)
    ]
    expiries = _expiries(held, query.as_of)
    keys, rows, absent = selection.groups.keys.to_pylist(), list[dict[str, Any]](), set[int]()
    for start, found in bumped.portions(0, selection.groups.n):
        for key, delta in zip(keys[start : start + len(found.first)], found.first, strict=True):
            amounts: dict[_Place, float] = {}
            for i in np.flatnonzero(delta).tolist():
                if not places[i]:
                    absent.add(i)
                for place, unit in places[i]:
                    split = [(place.label1, 1.0)]
                    if (
                        place.risk_type in _VOLATILITIES and not place.label1
                    ):  # one number for all expiries: that of the trade
                        split = _tenors(expiries.get(key["trade"]), _TENORS)
                    for label, share in split:
                        at = place._replace(label1=label)
                        amounts[at] = amounts.get(at, 0.0) + share * unit * float(delta[i])
            for place, amount in amounts.items():
                trade = (str(query.as_of), key["trade"], key["portfolio"], _product(key["instrument_type"]))
                money = (amount, query.currency, amount if query.currency == "USD" else None)
                row = (*trade, *place[:2], *(label or None for label in place[2:]), *money)
                rows.append(dict(zip(_SCHEMA.names, row, strict=True)))
    failures = tuple(f for f, _ in failed_contracts(selection))
    unknown = f"Buckets that the lake does not know are {_RESIDUAL}."
    notes = [f"First order alone, which is all that CRIF holds. {bumped.sizes_in_words} {unknown}"]
    if absent:
        kinds = ", ".join(sorted({index.factors[i].type for i in absent}))
        first = index.factors[min(absent)].risk_factor_id
        notes.append(
            f"CRIF has no risk type for {counted(len(absent), 'risk factor')} ({kinds}), the first {first}: no row has them."
        )
    if failures:
        why = failures_in_words((f.reason, f.message, 1) for f in failures)
        notes.append(f"{counted(len(failures), 'contract has', 'contracts have')} no value and no row. {why}")
    return Crif(query, pa.Table.from_pylist(rows, schema=_SCHEMA), failures, bumped.receipt, tuple(notes))


def _product(instrument_type: str) -> str:
    return _PRODUCT.get(instrument(instrument_type).__name__.split(".")[-2], "RatesFX")  # type: ignore[attr-defined]


def _places(
    f: RiskFactor, level: float, index: FactorIndex, reporting: str, classes: Mapping[str, RiskClass]
) -> list[tuple[_Place, float]]:
    """What a factor is in CRIF, and the amount there for a derivative of one; nothing for what CRIF has no risk type for.

    An exchange rate that is not against the reporting currency is both of its currencies. What lies between two tenors is split by time.
    """
    name, of = f.risk_factor_id.partition(":")[2], dict(f.attributes)
    if f.type == "fx_rate":
        sides = ((name[-6:-3], level), (name[-3:], -level))
        return [_at(_Place("Risk_FX", c), level=at) for c, at in sides if c != reporting]
    if f.type == "basis_spread" and "projection_curve" in of:
        return [_at(_Place("Risk_XCcyBasis", f.currency))]
    if f.type == "inflation_rate":
        return [_at(_Place("Risk_Inflation", f.currency))]
    if f.type in RATES:
        bucket = "1" if f.currency in _REGULAR else "2" if f.currency in _LOW_VOLATILITY else "3"
        curve = "OIS" if f.curve in (None, f.currency) else str(f.curve)
        sign = -100.0 if f.type == "rate_future" else 1.0  # a price of 100 less the rate
        place = _Place("Risk_IRCurve", f.currency, bucket, label2=curve)
        return [_at(place._replace(label1=t), sign * w) for t, w in _tenors(_years(f.pillar), _TENORS)]
    if f.type in ("credit_spread", "credit_yield", "cds_spread"):
        issuer, _, tenor = name.partition(":")
        place = _Place("Risk_CreditQ", issuer, _RESIDUAL, label2=f.currency)
        return [_at(place._replace(label1=t), w) for t, w in _tenors(_years(f.pillar or tenor), _CREDIT_TENORS)]
    if f.type in VOLATILITIES:
        kind = _VOLATILITY_OF.get(_class_of(f, index, classes), "Risk_EquityVol")
        asset = of.get("asset", "").partition(":")[2] or surface_of(f) or name
        place = _Place(
            kind,
            f.currency if kind == "Risk_IRVol" else asset.removeprefix("IV:"),
            _RESIDUAL if kind == "Risk_EquityVol" else _OTHER_COMMODITY if kind == "Risk_CommodityVol" else "",
        )
        return [
            _at(place._replace(label1=t), w, level) for t, w in _tenors(_years(of.get("expiry") or f.pillar), _TENORS)
        ]
    if f.type == "commodity_price":
        return [_at(_Place("Risk_Commodity", f.curve or name, _OTHER_COMMODITY), level=level)]
    if f.type in SHARES:
        return [_at(_Place("Risk_Equity", name, _INDEX_BUCKET if f.type == "index_level" else _RESIDUAL), level=level)]
    return []


def _at(place: _Place, weight: float = 1.0, level: float = 1.0) -> tuple[_Place, float]:
    """The place, and its amount for a derivative of one: that of the bump of its risk type, of the level where that is relative."""
    _, move, bump = CRIF[place.risk_type]
    return place, weight * bump * (level if move == RELATIVE else 1.0)


def _years(tenor: str | None) -> float | None:
    return tenor_years(tenor) if tenor else None


def _tenors(time: float | None, known: Sequence[str]) -> list[tuple[str, float]]:
    """The tenors of CRIF that a time in years lies between, each with its share by time; an empty one where none is known."""
    if time is None:
        return [("", 1.0)]
    years = [tenor_years(t.upper()) for t in known]
    after = bisect.bisect_left(years, time)
    if after == len(years) or after == 0 or years[after] == time:
        return [(known[min(after, len(years) - 1)], 1.0)]
    share = (time - years[after - 1]) / (years[after] - years[after - 1])
    return [(known[after - 1], 1.0 - share), (known[after], share)]


def _held(session: Session, selection: Selection) -> dict[int, tuple[Contract, list[str]]]:
    """The contracts of the selection by their place in the book, each with the trades that hold it."""
    book, trades = selection.inputs.book, selection.inputs.book.columns["trade"]
    held = np.flatnonzero(selection.keep)
    contract = np.searchsorted(book.starts, held, side="right") - 1
    places = np.unique(contract)
    found = {c.contract_id: c for c in Contract.of(contracts_by_id(session.lake, book.contract_ids.take(places)))}
    out = {p: (found[book.contract_ids[p].as_py()], list[str]()) for p in places.tolist()}
    names = trades.members.take(pa.array(trades.codes[held])).to_pylist()
    for trade, p in zip(names, contract.tolist(), strict=True):
        out[p][1].append(trade)
    return out


def _expiries(held: Mapping[int, tuple[Contract, list[str]]], day: dt.date) -> dict[str, float]:
    """Years to the expiry of what each trade holds, of the trades that hold options of one expiry."""
    found = dict[str, set[str]]()
    for contract, trades in held.values():
        if expiry := json.loads(contract.terms).get("expiry"):
            for trade in trades:
                found.setdefault(trade, set()).add(expiry)
    return {
        trade: (dt.date.fromisoformat(min(dates)) - day).days / 365 for trade, dates in found.items() if len(dates) == 1
    }


def _classes_of(contracts: Iterable[Contract]) -> dict[str, RiskClass]:
    """What the volatilities that options name are of, by factor or surface: the class of the options that read them."""
    found: dict[str, RiskClass] = {}
    for c in sorted(contracts):
        terms = json.loads(c.terms)
        for name in ("volatility", "second_volatility", "smile"):
            if isinstance(named := terms.get(name), str):
                kind = instrument(c.instrument_type).__name__.split(".")[-2]  # type: ignore[attr-defined]
                found.setdefault(named, RiskClass(kind))
    return found


def _class_of(f: RiskFactor, index: FactorIndex, classes: Mapping[str, RiskClass]) -> RiskClass:
    """What a volatility is of: as its attribute `asset` says, else as the options that read it do, such as caps on a rate plus 3%."""
    asset = dict(f.attributes).get("asset", "")
    if asset in index.row:
        return index.factors[index.row[asset]].risk_class
    rates = f.type == "normal_vol" or asset in {
        c.curve for c in index.factors if c.risk_class is RiskClass.RATES and c.curve
    }
    if rates:
        return RiskClass.RATES
    names = (f.risk_factor_id, surface_of(f))
    return next((classes[n] for n in names if n is not None and n in classes), RiskClass.EQUITY)


def _value(session: Session, query: CrifQuery) -> CrifQuery:
    value_bumped(session, query)
    return query


CRIF_FILE = Question(
    CrifQuery,
    _answer,
    {"as_of": "2020-03-16", "where": ["desk=European Equities"]},
    plan_bumped,
    _value,
    price=price_of_bumped,
)
