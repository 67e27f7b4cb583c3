"""Trades of FpML 5 documents, of the confirmation and the record-keeping view: FX single legs, European and American FX and equity
options, and swaps of a fixed and a floating stream.

FpML says who pays and who receives, not whose file it is: `party` does, by its id in the document or by a party id or name in it.
Source: ISDA, *FpML 5 Trade Definitions*. What a trade says that its instrument here cannot keep makes it not read, with the reason.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from lake.errors import BadInput
from lake.landing.markup import Element
from valuation.books.trade_files.trade import NotRead, Trade, counterpart, day, number, only, ratio, with_terms

CONVENTIONS = {
    "FOLLOWING": "Following", "MODFOLLOWING": "ModifiedFollowing", "PRECEDING": "Preceding", "MODPRECEDING": "ModifiedPreceding",
    "NONE": "Unadjusted", "NotApplicable": "Unadjusted",
}  # fmt: skip
DAY_COUNTS = {
    "ACT/360": "Actual360",
    "ACT/365.FIXED": "Actual365Fixed",
    "ACT/ACT.ICMA": "ActualActualISMA",
    "30/360": "Thirty360",
}
FREQUENCIES = {("1", "Y"): 1, ("12", "M"): 1, ("6", "M"): 2, ("3", "M"): 4}
CENTRES = (
    "AUSY",
    "CATO",
    "CHZU",
    "DKCO",
    "EUTA",
    "GBLO",
    "HKHK",
    "JPTO",
    "NOOS",
    "NZAU",
    "SEST",
    "SGSI",
    "USGS",
    "USNY",
)
_HEADER = (
    "tradeHeader",
    "product",
    "documentation",
    "calculationAgent",
    "calculationAgentParty",
    "governingLaw",
    "collateral",
)


def trades(root: Element, as_of: dt.date, party: str | None) -> Iterator[tuple[Element, str, Callable[[], Trade]]]:
    """Every trade of the document: where it stands, what it is called, and what reads it. Raises `BadInput` for an unknown party."""
    us = _us(root, party)
    for trade in root.below("trade"):
        products = [c for c in trade.children if c.name not in _HEADER]
        kind = products[0].name if products else "none"
        trade_id = _trade_id(trade, us)
        yield trade, f"{trade_id} ({kind})", functools.partial(_trade, trade, trade_id, products, us, as_of, root)


def _us(root: Element, party: str | None) -> str:
    """The id in the document of the party whose file it is."""
    known: dict[str, str] = {}
    for found in root.all("party"):
        own = found.attributes.get("id", "")
        known |= {
            name: own for name in (own, *(e.text for e in found.children if e.name in ("partyId", "partyName"))) if name
        }
    if party is None or party not in known:
        given = "does not say whose it is; give" if party is None else f"has no party {party!r};"
        raise BadInput(
            f"An FpML document {given} with --party one of {', '.join(known) or 'its parties, of which it has none'}."
        )
    return known[party]


def _trade_id(trade: Element, us: str) -> str:
    named = [
        (i.value("tradeId"), (i.one("partyReference") or i).attributes.get("href"))
        for i in trade.all("tradeHeader", "partyTradeIdentifier")
    ]
    ours = [t for t, of in named if t and of == us] or [t for t, _ in named if t]
    return ours[0] if ours else ""


def _trade(trade: Element, trade_id: str, products: list[Element], us: str, as_of: dt.date, root: Element) -> Trade:
    if not trade_id:
        raise NotRead("it has no tradeId")
    if len(products) != 1:
        raise NotRead(f"it has {len(products)} products")
    (product,) = products
    if product.name not in READ:
        raise NotRead(f"trades of type {product.name} are not read; those that are: {', '.join(READ)}")
    read, names = READ[product.name]
    only(product, names)
    instrument_type, quantity, terms = read(product, us, as_of)
    parties = {p.attributes.get("href", "") for p in product.below("payerPartyReference")}
    parties |= {p.attributes.get("href", "") for p in product.below("receiverPartyReference")}
    others = sorted(parties - {us})
    if us not in parties or len(others) != 1:
        raise NotRead("it is not between the party and one other")
    names_of = {p.attributes.get("id"): p.value("partyName") or p.value("partyId") for p in root.all("party")}
    return with_terms(
        trade_id, instrument_type, quantity, terms, {"counterparty": names_of.get(others[0]) or others[0]}
    )


def _received(payment: Element, us: str) -> bool:
    """Whether it is paid to us."""
    payer, receiver = (payment.one(f"{side}PartyReference") for side in ("payer", "receiver"))
    return _is_us(receiver, payer, us, payment.name)


def _is_us(one: Element | None, other: Element | None, us: str, what: str) -> bool:
    sides = [None if e is None else e.attributes.get("href") for e in (one, other)]
    if us not in sides or sides[0] == sides[1]:
        raise NotRead(f"{what} is not between the party and another")
    return sides[0] == us


def _fx_leg(leg: Element, us: str, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    payments = [leg.one(f"exchangedCurrency{i}") for i in (1, 2)]
    if None in payments:
        raise NotRead("it does not exchange two currencies")
    bought, sold = sorted((p for p in payments if p is not None), key=lambda p: not _received(p, us))
    if _received(sold, us):
        raise NotRead("both currencies are paid to the same party")
    (amount, base), (paid, quote) = (_money(p, "paymentAmount") for p in (bought, sold))
    if leg.one("nonDeliverableSettlement") is not None:
        raise NotRead("it is not delivered but settled at a fixing")
    terms = {
        "currency": quote, "base_currency": base, "strike": ratio(paid, amount, "the exchange"),
        "maturity": day(leg.value("valueDate"), "valueDate"), "quote_curve": quote, "base_curve": base,
    }  # fmt: skip
    return "fx_forward", amount, terms


def _money(of: Element, name: str) -> tuple[Decimal, str]:
    currency = of.value(name, "currency")
    if currency is None:
        raise NotRead(f"{name} has no currency")
    return number(of.value(name, "amount"), f"{name}/amount"), currency


def _fx_option(option: Element, us: str, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    sign = 1 if _is_us(option.one("buyerPartyReference"), option.one("sellerPartyReference"), us, "it") else -1
    call, base = _money(option, "callCurrencyAmount")
    put, quote = _money(option, "putCurrencyAmount")
    _no_premium(option.all("premium"), as_of)
    kind, expiry = _exercise(option, {"european": "fx_option", "american": "fx_american_option"})
    terms = {
        "currency": quote, "base_currency": base, "strike": ratio(put, call, "the exchange"), "expiry": expiry, "option_type": "call",
        "volatility": f"IV:{base}{quote}", "quote_curve": quote, "base_curve": base,
    }  # fmt: skip
    return kind, sign * call, terms


def _exercise(option: Element, kinds: Mapping[str, str]) -> tuple[str, dt.date]:
    for style, kind in kinds.items():
        for exercise in option.below(f"{style}Exercise"):
            when = exercise.value("expiryDate") or exercise.value("expirationDate", "adjustableDate", "unadjustedDate")
            return kind, day(when, "the expiry")
    raise NotRead(f"it is no option of style {' or '.join(kinds)}")


def _no_premium(premiums: list[Element], as_of: dt.date) -> None:
    for premium in premiums:
        when = premium.value("paymentDate", "adjustableDate", "unadjustedDate") or premium.value(
            "paymentDate", "unadjustedDate"
        )
        if day(when, "paymentDate of the premium") > as_of:
            raise NotRead(f"its premium is paid after {as_of}, and is a trade of its own here")


def _equity_option(option: Element, us: str, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    sign = 1 if _is_us(option.one("buyerPartyReference"), option.one("sellerPartyReference"), us, "it") else -1
    _no_premium(option.all("equityPremium"), as_of)
    asset = next((a for name in ("equity", "index") for a in option.all("underlyer", "singleUnderlyer", name)), None)
    if asset is None or not (code := asset.value("instrumentId")):
        raise NotRead("its underlying is not one share or index")
    currency = option.value("strike", "currency") or asset.value("currency")
    kind, expiry = _exercise(option, {"equityEuropean": "equity_option", "equityAmerican": "equity_american_option"})
    units = number(option.value("numberOfOptions"), "numberOfOptions") * number(
        option.value("optionEntitlement") or "1", "optionEntitlement"
    )
    name = code.partition(".")[0]
    terms = {
        "currency": currency, "underlying": f"{'IDX' if asset.name == 'index' else 'EQ'}:{name}", "volatility": f"IV:{name}",
        "strike": number(option.value("strike", "strikePrice"), "strikePrice"), "expiry": expiry,
        "option_type": (option.value("optionType") or "").lower(), "discount_curve": currency,
    }  # fmt: skip
    return kind, sign * units, terms


def _swap(swap: Element, us: str, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    streams = swap.all("swapStream")
    calculations = [s.one("calculationPeriodAmount", "calculation") for s in streams]
    fixed = [s for s, c in zip(streams, calculations, strict=True) if c is not None and c.one("fixedRateSchedule")]
    floating = [
        s for s, c in zip(streams, calculations, strict=True) if c is not None and c.one("floatingRateCalculation")
    ]
    if len(streams) != 2 or len(fixed) != 1 or len(floating) != 1:
        raise NotRead("swaps of a fixed and a floating stream are read")
    (pays, notional, currency, dates, frequency, day_count), other = (_stream(s, us) for s in (fixed[0], floating[0]))
    if (notional, currency, dates) != other[1:4]:
        raise NotRead("its streams differ in notional, currency, dates, calendar or convention")
    if pays == other[0]:
        raise NotRead("both streams are paid by the same party")
    rate = fixed[0].one("calculationPeriodAmount", "calculation", "fixedRateSchedule")
    leg = floating[0].one("calculationPeriodAmount", "calculation", "floatingRateCalculation")
    assert rate is not None
    assert leg is not None
    only(rate, "initialValue")
    only(leg, "floatingRateIndex indexTenor spreadSchedule")
    spread = number(leg.value("spreadSchedule", "initialValue") or "0", "spreadSchedule")
    tenor = f"{leg.value('indexTenor', 'periodMultiplier') or ''}{leg.value('indexTenor', 'period') or ''}"
    if not tenor:
        raise NotRead(f"its floating rate {leg.value('floatingRateIndex')} is no rate of a term")
    start, end, calendar, convention = dates
    terms = {
        "currency": currency, "pay_fixed": pays, "fixed_rate": number(rate.value("initialValue"), "initialValue"), "start": start,
        "maturity": end, "fixed_frequency": frequency, "float_frequency": other[4], "fixed_day_count": day_count,
        "float_day_count": other[5], "calendar": calendar, "business_day_convention": convention, "discount_curve": currency,
        "spread": spread or None, "projection_curve?": f"{leg.value('floatingRateIndex')}-{tenor}",
    }  # fmt: skip
    return "interest_rate_swap", notional, terms


def _stream(stream: Element, us: str) -> tuple[bool, Decimal, str, tuple[dt.date, dt.date, str, str], int, str]:
    """Whether we pay it, notional, currency, dates, payments a year and day count."""
    only(
        stream,
        "payerPartyReference receiverPartyReference calculationPeriodDates paymentDates resetDates calculationPeriodAmount",
    )
    dates, amount = stream.one("calculationPeriodDates"), stream.one("calculationPeriodAmount", "calculation")
    if dates is None or amount is None:
        raise NotRead("a stream has no periods or no calculation")
    only(dates, "effectiveDate terminationDate calculationPeriodDatesAdjustments calculationPeriodFrequency")
    steps = amount.one("notionalSchedule", "notionalStepSchedule")
    if steps is None or steps.all("step"):
        raise NotRead("its notional changes over time")
    calculated, paid = dates.one("calculationPeriodFrequency"), stream.one("paymentDates", "paymentFrequency")
    keys = [None if f is None else (f.value("periodMultiplier"), f.value("period")) for f in (calculated, paid)]
    if keys[0] is None or keys[0] != keys[1]:
        raise NotRead("payments are not as frequent as periods")
    adjusted = dates.one("calculationPeriodDatesAdjustments")
    centres = [] if adjusted is None else [e.text for e in adjusted.below("businessCenter")]
    if len(centres) != 1 or centres[0] not in CENTRES:
        raise NotRead(f"its business centres are {', '.join(centres) or 'none'}; one of {', '.join(CENTRES)} is read")
    return (
        not _received(stream, us),
        number(steps.value("initialValue"), "initialValue of the notional"),
        steps.value("currency") or "",
        (
            day(dates.value("effectiveDate", "unadjustedDate"), "effectiveDate"),
            day(dates.value("terminationDate", "unadjustedDate"), "terminationDate"),
            centres[0],
            counterpart(
                CONVENTIONS,
                None if adjusted is None else adjusted.value("businessDayConvention"),
                "businessDayConvention",
            ),
        ),
        counterpart(FREQUENCIES, keys[0], "the frequency"),
        counterpart(DAY_COUNTS, amount.value("dayCountFraction"), "dayCountFraction"),
    )


Read = Callable[[Element, str, dt.date], tuple[str, Decimal, dict[str, Any]]]
_PRODUCT = "primaryAssetClass secondaryAssetClass productType productId buyerPartyReference sellerPartyReference"
READ: Mapping[str, tuple[Read, str]] = {  # by product: what reads it, and the elements there that it knows
    "fxSingleLeg": (
        _fx_leg, f"{_PRODUCT} exchangedCurrency1 exchangedCurrency2 dealtCurrency valueDate exchangeRate nonDeliverableSettlement",
    ),
    "fxOption": (
        _fx_option,
        f"{_PRODUCT} putCurrencyAmount callCurrencyAmount strike spotRate premium europeanExercise americanExercise soldAs cashSettlement",
    ),
    "equityOption": (
        _equity_option,
        f"{_PRODUCT} optionType underlyer strike numberOfOptions optionEntitlement equityPremium equityExercise settlementType notional",
    ),
    "swap": (_swap, f"{_PRODUCT} swapStream"),
}  # fmt: skip
