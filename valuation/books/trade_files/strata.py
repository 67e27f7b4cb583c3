"""Trades and positions of the CSV files that OpenGamma Strata loads: a row a trade, by the names of its columns.

Rates are in percent there. Dates that hang on a market convention (a trade date and a period to the start) are not worked out.
Curves and volatilities are named by rule, as those of ORE's trades are. Positions are in securities, whose terms are not in the file.
Source: OpenGamma Strata, CSV trade and position formats of its module `loader`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from lake.landing.sheet import Sheet
from valuation.books.trade_files.trade import NotRead, Trade, counterpart, day, number, ratio, with_terms
from valuation.instruments import schedules

TRADE, POSITION = "Strata Trade Type", "Strata Position Type"
Row = Mapping[str, str]
Found = tuple[str, Decimal, dict[str, Any]]

CALENDARS = {
    "EUTA": "EUTA", "GBLO": "GBLO", "USNY": "USNY", "USGS": "USGS", "JPTO": "JPTO", "CHZU": "CHZU", "CATO": "CATO", "AUSY": "AUSY",
    "NZAU": "NZAU", "NOOS": "NOOS", "DKCO": "DKCO", "SEST": "SEST", "HKHK": "HKHK", "SGSI": "SGSI", "Sat/Sun": "weekdays",
    "NoHolidays": "none",
}  # fmt: skip
CONVENTIONS = {
    "Following": "Following", "ModifiedFollowing": "ModifiedFollowing", "Preceding": "Preceding",
    "ModifiedPreceding": "ModifiedPreceding", "NoAdjust": "Unadjusted",
}  # fmt: skip
DAY_COUNTS = {
    "Act/360": "Actual360", "Act/365F": "Actual365Fixed", "30/360 ISDA": "Thirty360", "30U/360": "Thirty360", "30E/360": "Thirty360",
    "Act/Act ICMA": "ActualActualISMA",
}  # fmt: skip
FREQUENCIES = {"1M": 12, "P1M": 12, "3M": 4, "P3M": 4, "6M": 2, "P6M": 2, "12M": 1, "P12M": 1, "1Y": 1, "P1Y": 1}
_ON_365 = ("GBP", "AUD", "NZD", "CAD", "HKD", "SGD")
_CENTRES = {
    "EUR": "EUTA", "GBP": "GBLO", "USD": "USNY", "JPY": "JPTO", "CHF": "CHZU", "CAD": "CATO", "AUD": "AUSY", "NZD": "NZAU",
    "NOK": "NOOS", "DKK": "DKCO", "SEK": "SEST", "HKD": "HKHK", "SGD": "SGSI",
}  # fmt: skip
_FIRST = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF")  # the base of a pair is the first of them
_TERM_SWAP = re.compile(r"([A-Z]{3})-FIXED-(3M|6M|1Y)-([A-Z]+)-(1M|3M|6M|12M)")
_OVERNIGHT_SWAP = re.compile(r"([A-Z]{3})-FIXED-(1Y)-([A-Z-]+)-OIS")
_LAGS = {
    "USD": 2,
    "EUR": 1,
    "GBP": 0,
    "JPY": 2,
    "CHF": 2,
    "CAD": 1,
}  # business days to the payment of an overnight swap


def is_strata(header: str) -> bool:
    """Whether the first line of a file says that it is one of Strata's."""
    return TRADE in header or POSITION in header


def trades(sheet: Sheet, as_of: dt.date) -> Iterator[tuple[int, str, Callable[[], Trade]]]:
    """Every row: its line, what it is called, and what reads it."""
    cells = [sheet.column(i).to_pylist() for i in range(len(sheet.header))]
    rows = [
        {name: cell for name, cell in zip(sheet.header, values, strict=True) if cell}
        for values in zip(*cells, strict=True)
    ]
    for k, (line, row) in enumerate(zip(sheet.lines.tolist(), rows, strict=True)):
        kind = row.get(TRADE) or row.get(POSITION) or ""
        varies = k + 1 < len(rows) and rows[k + 1].get(TRADE) == "Variable"
        yield line, f"{row.get('Id', '')} ({kind})", functools.partial(_trade, row, kind, as_of, varies)
    for line, text, reason in sheet.uneven:
        yield line, f"{text[:40]} (row)", functools.partial(_refuse, reason)


def _refuse(reason: str) -> Trade:
    raise NotRead(reason)


def _trade(row: Row, kind: str, as_of: dt.date, varies: bool) -> Trade:
    owners: dict[str, str | None] = {
        re.sub(r"\W+", "_", k).strip("_").lower(): v for k, v in row.items() if k not in _STRATA
    }
    owners |= {"counterparty": row.get("Counterparty"), "strata_description": row.get("Description") or row.get("Name")}
    if "Trade Date" in row:
        owners["trade_date"] = row["Trade Date"]
    try:
        return _read(row, kind, as_of, varies, owners)
    except NotRead as error:
        error.owners = owners
        raise


def _read(row: Row, kind: str, as_of: dt.date, varies: bool, owners: Mapping[str, str | None]) -> Trade:
    if POSITION in row:
        raise NotRead(f"it is a position in the security {row.get('Security Id', '')}, whose terms are not in the file")
    name = re.sub(r"[\s_]", "", kind).upper()
    if name not in READ:
        raise NotRead(f"trades of type {kind or 'none'} are not read; those that are: {', '.join(_NAMES)}")
    if "Id" not in row:
        raise NotRead("it has no Id")
    if varies:
        raise NotRead("what it pays varies over the rows below it")
    read, columns = READ[name]
    if left := sorted((row.keys() & _STRATA) - {*_COMMON, *columns}):
        raise NotRead(f"{', '.join(left)} of {kind} is not read")
    instrument_type, quantity, terms = read(row, as_of)
    not_kept = terms.pop(_NOT_KEPT, None)
    return dataclasses.replace(with_terms(row["Id"], instrument_type, quantity, terms, owners), not_kept=not_kept)


# --- cells ------------------------------------------------------------------------------------------------------------

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _date(row: Row, name: str) -> dt.date:
    """A date as 2026-03-31, 20260331, 2026/03/31, 31/03/2026 or 31-Mar-2026: the day first, as Strata has it."""
    text = row.get(name) or ""
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text):
        text = f"{found[3]}-{found[2]:0>2}-{found[1]:0>2}"
    elif (found := re.fullmatch(r"(\d{1,2})-?([A-Za-z]{3})-?(\d{4})", text)) and found[2].upper() in _MONTHS:
        text = f"{found[3]}-{_MONTHS.index(found[2].upper()) + 1:02d}-{found[1]:0>2}"
    return day(text or None, name)


def _number(row: Row, name: str) -> Decimal:
    return number(row.get(name), name)


def _percent(row: Row, name: str) -> Decimal:
    return _number(row, name) / 100


def _sign(row: Row, name: str, words: tuple[str, str]) -> int:
    said = (row.get(name) or "").upper()
    if said not in (words[0].upper(), words[1].upper()):
        raise NotRead(f"{name} is {row.get(name)!r}, not {words[0]} or {words[1]}")
    return 1 if said == words[0].upper() else -1


def _buys(row: Row) -> int:
    return _sign(row, "Buy Sell", ("Buy", "Sell"))


def _adjusted(row: Row, currency: str, convention: str) -> dict[str, Any]:
    """Calendar and convention of the dates; those of the market where the row has none."""
    calendar = row.get("Date Calendar")
    return {
        "calendar": _CENTRES.get(currency, "weekdays")
        if calendar is None
        else counterpart(CALENDARS, calendar, "Date Calendar"),
        "business_day_convention": counterpart(
            CONVENTIONS, row.get("Date Convention") or convention, "Date Convention"
        ),
    }


def _dates(row: Row) -> dict[str, Any]:
    if "Start Date" not in row or not row.keys() & {"End Date", "Tenor"}:
        raise NotRead("its dates hang on a market convention; give its Start Date and End Date")
    start = _date(row, "Start Date")
    if "End Date" in row:
        return {"start": start, "maturity": _date(row, "End Date")}
    tenor = row["Tenor"].removeprefix("P")
    if not re.fullmatch(r"[1-9]\d{0,2}[DWMY]", tenor):
        raise NotRead(f"Tenor is {row['Tenor']!r}, not a tenor such as 5Y")
    return {"start": start, "maturity": schedules.tenor_end(start, tenor)}


# --- exchange rates ---------------------------------------------------------------------------------------------------


class _Exchange(NamedTuple):
    """What is exchanged on a day: amounts by currency, positive where received."""

    amounts: Mapping[str, Decimal]
    day: dt.date

    def terms(self, base: str, quote: str) -> dict[str, Any]:
        return {
            "currency": quote,
            "base_currency": base,
            "quote_curve": quote,
            "base_curve": base,
            "strike": ratio(abs(self.amounts[quote]), abs(self.amounts[base]), "the exchange"),
        }

    def pair(self) -> tuple[str, str]:
        """Base and quote currency, as the market quotes them."""
        first, second = sorted(self.amounts, key=lambda c: (_FIRST.index(c) if c in _FIRST else len(_FIRST), c))
        return first, second


def _exchange(row: Row, far: bool = False) -> _Exchange:
    prefix = "Far " if far else ""
    if row.keys() & {"Convention", "Buy Sell"}:
        pair = re.fullmatch(r"([A-Z]{3})/?([A-Z]{3})", row.get("Convention", ""))
        if pair is None:
            raise NotRead(f"Convention is {row.get('Convention')!r}, not a pair such as EUR/USD")
        currency, rate = row.get("Currency"), _number(row, f"{prefix}FX Rate")
        amount = _buys(row) * _number(row, "Notional") * (-1 if far else 1)
        if currency not in pair.groups() or rate <= 0:
            raise NotRead(f"{currency} is not of {pair[0]}, or its rate {rate} is not positive")
        other = -amount * rate if currency == pair[1] else -amount / rate
        amounts = {str(currency): amount, pair[2] if currency == pair[1] else pair[1]: other}
        return _Exchange(amounts, _date(row, f"{prefix}Payment Date"))
    amounts, days = {}, set()
    for leg in ("Leg 1", "Leg 2"):
        name = f"{prefix}{leg}"
        amounts[row.get(f"{name} Currency", "")] = _sign(row, f"{name} Direction", ("Receive", "Pay")) * _number(
            row, f"{name} Notional"
        )
        given = f"{name} Payment Date"
        days.add(_date(row, given if given in row else f"{prefix}Payment Date"))
    if len(amounts) != 2 or len(days) != 1 or len({a > 0 for a in amounts.values()}) != 2:
        raise NotRead("its legs are not two currencies, one received and one paid, on one day")
    if (row.get("Payment Date Convention") or "NoAdjust") != "NoAdjust":
        found = days.pop()
        calendar = counterpart(CALENDARS, row.get("Payment Date Calendar"), "Payment Date Calendar")
        convention = counterpart(CONVENTIONS, row["Payment Date Convention"], "Payment Date Convention")
        days = {schedules.payment_date(found, calendar, convention)}
    return _Exchange(amounts, days.pop())


def _fx(row: Row, as_of: dt.date) -> Found:
    exchange = _exchange(row)
    base, quote = sorted(exchange.amounts, key=lambda c: exchange.amounts[c] < 0)
    return (
        "fx_forward",
        exchange.amounts[base],
        {**exchange.terms(base, quote), "maturity": exchange.day},
    )


def _fx_swap(row: Row, as_of: dt.date) -> Found:
    near, far = _exchange(row), _exchange(row, far=True)
    if near.amounts.keys() != far.amounts.keys():
        raise NotRead("its legs are of different currencies")
    even = [c for c in near.pair() if near.amounts[c] == -far.amounts[c]]
    if not even:
        raise NotRead("its near and far leg are of unlike amounts in both currencies: two forwards here")
    base = even[0]
    quote = next(c for c in near.amounts if c != base)
    terms = {**far.terms(base, quote), "near_strike": near.terms(base, quote)["strike"]}
    return "fx_swap", near.amounts[base], {**terms, "near_maturity": near.day, "maturity": far.day}


def _fx_option(row: Row, as_of: dt.date) -> Found:
    _without_premium(row, as_of)
    exchange, expiry = _exchange(row), _date(row, "Expiry Date")
    base, quote = exchange.pair()
    late = exchange.day != expiry
    terms = {
        **exchange.terms(base, quote),
        "expiry": expiry,
        "option_type": "call" if exchange.amounts[base] > 0 else "put",
        "volatility": f"IV:{base}{quote}",
        _NOT_KEPT: "An option is settled on its expiry here, and its later payment date is not kept" if late else None,
    }
    return "fx_option", _sign(row, "Long Short", ("Long", "Short")) * abs(exchange.amounts[base]), terms


def _ndf(row: Row, as_of: dt.date) -> Found:
    base, quote = row.get("Settlement Currency"), row.get("Non Deliverable Currency")
    paid = _date(row, "Payment Date")
    sign = _sign(row, "Settlement Currency Direction", ("Receive", "Pay"))
    fixed = dt.date.fromordinal(schedules.days_after(paid.toordinal(), -2, "weekdays"))
    terms = {
        "currency": quote,
        "base_currency": base,
        "quote_curve": quote,
        "base_curve": base,
        "strike": _number(row, "FX Rate"),
        "settlement_currency": base,
        "fixing_date": fixed,
        "maturity": paid,
        _NOT_KEPT: "The fixing date of a non-deliverable forward is two weekdays before its payment here, whatever its FX Index",
    }
    return "non_deliverable_forward", sign * _number(row, "Settlement Currency Notional"), terms


def _without_premium(row: Row, as_of: dt.date) -> None:
    if "Premium Date" in row and _date(row, "Premium Date") > as_of:
        raise NotRead(f"its premium is paid after {as_of}, and is a trade of its own here")


# --- rates and credit -------------------------------------------------------------------------------------------------


def _money_day_count(row: Row, currency: str) -> str:
    given = row.get("Day Count")
    if given is not None:
        return str(counterpart(DAY_COUNTS, given, "Day Count"))
    return "Actual365Fixed" if currency in _ON_365 else "Actual360"


def _fra(row: Row, as_of: dt.date) -> Found:
    index = row.get("Index") or row.get("Convention") or ""
    match = re.fullmatch(r"([A-Z]{3})-[A-Z0-9]+-\d+[MY]", index)
    if match is None:
        raise NotRead(f"its floating rate {index or 'none'} is no rate of a term such as GBP-LIBOR-3M")
    currency = match[1]
    if row.get("Currency", currency) != currency:
        raise NotRead(f"its currency is {row['Currency']}, and that of its rate {currency}")
    terms = {
        **_dates(row),
        **_adjusted(row, currency, "ModifiedFollowing"),
        "currency": currency,
        "pay_fixed": _buys(row) > 0,
        "fixed_rate": _percent(row, "Fixed Rate"),
        "day_count": _money_day_count(row, currency),
        "discount_curve": currency,
        "projection_curve": index,
    }
    return "forward_rate_agreement", _number(row, "Notional"), terms


def _swap(row: Row, as_of: dt.date) -> Found:
    convention = row.get("Convention", "")
    term, overnight = _TERM_SWAP.fullmatch(convention), _OVERNIGHT_SWAP.fullmatch(convention)
    found = term or overnight
    if found is None:
        raise NotRead(
            f"its Convention {convention or 'none'} is not read: read are those such as USD-FIXED-6M-LIBOR-3M and USD-FIXED-1Y-SOFR-OIS"
        )
    currency = found[1]
    money = "Actual365Fixed" if currency in (*_ON_365, *(() if term else ("JPY",))) else "Actual360"
    bonds = "Actual365Fixed" if currency in (*_ON_365, "JPY") else "Thirty360"
    first, last = (
        None if n not in row else _date(row, n) for n in ("First Regular Start Date", "Last Regular End Date")
    )
    dates = _dates(row)
    terms = {
        **dates,
        **_adjusted(row, currency, "ModifiedFollowing"),
        "currency": currency,
        "pay_fixed": _buys(row) > 0,
        "fixed_rate": _percent(row, "Fixed Rate"),
        "fixed_frequency": counterpart(FREQUENCIES, found[2], "the fixed period"),
        "float_frequency": 1 if term is None else counterpart(FREQUENCIES, term[4], "the floating period"),
        "fixed_day_count": bonds if term else money,
        "float_day_count": money,
        "discount_curve": currency,
        "projection_curve": f"{currency}-{term[3]}-{term[4]}" if term else f"{currency}-{found[3]}",
        "first_period_end": first if first != dates["start"] else None,
        "last_period_start": last if last != dates["maturity"] else None,
        "end_of_month": True if row.get("Roll Convention") == "EOM" else None,
    }
    if term:
        return "interest_rate_swap", _number(row, "Notional"), terms
    return "overnight_swap", _number(row, "Notional"), {**terms, "payment_lag": _LAGS.get(currency, 0)}


def _deposit(row: Row, as_of: dt.date) -> Found:
    currency = row.get("Currency") or row.get("Convention", "")[:3]
    terms = {
        **_dates(row),
        **_adjusted(row, currency, "ModifiedFollowing"),
        "currency": currency,
        "fixed_rate": _percent(row, "Fixed Rate"),
        "day_count": _money_day_count(row, currency),
        "discount_curve": currency,
    }
    return "deposit", _buys(row) * _number(row, "Notional"), terms


def _cds(row: Row, as_of: dt.date) -> Found:
    return _default_swap(row, as_of, "credit_default_swap", "Legal Entity Id")


def _cds_index(row: Row, as_of: dt.date) -> Found:
    return _default_swap(row, as_of, "credit_index", "CDS Index Id")


def _default_swap(row: Row, as_of: dt.date, kind: str, of: str) -> Found:
    name = row.get(of)
    convention = row.get("Convention")
    currency = row.get("Currency") or (convention or "")[:3]
    if convention is not None and not convention.endswith("STANDARD"):
        raise NotRead(f"its Convention {convention} is not that of a standard contract, such as USD-STANDARD")
    standard = {"Frequency": ("3M", "P3M"), "Day Count": ("Act/360",), "Payment On Default": ("AccruedInterest",)}
    for column, expected in standard.items():
        if row.get(column, expected[0]) not in expected:
            raise NotRead(f"its {column} is {row[column]}, and that of a standard contract is {expected[0]}")
    if "End Date" not in row:
        raise NotRead("its dates hang on a market convention; give its Start Date and End Date")
    notional, buys = _number(row, "Notional"), _buys(row)
    upfront: dict[str, Any] = {}
    if "Premium Date" in row and _date(row, "Premium Date") > as_of:
        paid = -buys * _sign(row, "Premium Direction", ("Receive", "Pay")) * _number(row, "Premium Amount")
        upfront = {"upfront": float(paid / notional), "upfront_date": _date(row, "Premium Date")}
    terms = {
        **_dates(row),
        "currency": currency,
        "buy_protection": buys > 0,
        "coupon": _percent(row, "Fixed Rate"),
        "calendar": _adjusted(row, currency, "Following")["calendar"],
        "credit_curve": name,
        "recovery": f"REC:{name}",
        "discount_curve": currency,
        **upfront,
    }
    return kind, notional, terms


_NOT_KEPT = "not kept"
_COMMON = (
    TRADE, POSITION, "Id", "Id Scheme", "Counterparty", "Counterparty Scheme", "Description", "Name", "Trade Date", "Trade Time",
    "Trade Zone",
)  # fmt: skip
_SIDES = tuple(
    f"{leg} {n}" for leg in ("Leg 1", "Leg 2") for n in ("Direction", "Currency", "Notional", "Payment Date")
)
_ONE = (
    "Buy Sell", "Currency", "Notional", "FX Rate", "Convention", "Payment Date", "Payment Date Convention", "Payment Date Calendar",
    *_SIDES,
)  # fmt: skip
_PREMIUM = tuple(
    f"Premium {n}" for n in ("Date", "Date Convention", "Date Calendar", "Direction", "Currency", "Amount")
)
_PERIOD = (
    "Buy Sell",
    "Notional",
    "Fixed Rate",
    "Convention",
    "Start Date",
    "End Date",
    "Date Convention",
    "Date Calendar",
)
_OPTION = ("Long Short", "Expiry Date", "Expiry Time", "Expiry Zone")
_NDF = (
    "Payment Date", "Settlement Currency", "Settlement Currency Notional", "Settlement Currency Direction", "Non Deliverable Currency",
    "FX Rate", "FX Index",
)  # fmt: skip
_CDS = (
    *_PERIOD, *_PREMIUM, "Currency", "Day Count", "Frequency", "Payment On Default", "Protection Start", "Legal Entity Id Scheme",
    "Legal Entity Id", "RED Code", "Seniority",
)  # fmt: skip
_KINDS: tuple[tuple[tuple[str, ...], Callable[[Row, dt.date], Found], tuple[str, ...]], ...] = (
    # names of the type, what reads it, and the columns that it knows
    (("FX", "FxSingle"), _fx, _ONE),
    (("FxSwap",), _fx_swap, (*_ONE, "Far FX Rate", *(f"Far {n}" for n in ("Payment Date", *_SIDES)))),
    (("FxVanillaOption", "FxOption"), _fx_option, (*_ONE, *_OPTION, *_PREMIUM)),
    (("FxNdf", "Ndf"), _ndf, _NDF),
    (("Fra",), _fra, (*_PERIOD, "Index", "Currency", "Day Count")),
    (("Swap",), _swap, (*_PERIOD, "Tenor", "Roll Convention", "First Regular Start Date", "Last Regular End Date")),
    (("TermDeposit",), _deposit, (*_PERIOD, "Tenor", "Currency", "Day Count")),
    (("Cds",), _cds, _CDS),
    (("CdsIndex",), _cds_index, (*_CDS, "CDS Index Id", "CDS Index Id Scheme", "Index Series", "Index Version")),
)
_NAMES = tuple(names[0] for names, _, _ in _KINDS)
READ = {name.upper(): (read, columns) for names, read, columns in _KINDS for name in names}
_STRATA = frozenset(  # columns that say what a trade is; any other says whose it is
    {
        *_COMMON, *(c for _, columns in READ.values() for c in columns), "Period To Start", "Interpolated Index", "FRA Discounting Method",
        "Stub Convention", "Put Call", "Strike", "CapFloor", "Payment Amount", "Payment Currency", "Payment Direction", "Rebate Amount",
        "Rebate Currency", "Rebate Direction", "Start Date Convention", "Start Date Calendar", "End Date Convention", "End Date Calendar",
        "Override Start Date", "Quantity", "Long Quantity", "Short Quantity", "Price", "Security Id", "Security Id Scheme", "Exchange",
        "Contract Code", "Spread", "Gearing", "Accrual Method", "Compounding Method", "Reset Frequency", "First Rate", "Known Amount",
        "Step In Date Offset Days", "Settlement Date Offset Days", "Payoff Settlement Type", "Payoff Settlement Date",
        *(f"Leg {k} {n}" for k in (1, 2, 3) for n in (
            "Fixed Rate", "Index", "Spread", "Gearing", "Day Count", "Frequency", "Payment Frequency", "Accrual Method",
            "Compounding Method", "Start Date", "End Date", "Notional Initial Exchange", "Notional Final Exchange", "FX Reset Index",
            "First Rate", "Payment Offset Days", "Fixing Offset Days", "Date Convention", "Date Calendar", "Stub Convention",
        )),
    }
)  # fmt: skip
