"""FX of FpML: single legs, delivered or settled at a fixing, swaps, and European, American, barrier and digital options.

The base currency is the one received; of an option the one that its strike is the price of.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import Deal, Holding, Terms, date_of, expiry, money, xml_date
from valuation.books.trade_files.trade import NotRead, counterpart, number, ratio

_STYLES = {"europeanExercise": "fx_option", "americanExercise": "fx_american_option"}


def fx_single_leg(leg: Element, deal: Deal) -> list[Holding]:
    """A forward, or one that is settled at a fixing."""
    (bought, base), (sold, quote), when = _exchange(leg, deal)
    terms = {**_pair(base, quote), "strike": ratio(sold, bought, "the exchange"), "maturity": when}
    settled = leg.one("nonDeliverableSettlement")
    if settled is None:
        return [Holding("fx_forward", bought, terms)]
    fixings = settled.all("fixing")
    if len(fixings) > 1:
        raise NotRead("it is settled at more than one fixing")
    terms |= {
        "settlement_currency": settled.value("settlementCurrency"),
        "fixing_date": deal.moved_date(fixings[0] if fixings else settled, "fixingDate"),
    }
    for of in fixings:
        _price_of(of, base, quote)
    return [Holding("non_deliverable_forward", bought, terms)]


def fx_swap(product: Element, deal: Deal) -> list[Holding]:
    """One contract where both legs exchange the same amount of a currency, else two forwards."""
    legs = [product.one(name) for name in ("nearLeg", "farLeg")]
    if legs[0] is None or legs[1] is None:
        raise NotRead("it has no near or no far leg")
    near, far = (_exchange(leg, deal) for leg in legs if leg is not None)
    if near[2] >= far[2] or {near[0][1], near[1][1]} != {far[0][1], far[1][1]}:
        raise NotRead("its legs are of other currencies, or the far one is not the later")
    for sign, side, other in ((1, 0, 1), (-1, 1, 0)):
        # what is received near is paid far, or the other way about
        if near[side] == far[other]:
            amount, base = near[side]
            quote = near[other][1]
            terms = {
                **_pair(base, quote),
                "near_strike": ratio(near[other][0], amount, "the near leg"),
                "near_maturity": near[2],
                "strike": ratio(far[side][0], amount, "the far leg"),
                "maturity": far[2],
            }
            return [Holding("fx_swap", sign * amount, terms)]
    return [
        Holding(
            "fx_forward", bought, {**_pair(base, quote), "strike": ratio(sold, bought, label), "maturity": when}, label
        )
        for label, ((bought, base), (sold, quote), when) in (("near", near), ("far", far))
        if when > deal.as_of or label == "far"
    ]


def _exchange(leg: Element, deal: Deal) -> tuple[tuple[Decimal, str], tuple[Decimal, str], Any]:
    """What is received, what is paid, and when."""
    payments = [p for i in (1, 2) if (p := leg.one(f"exchangedCurrency{i}")) is not None]
    if len(payments) != 2:
        raise NotRead("it does not exchange two currencies")
    bought, sold = sorted(payments, key=lambda p: not deal.receives(p))
    if deal.receives(sold) or not deal.receives(bought):
        raise NotRead("both currencies are paid to the same party")
    days = [date_of(leg, f"currency{i}ValueDate") for i in (1, 2)]
    if days[0] != days[1]:
        raise NotRead("its currencies are paid on two days")
    when = days[0] or xml_date(leg.value("valueDate"), "valueDate")
    for payment in payments:
        if any(deal.moved_date(payment, "paymentDate") != when for _ in payment.all("paymentDate")):
            raise NotRead("a currency is paid on another day than the value date")
    return money(bought, "paymentAmount"), money(sold, "paymentAmount"), when


def fx_option(product: Element, deal: Deal) -> list[Holding]:
    """A call on the call currency, or a put on the put currency where the strike is the price of that."""
    sign = deal.sign(product)
    (call, called), (put, sold) = money(product, "callCurrencyAmount"), money(product, "putCurrencyAmount")
    kind, last = expiry(product, deal, _STYLES)
    features = [f for one in product.all("features") for f in one.children]
    basis = product.value("strike", "strikeQuoteBasis")
    as_put = basis == "CallCurrencyPerPutCurrency"
    amount, base, of, quote = (put, sold, call, called) if as_put else (call, called, put, sold)
    strike = ratio(of, amount, "the exchange")
    given = product.value("strike", "rate")
    if given is not None and abs(float(number(given, "strike")) / strike - 1) > 1e-4:
        raise NotRead(f"its strike is {given}, and its amounts say {strike}")
    terms = {
        **_pair(base, quote), "strike": strike, "expiry": last, "option_type": "put" if as_put else "call",
        "volatility": f"IV:{base}{quote}",
    }  # fmt: skip
    if features:
        if len(features) != 1 or features[0].name != "barrier" or kind != "fx_option":
            raise NotRead("it has other features than one barrier on a European option")
        kind, terms = "fx_barrier_option", {**terms, **_barrier(features[0], deal, base, quote, last)}
    if product.one("cashSettlement") is not None:
        _cash_settled(product, base, quote)
    return [Holding(kind, sign * amount, terms), *deal.payments(product.all("premium"), "premium")]


def _barrier(barrier: Element, deal: Deal, base: str, quote: str, last: Any) -> Terms:
    side = counterpart({"Up": "up", "Down": "down"}, barrier.value("direction"), "direction")
    kind = counterpart({"Knockin": "in", "Knockout": "out"}, barrier.value("barrierType"), "barrierType")
    _price_of(barrier, base, quote)
    begin, end = date_of(barrier, "observationStartDate"), date_of(barrier, "observationEndDate")
    if (begin is not None and begin > deal.as_of) or (end is not None and end != last):
        raise NotRead("its barrier is watched in a part of its time only")
    return {"barrier": number(barrier.value("triggerRate"), "triggerRate"), "barrier_type": f"{side}_{kind}"}


def fx_digital_option(product: Element, deal: Deal) -> list[Holding]:
    """Pays an amount of either currency where the rate is above or below the trigger on the last day."""
    sign = deal.sign(product)
    _, last = expiry(product, deal, {"europeanExercise": ""})
    triggers = product.all("trigger")
    if len(triggers) != 1:
        raise NotRead("digital options of one trigger at expiry are read")
    base, quote = _quoted(triggers[0])
    above = counterpart({"Above": "call", "Below": "put"}, triggers[0].value("triggerCondition"), "triggerCondition")
    amount, currency = money(product, "payout")
    if currency not in (base, quote):
        raise NotRead(f"it pays {currency}, which is not of its pair")
    terms = {
        **_pair(base, quote), "strike": number(triggers[0].value("triggerRate"), "triggerRate"), "expiry": last, "option_type": above,
        "volatility": f"IV:{base}{quote}", "payoff": "cash_or_nothing" if currency == quote else "asset_or_nothing",
    }  # fmt: skip
    product.value("payout", "payoutStyle")  # at once or at expiry is the same day
    return [Holding("fx_digital_option", sign * amount, terms), *deal.payments(product.all("premium"), "premium")]


def _pair(base: str, quote: str) -> Terms:
    return {"currency": quote, "base_currency": base, "quote_curve": quote, "base_curve": base}


def _quoted(of: Element) -> tuple[str, str]:
    """Base and quote currency of a quoted pair."""
    one, two = (of.value("quotedCurrencyPair", f"currency{i}") for i in (1, 2))
    basis = of.value("quotedCurrencyPair", "quoteBasis")
    if one is None or two is None or basis not in ("Currency1PerCurrency2", "Currency2PerCurrency1"):
        raise NotRead(f"the quotedCurrencyPair of {of.name} does not say what is the price of what")
    return (two, one) if basis == "Currency1PerCurrency2" else (one, two)


def _price_of(of: Element, base: str, quote: str) -> None:
    """Raises `NotRead` where a rate of these currencies is quoted as the price of the other one."""
    if of.one("quotedCurrencyPair") is None:
        return
    if {*_quoted(of)} != {base, quote}:
        raise NotRead(f"the quotedCurrencyPair of {of.name} is another than that of the trade")
    if of.name == "barrier" and _quoted(of) != (base, quote):
        raise NotRead(f"its barrier is a price of {quote} in {base}, and its strike one of {base} in {quote}")


def _cash_settled(product: Element, base: str, quote: str) -> None:
    """In either of its currencies it is worth what it is worth delivered."""
    settled = product.value("cashSettlement", "settlementCurrency")
    if settled not in (base, quote):
        raise NotRead(f"it is settled in {settled}, which is not of its pair")
    for fixing in product.all("cashSettlement", "fixing"):
        _price_of(fixing, base, quote)
        date_of(fixing, "fixingDate")
