"""Rates of FpML: forward rate agreements, deposits, swaps of all kinds, caps and floors, and swaptions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import (
    DAY_COUNTS,
    TERM,
    Deal,
    Holding,
    Terms,
    date_of,
    expiry,
    money,
    period,
    positive,
    says,
    xml_date,
)
from valuation.books.trade_files.fpml.streams import (
    Stream,
    dates_of,
    notional_of,
    paid_once,
    same,
    slices,
    steps,
    stream,
)
from valuation.books.trade_files.trade import NotRead, counterpart, number


def forward_rate_agreement(product: Element, deal: Deal) -> list[Holding]:
    """The buyer pays the fixed rate; settled at the start, discounted at the floating rate."""
    buys = deal.sign(product) > 0
    notional, currency = money(product, "notional")
    start, moves = date_of(product, "adjustedEffectiveDate"), None
    if product.one("paymentDate") is not None:
        paid, moves = deal.date(product, "paymentDate")
        if start is not None and moves.moved(paid) != start:
            raise NotRead("it is not paid on its first day")
    if (way := product.value("fraDiscounting") or "ISDA") != "ISDA":
        raise NotRead(f"it is discounted by {way}, not ISDA")
    tenors = {period(t) for t in product.all("indexTenor")}
    if len(tenors) != 1:
        raise NotRead("its floating rate is not of one tenor")
    terms: Terms = {
        "currency": currency, "pay_fixed": buys, "fixed_rate": number(product.value("fixedRate"), "fixedRate"), "start": start,
        "maturity": date_of(product, "adjustedTerminationDate"), **(moves.terms() if moves else {}),
        "day_count": counterpart(DAY_COUNTS, product.value("dayCountFraction"), "dayCountFraction"), "discount_curve": currency,
        "projection_curve": f"{product.value('floatingRateIndex')}-{tenors.pop()}",
    }  # fmt: skip
    return [Holding("forward_rate_agreement", notional, terms)]


def term_deposit(product: Element, deal: Deal) -> list[Holding]:
    """Who pays at the start has lent."""
    principal, currency = money(product, "principal")
    start, moves = deal.date(product, "startDate")
    maturity, end_moves = deal.date(product, "maturityDate")
    if moves.moved(start) != end_moves.moved(start) and moves.convention and end_moves.convention:
        raise NotRead("its start is moved off a holiday by another rule than its maturity")
    terms: Terms = {
        "currency": currency, "start": start, "maturity": maturity, **(end_moves if end_moves.convention else moves).terms(),
        "fixed_rate": number(product.value("fixedRate"), "fixedRate"),
        "day_count": counterpart(DAY_COUNTS, product.value("dayCountFraction"), "dayCountFraction"), "discount_curve": currency,
    }  # fmt: skip
    parts = deal.payments(product.all("payment"), "payment")
    return [Holding("deposit", -principal if deal.receives(product) else principal, terms), *parts]


def rate_swap(product: Element, deal: Deal) -> list[Holding]:
    """Of two streams; one contract from each step of a notional or rate to the next."""
    elements = _streams(product)
    if any(e.one("calculationPeriodAmount", "calculation", "inflationRateCalculation") for e in elements):
        parts = _inflation(elements, deal)
    else:
        streams = _two(elements, deal)
        parts = [_constant(label, part) for label, part in slices(streams, deal)]
    return [*parts, *deal.payments(product.all("additionalPayment"), "payment")]


def _streams(product: Element) -> list[Element]:
    elements = product.all("swapStream")
    if len(elements) != 2:
        raise NotRead(f"swaps of two streams are read, and it has {len(elements)}")
    return elements


def _two(elements: Sequence[Element], deal: Deal) -> list[Stream]:
    streams = [stream(e, deal) for e in elements]
    same(streams, "streams")
    if streams[0].pays == streams[1].pays:
        raise NotRead("both streams are paid by the same party")
    for s in streams:
        if (s.fixed is None) == (s.rate is None) or not s.frequency:
            raise NotRead("a stream is neither fixed nor floating, or pays once at the end")
    return streams


def _constant(label: str, streams: list[Stream]) -> Holding:
    """A swap of constant notionals and rates."""
    if streams[0].currency != streams[1].currency:
        return _cross_currency(label, streams)
    if any(s.resets for s in streams) or streams[0].exchanges != streams[1].exchanges:
        raise NotRead("its streams exchange their notionals on other days")
    if streams[0].notional != streams[1].notional:
        raise NotRead("its streams differ in notional")
    fixed, floating = [s for s in streams if s.fixed], [s for s in streams if s.rate]
    currency, notional = streams[0].currency, streams[0].notional
    shared: Terms = {"currency": currency, **streams[0].dates.terms(), "discount_curve": currency}
    if not fixed:
        _no_lag(streams)
        sides: Terms = {}
        for s in floating:
            side = "pay" if s.pays else "receive"
            sides |= {f"{side}_frequency": s.frequency, f"{side}_day_count": s.day_count, **s.rate_terms(f"{side}_")}
        return Holding("basis_swap", notional, {**shared, **sides}, label)
    if not floating:
        raise NotRead("both streams are fixed")
    kind, terms = _fixed_floating(fixed[0], floating[0])
    return Holding(kind, notional, {**shared, **terms}, label)


def _fixed_floating(fixed: Stream, floating: Stream) -> tuple[str, Terms]:
    assert floating.rate is not None
    terms: Terms = {
        "pay_fixed": fixed.pays, "fixed_frequency": fixed.frequency, "float_frequency": floating.frequency,
        "fixed_day_count": fixed.day_count, "float_day_count": floating.day_count, **fixed.rate_terms(), **floating.rate_terms(),
    }  # fmt: skip
    if floating.rate.overnight:
        return "overnight_swap", {**terms, "payment_lag": fixed.lag}
    _no_lag([fixed, floating])
    return "interest_rate_swap", terms


def _no_lag(streams: Sequence[Stream]) -> None:
    if any(s.lag for s in streams):
        raise NotRead(f"it is paid {max(s.lag for s in streams)} business days after its periods")


def _cross_currency(label: str, streams: list[Stream]) -> Holding:
    """The base currency is that of the stream received, or of the one that does not reset."""
    _no_lag(streams)
    resetting = [s for s in streams if s.resets]
    if len(resetting) > 1:
        raise NotRead("both notionals reset")
    base = next(s for s in streams if s not in resetting and (resetting or not s.pays))
    other = next(s for s in streams if s is not base)
    if len({(s.exchanges[0], s.exchanges[2]) for s in streams}) != 1 or base.exchanges[0] != base.exchanges[2]:
        raise NotRead("its notionals are exchanged at one end only, or one of them is not")
    exchanged = base.exchanges[0]
    between = [s.exchanges[1] for s in ([other] if resetting else streams if label else [])]
    if between and set(between) != {exchanged}:
        raise NotRead("a notional changes without being exchanged, or is exchanged in between only")
    terms: Terms = {
        "currency": other.currency, "base_currency": base.currency, "initial_exchange_rate": float(other.notional / base.notional),
        **base.dates.terms(), "frequency": other.frequency, "day_count": other.day_count, **other.rate_terms(),
        "base_frequency": base.frequency, "base_day_count": base.day_count, **base.rate_terms("base_"),
        "discount_curve": other.currency, "base_curve": base.currency, "notional_exchange": exchanged,
        "resetting": bool(resetting),
    }  # fmt: skip
    return Holding("cross_currency_swap", -base.notional if base.pays else base.notional, terms, label)


def _inflation(elements: Sequence[Element], deal: Deal) -> list[Holding]:
    """A zero-coupon swap: the growth of an index against a fixed rate compounded yearly, both paid once."""
    indexed = [e for e in elements if e.one("calculationPeriodAmount", "calculation", "inflationRateCalculation")]
    if len(indexed) != 1:
        raise NotRead("both streams are of inflation")
    (index_stream,) = indexed
    fixed_stream = next(e for e in elements if e is not index_stream)
    (dates, every), (fixed_dates, fixed_every) = (dates_of(e, deal) for e in (index_stream, fixed_stream))
    for e in elements:
        paid_once(e, deal, dates)
    pays = not deal.receives(fixed_stream)
    if dates != fixed_dates or pays != deal.receives(index_stream):
        raise NotRead("its streams differ in dates, or are paid by the same party")
    years = dates.maturity.year - dates.start.year
    if every != TERM or (dates.start.month, dates.start.day) != (dates.maturity.month, dates.maturity.day):
        raise NotRead("an index is read against a rate over whole years, paid once at the end")
    amounts = index_stream.one("calculationPeriodAmount", "calculation")
    assert amounts is not None
    notional, currency = notional_of(amounts)
    index = amounts.one("inflationRateCalculation")
    assert index is not None
    name, lag = index.value("floatingRateIndex"), period(index, "inflationLag") or ""
    if name is None or not lag.endswith("M") or not lag[:-1].isdigit():
        raise NotRead("its index has no name, or no lag in months")
    amounts.value("dayCountFraction")
    first = index.value("initialIndexLevel")
    method = index.value("interpolationMethod")
    terms: Terms = {
        "currency": currency, "pay_fixed": pays, "fixed_rate": _yearly(fixed_stream, fixed_every, (notional, currency), years),
        **dates.backward(None), "day_count": "Thirty360", "discount_curve": currency, "price_index": f"CPI:{name}",
        "inflation_curve": f"INF:{name}", "observation_lag": int(lag[:-1]),
        "interpolation": counterpart({"Linear": "linear", "LinearZeroYield": "linear", "None": "flat"}, method, "interpolationMethod"),
        "base_index": None if first is None else number(first, "initialIndexLevel"),
    }  # fmt: skip
    return [Holding("inflation_swap", notional, {k: v for k, v in terms.items() if k != "end_of_month"})]


def _yearly(element: Element, every: str, notional: tuple[Decimal, str], years: int) -> Decimal | float:
    """The rate that, compounded yearly, is paid at the end: as it stands, or that of an amount known."""
    known = element.one("calculationPeriodAmount", "knownAmountSchedule")
    if known is not None:
        if known.value("currency") != notional[1] or known.all("step"):
            raise NotRead("its known amount steps, or is in another currency")
        growth = 1 + number(known.value("initialValue"), "knownAmountSchedule") / notional[0]
        return math.pow(positive(growth, "the growth to its known amount"), 1 / years) - 1
    amounts = element.one("calculationPeriodAmount", "calculation")
    if amounts is None or notional_of(amounts) != notional:
        raise NotRead("its streams differ in notional")
    counted = amounts.value("dayCountFraction")
    if (
        every not in ("1Y", "12M")
        or amounts.value("compoundingMethod") in (None, "None")
        or counted not in ("1/1", "30/360")
    ):
        raise NotRead("its fixed rate is not compounded yearly")
    if amounts.all("fixedRateSchedule", "step"):
        raise NotRead("its fixed rate steps")
    return number(amounts.value("fixedRateSchedule", "initialValue"), "fixedRateSchedule")


def cap_floor(product: Element, deal: Deal) -> list[Holding]:
    """A cap, a floor or both; one contract from each step of a strike or notional to the next."""
    streams = [stream(e, deal) for e in product.all("capFloorStream")]
    if len(streams) != 1 or streams[0].rate is None or streams[0].rate.overnight or streams[0].resets:
        raise NotRead("caps and floors on one stream of a rate of a term are read")
    (whole,) = streams
    _no_lag(streams)
    leg = whole.calculation.one("floatingRateCalculation")
    assert leg is not None
    strikes = [(kind, s) for kind in ("cap", "floor") for s in leg.all(f"{kind}RateSchedule")]
    if not strikes or len({kind for kind, _ in strikes}) != len(strikes):
        raise NotRead("it has no strike, or several of a kind")
    parts = []
    for kind, schedule in strikes:
        sign = 1 if _buys(schedule, kind, whole.pays) else -1
        for label, (part,) in slices([replace(whole, fixed=steps(schedule, whole.dates.start))], deal):
            terms: Terms = {
                "currency": part.currency, **part.dates.backward([part.frequency]), "float_frequency": part.frequency,
                "float_day_count": part.day_count, "discount_curve": part.currency, "model": "normal",
                "volatility": f"NV:{part.currency}_CAP", "option_type": kind, "strike": part.level, **_without_spread(part),
            }  # fmt: skip
            names = [kind] * (len(strikes) > 1) + [label] * bool(label)
            parts.append(Holding("cap_floor", sign * part.notional, terms, "-".join(names)))
    return [*parts, *deal.payments([*product.all("premium"), *product.all("additionalPayment")], "premium")]


def _without_spread(part: Stream) -> Terms:
    terms = part.rate_terms()
    if terms.pop("spread"):
        raise NotRead("its floating rate has a spread")
    return terms


def _buys(schedule: Element, kind: str, pays: bool) -> bool:
    """Whether we hold it: who buys is said as payer or receiver of the stream; where it is not, the receiver does."""
    buyer, seller = schedule.value("buyer"), schedule.value("seller")
    if buyer == seller and buyer is not None:
        raise NotRead(f"its {kind} is bought and sold by the same side")
    by = buyer or {None: "Receiver", "Payer": "Receiver", "Receiver": "Payer"}.get(seller)
    if by not in ("Payer", "Receiver"):
        raise NotRead(f"the buyer of its {kind} is {buyer or seller!r}, not Payer or Receiver")
    return (by == "Payer") == pays


def swaption(product: Element, deal: Deal) -> list[Holding]:
    """The right to a swap of constant notional and rate; a straddle is the right to pay and the right to receive."""
    sign = deal.sign(product)
    if (underlying := product.one("swap")) is None:
        raise NotRead("it has no swap")
    (label, streams), *steps_of = slices(_two(_streams(underlying), deal), deal)
    fixed, floating = [s for s in streams if s.rate is None], [s for s in streams if s.rate is not None]
    if label or steps_of or len(fixed) != 1 or fixed[0].currency != floating[0].currency:
        raise NotRead("its swap is not of a fixed and a floating stream of constant notional and rate")
    if fixed[0].notional != floating[0].notional or any(any(s.exchanges) for s in streams):
        raise NotRead("its streams differ in notional, or exchange it")
    _no_lag(streams)
    currency = fixed[0].currency
    terms: Terms = {
        "currency": currency, **fixed[0].dates.backward([s.frequency for s in streams]), "fixed_rate": fixed[0].level,
        "fixed_frequency": fixed[0].frequency, "float_frequency": floating[0].frequency, "fixed_day_count": fixed[0].day_count,
        "float_day_count": floating[0].day_count, "discount_curve": currency,
        "projection_curve": _without_spread(floating[0])["projection_curve"],
    }  # fmt: skip
    kind, more = _exercise(product, deal, currency)
    # sold, the holder is the other side
    payer = fixed[0].pays == (sign > 0)
    sides = {"payer": True, "receiver": False} if says(product, "swaptionStraddle") else {"": payer}
    parts = [
        Holding(kind, sign * fixed[0].notional, {**terms, **more, "pay_fixed": side}, name)
        for name, side in sides.items()
    ]
    return [*parts, *deal.payments(product.all("premium"), "premium")]


_CASH = {"parYieldCurveAdjustedMethod", "parYieldCurveUnadjustedMethod"}


def _exercise(product: Element, deal: Deal, currency: str) -> tuple[str, Terms]:
    settled = [c.name for s in product.all("cashSettlement") for c in s.children if c.name.endswith("Method")]
    for said in (*product.all("cashSettlement"), *product.all("physicalSettlement")):
        said.skip()
    by_annuity = bool(_CASH & {*settled})
    bermudan = product.one("bermudaExercise")
    if bermudan is None:
        _, last = expiry(product, deal, {"europeanExercise": ""})
        return "swaption", {
            "model": "normal", "volatility": f"NV:{currency}_SWAPTION", "expiry": last, "settlement": "cash" if by_annuity else None,
        }  # fmt: skip
    if by_annuity:
        raise NotRead("exercised on several dates, it is settled by a par yield curve")
    dates = bermudan.one("bermudaExerciseDates", "adjustableDates")
    if dates is None or bermudan.one("exerciseFee") is not None or bermudan.one("exerciseFeeSchedule") is not None:
        raise NotRead("its dates of exercise are not given one by one, or there is a fee on exercise")
    moves = deal.adjustments(dates.one("dateAdjustments"))
    days = [moves.moved(xml_date(d.take(), "unadjustedDate")) for d in dates.all("unadjustedDate")]
    return "bermudan_swaption", {
        "exercise_dates": [d.isoformat() for d in sorted({*days})], "volatility": f"NV:{currency}_SHORT_RATE",
    }  # fmt: skip
