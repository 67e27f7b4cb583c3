"""What a trade reads from the market as ORE has it, as facts: by kind and name, such as the discount curve of USD.

ORE has one discount curve a currency, one volatility an underlying and expiry, one fixing a rate and day, where terms here may each
name their own: two trades that state one fact differently cannot both be put to ORE. A term that ORE has no place for raises
`NotWritten`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from valuation.books.trade_files.ore_credit import BONDS, NO_SECURITY
from valuation.books.trade_files.ore_legs import index_in_ore
from valuation.books.trade_files.ore_names import TENORS, NotWritten, code
from valuation.books.trade_files.ore_prices import name_in_ore
from valuation.books.trade_files.ore_rates import fra_index, fx_index
from valuation.instruments.fx.pairs import delivered_values
from valuation.instruments.reads import volatilities
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket
from valuation.market.volatility import surface

Facts = dict[tuple[Any, ...], Any]


def facts(terms: Any, market: ScenarioMarket) -> Facts:
    """Raises `NotWritten`."""
    return READS[terms.instrument_type](terms, market)


def convention(terms: Any) -> str | None:
    """Why ORE's value of a trade may be another one, though both are told the same; None where it is not."""
    kind = terms.instrument_type
    if getattr(terms, "simulated", False):
        return "here it is simulated, with the error of its paths"
    if kind == "equity_asian_option" and terms.average == "geometric":
        return "ORE lets the price drift to expiry at one rate, here each day of the average has its own forward price"
    if kind == "swaption" and terms.settlement == "cash":
        return "ORE's cash annuity has the accruals of the fixed leg at a yearly rate, here each period is 1/frequency of a year"
    return _CONVENTIONS.get(kind)


_MIDDLE = "ORE lets a default fall in the middle of its coupon period, here it may fall on any day"
_FORWARD = "ORE's grid takes the forward rates of the curve from day to day, here the rate to expiry holds throughout"
_CONVENTIONS: Mapping[str, str] = {
    "overnight_swap": "where a period begins or ends on a holiday, ORE takes the overnight rate from business day to business day",
    **dict.fromkeys(("fx_american_option", "equity_american_option", "commodity_american_option"), _FORWARD),
    **dict.fromkeys(("credit_default_swap", "credit_index"), _MIDDLE),
    "bermudan_swaption": "both are found on a grid, and ORE's is the coarser one",
    "risky_bond": "ORE adds up what is recovered week by week, here it is an exact integral",
}


def last_day(terms: Any) -> dt.date:
    """The day on which ORE holds the trade for matured."""
    for name in ("expiry", "last_day", "maturity"):
        found = getattr(terms, name, None)
        if found is not None:
            last: dt.date = found() if callable(found) else found
            break
    if hasattr(terms, "exercise_dates"):
        last = terms.exercise_dates[-1]
    return terms.settled() if hasattr(terms, "settled") else last


def exchange_rate(market: ScenarioMarket, one: str, other: str) -> Facts:
    base, quote = sorted((one, other))
    return {("exchange rate of", base + quote): float(market.fx(base, quote)[0])}


# --- prices -----------------------------------------------------------------------------------------------------------


def _years(terms: Any, market: ScenarioMarket) -> float:
    return (last_day(terms) - market.valuation_date).days / DAYS_A_YEAR


def _discount(curve: str, terms: Any, market: ScenarioMarket) -> float:
    return float(market.discount(curve, np.array([_years(terms, market)]))[0, 0])


def _level(market: ScenarioMarket, risk_factor_id: str) -> float:
    return float(market.level(risk_factor_id)[0])


def _volatility(terms: Any, market: ScenarioMarket, forward: float) -> float:
    """At the strike and expiry. Of a digital option ORE does not read the slope of a smile, nor of one exercised early a term structure."""
    if surface(market.index, terms.volatility) is not None and not terms.instrument_type.endswith(_ONE_VOLATILITY):
        raise NotWritten(f"its volatility {terms.volatility} is a surface, of which ORE is told one volatility")
    read = volatilities(
        market,
        [terms.volatility],
        np.array([_years(terms, market)]),
        np.array([terms.strike]),
        np.array([[forward] * market.n_states]),
    )
    return float(read[0, 0])


# exercised on one day at one strike: what they read of a surface is one volatility
_ONE_VOLATILITY = ("fx_option", "equity_option", "commodity_option", "barrier_option")


def _on_pair(terms: Any, market: ScenarioMarket) -> Facts:
    return {
        ("discount curve of", terms.currency): terms.quote_curve,
        ("discount curve of", terms.base_currency): terms.base_rate if terms.base_curve is None else terms.base_curve,
        **exchange_rate(market, terms.base_currency, terms.currency),
    }


def _option_on_pair(terms: Any, market: ScenarioMarket) -> Facts:
    times = np.array([_years(terms, market)])
    forward = float(delivered_values([terms], times, market)[0, 0]) / _discount(terms.quote_curve, terms, market)
    pair = "".join(sorted((terms.base_currency, terms.currency)))
    key = ("exchange volatility of", pair, "on", terms.expiry)
    return {**_on_pair(terms, market), key: _volatility(terms, market, forward)}


def _swap_of_pair(terms: Any, market: ScenarioMarket) -> Facts:
    if terms.near_maturity == market.valuation_date:
        raise NotWritten(f"its near date is {terms.near_maturity}, which ORE holds for settled")
    return _on_pair(terms, market)


def _on_share(terms: Any, market: ScenarioMarket) -> Facts:
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("share", name_in_ore(terms)): (terms.currency, _level(market, terms.underlying), terms.dividend_yield),
    }


def _option_on_share(terms: Any, market: ScenarioMarket) -> Facts:
    held = math.exp(-terms.dividend_yield * _years(terms, market))
    forward = _level(market, terms.underlying) * held / _discount(terms.discount_curve, terms, market)
    key = ("volatility of", name_in_ore(terms), "on", terms.expiry)
    return {**_on_share(terms, market), key: _volatility(terms, market, forward)}


def _average_of_share(terms: Any, market: ScenarioMarket) -> Facts:
    today, index = market.valuation_date, f"EQ-{name_in_ore(terms)}"
    if today in terms.days() and today not in terms.fixings:
        raise NotWritten(f"{today} is a day of its average without a fixing, which ORE needs")
    if min(terms.days()) < today:
        raise NotWritten("a day of its average has passed, which ORE's formulas do not take")
    fixed = {("fixing of", index, "on", day): price for day, price in terms.fixings.items() if day <= today}
    return {**_option_on_share(terms, market), **fixed}


def _on_commodity(terms: Any, market: ScenarioMarket) -> Facts:
    name, price = name_in_ore(terms), _level(market, terms.underlying)
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("commodity", name): terms.currency,
        ("forward price of", name, "on", last_day(terms)): price * math.exp(terms.carry * _years(terms, market)),
    }


def _option_on_commodity(terms: Any, market: ScenarioMarket) -> Facts:
    if terms.carry and terms.instrument_type == "commodity_american_option":
        raise NotWritten(
            "it is on a future whose price is that of the commodity with carry, and ORE exercises into the commodity"
        )
    found = _on_commodity(terms, market)
    key = ("forward price of", name_in_ore(terms), "on", terms.expiry)
    volatility = _volatility(terms, market, found[key])
    return {**found, ("commodity volatility of", name_in_ore(terms), "on", terms.expiry): volatility}


# --- rates ------------------------------------------------------------------------------------------------------------


def _rate(
    currency: str, curve: str, frequency: int, day_count: str, fixings: Mapping[dt.date, float], today: dt.date
) -> Facts:
    index = index_in_ore(currency, curve, TENORS[frequency])
    return {
        ("projection curve of", index): curve,
        ("day count of", index): code("day_count", day_count),
        **{("fixing of", index, "on", day): rate for day, rate in fixings.items() if day <= today},
    }


def _of_swap(terms: Any, market: ScenarioMarket) -> Facts:
    curve, today = terms.projection_curve or terms.discount_curve, market.valuation_date
    discount = {("discount curve of", terms.currency): terms.discount_curve}
    if terms.instrument_type == "interest_rate_swap":
        return discount | _rate(
            terms.currency, curve, terms.float_frequency, terms.float_day_count, terms.fixings, today
        )
    index = index_in_ore(terms.currency, curve, None)
    return {
        **discount,
        ("projection curve of", index): curve,
        ("overnight rate", index): (code("day_count", terms.float_day_count), code("calendar", terms.calendar)),
        **{("fixing of", index, "on", day): rate for day, rate in terms.fixings.items() if day < today},
    }


def _of_basis_swap(terms: Any, market: ScenarioMarket) -> Facts:
    found: Facts = {("discount curve of", terms.currency): terms.discount_curve}
    for side in ("receive", "pay"):
        curve, frequency, day_count, fixings = (
            getattr(terms, f"{side}_{n}") for n in ("projection_curve", "frequency", "day_count", "fixings")
        )
        found |= _rate(terms.currency, curve, frequency, day_count, fixings, market.valuation_date)
    return found


def _of_cross_currency_swap(terms: Any, market: ScenarioMarket) -> Facts:
    found: Facts = {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("discount curve of", terms.base_currency): terms.base_curve,
        **exchange_rate(market, terms.base_currency, terms.currency),
    }
    for prefix, currency, discount in (
        ("", terms.currency, terms.discount_curve),
        ("base_", terms.base_currency, terms.base_curve),
    ):
        rate, curve, frequency, day_count, fixings = (
            getattr(terms, prefix + n) for n in ("fixed_rate", "projection_curve", "frequency", "day_count", "fixings")
        )
        if rate is None:
            found |= _rate(currency, curve or discount, frequency, day_count, fixings, market.valuation_date)
    if terms.resetting:
        found |= {
            ("fixing of", fx_index(terms), "on", day): rate
            for day, rate in terms.fx_fixings.items()
            if day <= market.valuation_date
        }
    return found


def _of_fra(terms: Any, market: ScenarioMarket) -> Facts:
    index, calendar = fra_index(terms)
    return {
        **({("calendar of", index): code("calendar", calendar)} if calendar else {}),
        ("discount curve of", terms.currency): terms.discount_curve,
        ("projection curve of", index): terms.projects,
        ("day count of", index): code("day_count", terms.day_count),
    }


def _flat(terms: Any, market: ScenarioMarket) -> float:
    if surface(market.index, terms.volatility) is not None:
        raise NotWritten(f"its volatility {terms.volatility} is a surface, and ORE is told one that is flat")
    return _level(market, terms.volatility)


def _of_cap(terms: Any, market: ScenarioMarket) -> Facts:
    index = index_in_ore(terms.currency, terms.projects, TENORS[terms.float_frequency])
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        **_rate(
            terms.currency,
            terms.projects,
            terms.float_frequency,
            terms.float_day_count,
            terms.fixings,
            market.valuation_date,
        ),
        ("cap volatility of", index): (terms.model, terms.shift or 0.0, _flat(terms, market)),
    }


def _of_swaption(terms: Any, market: ScenarioMarket) -> Facts:
    index = index_in_ore(terms.currency, terms.projects, TENORS[terms.float_frequency])
    if terms.instrument_type == "swaption":
        first = dt.date.fromordinal(int(min(terms.fixed_leg().starts[0], terms.floating_leg().starts[0])))
        if first < terms.expiry:
            raise NotWritten(f"its first period begins on {first}, before its expiry, and ORE leaves that out")
        own: Facts = {
            ("swaption volatility of", terms.currency): (terms.model, terms.shift or 0.0, _flat(terms, market))
        }
    else:
        own = {("short rate of", terms.currency): (terms.mean_reversion, _level(market, terms.volatility))}
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        **_rate(
            terms.currency, terms.projects, terms.float_frequency, terms.float_day_count, {}, market.valuation_date
        ),
        ("rate of swaps in", terms.currency, index): terms.currency,
        **own,
    }


# --- bonds and credit -------------------------------------------------------------------------------------------------


def _of_bond(terms: Any, market: ScenarioMarket) -> Facts:
    spread = getattr(terms, "credit_spread", None)
    found: Facts = {
        ("reference curve", terms.discount_curve): terms.currency,
        ("security", spread or NO_SECURITY): 0.0 if spread is None else _level(market, spread),
    }
    if terms.instrument_type == "floating_bond":
        found |= _rate(
            terms.currency, terms.projection, terms.frequency, terms.day_count, terms.fixings, market.valuation_date
        )
    if hasattr(terms, "credit_curve"):
        if terms.issue_date > market.valuation_date:
            raise NotWritten(f"it is issued on {terms.issue_date}, and no default before that counts for ORE")
        found |= _defaults(terms, market)
    return found


def _defaults(terms: Any, market: ScenarioMarket, *names: str) -> Facts:
    recovered = terms.recovered
    level = recovered if isinstance(recovered, float) else _level(market, recovered)
    found: Facts = {}
    for name in names or (terms.credit_curve,):
        found |= {("default curve of", name): (terms.currency, terms.credit_curve), ("recovery of", name): level}
    return found


_SETTLED = 5  # days after which the three business days of a settlement in cash have passed


def _of_default_swap(terms: Any, market: ScenarioMarket) -> Facts:
    index = terms.instrument_type == "credit_index"
    if index and (market.valuation_date - terms.start).days <= _SETTLED:
        raise NotWritten(f"it starts on {terms.start}, and ORE adds what has accrued and is still to be paid back")
    name, years = terms.credit_curve, (terms.maturity - terms.start).days // 365
    # an index of whole years is looked up by its term, too
    names = (name, *(f"{name}_{n}Y" for n in (years, years + 1))) if index else (name,)
    return {("discount curve of", terms.currency): terms.discount_curve, **_defaults(terms, market, *names)}


READS: Mapping[str, Callable[[Any, ScenarioMarket], Facts]] = {  # by instrument
    "fx_forward": _on_pair,
    "fx_swap": _swap_of_pair,
    **dict.fromkeys(("fx_option", "fx_american_option", "fx_barrier_option", "fx_digital_option"), _option_on_pair),
    "equity_forward": _on_share,
    **dict.fromkeys(
        ("equity_option", "equity_american_option", "equity_barrier_option", "equity_digital_option"), _option_on_share
    ),
    "equity_asian_option": _average_of_share,
    "commodity_forward": _on_commodity,
    **dict.fromkeys(("commodity_option", "commodity_american_option"), _option_on_commodity),
    **dict.fromkeys(("interest_rate_swap", "overnight_swap"), _of_swap),
    "basis_swap": _of_basis_swap,
    "cross_currency_swap": _of_cross_currency_swap,
    "forward_rate_agreement": _of_fra,
    "cap_floor": _of_cap,
    **dict.fromkeys(("swaption", "bermudan_swaption"), _of_swaption),
    **dict.fromkeys(BONDS, _of_bond),
    **dict.fromkeys(("credit_default_swap", "credit_index"), _of_default_swap),
}
