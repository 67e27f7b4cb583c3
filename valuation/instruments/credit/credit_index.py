"""Credit default swap on an index of names, such as CDX or iTraxx, on the ISDA standard model.

Unit of quantity: one unit of original notional. Value to the party of `buy_protection`, dirty; see
`valuation.instruments.credit.standard_swaps` for formula and source. The index is valued on a curve of its own, not on those of
its constituents: a curve with one quote is flat, as indices are quoted. Names that have defaulted leave the notional by
their weight (what is left of it is the index factor), and are settled one by one as a single name is.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lake.errors import in_words
from valuation.instruments.credit.default_legs import Recovery
from valuation.instruments.credit.standard_swaps import (
    VERSION,
    DefaultSwapTerms,
    Settlement,
    cash_flows,
    risk_factors,
    value,
)
from valuation.instruments.fields import Date, Name, Number, read_json

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Constituent(BaseModel):
    """A name of the index that has defaulted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: Annotated[Number, Field(gt=0, le=1)]
    default_date: Date
    settlement_date: Date
    recovery_rate: Recovery


def _constituents(value: Any) -> Any:
    """From JSON; raises `ValueError` with every fault of every name."""
    given = read_json(value)
    if not isinstance(given, dict):
        return given
    made, faults = {}, []
    for name, terms in given.items():
        try:
            made[name] = Constituent.model_validate(terms)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                shown = "" if fault["type"] == "missing" else f" = {fault['input']}"
                faults.append(f"{', '.join([name, *map(str, fault['loc'])])}{shown}: {in_words(fault)}")
    if faults:
        raise ValueError("; ".join(faults))
    return made


class Terms(DefaultSwapTerms):
    instrument_type: ClassVar[str] = "credit_index"

    defaults: Annotated[dict[Name, Constituent], BeforeValidator(_constituents)] = Field(
        {},
        description="names that have defaulted, with their part of the original notional, as JSON: "
        '{"ACME": {"weight": 0.008, "default_date": "2020-04-01", "settlement_date": "2020-05-08", "recovery_rate": 0.3}}',
    )

    def settlements(self) -> tuple[Settlement, ...]:
        return tuple(
            Settlement(c.weight, c.default_date, c.settlement_date, c.recovery_rate)
            for _, c in sorted(self.defaults.items())
        )
