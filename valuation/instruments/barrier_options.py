"""European options with one barrier, whatever they are on.

Value = Reiner and Rubinstein's formulas, with the discount factor and forward price of expiry and the volatility at the
strike; see `valuation.kernels.barrier`. Between now and expiry interest, carry and volatility are those of expiry
throughout, and the smile at the barrier is not read.
Where the barrier is watched at the close of some days only, it is moved by Broadie, Glasserman and Kou.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, Number, OptionType, Price
from valuation.instruments.reads import curve_factors, settlement, volatilities, years
from valuation.instruments.underlyings import Underlyings
from valuation.kernels.barrier import barrier_options
from valuation.types import CashFlow, InstrumentTerms, Market, OnlyWith, RolledMarkets

INTERVALS = {"continuous": 0.0, "daily": 1 / 252, "weekly": 7 / 365, "monthly": 1 / 12}  # years

Option = TypeVar("Option", bound="BarrierOption")
Monitoring = Literal["continuous", "daily", "weekly", "monthly"]


class BarrierOption(InstrumentTerms):
    """Terms of an option with one barrier."""

    only_with: ClassVar[OnlyWith] = {"rebate_paid": ("rebate", ())}

    volatility: Name
    expiry: Date
    strike: Price = Field(description="exercise price, positive")
    option_type: OptionType = Field(description="call or put")
    barrier: Price = Field(description="price that makes or ends the option when it is touched, positive")
    barrier_type: Literal["down_in", "down_out", "up_in", "up_out"] = Field(
        description="down_in and up_in begin to live when the price falls or rises to the barrier, down_out and up_out end"
    )
    monitoring: Monitoring | None = Field(
        None,
        description="when a touch counts: continuous, or at the close daily, weekly or monthly; continuous if left out",
    )
    rebate: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="paid per unit when a knock-out is touched, or a knock-in never; none if left out"
    )
    rebate_paid: Literal["at_touch", "at_expiry"] | None = Field(
        None,
        description="when the rebate of a knock-out is paid: at_touch (if left out) or at_expiry; of a knock-in at_expiry",
    )
    barrier_hit: Date | None = Field(None, description="day on which the barrier was touched; left out until it is")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.knock_in and self.rebate_paid == "at_touch":
            raise ValueError(
                f"the rebate of {self.barrier_type} is paid at_expiry, when nothing has touched the barrier"
            )
        if self.barrier_hit is not None and self.barrier_hit > self.expiry:
            raise ValueError(f"barrier_hit {self.barrier_hit} lies after expiry {self.expiry}")
        return self

    @property
    def knock_in(self) -> bool:
        return self.barrier_type.endswith("_in")

    @property
    def at_touch(self) -> bool:
        return not self.knock_in and self.rebate_paid != "at_expiry"

    @property
    def payment_curve(self) -> str:
        """The curve that discounts what is paid."""
        raise NotImplementedError

    def touched(self, day: dt.date) -> bool:
        return self.barrier_hit is not None and self.barrier_hit <= day

    def ended(self, day: dt.date) -> bool:
        """Whether it has been knocked out, so that at most its rebate is left to be paid."""
        return self.touched(day) and not self.knock_in


def barrier_factors(
    terms: BarrierOption, index: FactorIndex, valuation_date: dt.date, alive: Callable[[], tuple[str, ...]]
) -> tuple[str, ...]:
    """Ids of the factors that decide the value: of an option that lives `alive()`, of one that has ended those of its rebate."""
    if not terms.ended(valuation_date):
        return alive()
    if terms.at_touch or not terms.rebate:
        return ()
    return curve_factors(index, terms.payment_curve, valuation_date, terms.expiry)


def barrier_values(
    terms: Sequence[Option], market: Market, underlyings: Callable[[Sequence[Option], Market], Underlyings]
) -> Floats:
    """Values (n_contracts, n_states); the function gives the underlyings of those that live."""
    out = np.zeros((len(terms), market.n_states))
    living = [i for i, t in enumerate(terms) if not t.ended(market.valuation_date)]
    if living:
        some = [terms[i] for i in living]
        out[living] = _living(some, underlyings(some, market), market)
    for i, t in enumerate(terms):
        if t.rebate and t.ended(market.valuation_date):
            out[i] = _rebate_left(t, t.rebate, market)
    return out


def _living(terms: Sequence[BarrierOption], underlyings: Underlyings, market: Market) -> Floats:
    day, times = market.valuation_date, underlyings.times
    strikes: Floats = np.array([t.strike for t in terms])
    side: Floats = np.array([1.0 if t.barrier_type.startswith("down") else -1.0 for t in terms])
    # what has been touched lies behind its barrier wherever the price is
    behind: Floats = np.where(side > 0, np.inf, 0.0)
    return barrier_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        side,
        np.array([t.knock_in for t in terms]),
        np.array([t.at_touch for t in terms]),
        strikes,
        np.where([t.touched(day) for t in terms], behind, [t.barrier for t in terms]),
        np.array([t.rebate or 0.0 for t in terms]),
        times,
        np.array([INTERVALS[t.monitoring or "continuous"] for t in terms]),
        underlyings.spot,
        underlyings.delivered,
        volatilities(market, [t.volatility for t in terms], times, strikes, lambda: underlyings.forward),
        underlyings.discount,
    )


def _rebate_left(terms: BarrierOption, rebate: float, market: Market) -> Floats | float:
    """What an option that has ended still pays: its rebate on the day of the touch, or at expiry."""
    if terms.at_touch:
        return rebate if terms.barrier_hit == market.valuation_date else 0.0
    discount: Floats = market.discount(terms.payment_curve, years(market, [terms.expiry]))[0]
    return rebate * discount


def barrier_cash(
    value: Callable[[Sequence[Any], Market], Floats], terms: BarrierOption, markets: RolledMarkets, until: dt.date
) -> tuple[CashFlow, ...]:
    """What it settles at expiry, or at the touch."""
    ends = terms.barrier_hit if terms.barrier_hit is not None and terms.at_touch else terms.expiry
    return settlement(value, terms, markets, ends, until)
