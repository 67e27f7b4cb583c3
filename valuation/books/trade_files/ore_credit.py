"""Bonds and credit default swaps as ORE's portfolio XML has them, read and written.

A trade is read into (instrument type, quantity, terms), and written from (terms, quantity). Spreads of bonds, hazard and recovery rates
are ORE's market: the reader names them by rule.
Source: Open Source Risk Engine, *User Guide*, ch. "Trade data".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from lake.landing.markup import Element
from valuation.books.trade_files.ore_legs import FIXED, TERM, fixed_leg, floating, index_in_ore, leg_written, read_leg
from valuation.books.trade_files.ore_names import CALENDARS, DAY_COUNTS, TENORS, NotWritten, code, is_yes, only_value
from valuation.books.trade_files.ore_prices import Found, Read, Write
from valuation.books.trade_files.trade import NotRead, counterpart, day, days_of, number, only

_FACE = Decimal(100)

# --- bonds ------------------------------------------------------------------------------------------------------------

NO_SECURITY = "NONE"  # the security of a bond without a spread of its own


def bond(body: Element, as_of: dt.date) -> Found:
    credit, security = body.value("CreditCurveId"), body.value("SecurityId")
    days_of(body.value("SettlementDays") or "0", "SettlementDays")  # of its price, which is not in the trade
    number_of = number(body.value("BondNotional") or "1", "BondNotional")
    spread = None if security in (None, NO_SECURITY) else security if ":" in str(security) else f"CS:{security}"
    common = {
        "discount_curve": body.value("ReferenceCurveId"),
        # a bond on a credit curve has its risk in that
        "credit_spread": None if credit else spread,
        "credit_curve": credit,
        "recovery": f"REC:{credit}" if credit else None,
    }
    elements = body.all("LegData")
    if len(elements) != 1:
        raise NotRead(f"it has {len(elements)} legs, and one is expected")
    is_fixed = elements[0].value("LegType") == FIXED
    leg = read_leg(elements[0], adjusted=not is_fixed)
    if leg.exchanged or leg.reset:
        raise NotRead("its redemption is an exchange of notional beside that of the bond")
    issued = {"issue_date": leg.periods["start"], **{k: v for k, v in leg.periods.items() if k != "start"}}
    terms = {
        **issued,
        "currency": leg.currency,
        "frequency": leg.frequency,
        "day_count": leg.day_count,
        "end_of_month": leg.periods["end_of_month"],
        "payment_lag": leg.payment_lag or None,
        **common,
    }
    sign = -1 if leg.pays else 1
    if not is_fixed:
        if leg.kind != TERM:
            raise NotRead("its coupons are at an overnight rate")
        terms |= {
            "projection_curve": None if leg.projection == terms["discount_curve"] else leg.projection or leg.currency,
            "spread": leg.rate or None,
            "fixings": leg.fixings(as_of) or None,
        }
        return "floating_bond", sign * number_of * leg.notional / _FACE, terms
    face, redemptions = _redeemed(elements[0])
    kind, coupon = _coupons(elements[0])
    if kind == "fixed_bond" and not coupon["coupon"] and not redemptions:
        kept = ("currency", "maturity", "calendar", "business_day_convention", *common)
        return "zero_bond", sign * number_of * face / _FACE, {k: terms[k] for k in kept}
    if redemptions:
        if kind == "step_bond":
            raise NotRead("it both steps and is redeemed in parts")
        kind, coupon = "amortising_bond", {**coupon, "redemptions": redemptions}
    if credit:
        if kind != "fixed_bond":
            raise NotRead(f"it is on a credit curve, which {kind} here has not")
        kind = "risky_bond"
    return kind, sign * number_of * face / _FACE, {**terms, **coupon}


def _coupons(leg: Element) -> tuple[str, dict[str, Any]]:
    rates = leg.all("FixedLegData", "Rates", "Rate")
    if not rates or any("startDate" not in r.attributes for r in rates[1:]):
        raise NotRead("its rates are not one, and others with a startDate each")
    first = {"coupon": number(rates[0].text, "Rate")}
    steps = {str(day(r.attributes["startDate"], "startDate")): float(number(r.text, "Rate")) for r in rates[1:]}
    return ("step_bond", {**first, "steps": steps}) if steps else ("fixed_bond", first)


def _redeemed(leg: Element) -> tuple[Decimal, dict[str, float]]:
    """Face at issue, and what is redeemed of 100 before maturity by coupon date."""
    notionals = leg.all("Notionals", "Notional")
    if not notionals or any("startDate" not in n.attributes for n in notionals[1:]):
        raise NotRead("its notionals are not one, and others with a startDate each")
    if leg.all("Amortizations", "AmortizationData"):
        raise NotRead("it is redeemed by a rule of Amortizations; read are notionals, each with its startDate")
    face = number(notionals[0].text, "Notional")
    redeemed, left = {}, face
    for n in notionals[1:]:
        rest = number(n.text, "Notional")
        redeemed[str(day(n.attributes["startDate"], "startDate"))] = float((left - rest) * _FACE / face)
        left = rest
    return face, redeemed


def bond_written(terms: Any, quantity: float) -> dict[str, Any]:
    """A bond of any kind, with a face of 100 and as many of it as are held."""
    if getattr(terms, "ex_coupon_days", None) is not None:
        raise NotWritten("it has ex-coupon days, which ORE's bonds have not")
    if getattr(terms, "default_date", None) is not None:
        raise NotWritten("its issuer has defaulted")
    calendar = code("calendar", terms.calendar)
    data: dict[str, Any] = {
        "IssuerId": "NONE",
        "CreditCurveId": getattr(terms, "credit_curve", None),
        "SecurityId": getattr(terms, "credit_spread", None) or NO_SECURITY,
        "ReferenceCurveId": terms.discount_curve,
        "SettlementDays": 0,
        "Calendar": calendar,
        "BondNotional": quantity,
    }
    if terms.instrument_type == "zero_bond":
        leg = leg_written(_LastYear(terms), fixed_leg(0.0), False, 1, "Actual365Fixed", 100, adjusted=False)
        return {**data, "LegData": leg}
    data["IssueDate"] = terms.issue_date
    if terms.instrument_type == "floating_bond":
        rate = floating(
            index_in_ore(terms.currency, terms.projection, TENORS[terms.frequency]), terms.spread, terms.fixings
        )
        swap_like = _Dated(terms)
        return {**data, "LegData": leg_written(swap_like, rate, False, terms.frequency, terms.day_count, 100)}
    steps = getattr(terms, "steps", {})
    rates = [terms.coupon, *({"@startDate": d, "": rate} for d, rate in sorted(steps.items()))]
    notionals: list[Any] = [100]
    if terms.instrument_type == "amortising_bond":
        leg, left = terms.coupons(), 100.0
        redemptions = terms.flows().redemptions
        for k in np.flatnonzero(redemptions[:-1]).tolist():
            left -= float(redemptions[k])
            notionals.append({"@startDate": dt.date.fromordinal(int(leg.starts[k + 1])), "": left})
    leg_data = leg_written(terms, fixed_leg(rates), False, terms.frequency, terms.day_count, notionals, adjusted=False)
    return {**data, "LegData": leg_data}


class _Dated:
    """The terms of a bond whose periods are those of a swap."""

    def __init__(self, terms: Any) -> None:
        self.start = getattr(terms, "issue_date", None)
        for name in ("currency", "maturity", "calendar", "business_day_convention", "end_of_month"):
            setattr(self, name, getattr(terms, name, None))


class _LastYear(_Dated):
    """The terms of a bond without coupons, which ORE has as one of coupons of zero: its last year is enough."""

    def __init__(self, terms: Any) -> None:
        super().__init__(terms)
        self.issue_date = terms.maturity - dt.timedelta(days=365)


# --- credit default swaps ---------------------------------------------------------------------------------------------


def credit_default_swap(body: Element, as_of: dt.date) -> Found:
    return _default_swap(body, as_of, "credit_default_swap")


def credit_index(body: Element, as_of: dt.date) -> Found:
    names = body.all("BasketData", "Name")
    if len(names) > 1 or any(n.value("CreditCurveId") != body.value("CreditCurveId") for n in names):
        raise NotRead("the names of its index are given one by one; read is an index on a curve of its own")
    return _default_swap(body, as_of, "credit_index")


def _default_swap(body: Element, as_of: dt.date, kind: str) -> Found:
    if not is_yes(body.value("SettlesAccrual") or "Y"):
        raise NotRead("it does not pay what has accrued at a default")
    if (body.value("ProtectionPaymentTime") or "atDefault") != "atDefault":
        raise NotRead(f"protection is paid {body.value('ProtectionPaymentTime')}, not at default")
    legs = body.all("LegData")
    if len(legs) != 1:
        raise NotRead(f"it has {len(legs)} legs, and one is expected")
    leg, rules = legs[0], legs[0].all("ScheduleData", "Rules")
    only(
        leg,
        "Payer Currency Notionals DayCounter PaymentConvention LegType FixedLegData ScheduleData LastPeriodDayCounter",
    )
    if len(rules) != 1 or rules[0].value("Rule") not in ("CDS2015", "CDS") or rules[0].value("Tenor") != "3M":
        raise NotRead("its coupons are not those of a standard contract: quarterly, by the rule CDS2015")
    if counterpart(DAY_COUNTS, leg.value("DayCounter"), "DayCounter") != "Actual360":
        raise NotRead("its coupon does not accrue by Actual/360, as that of a standard contract does")
    curve = body.value("CreditCurveId")
    paid = body.value("UpfrontDate")
    upfront = number(body.value("UpfrontFee") or "0", "UpfrontFee")
    due = upfront != 0 and paid is not None and day(paid, "UpfrontDate") > as_of
    fixed_recovery = body.value("FixedRecoveryRate")
    terms = {
        "currency": leg.value("Currency"),
        "buy_protection": is_yes(leg.value("Payer") or "yes"),
        "coupon": number(only_value(leg, "FixedLegData", "Rates", "Rate"), "Rate"),
        "start": day(body.value("ProtectionStart") or rules[0].value("StartDate"), "StartDate"),
        "maturity": day(rules[0].value("EndDate"), "EndDate"),
        "calendar": counterpart(CALENDARS, rules[0].value("Calendar"), "Calendar"),
        "credit_curve": curve,
        "recovery": f"REC:{curve}" if fixed_recovery is None else None,
        "recovery_rate": None if fixed_recovery is None else number(fixed_recovery, "FixedRecoveryRate"),
        "upfront": upfront if due else None,
        "upfront_date": day(paid, "UpfrontDate") if due else None,
        "discount_curve": leg.value("Currency"),
    }
    return kind, number(only_value(leg, "Notionals", "Notional"), "Notional"), terms


def default_swap_written(terms: Any, quantity: float) -> dict[str, Any]:
    """On a single name, or on an index, which ORE refuses a negative notional: held short it is written as the opposite side."""
    if terms.settlements():
        raise NotWritten("a name of it has defaulted")
    single = terms.instrument_type == "credit_default_swap"
    calendar = code("calendar", terms.calendar)
    return {
        "IssuerId": terms.credit_curve if single else None,
        "CreditCurveId": terms.credit_curve,
        "BasketData": None if single else {"Name": _whole_index(terms, quantity)},
        "SettlesAccrual": "Y",
        "ProtectionPaymentTime": "atDefault",
        "ProtectionStart": terms.start,
        "RebatesAccrual": False,
        "UpfrontDate": terms.upfront_date,
        "UpfrontFee": terms.upfront,
        "LegData": {
            **fixed_leg(terms.coupon),
            "Payer": terms.buy_protection == (single or quantity > 0),
            "Currency": terms.currency,
            "Notionals": {"Notional": quantity if single else abs(quantity)},
            "DayCounter": "A360",
            "PaymentConvention": "F",
            "ScheduleData": {
                "Rules": {
                    "StartDate": terms.start,
                    "EndDate": terms.maturity,
                    "Tenor": "3M",
                    "Calendar": calendar,
                    "Convention": "F",
                    "TermConvention": "U",
                    "Rule": "CDS2015",
                }
            },
        },
    }


def _whole_index(terms: Any, quantity: float) -> dict[str, Any]:
    """The index as its only name: ORE asks for names where an index is valued on a curve of its own, too."""
    name = terms.credit_curve
    return {"IssuerId": name, "CreditCurveId": name, "Notional": abs(quantity), "Currency": terms.currency}


_DEFAULT_SWAP = (
    "CreditCurveId SettlesAccrual ProtectionPaymentTime ProtectionStart UpfrontDate UpfrontFee LegData TradeDate CashSettlementDays "
    "RebatesAccrual"
)
_BOND = (
    "SubType IssuerId CreditCurveId CreditGroup SecurityId ReferenceCurveId SettlementDays Calendar IssueDate BondNotional LegData "
    "PriceQuoteMethod PriceQuoteBaseValue"
)
READ: Mapping[str, tuple[Read, str]] = {  # by trade type: what reads its data, and the elements there that it knows
    "Bond": (bond, _BOND),
    "CreditDefaultSwap": (credit_default_swap, f"IssuerId FixedRecoveryRate {_DEFAULT_SWAP}"),
    "IndexCreditDefaultSwap": (credit_index, f"BasketData {_DEFAULT_SWAP}"),
}
BONDS = ("zero_bond", "fixed_bond", "government_bond", "step_bond", "amortising_bond", "floating_bond", "risky_bond")
WRITTEN: Mapping[str, tuple[str, Write]] = {  # by instrument: ORE's type of trade, and what makes its data
    **dict.fromkeys(BONDS, ("Bond", bond_written)),
    "credit_default_swap": ("CreditDefaultSwap", default_swap_written),
    "credit_index": ("IndexCreditDefaultSwap", default_swap_written),
}
