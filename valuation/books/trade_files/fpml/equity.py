"""Equity of FpML: options, forwards and variance swaps on one share or index."""

from __future__ import annotations

from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import Deal, Holding, Terms, expiry, money, positive, says
from valuation.books.trade_files.trade import NotRead, counterpart, number

_STYLES = {"equityEuropeanExercise": "equity_option", "equityAmericanExercise": "equity_american_option"}
_DIRECTIONS = {
    "Descending": "down", "EqualOrLess": "down", "Less": "down", "Ascending": "up", "EqualOrGreater": "up", "Greater": "up",
}  # fmt: skip


def equity_option(product: Element, deal: Deal) -> list[Holding]:
    sign = deal.sign(product)
    underlying, name, currency, of_each = _asset(product)
    if of_each not in (None, 1):
        raise NotRead(f"its underlying is of {of_each} openUnits")
    settled = _settled_in(product)
    currency = product.value("strike", "currency") or currency or settled
    if settled not in (None, currency):
        raise NotRead(f"it is settled in {settled}, and its strike is in {currency}")
    kind, last = expiry(product, deal, _STYLES)
    units = number(product.value("numberOfOptions"), "numberOfOptions") * number(
        product.value("optionEntitlement") or "1", "optionEntitlement"
    )
    terms: Terms = {
        "currency": currency, "underlying": underlying, "volatility": f"IV:{name}",
        "strike": number(product.value("strike", "strikePrice"), "strikePrice"), "expiry": last,
        "option_type": counterpart({"Call": "call", "Put": "put"}, product.value("optionType"), "optionType"), "discount_curve": currency,
    }  # fmt: skip
    _notional(product, units)
    if (features := [f for one in product.all("feature") for f in one.children]) and kind == "equity_option":
        kind, terms = "equity_barrier_option", {**terms, **_knock(features)}
    return [Holding(kind, sign * units, terms), *deal.payments(product.all("equityPremium"), "premium")]


def _knock(features: list[Element]) -> Terms:
    events = [e for f in features if f.name == "knock" for e in f.children]
    if len(features) != 1 or len(events) != 1 or events[0].name not in ("knockIn", "knockOut"):
        raise NotRead("it has other features than one knock-in or knock-out")
    (event,) = events
    side = counterpart(_DIRECTIONS, event.value("trigger", "triggerType"), "triggerType")
    monitoring = counterpart(
        {"Anytime": None, "Closing": "daily"},
        event.value("trigger", "triggerTimeType") or "Anytime",
        "triggerTimeType",
    )
    return {
        "barrier": number(event.value("trigger", "level"), "level of the trigger"),
        "barrier_type": f"{side}_{'in' if event.name == 'knockIn' else 'out'}",
        "monitoring": monitoring,
    }


def equity_forward(product: Element, deal: Deal) -> list[Holding]:
    sign = deal.sign(product)
    underlying, _, currency, units = _asset(product)
    _, last = expiry(product, deal, {"equityEuropeanExercise": ""})
    price, in_currency = money(product, "forwardPrice")
    if currency not in (None, in_currency):
        raise NotRead(f"its price is in {in_currency}, and its share in {currency}")
    if units is None:
        raise NotRead("it has no openUnits")
    if (settled := _settled_in(product)) not in (None, in_currency):
        raise NotRead(f"it is settled in {settled}, and its price is in {in_currency}")
    _notional(product, units)
    terms = {
        "currency": in_currency, "underlying": underlying, "strike": price, "maturity": last, "discount_curve": in_currency,
    }  # fmt: skip
    return [Holding("equity_forward", sign * units, terms)]


def variance_swap(product: Element, deal: Deal) -> list[Holding]:
    legs = product.all("varianceLeg")
    if len(legs) != 1:
        raise NotRead("it has more than one varianceLeg")
    (leg,) = legs
    sign = 1 if deal.receives(leg) else -1
    underlying, name, _, of_each = _asset(leg)
    if of_each not in (None, 1):
        raise NotRead(f"its underlying is of {of_each} openUnits")
    amounts = leg.all("amount")
    variance = amounts[0].one("variance") if len(amounts) == 1 else None
    if variance is None:
        raise NotRead("its varianceLeg has no variance")
    units, currency = money(variance, "varianceAmount")
    if says(variance, "varianceCap") or variance.one("unadjustedVarianceCap") is not None:
        raise NotRead("what it pays is capped")
    if (strike := variance.value("volatilityStrikePrice")) is not None:
        volatility = float(number(strike, "volatilityStrikePrice")) / 100
    else:
        squared = positive(number(variance.value("varianceStrikePrice"), "varianceStrikePrice"), "varianceStrikePrice")
        volatility = float(squared) ** 0.5 / 100
    for said in (leg.value("settlementCurrency"), amounts[0].value("currency")):
        if said not in (None, currency):
            raise NotRead(f"it is settled in {said}, and its variance amount is in {currency}")
    leg.value("valuation", "futuresPriceValuation")
    leg.value("valuation", "valuationTimeType")
    terms = {
        "currency": currency, "underlying": underlying, "volatility": f"IV:{name}", "volatility_strike": volatility,
        "start": deal.moved_date(amounts[0], "observationStartDate"),
        "maturity": deal.moved_date(leg.one("valuation") or leg, "valuationDate"), "discount_curve": currency,
    }  # fmt: skip
    return [Holding("variance_swap", sign * units, terms)]


def _asset(of: Element) -> tuple[str, str, str | None, Decimal | None]:
    """The risk factor of the share or index, what follows its prefix, its currency where given, and its units where given."""
    single = of.one("underlyer", "singleUnderlyer")
    assets = [] if single is None else [a for a in single.children if a.name in ("equity", "index")]
    if single is None or len(assets) != 1 or not (codes := [e.take() for e in assets[0].all("instrumentId") if e.text]):
        raise NotRead("its underlying is not one share or index")
    # .SSMI of Reuters is the index SSMI, and AAPL.O the share AAPL
    name = codes[0].strip(".").partition(".")[0]
    units = single.value("openUnits")
    return (
        f"{'IDX' if assets[0].name == 'index' else 'EQ'}:{name}",
        name,
        assets[0].value("currency"),
        None if units is None else number(units, "openUnits"),
    )


def _settled_in(product: Element) -> str | None:
    return next((e.take() for e in product.below("settlementCurrency") if e.text), None)


def _notional(product: Element, units: Decimal) -> None:
    """A notional beside a number of units is told twice, and not needed."""
    if product.one("notional") is not None and units:
        money(product, "notional")
