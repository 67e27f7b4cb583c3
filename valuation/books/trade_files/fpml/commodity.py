"""Commodities of FpML: swaps of a fixed against an average price, European and American options, and bullion bought forward."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import Deal, Holding, Terms, expiry, money, period, whole
from valuation.books.trade_files.trade import NotRead, counterpart, number

FREQUENCIES = {"1M": 12, "3M": 4, "6M": 2, "12M": 1, "1Y": 1}
_STYLES = {"europeanExercise": "commodity_option", "americanExercise": "commodity_american_option"}


def commodity_swap(product: Element, deal: Deal) -> list[Holding]:
    fixed, floating = product.one("fixedLeg"), product.one("floatingLeg")
    if fixed is None or floating is None or len([c for c in product.children if c.name.endswith("Leg")]) != 2:
        raise NotRead("swaps of one fixed and one floating leg are read")
    pays = not deal.receives(fixed)
    if pays != deal.receives(floating):
        raise NotRead("both legs are paid by the same party")
    price, currency = _price(fixed)
    _only_in(product, currency)
    every = next((p for leg in (fixed, floating) if (p := period(leg, "calculationPeriodsSchedule"))), None)
    for leg in (fixed, floating):
        leg.value("calculationPeriodsSchedule", "balanceOfFirstPeriod")
    units = {_units(leg) for leg in (fixed, floating)}
    if len(units) != 1:
        raise NotRead("its legs are of other quantities")
    _averaged(floating)
    lags = {_lag(leg, deal) for leg in (fixed, floating)}
    if len(lags) != 1:
        raise NotRead("its legs are paid on other days")
    ((lag, calendar),) = lags
    terms: Terms = {
        **_commodity(floating, currency), "pay_fixed": pays, "fixed_price": price, "start": deal.date(product, "effectiveDate")[0],
        # the last day of a period is averaged in FpML, and is the first of the next one here
        "maturity": deal.date(product, "terminationDate")[0] + dt.timedelta(days=1),
        "frequency": counterpart(FREQUENCIES, every, "calculationPeriodsSchedule"),
        "calendar": calendar, "payment_lag": lag or None,
    }  # fmt: skip
    return [Holding("commodity_swap", units.pop(), terms)]


def commodity_option(product: Element, deal: Deal) -> list[Holding]:
    sign = deal.sign(product)
    strike, currency = money(product, "strikePricePerUnit")
    _only_in(product, currency)
    kind, last = expiry(product, deal, _STYLES)
    if (days := product.value("pricingDates", "dayDistribution") or "Last") != "Last" or product.value(
        "averagingMethod"
    ):
        raise NotRead(f"it is on an average, of the days {days}")
    product.value("pricingDates", "dayType")
    for name in ("effectiveDate", "terminationDate", "calculationPeriodsSchedule"):  # the time of what it is on
        for said in product.all(name):
            said.skip()
    for paid in product.all("exercise", "relativePaymentDates"):
        paid.skip()  # some days after expiry
    underlying = _commodity(product, currency)
    terms: Terms = {
        **underlying, "volatility": f"IV:{underlying['underlying'].removeprefix('CMD:')}", "strike": strike, "expiry": last,
        "option_type": counterpart({"Call": "call", "Put": "put"}, product.value("optionType"), "optionType"),
    }  # fmt: skip
    return [
        Holding(kind, sign * _units(product, in_all=True), terms),
        *deal.payments(product.all("premium"), "premium"),
    ]


def commodity_forward(product: Element, deal: Deal) -> list[Holding]:
    """Bullion delivered on a day for a price."""
    fixed, delivered = product.one("fixedLeg"), product.one("bullionPhysicalLeg")
    if fixed is None or delivered is None:
        raise NotRead("forwards on bullion for a fixed price are read")
    receives = deal.receives(delivered)
    if receives == deal.receives(fixed):
        raise NotRead("both legs are paid by the same party")
    price, currency = _price(fixed)
    when = deal.moved_date(product, "valueDate")
    if delivered.one("settlementDate") is not None and deal.moved_date(delivered, "settlementDate") != when:
        raise NotRead("it is delivered on another day than its value date")
    quantity = number(delivered.value("physicalQuantity", "quantity"), "physicalQuantity")
    if (kind := delivered.value("bullionType")) is None:
        raise NotRead("it has no bullionType")
    terms = {
        "currency": currency, "underlying": f"CMD:{kind}", "strike": price, "maturity": when, "discount_curve": currency,
    }  # fmt: skip
    return [Holding("commodity_forward", quantity if receives else -quantity, terms)]


def _commodity(of: Element, currency: str) -> Terms:
    name = of.value("commodity", "instrumentId")
    if name is None:
        raise NotRead("its commodity has no instrumentId")
    if (quoted := of.value("commodity", "currency")) not in (None, currency):
        raise NotRead(f"its commodity is quoted in {quoted}, and its price in {currency}")
    return {"currency": currency, "underlying": f"CMD:{name}", "discount_curve": currency}


def _price(leg: Element) -> tuple[Decimal, str]:
    currency = leg.value("fixedPrice", "priceCurrency")
    if currency is None:
        raise NotRead("its fixedPrice has no priceCurrency")
    return number(leg.value("fixedPrice", "price"), "fixedPrice"), currency


def _only_in(product: Element, currency: str) -> None:
    settled = product.value("settlementCurrency") or product.value("exercise", "settlementCurrency")
    if settled not in (None, currency):
        raise NotRead(f"it is settled in {settled}, and its price in {currency}")


def _units(of: Element, in_all: bool = False) -> Decimal:
    """Units a period, or in all."""
    total = of.value("totalNotionalQuantity")
    often = of.value("notionalQuantity", "quantityFrequency") or "Term"
    units = number(of.value("notionalQuantity", "quantity") or total, "notionalQuantity")
    if in_all:
        return units if total is None else number(total, "totalNotionalQuantity")
    if often != "PerCalculationPeriod":
        raise NotRead(f"its quantity is {often}, not PerCalculationPeriod")
    return units


def _averaged(leg: Element) -> None:
    """Raises `NotRead` for a price that is no average of all business days of a period."""
    days = leg.value("calculation", "pricingDates", "dayDistribution") or "All"
    if days != "All" or (leg.value("calculation", "averagingMethod") or "Unweighted") != "Unweighted":
        raise NotRead(f"its price is that of {days} days of a period, or weighted; an average of all days is read")
    leg.value("calculation", "pricingDates", "dayType")
    leg.value("calculation", "pricingDates", "businessCalendar")


def _lag(leg: Element, deal: Deal) -> tuple[int, str | None]:
    """Business days from the day after a period to its payment, and of which calendar."""
    paid = leg.one("relativePaymentDates")
    if paid is None or paid.value("payRelativeTo") != "CalculationPeriodEndDate":
        raise NotRead("it is not paid a number of days after the end of its periods")
    if paid.value("paymentDaysOffset", "dayType") not in (None, "Business"):
        raise NotRead("its payment is counted in days that are no business days")
    paid.value("paymentDaysOffset", "businessDayConvention")
    days = whole(paid.value("paymentDaysOffset", "periodMultiplier") or "0", "paymentDaysOffset")
    if period(paid, "paymentDaysOffset") not in (None, f"{days}D") or days < 1:
        raise NotRead("it is paid on the last day of its periods, while here that is one of the average")
    return days - 1, deal.adjustments(paid).calendar
