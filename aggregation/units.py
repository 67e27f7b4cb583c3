"""The unit of each column of an answer's table: what its figures are read in, and how a spreadsheet shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from aggregation.measures import MEASURES

FRACTION, NUMBER, COUNT, DATE, INSTANT = "fraction", "number", "count", "date", "UTC"

# figures that are no money; every other figure is in the currency of the question
_NO_MONEY = {
    FRACTION: "share|share_of_change|share_of_positions|probability|p_value|stability"
    "|pd|lgd|loss_given_default|risk_weight|density|utilisation|warning|supervisory_factor|volatility|discount_factor",
    NUMBER: "quantity|weight|first|second|base|level|move|deviations|statistic|Amount"
    "|correlation|mean_correlation|correlation_standard_error"
    "|maturity|maturity_factor|multiplier|tenor|underlying_tenor|supervisory_delta|shift|[SEMTPK]|MF"
    "|systematic|idiosyncratic|hedge_misalignment",  # squares of money
    "USD": "AmountUSD",
}
_POINT = "(_(from|to|before|after|change|difference))?"
_OF_MEASURES = {"probability": FRACTION, "none": NUMBER}


def units_of(columns: pa.Schema, asked: Mapping[str, Any]) -> dict[str, str]:
    """The unit of every column that has one: `fraction`, `number`, `count`, `date`, `UTC` of instants, or an ISO 4217 currency.

    asked : the question as its receipt has it. Columns of text and of yes or no have none.
    """
    found = {f.name: _unit(f.name, f.type, asked) for f in columns}
    return {name: unit for name, unit in found.items() if unit is not None}


def _unit(name: str, kind: pa.DataType, asked: Mapping[str, Any]) -> str | None:
    if pa.types.is_date(kind):
        return DATE
    if pa.types.is_timestamp(kind):
        return INSTANT
    if pa.types.is_integer(kind):
        return COUNT
    if not pa.types.is_floating(kind):
        return None
    measures = asked.get("measures") or ()
    across = "columns" in asked and len(measures) == 1  # the columns of a cross table of one measure are members
    for measure in measures:
        unit = _OF_MEASURES.get(MEASURES[measure].unit) if measure in MEASURES else None
        if unit and (across or re.search(rf"(^| ){measure}(_|$)", name)):
            return unit
    known = next((unit for unit, names in _NO_MONEY.items() if re.fullmatch(f"({names}){_POINT}", name)), None)
    currency: str = asked.get("currency") or NUMBER
    return known or currency
