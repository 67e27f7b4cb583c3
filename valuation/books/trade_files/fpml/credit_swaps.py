"""Credit default swaps of FpML on a name or an index of names."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import DAY_COUNTS, Deal, Holding, Terms, date_of, money, period, positive
from valuation.books.trade_files.trade import NotRead, counterpart, number


def default_swap(product: Element, deal: Deal) -> list[Holding]:
    """A standard swap: coupons quarterly on Act/360, the last day a 20th."""
    general, fees = product.one("generalTerms"), product.one("feeLeg")
    if general is None or fees is None:
        raise NotRead("it has no generalTerms or no feeLeg")
    sign = 1 if deal.is_us(general, "buyerPartyReference", "sellerPartyReference") else -1
    notional, currency = money(product, "protectionTerms", "calculationAmount")
    positive(notional, "its calculationAmount")
    kind, curve, factor = _reference(general)
    moves = deal.adjustments(general.one("dateAdjustments"))
    terms: Terms = {
        "currency": currency, "buy_protection": sign > 0, "coupon": _coupon(fees),
        "start": deal.date(general, "effectiveDate")[0], "maturity": deal.date(general, "scheduledTerminationDate")[0],
        "calendar": moves.calendar, "credit_curve": curve, "discount_curve": currency, **_recovery(product, curve),
    }  # fmt: skip
    due = [p for p in fees.all("initialPayment") if (when := _paid_on(p, deal)) is None or when > deal.as_of]
    if len(due) > 1:
        raise NotRead("more than one of its initialPayments is still to be paid")
    for payment in due:
        amount, of = money(payment, "paymentAmount")
        if of != currency:
            raise NotRead(f"its initialPayment is in {of}, and its protection in {currency}")
        paid_by_buyer = deal.receives(payment) != (sign > 0)
        terms["upfront"] = (1 if paid_by_buyer else -1) * amount / (notional * factor)
        terms["upfront_date"] = _paid_on(payment, deal)
    return [Holding(kind, notional * factor, terms)]


_DAYS_TO_PAY = 10  # an initial payment without a date is made within days of the trade


def _paid_on(payment: Element, deal: Deal) -> dt.date:
    """When an initial payment is made; raises `NotRead` where that is not said and may still lie ahead."""
    money(payment, "paymentAmount")
    for name in ("adjustedPaymentDate", "adjustablePaymentDate"):
        if (when := date_of(payment, name)) is not None:
            return when
    if deal.traded is None or (deal.as_of - deal.traded).days <= _DAYS_TO_PAY:
        raise NotRead("its initialPayment has no date")
    return deal.traded


def _reference(general: Element) -> tuple[str, str, Decimal]:
    """The instrument, the credit curve, and the part of the notional that is left."""
    index = general.one("indexReferenceInformation")
    if index is not None:
        name, series = index.value("indexName"), index.value("indexSeries")
        if name is None:
            raise NotRead("its index has no indexName")
        factor = number(index.value("indexFactor") or "1", "indexFactor")
        if not 0 < factor <= 1:
            raise NotRead(f"indexFactor is {factor}, not a part of one")
        return "credit_index", name if series is None else f"{name}-{series}", factor
    entity = general.one("referenceInformation", "referenceEntity")
    if entity is None:
        raise NotRead("it is neither on a referenceEntity nor on an index")
    name, code = entity.value("entityName"), entity.value("entityId")
    if not (curve := code or name):
        raise NotRead("its referenceEntity has no entityId and no entityName")
    price = (general.value("referenceInformation", "referencePrice") or "100").rstrip("%")
    if number(price, "referencePrice") not in (1, 100):
        raise NotRead(f"its referencePrice is {price}, not 100")
    return "credit_default_swap", curve, Decimal(1)


def _coupon(fees: Element) -> Decimal:
    periodic = fees.one("periodicPayment")
    if periodic is None:
        raise NotRead("it has no periodicPayment")
    if (every := period(periodic, "paymentFrequency")) not in (None, "3M"):
        raise NotRead(f"its coupons are paid every {every}, not every 3M")
    if (roll := periodic.value("rollConvention")) not in (None, "20", "IMM", "NONE"):
        raise NotRead(f"its coupons are paid on day {roll}, not on the 20th")
    fixed = periodic.one("fixedAmountCalculation")
    if fixed is None:
        raise NotRead("its coupons have no fixedAmountCalculation")
    counted = fixed.value("dayCountFraction") or "ACT/360"
    if counterpart(DAY_COUNTS, counted, "dayCountFraction") != "Actual360":
        raise NotRead(f"its coupons are counted by {counted}, not ACT/360")
    for amount in fixed.all("calculationAmount"):
        money(amount)
    # the dates of standard coupons follow from the last day
    for name in ("firstPeriodStartDate", "firstPaymentDate", "lastRegularPaymentDate"):
        periodic.value(name)
    return number(fixed.value("fixedRate"), "fixedRate")


def _recovery(product: Element, curve: str) -> Terms:
    """A recovery that is agreed, else the factor of the name."""
    agreed = product.value("cashSettlementTerms", "recoveryFactor")
    product.value("cashSettlementTerms", "settlementCurrency")
    for name in (
        "fixedSettlement",
        "accruedInterest",
        "valuationMethod",
        "cashSettlementBusinessDays",
        "valuationDate",
        "quotationMethod",
    ):
        for said in product.all("cashSettlementTerms", name):
            said.skip()
    return {"recovery": f"REC:{curve}"} if agreed is None else {"recovery_rate": number(agreed, "recoveryFactor")}
