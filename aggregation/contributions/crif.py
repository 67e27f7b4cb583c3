"""The book's own first-order sensitivities by trade in ISDA's CRIF, as margin systems read them, and `varlake ingest sensitivities` does.

An amount is the gain for a basis point up of rates and spreads, for 1% up of prices and currencies; of volatilities it is the volatility
times the derivative. Source: ISDA, *SIMM: Risk Data Standards*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.answer import Answer
from aggregation.contributions import sensitivities
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.question import Question
from aggregation.receipts import name_inputs
from aggregation.reduce.selection import open_selection
from aggregation.session import Session
from aggregation.types import RiskQuery, Scope
from lake.errors import BadInput, counted
from scenarios.store import load_scenario_set
from scenarios.types import FactorIndex, RiskClass, RiskFactor
from valuation.books.sensitivity_layouts import CRIF
from valuation.catalogue import instrument
from valuation.costs import Costs, afford, record
from valuation.types import ValuationFailure, failures_in_words

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
_RATES_FACTORS = ("zero_rate", "par_yield")


class CrifQuery(Scope):
    """Whose sensitivities, on which day."""

    def risk(self) -> RiskQuery:
        """The same book, by trade."""
        return RiskQuery(**{**{n: getattr(self, n) for n in Scope.model_fields}, "by": _BY})


@dataclass(frozen=True)
class Crif(Answer):
    """rows : a row a trade and risk factor that it depends on, in the columns of CRIF, sorted by trade."""

    query: CrifQuery
    rows: pa.Table
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """Where a factor's delta stands in CRIF, and what its move is for a move of one there."""

    risk_type: str
    qualifier: str
    bucket: str = ""
    label1: str = ""
    label2: str = ""
    weight: float = 1.0


def _answer(session: Session, query: CrifQuery) -> Crif:
    if query.by:
        raise BadInput("A CRIF file is by trade and portfolio; leave by out, and choose trades with where.")
    inputs = open_inputs(session.cache, query)
    selection = open_selection(inputs, query.risk())
    scenario_set = load_scenario_set(session.lake, inputs.valuation_set.scenario_set_id)
    bumps = sensitivities.plan_bumps(selection, scenario_set, query.currency, "none")
    most = session.most_valuations
    if most is not None and bumps.valuations > most:
        raise BadInput(
            f"This takes {bumps.valuations:,} valuations, more than the {most:,} that are done while you wait. Filter the book, or use "
            "the command line."
        )
    afford(Costs(session.lake), bumps.work)
    found = sensitivities.run_bumps(selection, scenario_set, query.currency, bumps, "none")
    record(session.lake, [(bumps.work, found.cost_us)])
    columns = [list(_columns(f, scenario_set.index, query.currency)) for f in bumps.factors]
    rows: list[dict[str, Any]] = []
    for key, delta in zip(selection.groups.keys.to_pylist(), found.delta, strict=True):
        amounts: dict[_Column, float] = {}
        for i in np.flatnonzero(delta).tolist():
            for c in columns[i]:
                place = _Column(c.risk_type, c.qualifier, c.bucket, c.label1, c.label2)
                amounts[place] = amounts.get(place, 0.0) + c.weight * float(delta[i]) * CRIF[c.risk_type][2]
        for c, amount in amounts.items():
            texts = (key["trade"], key["portfolio"], _product(key["instrument_type"]), c.risk_type, c.qualifier)
            labels = (c.bucket or None, c.label1 or None, c.label2 or None)
            money = (amount, query.currency, amount if query.currency == "USD" else None)
            row = (str(inputs.valuation_set.valuation_date), *texts, *labels, *money)
            rows.append(dict(zip(_SCHEMA.names, row, strict=True)))
    counts = f"{counted(bumps.valuations, 'valuation')} of {counted(len(bumps.contracts), 'contract')}"
    unknown = f"Buckets that the lake does not know are {_RESIDUAL}, and tenors those of its curves."
    notes = [f"First order alone, which is all that CRIF holds: {counts}. {unknown}"]
    if found.failures:
        why = failures_in_words((f.reason, f.message, 1) for f in found.failures)
        notes.append(f"{counted(len(found.failures), 'contract has', 'contracts have')} no value and no row. {why}")
    return Crif(query, pa.Table.from_pylist(rows, schema=_SCHEMA), found.failures, name_inputs(inputs), tuple(notes))


def _product(instrument_type: str) -> str:
    return _PRODUCT.get(instrument(instrument_type).__name__.split(".")[-2], "RatesFX")  # type: ignore[attr-defined]


def _columns(f: RiskFactor, index: FactorIndex, reporting: str) -> Iterator[_Column]:
    """What a factor is in CRIF; an exchange rate that is not against the reporting currency is both of its currencies."""
    name = f.risk_factor_id.partition(":")[2]
    if f.type == "fx_rate":
        base, quote = name[-6:-3], name[-3:]
        yield from (_Column("Risk_FX", c, weight=w) for c, w in ((base, 1.0), (quote, -1.0)) if c != reporting)
    elif f.type in _RATES_FACTORS:
        bucket = "1" if f.currency in _REGULAR else "2" if f.currency in _LOW_VOLATILITY else "3"
        curve = "OIS" if f.curve in (None, f.currency) else f.curve
        yield _Column("Risk_IRCurve", f.currency, bucket, (f.pillar or "").lower(), curve or "")
    elif f.type == "credit_spread":
        yield _Column("Risk_CreditQ", name.partition(":")[0], _RESIDUAL, name.partition(":")[2].lower())
    elif f.type == "implied_vol":
        asset = index.row.get(dict(f.attributes).get("asset", ""))
        of = RiskClass.EQUITY if asset is None else index.factors[asset].risk_class
        kind = {RiskClass.FX: "Risk_FXVol", RiskClass.COMMODITY: "Risk_CommodityVol"}.get(of, "Risk_EquityVol")
        yield _Column(kind, name, "" if kind == "Risk_FXVol" else _RESIDUAL)
    elif f.type == "commodity_price":
        yield _Column("Risk_Commodity", name, _OTHER_COMMODITY)
    else:
        yield _Column("Risk_Equity", name, _INDEX_BUCKET if f.type == "index_level" else _RESIDUAL)


def _price(session: Session, query: CrifQuery) -> float:
    return sensitivities.price_of_bumps(session, query.risk(), "none")


CRIF_FILE = Question(
    CrifQuery,
    _answer,
    {"as_of": "2020-03-16", "where": ["desk=European Equities"]},
    plan_scope,
    value_scope,
    price=_price,
)
