"""Swaps, forward rate agreements, caps and swaptions as ORE's portfolio XML has them, read and written.

A trade is read into (instrument type, quantity, terms), and written from (terms, quantity). Volatilities, the model of an option on a
rate and mean reversion are ORE's market and its configuration of engines, not its trade: the reader names them by rule.
Source: Open Source Risk Engine, *User Guide*, ch. "Trade data".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.ore_legs import (
    FIXED,
    OVERNIGHT,
    TERM,
    TradeLeg,
    fixed_leg,
    floating,
    index_in_ore,
    leg_written,
    read_legs,
)
from valuation.books.trade_files.ore_names import (
    TENORS,
    NotWritten,
    exact,
    only_value,
    side_read,
    side_written,
)
from valuation.books.trade_files.ore_prices import Found, OptionData, Read, Write, option_written, without_premium
from valuation.books.trade_files.trade import NotRead, day, number
from valuation.instruments import schedules

# --- swaps ------------------------------------------------------------------------------------------------------------


def swap(body: Element, as_of: dt.date) -> Found:
    legs = read_legs(body)
    if len(legs) != 2:
        raise NotRead(f"swaps of two legs are read, and it has {len(legs)}")
    if legs[0].pays == legs[1].pays:
        raise NotRead(f"both of its legs are {'paid' if legs[0].pays else 'received'}")
    _alike(legs)
    if legs[0].currency != legs[1].currency:
        return _cross_currency(legs, as_of)
    if any(leg.exchanged for leg in legs):
        raise NotRead("its notional is exchanged")
    if any(leg.reset for leg in legs):
        raise NotRead("its notional is reset, and its legs are of one currency")
    if legs[0].notional != legs[1].notional:
        raise NotRead("its legs differ in notional")
    found = {leg.kind: leg for leg in legs}
    if set(found) == {TERM}:
        return _basis(legs, as_of)
    if FIXED not in found or len(found) != 2:
        raise NotRead("its legs are neither fixed against floating, nor two floating ones at rates of a term")
    return _fixed_floating(found[FIXED], found.get(TERM) or found[OVERNIGHT], as_of)


def _alike(legs: list[TradeLeg]) -> None:
    """Raises `NotRead` where the legs have not the same dates, calendar, convention, lag of payment."""
    if any(leg.periods != legs[0].periods or leg.payment_lag != legs[0].payment_lag for leg in legs):
        raise NotRead("its legs differ in dates, calendar or convention")


def _fixed_floating(fix: TradeLeg, flt: TradeLeg, as_of: dt.date) -> Found:
    terms = {
        **fix.periods,
        "currency": fix.currency,
        "pay_fixed": fix.pays,
        "fixed_rate": fix.rate,
        "fixed_frequency": fix.frequency,
        "float_frequency": flt.frequency,
        "fixed_day_count": fix.day_count,
        "float_day_count": flt.day_count,
        "discount_curve": fix.currency,
        "projection_curve": flt.projection,
        "spread": flt.rate or None,
        "fixings": flt.fixings(as_of) or None,
        "payment_lag": fix.payment_lag or None,
    }
    return ("interest_rate_swap" if flt.kind == TERM else "overnight_swap"), fix.notional, terms


def _basis(legs: list[TradeLeg], as_of: dt.date) -> Found:
    terms = {**legs[0].periods, "currency": legs[0].currency, "discount_curve": legs[0].currency}
    for leg in legs:
        side = "pay" if leg.pays else "receive"
        terms |= {
            f"{side}_projection_curve": leg.projection or leg.currency,
            f"{side}_frequency": leg.frequency,
            f"{side}_day_count": leg.day_count,
            f"{side}_spread": leg.rate or None,
            f"{side}_fixings": leg.fixings(as_of) or None,
        }
    return "basis_swap", legs[0].notional, {**terms, "payment_lag": legs[0].payment_lag or None}


def _cross_currency(legs: list[TradeLeg], as_of: dt.date) -> Found:
    """A leg that resets is the one in `currency`; where none does, the one paid."""
    own = next((leg for leg in legs if leg.reset), next(leg for leg in legs if leg.pays))
    base = next(leg for leg in legs if leg is not own)
    if base.reset or OVERNIGHT in (own.kind, base.kind):
        raise NotRead("both of its legs reset, or a rate is an overnight one")
    if base.exchanged != own.exchanged:
        raise NotRead("one of its notionals alone is exchanged")
    if own.reset and own.reset != (base.currency, base.notional):
        raise NotRead("its notional is reset to another amount than the notional of the other leg")
    terms: dict[str, Any] = {
        **own.periods,
        "currency": own.currency,
        "base_currency": base.currency,
        "initial_exchange_rate": float(own.notional / base.notional),
        "notional_exchange": own.exchanged,
        "resetting": own.reset is not None,
        "discount_curve": own.currency,
        "base_curve": base.currency,
        "payment_lag": own.payment_lag or None,
    }
    for leg, prefix in ((own, ""), (base, "base_")):
        is_fixed = leg.kind == FIXED
        terms |= {
            f"{prefix}frequency": leg.frequency,
            f"{prefix}day_count": leg.day_count,
            f"{prefix}fixed_rate": leg.rate if is_fixed else None,
            f"{prefix}spread": None if is_fixed else leg.rate or None,
            f"{prefix}projection_curve": None if is_fixed else leg.projection,
            f"{prefix}fixings": leg.fixings(as_of) or None,
        }
    return "cross_currency_swap", base.notional if own.pays else -base.notional, terms


def fixed_floating_written(terms: Any, quantity: float) -> dict[str, Any]:
    """An interest rate swap or an overnight swap."""
    overnight = terms.instrument_type == "overnight_swap"
    if getattr(terms, "compounded", None):
        raise NotWritten("what its rate has compounded to is given as one number, and ORE takes the fixing of each day")
    index = index_in_ore(
        terms.currency,
        terms.projection_curve or terms.discount_curve,
        None if overnight else TENORS[terms.float_frequency],
    )
    rate = floating(index, terms.spread, terms.fixings, overnight)
    return {"LegData": _fixed_and_floating(terms, rate, quantity, getattr(terms, "payment_lag", 0))}


def _fixed_and_floating(terms: Any, rate: Mapping[str, Any], notional: float, lag: int = 0) -> list[dict[str, Any]]:
    pays, coupon = terms.pay_fixed, fixed_leg(terms.fixed_rate)
    return [
        leg_written(terms, coupon, pays, terms.fixed_frequency, terms.fixed_day_count, notional, lag=lag),
        leg_written(terms, rate, not pays, terms.float_frequency, terms.float_day_count, notional, lag=lag),
    ]


def basis_swap_written(terms: Any, quantity: float) -> dict[str, Any]:
    legs = []
    for side in ("receive", "pay"):
        curve, frequency, day_count, spread, fixings = (
            getattr(terms, f"{side}_{n}") for n in ("projection_curve", "frequency", "day_count", "spread", "fixings")
        )
        rate = floating(index_in_ore(terms.currency, curve, TENORS[frequency]), spread, fixings)
        legs.append(leg_written(terms, rate, side == "pay", frequency, day_count, quantity))
    return {"LegData": legs}


def cross_currency_swap_written(terms: Any, quantity: float) -> dict[str, Any]:
    legs = []
    for prefix, currency, discount, notional in (
        ("base_", terms.base_currency, terms.base_curve, exact(quantity)),
        ("", terms.currency, terms.discount_curve, exact(quantity) * exact(terms.initial_exchange_rate)),
    ):
        rate, curve, frequency, day_count, spread, fixings = (
            getattr(terms, prefix + n)
            for n in ("fixed_rate", "projection_curve", "frequency", "day_count", "spread", "fixings")
        )
        data = (
            floating(index_in_ore(currency, curve or discount, TENORS[frequency]), spread, fixings)
            if rate is None
            else fixed_leg(rate)
        )
        reset = None
        if terms.resetting and not prefix:
            if terms.fx_fixings:
                raise NotWritten(
                    "exchange rates of its resets stand in its terms, which a trade of ORE has no element for"
                )
            reset = {
                "ForeignCurrency": terms.base_currency,
                "ForeignAmount": exact(quantity),
                "FXIndex": fx_index(terms),
            }
        legs.append(
            leg_written(
                terms,
                data,
                not prefix,
                frequency,
                day_count,
                notional,
                currency=currency,
                exchanged=terms.notional_exchange,
                reset=reset,
            )
        )
    return {"LegData": legs}


def fx_index(terms: Any) -> str:
    return f"FX-VARLAKE-{terms.base_currency}-{terms.currency}"


def forward_rate_agreement(body: Element, as_of: dt.date) -> Found:
    index, currency = body.value("Index") or "", body.value("Currency")
    terms = {
        "currency": currency,
        "pay_fixed": side_read(body.value("LongShort")) > 0,
        "fixed_rate": number(body.value("Strike"), "Strike"),
        "start": day(body.value("StartDate"), "StartDate"),
        "maturity": day(body.value("EndDate"), "EndDate"),
        "day_count": "Actual365Fixed" if currency in _ON_365 else "Actual360",
        "calendar": "none",  # days stand in the trade as they are
        "business_day_convention": "Unadjusted",
        "discount_curve": currency,
        "projection_curve": None if index.startswith(f"{currency}-{currency}-") else index,
    }
    return "forward_rate_agreement", number(body.value("Notional"), "Notional"), terms


def forward_rate_agreement_written(terms: Any, quantity: float) -> dict[str, Any]:
    period = terms.period()
    start, end = (dt.date.fromordinal(int(days[0])) for days in (period.starts, period.payments))
    return {
        "StartDate": start,
        "EndDate": end,
        "Currency": terms.currency,
        "Index": fra_index(terms)[0],
        "LongShort": side_written(1 if terms.pay_fixed else -1),
        "Strike": terms.fixed_rate,
        "Notional": quantity,
    }


def fra_index(terms: Any) -> tuple[str, str | None]:
    """Its rate, and the calendar by which the term of that moves to a business day.

    ORE projects over the term of the rate from the first day, not over the period: raises `NotWritten` where these differ.
    """
    start, end = (dt.date.fromordinal(int(d[0])) for d in (terms.period().starts, terms.period().payments))
    for tenor in TENORS.values():
        if schedules.tenor_end(start, tenor) == end:
            return index_in_ore(terms.currency, terms.projects, tenor), None
        if schedules.advanced(start, tenor, terms.calendar, "ModifiedFollowing") == end:
            return f"{terms.currency}-{terms.projects}.{terms.calendar}-{tenor}", terms.calendar
    raise NotWritten(f"its period from {start} to {end} is that of no rate of {', '.join(TENORS.values())}")


_ON_365 = {"GBP", "AUD", "NZD", "CAD", "HKD", "SGD", "ZAR", "PLN"}  # money markets on Actual/365 (Fixed)

# --- options on rates -------------------------------------------------------------------------------------------------


def cap_floor(body: Element, as_of: dt.date) -> Found:
    legs = read_legs(body)
    without_premium(body, as_of)
    strikes = {n: only_value(body, f"{n}s", n) for n in ("Cap", "Floor")}
    given = [n for n, strike in strikes.items() if strike is not None]
    if len(legs) != 1 or legs[0].kind != TERM or len(given) != 1:
        raise NotRead("it is not one cap or one floor on one leg at a rate of a term; a collar is two trades here")
    (leg,), (kind,) = legs, given
    if leg.rate:
        raise NotRead("the rate of its leg has a spread")
    terms = {
        **leg.periods,
        "currency": leg.currency,
        "option_type": kind.lower(),
        "strike": number(strikes[kind], kind),
        "float_frequency": leg.frequency,
        "float_day_count": leg.day_count,
        "discount_curve": leg.currency,
        "projection_curve": leg.projection,
        "fixings": leg.fixings(as_of) or None,
        "payment_lag": leg.payment_lag or None,
        "model": "normal",
        "volatility": f"NV:{leg.currency}_CAP",
    }
    return "cap_floor", side_read(body.value("LongShort")) * leg.notional, terms


def cap_floor_written(terms: Any, quantity: float) -> dict[str, Any]:
    rate = floating(index_in_ore(terms.currency, terms.projects, TENORS[terms.float_frequency]), 0.0, terms.fixings)
    kind = terms.option_type.capitalize()
    return {
        "LongShort": side_written(quantity),
        "LegData": leg_written(terms, rate, False, terms.float_frequency, terms.float_day_count, abs(quantity)),
        f"{kind}s": {kind: terms.strike},
    }


def swaption(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of, ("European", "Bermudan"))
    kind, notional, terms = swap(body, as_of)
    if kind != "interest_rate_swap" or terms["spread"] or terms["payment_lag"]:
        raise NotRead("its swap is not fixed against a rate of a term without spread")
    method = option.data.value("SettlementMethod")
    cash = option.data.value("Settlement") == "Cash" and method != "CollateralizedCashPrice"
    if cash and method not in (None, "ParYieldCurve"):
        raise NotRead(f"it is settled by {method}")
    terms = {k: v for k, v in terms.items() if k not in ("spread", "fixings")}
    if option.style == "European":
        terms |= {
            "expiry": option.expiry,
            "settlement": "cash" if cash else None,
            "model": "normal",
            "volatility": f"NV:{terms['currency']}_SWAPTION",
        }
    else:
        if cash:
            raise NotRead("it is Bermudan and settled in cash at a par yield curve")
        terms |= {
            "exercise_dates": [str(d) for d in option.dates if d >= as_of],
            "mean_reversion": 0.0,
            "volatility": f"NV:{terms['currency']}_SHORT_RATE",
        }
    return {"European": "swaption", "Bermudan": "bermudan_swaption"}[option.style], option.sign * notional, terms


def swaption_written(terms: Any, quantity: float) -> dict[str, Any]:
    """A European or a Bermudan swaption."""
    bermudan = terms.instrument_type == "bermudan_swaption"
    cash = not bermudan and terms.settlement == "cash"
    option = option_written(
        quantity,
        list(terms.exercise_dates) if bermudan else terms.expiry,
        style="Bermudan" if bermudan else "European",
        Settlement="Cash" if cash else "Physical",
        SettlementMethod="ParYieldCurve" if cash else None,
    )
    rate = floating(index_in_ore(terms.currency, terms.projects, TENORS[terms.float_frequency]), 0.0, {})
    return {"OptionData": option, "LegData": _fixed_and_floating(terms, rate, abs(quantity))}


READ: Mapping[str, tuple[Read, str]] = {  # by trade type: what reads its data, and the elements there that it knows
    "Swap": (swap, "LegData"),
    "CrossCurrencySwap": (swap, "LegData"),
    "ForwardRateAgreement": (forward_rate_agreement, "StartDate EndDate Currency Index LongShort Strike Notional"),
    "CapFloor": (cap_floor, "LongShort LegData Caps Floors Premiums PremiumAmount PremiumCurrency PremiumPayDate"),
    "Swaption": (swaption, "OptionData LegData"),
}
WRITTEN: Mapping[str, tuple[str, Write]] = {  # by instrument: ORE's type of trade, and what makes its data
    "interest_rate_swap": ("Swap", fixed_floating_written),
    "overnight_swap": ("Swap", fixed_floating_written),
    "basis_swap": ("Swap", basis_swap_written),
    "cross_currency_swap": ("CrossCurrencySwap", cross_currency_swap_written),
    "forward_rate_agreement": ("ForwardRateAgreement", forward_rate_agreement_written),
    "cap_floor": ("CapFloor", cap_floor_written),
    "swaption": ("Swaption", swaption_written),
    "bermudan_swaption": ("Swaption", swaption_written),
}
