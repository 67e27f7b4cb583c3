"""FpML products of random terms, each with the contracts that are meant, written by the names of the schema without what reads them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

DAY = dt.date(2020, 3, 16)
Meant = tuple[str, str, Decimal, dict[str, Any]]  # label, instrument type, quantity, terms


@dataclass(frozen=True)
class Product:
    """An element, and the contracts that it is."""

    text: str
    meant: list[Meant]

    def __repr__(self) -> str:
        return f"{self.text[:200]}..."  # a list of all is beyond what hypothesis shows


def tag(name: str, *content: Any, **attributes: str) -> str:
    """An element; what is None is left out."""
    inner = "".join(str(c) for c in content if c is not None)
    return f"<{name}{''.join(f' {k}={v!r}' for k, v in attributes.items())}>{inner}</{name}>"


def party(name: str, ours: bool) -> str:
    return tag(f"{name}PartyReference", href="us" if ours else "them")


def paid(by_us: bool) -> str:
    return party("payer", by_us) + party("receiver", not by_us)


def held(by_us: bool) -> str:
    return party("buyer", by_us) + party("seller", not by_us)


def money(name: str, currency: str, amount: Any) -> str:
    return tag(name, tag("currency", currency), tag("amount", amount))


def adjusting(name: str, convention: str, centres: Iterable[str]) -> str:
    named = tag("businessCenters", *(tag("businessCenter", c) for c in centres))
    return tag(name, tag("businessDayConvention", convention), named if convention != "NONE" else None)


def adjustable(name: str, day: dt.date) -> str:
    inner = tag("unadjustedDate", day) + adjusting("dateAdjustments", "NONE", ())
    return tag(name, tag("adjustableDate", inner))


def every(name: str, text: str, *more: str) -> str:
    return tag(name, tag("periodMultiplier", text[:-1]), tag("period", text[-1]), *more)


CURRENCIES = st.sampled_from(["USD", "EUR", "GBP", "JPY", "CHF"])
PAIRS = st.lists(CURRENCIES, min_size=2, max_size=2, unique=True)
AMOUNTS = st.integers(1, 10**9).map(Decimal)
RATES = st.integers(-200, 1500).map(lambda n: Decimal(n) / 10_000)
PRICES = st.integers(1, 10**6).map(lambda n: Decimal(n) / 100)
SOON = st.integers(20, 4000).map(lambda n: DAY + dt.timedelta(days=n))
DAY_COUNTS = st.sampled_from(
    [
        ("ACT/360", "Actual360"),
        ("ACT/365.FIXED", "Actual365Fixed"),
        ("30/360", "Thirty360"),
        ("ACT/ACT.ICMA", "ActualActualISMA"),
        ("ACT/ACT.ISDA", "ActualActualISDA"),
        ("30E/360", "Thirty360European"),
    ]
)
CENTRES = st.lists(st.sampled_from(["EUTA", "GBLO", "USNY", "JPTO", "CHZU"]), min_size=1, max_size=3, unique=True)
MOVES = st.sampled_from(
    [
        ("FOLLOWING", "Following"),
        ("MODFOLLOWING", "ModifiedFollowing"),
        ("PRECEDING", "Preceding"),
        ("MODPRECEDING", "ModifiedPreceding"),
    ]
)
PERIODS = {1: "1Y", 2: "6M", 4: "3M", 12: "1M"}


def pair(base: str, quote: str) -> dict[str, Any]:
    return {"currency": quote, "base_currency": base, "quote_curve": quote, "base_curve": base}


def exchange(bought: tuple[str, Decimal], sold: tuple[str, Decimal], when: dt.date) -> str:
    def side(i: int, by_us: bool, of: tuple[str, Decimal]) -> str:
        return tag(f"exchangedCurrency{i}", paid(by_us), money("paymentAmount", *of))

    return side(1, True, sold) + side(2, False, bought) + tag("valueDate", when)


@st.composite
def fx_single_leg(draw: st.DrawFn) -> Product:
    (base, quote), bought, sold, when = draw(PAIRS), draw(AMOUNTS), draw(AMOUNTS), draw(SOON)
    terms = {**pair(base, quote), "strike": float(sold / bought), "maturity": when}
    body = exchange((base, bought), (quote, sold), when)
    if not draw(st.booleans()):
        return Product(tag("fxSingleLeg", body), [("", "fx_forward", bought, terms)])
    settled, fixing = draw(st.sampled_from([base, quote])), when - dt.timedelta(days=2)
    quoted = tag(
        "quotedCurrencyPair",
        tag("currency1", base),
        tag("currency2", quote),
        tag("quoteBasis", "Currency2PerCurrency1"),
    )
    ndf = tag(
        "nonDeliverableSettlement", tag("settlementCurrency", settled), tag("fixing", quoted, tag("fixingDate", fixing))
    )
    terms |= {"settlement_currency": settled, "fixing_date": fixing}
    return Product(tag("fxSingleLeg", body, ndf), [("", "non_deliverable_forward", bought, terms)])


@st.composite
def fx_swap(draw: st.DrawFn) -> Product:
    (one, two), amount, near, far = draw(PAIRS), draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS)
    first = draw(SOON)
    last = first + dt.timedelta(days=draw(st.integers(1, 900)))
    buys, even = draw(st.booleans()), draw(st.booleans())
    back = amount if even else amount + 1
    legs = (
        [((one, amount), (two, near)), ((two, far), (one, back))]
        if buys
        else [((two, near), (one, amount)), ((one, back), (two, far))]
    )
    text = tag("fxSwap", tag("nearLeg", exchange(*legs[0], first)), tag("farLeg", exchange(*legs[1], last)))
    if even:
        terms = {
            **pair(one, two), "near_strike": float(near / amount), "near_maturity": first,
            "strike": float(far / amount), "maturity": last,
        }  # fmt: skip
        if near == far and not buys:  # then the other currency is as even, and is asked first
            terms = {
                **pair(two, one), "near_strike": float(amount / near), "near_maturity": first,
                "strike": float(amount / near), "maturity": last,
            }  # fmt: skip
            return Product(text, [("", "fx_swap", near, terms)])
        return Product(text, [("", "fx_swap", amount if buys else -amount, terms)])
    if near == far:
        terms = {
            **pair(two, one), "near_strike": float(amount / near), "near_maturity": first,
            "strike": float(back / near), "maturity": last,
        }  # fmt: skip
        return Product(text, [("", "fx_swap", -near if buys else near, terms)])
    meant = [
        (label, "fx_forward", bought, {**pair(base, quote), "strike": float(sold / bought), "maturity": when})
        for label, ((base, bought), (quote, sold)), when in (("near", legs[0], first), ("far", legs[1], last))
    ]
    return Product(text, meant)


@st.composite
def fx_option(draw: st.DrawFn) -> Product:
    (call, put), called, sold, last = draw(PAIRS), draw(AMOUNTS), draw(AMOUNTS), draw(SOON)
    buys, as_put = draw(st.booleans()), draw(st.booleans())
    kind = draw(st.sampled_from(["fx_option", "fx_american_option", "fx_barrier_option"]))
    base, quote, amount, strike = (put, call, sold, called / sold) if as_put else (call, put, called, sold / called)
    terms: dict[str, Any] = {
        **pair(base, quote), "strike": float(strike), "expiry": last, "option_type": "put" if as_put else "call",
        "volatility": f"IV:{base}{quote}",
    }  # fmt: skip
    features = None
    if kind == "fx_barrier_option":
        trigger, side, way = (
            draw(PRICES),
            draw(st.sampled_from(["Up", "Down"])),
            draw(st.sampled_from(["Knockin", "Knockout"])),
        )
        quoted = tag(
            "quotedCurrencyPair",
            tag("currency1", quote),
            tag("currency2", base),
            tag("quoteBasis", "Currency1PerCurrency2"),
        )
        barrier = (tag("barrierType", way), tag("direction", side), quoted, tag("triggerRate", trigger))
        features = tag("features", tag("barrier", *barrier, tag("observationEndDate", last)))
        terms |= {"barrier": trigger, "barrier_type": f"{side.lower()}_{way.removeprefix('Knock')}"}
    premium = draw(st.sampled_from([None, DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)]))
    fee = draw(AMOUNTS)
    style = "americanExercise" if kind == "fx_american_option" else "europeanExercise"
    basis_of = "CallCurrencyPerPutCurrency" if as_put else "PutCurrencyPerCallCurrency"
    text = tag(
        "fxOption", held(buys), tag(style, tag("expiryDate", last)), money("putCurrencyAmount", put, sold),
        money("callCurrencyAmount", call, called),
        tag("strike", tag("rate", f"{float(strike):.12g}"), tag("strikeQuoteBasis", basis_of)),
        features,
        tag("premium", paid(buys), money("paymentAmount", "USD", fee), tag("paymentDate", tag("adjustedDate", premium)))
        if premium
        else None,
    )  # fmt: skip
    due = premium is not None and premium > DAY
    bill = (
        "premium",
        "zero_bond",
        (-fee if buys else fee) / 100,
        {"currency": "USD", "maturity": premium, "discount_curve": "USD"},
    )
    return Product(text, [("", kind, amount if buys else -amount, terms), *([bill] if due else [])])


@st.composite
def fx_digital_option(draw: st.DrawFn) -> Product:
    (base, quote), amount, trigger, last = draw(PAIRS), draw(AMOUNTS), draw(PRICES), draw(SOON)
    buys, above, in_base = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    quoted = tag(
        "quotedCurrencyPair",
        tag("currency1", base),
        tag("currency2", quote),
        tag("quoteBasis", "Currency2PerCurrency1"),
    )
    text = tag(
        "fxDigitalOption", held(buys), tag("europeanExercise", tag("expiryDate", last)),
        tag("trigger", tag("triggerCondition", "Above" if above else "Below"), quoted, tag("triggerRate", trigger)),
        money("payout", base if in_base else quote, amount),
    )  # fmt: skip
    terms = {
        **pair(base, quote), "strike": trigger, "expiry": last, "option_type": "call" if above else "put",
        "volatility": f"IV:{base}{quote}",
        "payoff": "asset_or_nothing" if in_base else "cash_or_nothing",
    }  # fmt: skip
    return Product(text, [("", "fx_digital_option", amount if buys else -amount, terms)])


@dataclass(frozen=True)
class Grid:
    """The periods of streams: a start, a number of years, odd periods at the ends, and how days move."""

    start: dt.date
    maturity: dt.date
    first: dt.date | None
    last: dt.date | None
    centres: tuple[str, ...]
    moves: tuple[str, str]

    def terms(self) -> dict[str, Any]:
        return {
            "start": self.start, "maturity": self.maturity, "first_period_end": self.first, "last_period_start": self.last,
            "calendar": "+".join(sorted(self.centres)), "business_day_convention": self.moves[1],
        }  # fmt: skip

    def text(self, period: str, lag: int = 0) -> str:
        """Dates of periods and of payments; the centres stand at the first place, and are referred to at the second."""
        end = tag("unadjustedDate", self.maturity) + adjusting("dateAdjustments", self.moves[0], self.centres)
        begin = tag("unadjustedDate", self.start) + adjusting("dateAdjustments", "NONE", ())
        named = tag("businessCenters", *(tag("businessCenter", c) for c in self.centres), id="centres")
        return tag(
            "calculationPeriodDates", tag("effectiveDate", begin), tag("terminationDate", end),
            tag("calculationPeriodDatesAdjustments", tag("businessDayConvention", self.moves[0]), named),
            tag("firstRegularPeriodStartDate", self.first) if self.first else None,
            tag("lastRegularPeriodEndDate", self.last) if self.last else None,
            every("calculationPeriodFrequency", period, tag("rollConvention", (self.last or self.maturity).day)), id="periods",
        ) + tag(
            "paymentDates", tag("calculationPeriodDatesReference", href="periods"), every("paymentFrequency", period),
            tag("payRelativeTo", "CalculationPeriodEndDate"),
            every("paymentDaysOffset", f"{lag}D", tag("dayType", "Business")) if lag else None,
            tag("paymentDatesAdjustments", tag("businessDayConvention", self.moves[0]), tag("businessCentersReference", href="centres")),
        )  # fmt: skip


@st.composite
def grids(draw: st.DrawFn, odd: bool = True) -> Grid:
    # business days of every calendar here, so that no start needs moving
    start = draw(
        st.sampled_from([dt.date(2020, 3, 18), dt.date(2020, 6, 9), dt.date(2021, 2, 10), dt.date(2022, 9, 14)])
    )
    years = draw(st.integers(1, 12))
    end = start.replace(year=start.year + years)
    first, last = None, None
    if odd and draw(st.booleans()):
        first, start = start, start - dt.timedelta(days=50)
    if odd and draw(st.booleans()):
        last, end = end, end + dt.timedelta(days=40)
    return Grid(start, end, first, last, tuple(draw(CENTRES)), draw(MOVES))


def fixed_rate(values: Mapping[dt.date, Decimal]) -> str:
    first, *steps = values.items()
    return tag("initialValue", first[1]) + "".join(
        tag("step", tag("stepDate", d), tag("stepValue", v)) for d, v in steps
    )


def notional(currency: str, values: Mapping[dt.date, Decimal]) -> str:
    return tag("notionalSchedule", tag("notionalStepSchedule", fixed_rate(values), tag("currency", currency)))


def stream(
    by_us: bool, dates: str, amounts: str, rate: str, day_count: str, *more: str, name: str = "swapStream"
) -> str:
    calculation = tag("calculation", amounts, rate, tag("dayCountFraction", day_count))
    return tag(name, paid(by_us), dates, tag("calculationPeriodAmount", calculation), *more)


def floating(index: str, tenor: str | None, spread: Decimal | None = None, *more: str) -> str:
    return tag(
        "floatingRateCalculation", tag("floatingRateIndex", index), every("indexTenor", tenor) if tenor else None,
        tag("spreadSchedule", tag("initialValue", spread)) if spread is not None else None, *more,
    )  # fmt: skip


@st.composite
def fixed_floating(draw: st.DrawFn) -> Product:
    """Fixed against a rate of a term or an overnight rate; notionals and fixed rates may step once a year."""
    grid, currency, amount, spread = draw(grids()), draw(CURRENCIES), draw(AMOUNTS), draw(st.one_of(st.none(), RATES))
    rate, pays, overnight, steps = draw(RATES), draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    fixed, often = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2, 4, 12]))
    counted, float_counted = draw(DAY_COUNTS), draw(DAY_COUNTS)
    lag = draw(st.integers(0, 3)) if overnight else 0
    begin, end = grid.first or grid.start, grid.last or grid.maturity
    cuts = [begin.replace(year=y) for y in range(begin.year + 1, end.year)] if steps else []
    notionals = {grid.start: amount, **{d: amount + 1000 * k for k, d in enumerate(cuts, 1)}}
    rates = {grid.start: rate, **{d: rate + Decimal(k) / 10_000 for k, d in enumerate(cuts, 1)}}
    index = f"{currency}-RFR-OIS-COMPOUND" if overnight else f"{currency}-LIBOR-BBA"
    tenor = None if overnight else PERIODS[often]
    legs = [
        stream(
            pays,
            grid.text(PERIODS[fixed], lag),
            notional(currency, notionals),
            tag("fixedRateSchedule", fixed_rate(rates)),
            counted[0],
        ),
        stream(
            not pays,
            grid.text(PERIODS[often], lag),
            notional(currency, notionals),
            floating(index, tenor, spread),
            float_counted[0],
        ),
    ]
    shared = {
        **grid.terms(), "currency": currency, "discount_curve": currency, "pay_fixed": pays,
        "fixed_frequency": fixed, "float_frequency": often,
        "fixed_day_count": counted[1], "float_day_count": float_counted[1], "spread": spread or None,
        "projection_curve": index if overnight else f"{index}-{tenor}", **({"payment_lag": lag} if overnight else {}),
    }  # fmt: skip
    kind, meant = "overnight_swap" if overnight else "interest_rate_swap", []
    bounds = [grid.start, *cuts, grid.maturity]
    for k, (a, b) in enumerate(itertools.pairwise(bounds), 1):
        inside = {
            n: d if d is not None and a < d < b else None
            for n, d in (("first_period_end", grid.first), ("last_period_start", grid.last))
        }
        terms = {**shared, **inside, "start": a, "maturity": b, "fixed_rate": rates[a]}
        meant.append((str(k) if cuts else "", kind, notionals[a], terms))
    return Product(tag("swap", *draw(st.permutations(legs))), meant)


@st.composite
def basis(draw: st.DrawFn) -> Product:
    grid, currency, amount, pays = draw(grids()), draw(CURRENCIES), draw(AMOUNTS), draw(st.booleans())
    legs, terms = [], {**grid.terms(), "currency": currency, "discount_curve": currency}
    for by_us in (pays, not pays):
        often, counted, spread = draw(st.sampled_from([1, 2, 4, 12])), draw(DAY_COUNTS), draw(RATES)
        rate = floating(f"{currency}-LIBOR-BBA", PERIODS[often], spread)
        legs.append(
            stream(by_us, grid.text(PERIODS[often]), notional(currency, {grid.start: amount}), rate, counted[0])
        )
        side = "pay" if by_us else "receive"
        terms |= {
            f"{side}_frequency": often, f"{side}_day_count": counted[1], f"{side}_spread": spread or None,
            f"{side}_projection_curve": f"{currency}-LIBOR-BBA-{PERIODS[often]}",
        }  # fmt: skip
    return Product(tag("swap", *legs), [("", "basis_swap", amount, terms)])


@st.composite
def cross_currency(draw: st.DrawFn) -> Product:
    grid, (received, other), pays = draw(grids()), draw(PAIRS), draw(st.booleans())
    amounts = {received: draw(AMOUNTS), other: draw(AMOUNTS)}
    resets = draw(st.booleans())
    exchanged = resets or draw(st.booleans())
    # the notional that resets is that of the second currency, paid or received
    base, quote = (received, other) if resets or not pays else (other, received)
    legs, terms = (
        [],
        {
            **pair(base, quote),
            "discount_curve": quote,
            **grid.terms(),
            "notional_exchange": exchanged,
            "resetting": resets,
        },
    )
    del terms["quote_curve"]
    for currency, by_us in ((received, pays), (other, not pays)):
        often, counted, prefix = (
            draw(st.sampled_from([1, 2, 4, 12])),
            draw(DAY_COUNTS),
            "base_" if currency == base else "",
        )
        terms |= {f"{prefix}frequency": often, f"{prefix}day_count": counted[1]}
        if draw(st.booleans()):
            level = draw(RATES)
            rate = tag("fixedRateSchedule", tag("initialValue", level))
            terms[f"{prefix}fixed_rate"] = level
        else:
            rate = floating(f"{currency}-LIBOR-BBA", PERIODS[often])
            terms[f"{prefix}projection_curve"] = f"{currency}-LIBOR-BBA-{PERIODS[often]}"
        of = notional(currency, {grid.start: amounts[currency]})
        if resets and currency == quote:
            of = tag(
                "fxLinkedNotionalSchedule",
                tag("initialValue", amounts[currency]),
                tag("varyingNotionalCurrency", currency),
            )
        flags = (("initial", exchanged), ("final", exchanged), ("intermediate", resets and currency == quote))
        exchanges = tag("principalExchanges", *(tag(f"{n}Exchange", str(f).lower()) for n, f in flags))
        legs.append(stream(by_us, grid.text(PERIODS[often]), of, rate, counted[0], exchanges))
    terms["initial_exchange_rate"] = float(amounts[quote] / amounts[base])
    sign = -1 if resets and pays else 1
    return Product(tag("swap", *legs), [("", "cross_currency_swap", sign * amounts[base], terms)])


@st.composite
def cap_floor(draw: st.DrawFn) -> Product:
    grid, currency, amount, counted = draw(grids(odd=False)), draw(CURRENCIES), draw(AMOUNTS), draw(DAY_COUNTS)
    often, pays, kinds = (
        draw(st.sampled_from([1, 2, 4])),
        draw(st.booleans()),
        draw(st.sampled_from([["cap"], ["floor"], ["cap", "floor"]])),
    )
    schedules, meant = [], []
    for kind in kinds:
        strike, buyer = draw(RATES), draw(st.sampled_from(["Payer", "Receiver"]))
        schedules.append(
            tag(
                f"{kind}RateSchedule",
                tag("initialValue", strike),
                tag("buyer", buyer),
                tag("seller", "Payer" if buyer == "Receiver" else "Receiver"),
            )
        )
        ours = (buyer == "Payer") == pays
        terms = {
            **grid.terms(), "currency": currency, "discount_curve": currency, "float_frequency": often, "float_day_count": counted[1],
            "model": "normal", "volatility": f"NV:{currency}_CAP", "option_type": kind, "strike": strike,
            "projection_curve": f"{currency}-LIBOR-BBA-{PERIODS[often]}",
        }  # fmt: skip
        del terms["first_period_end"], terms["last_period_start"]
        meant.append((kind if len(kinds) > 1 else "", "cap_floor", amount if ours else -amount, terms))
    rate = floating(f"{currency}-LIBOR-BBA", PERIODS[often], None, *schedules)
    return Product(
        tag(
            "capFloor",
            stream(
                pays,
                grid.text(PERIODS[often]),
                notional(currency, {grid.start: amount}),
                rate,
                counted[0],
                name="capFloorStream",
            ),
        ),
        meant,
    )


@st.composite
def swaption(draw: st.DrawFn) -> Product:
    grid, currency, amount, rate = draw(grids(odd=False)), draw(CURRENCIES), draw(AMOUNTS), draw(RATES)
    fixed, often, counted, float_counted = (
        draw(st.sampled_from([1, 2, 4])),
        draw(st.sampled_from([1, 2, 4])),
        draw(DAY_COUNTS),
        draw(DAY_COUNTS),
    )
    buys, pays, kind = (
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from(["european", "bermudan", "straddle"])),
    )
    index = f"{currency}-LIBOR-BBA"
    legs = [
        stream(
            pays,
            grid.text(PERIODS[fixed]),
            notional(currency, {grid.start: amount}),
            tag("fixedRateSchedule", tag("initialValue", rate)),
            counted[0],
        ),
        stream(
            not pays,
            grid.text(PERIODS[often]),
            notional(currency, {grid.start: amount}),
            floating(index, PERIODS[often]),
            float_counted[0],
        ),
    ]
    terms = {
        **grid.terms(), "currency": currency, "discount_curve": currency, "fixed_rate": rate,
        "fixed_frequency": fixed, "float_frequency": often,
        "fixed_day_count": counted[1], "float_day_count": float_counted[1], "projection_curve": f"{index}-{PERIODS[often]}",
    }  # fmt: skip
    del terms["first_period_end"], terms["last_period_start"]
    quantity = amount if buys else -amount
    if kind == "bermudan":
        days = [grid.start.replace(year=y) for y in range(grid.start.year, grid.maturity.year)]
        dates = tag(
            "adjustableDates", *(tag("unadjustedDate", d) for d in days), adjusting("dateAdjustments", "NONE", ())
        )
        exercise = tag("bermudaExercise", tag("bermudaExerciseDates", dates))
        # the mean reversion of a Bermudan is in no file
        terms |= {
            "exercise_dates": [str(d) for d in days],
            "volatility": f"NV:{currency}_SHORT_RATE",
            "mean_reversion": 0.03,
        }
        meant = [("", "bermudan_swaption", quantity, {**terms, "pay_fixed": pays == buys})]
    else:
        exercise = tag("europeanExercise", adjustable("expirationDate", grid.start))
        terms |= {"expiry": grid.start, "model": "normal", "volatility": f"NV:{currency}_SWAPTION"}
        sides = {"payer": True, "receiver": False} if kind == "straddle" else {"": pays == buys}
        meant = [(label, "swaption", quantity, {**terms, "pay_fixed": side}) for label, side in sides.items()]
    straddle = tag("swaptionStraddle", str(kind == "straddle").lower())
    return Product(tag("swaption", held(buys), exercise, straddle, tag("swap", *legs)), meant)


@st.composite
def inflation(draw: st.DrawFn) -> Product:
    grid, currency, amount, rate, pays = (
        draw(grids(odd=False)),
        draw(CURRENCIES),
        draw(AMOUNTS),
        draw(RATES),
        draw(st.booleans()),
    )
    lag, way = draw(st.integers(1, 6)), draw(st.sampled_from([("Linear", "linear"), ("None", "flat")]))
    level = draw(st.one_of(st.none(), PRICES))
    index = tag(
        "inflationRateCalculation", tag("floatingRateIndex", "USA-CPI-U"), every("inflationLag", f"{lag}M"), tag("indexSource", "BLS"),
        tag("interpolationMethod", way[0]), tag("initialIndexLevel", level) if level is not None else None,
    )  # fmt: skip
    once = grid.text("1T")
    yearly = once.replace(
        every("calculationPeriodFrequency", "1T", tag("rollConvention", grid.maturity.day)),
        every("calculationPeriodFrequency", "1Y"),
    )
    compounded = tag(
        "calculation",
        notional(currency, {grid.start: amount}),
        tag("fixedRateSchedule", tag("initialValue", rate)),
        tag("dayCountFraction", "1/1"),
        tag("compoundingMethod", "Flat"),
    )
    legs = [
        tag("swapStream", paid(pays), yearly, tag("calculationPeriodAmount", compounded)),
        stream(not pays, once, notional(currency, {grid.start: amount}), index, "1/1"),
    ]
    terms = {
        **grid.terms(), "currency": currency, "pay_fixed": pays, "fixed_rate": rate,
        "day_count": "Thirty360", "discount_curve": currency,
        "price_index": "CPI:USA-CPI-U", "inflation_curve": "INF:USA-CPI-U", "observation_lag": lag,
        "interpolation": way[1], "base_index": level,
    }  # fmt: skip
    del terms["first_period_end"], terms["last_period_start"]
    return Product(tag("swap", *legs), [("", "inflation_swap", amount, terms)])


@st.composite
def fra(draw: st.DrawFn) -> Product:
    currency, amount, rate, buys, counted = (
        draw(CURRENCIES),
        draw(AMOUNTS),
        draw(RATES),
        draw(st.booleans()),
        draw(DAY_COUNTS),
    )
    start = draw(st.sampled_from([dt.date(2020, 6, 9), dt.date(2021, 2, 10)]))
    end, (said, moves), centres = start + dt.timedelta(days=draw(st.integers(28, 370))), draw(MOVES), draw(CENTRES)
    text = tag(
        "fra", held(buys), tag("adjustedEffectiveDate", start), tag("adjustedTerminationDate", end),
        tag("paymentDate", tag("unadjustedDate", start), adjusting("dateAdjustments", said, centres)),
        tag("dayCountFraction", counted[0]),
        money("notional", currency, amount), tag("fixedRate", rate), tag("floatingRateIndex", f"{currency}-LIBOR-BBA"),
        every("indexTenor", "6M"), tag("fraDiscounting", "ISDA"),
    )  # fmt: skip
    terms = {
        "currency": currency, "start": start, "maturity": end, "calendar": "+".join(sorted(centres)), "business_day_convention": moves,
        "discount_curve": currency, "pay_fixed": buys, "fixed_rate": rate, "day_count": counted[1],
        "projection_curve": f"{currency}-LIBOR-BBA-6M",
    }  # fmt: skip
    return Product(text, [("", "forward_rate_agreement", amount, terms)])


@st.composite
def term_deposit(draw: st.DrawFn) -> Product:
    currency, amount, rate, lends, counted = (
        draw(CURRENCIES),
        draw(AMOUNTS),
        draw(RATES),
        draw(st.booleans()),
        draw(DAY_COUNTS),
    )
    start = DAY + dt.timedelta(days=draw(st.integers(-20, 20)))
    end, (said, moves), centres = start + dt.timedelta(days=draw(st.integers(40, 370))), draw(MOVES), draw(CENTRES)
    days = [
        tag(n, tag("unadjustedDate", d), adjusting("dateAdjustments", said, centres))
        for n, d in (("startDate", start), ("maturityDate", end))
    ]
    text = tag(
        "termDeposit",
        paid(lends),
        *days,
        money("principal", currency, amount),
        tag("fixedRate", rate),
        tag("dayCountFraction", counted[0]),
    )
    terms = {
        "currency": currency, "start": start, "maturity": end, "calendar": "+".join(sorted(centres)), "business_day_convention": moves,
        "discount_curve": currency, "fixed_rate": rate, "day_count": counted[1],
    }  # fmt: skip
    return Product(text, [("", "deposit", amount if lends else -amount, terms)])


@st.composite
def credit_default_swap(draw: st.DrawFn) -> Product:
    currency, amount, coupon, buys = (
        draw(CURRENCIES),
        draw(AMOUNTS),
        draw(st.sampled_from([Decimal("0.01"), Decimal("0.05")])),
        draw(st.booleans()),
    )
    start, end = dt.date(2020, 3, 12), dt.date(draw(st.integers(2021, 2030)), draw(st.sampled_from([3, 6, 9, 12])), 20)
    upfront, when = draw(AMOUNTS), draw(st.sampled_from([DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=2)]))
    by_us, factor, agreed = (
        draw(st.booleans()),
        draw(st.sampled_from([None, Decimal("0.98")])),
        draw(st.one_of(st.none(), st.just(Decimal("0.3")))),
    )
    index = draw(st.booleans())
    if index:
        said = (
            tag("indexName", "CDX.NA.IG"),
            tag("indexSeries", "33"),
            tag("indexFactor", factor) if factor is not None else None,
        )
        reference, curve = tag("indexReferenceInformation", *said), "CDX.NA.IG-33"
    else:
        factor, reference, curve = (
            None,
            tag("referenceInformation", tag("referenceEntity", tag("entityName", "Acme"), tag("entityId", "ACME"))),
            "ACME",
        )
    moving = adjusting("dateAdjustments", "FOLLOWING", ())  # the centres stand with the general terms
    general = tag(
        "generalTerms", tag("effectiveDate", tag("unadjustedDate", start), moving),
        tag("scheduledTerminationDate", tag("unadjustedDate", end)),
        held(buys), adjusting("dateAdjustments", "FOLLOWING", ["USNY"]), reference,
    )  # fmt: skip
    fees = tag(
        "feeLeg", tag("initialPayment", paid(by_us), tag("adjustablePaymentDate", when), money("paymentAmount", currency, upfront)),
        tag("periodicPayment", every("paymentFrequency", "3M"), tag("rollConvention", "20"),
            tag("fixedAmountCalculation", tag("fixedRate", coupon), tag("dayCountFraction", "ACT/360"))),
    )  # fmt: skip
    events = tag("creditEvents", tag("bankruptcy", "true"))
    text = tag(
        "creditDefaultSwap", general, fees, tag("protectionTerms", money("calculationAmount", currency, amount), events),
        tag("cashSettlementTerms", tag("recoveryFactor", agreed)) if agreed is not None else None,
    )  # fmt: skip
    quantity = amount * (factor if factor is not None else 1)
    terms: dict[str, Any] = {
        "currency": currency, "credit_curve": curve, "buy_protection": buys, "coupon": coupon,
        "start": start, "maturity": end, "calendar": "USNY",
        "discount_curve": currency, **({"recovery": f"REC:{curve}"} if agreed is None else {"recovery_rate": agreed}),
    }  # fmt: skip
    if when > DAY:
        terms |= {"upfront": (1 if by_us == buys else -1) * upfront / quantity, "upfront_date": when}
    return Product(text, [("", "credit_index" if index else "credit_default_swap", quantity, terms)])


def share(name: str, index: bool, currency: str | None, units: Decimal | None = None) -> str:
    asset = tag(
        "index" if index else "equity",
        tag("instrumentId", f".{name}" if index else f"{name}.O"),
        tag("currency", currency) if currency else None,
    )
    return tag("underlyer", tag("singleUnderlyer", asset, tag("openUnits", units) if units is not None else None))


@st.composite
def equity_option(draw: st.DrawFn) -> Product:
    currency, strike, last, buys, index = (
        draw(CURRENCIES),
        draw(PRICES),
        draw(SOON),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    number, each, side = (
        draw(AMOUNTS),
        draw(st.sampled_from([Decimal(1), Decimal(10)])),
        draw(st.sampled_from(["Call", "Put"])),
    )
    kind = draw(st.sampled_from(["equity_option", "equity_american_option", "equity_barrier_option"]))
    name = "SPX" if index else "AAPL"
    terms: dict[str, Any] = {
        "currency": currency, "underlying": f"{'IDX' if index else 'EQ'}:{name}", "volatility": f"IV:{name}",
        "strike": strike, "expiry": last,
        "option_type": side.lower(), "discount_curve": currency,
    }  # fmt: skip
    feature = None
    if kind == "equity_barrier_option":
        level, falls, into, closes = draw(PRICES), draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
        trigger = tag(
            "trigger",
            tag("level", level),
            tag("triggerType", "EqualOrLess" if falls else "EqualOrGreater"),
            tag("triggerTimeType", "Closing" if closes else "Anytime"),
        )
        feature = tag("feature", tag("knock", tag("knockIn" if into else "knockOut", trigger)))
        terms |= {
            "barrier": level,
            "barrier_type": f"{'down' if falls else 'up'}_{'in' if into else 'out'}",
            "monitoring": "daily" if closes else None,
        }
    in_currency = draw(st.sampled_from([None, tag("currency", currency)]))
    style = "equityAmericanExercise" if kind == "equity_american_option" else "equityEuropeanExercise"
    text = tag(
        "equityOption", held(buys), tag("optionType", side), share(name, index, None), feature,
        tag("equityExercise", tag(style, adjustable("expirationDate", last)), tag("settlementCurrency", currency)),
        tag("strike", tag("strikePrice", strike), in_currency), tag("numberOfOptions", number), tag("optionEntitlement", each),
    )  # fmt: skip
    return Product(text, [("", kind, number * each if buys else -number * each, terms)])


@st.composite
def equity_forward(draw: st.DrawFn) -> Product:
    currency, price, last, buys, units = draw(CURRENCIES), draw(PRICES), draw(SOON), draw(st.booleans()), draw(AMOUNTS)
    text = tag(
        "equityForward", held(buys), share("AAPL", False, currency, units),
        tag("equityExercise", tag("equityEuropeanExercise", adjustable("expirationDate", last))),
        money("forwardPrice", currency, price),
    )  # fmt: skip
    terms = {
        "currency": currency,
        "underlying": "EQ:AAPL",
        "strike": price,
        "maturity": last,
        "discount_curve": currency,
    }
    return Product(text, [("", "equity_forward", units if buys else -units, terms)])


@st.composite
def variance_swap(draw: st.DrawFn) -> Product:
    currency, last, receives, units, strike = (
        draw(CURRENCIES),
        draw(SOON),
        draw(st.booleans()),
        draw(AMOUNTS),
        draw(st.integers(5, 90)),
    )
    squared, start = draw(st.booleans()), DAY + dt.timedelta(days=draw(st.integers(-100, 10)))
    said = tag("varianceStrikePrice", strike**2) if squared else tag("volatilityStrikePrice", strike)
    variance = tag(
        "variance",
        tag("closingLevel", "true"),
        tag("expectedN", 252),
        money("varianceAmount", currency, units),
        said,
        tag("varianceCap", "false"),
    )
    leg = tag(
        "varianceLeg", paid(not receives), share("SPX", True, None), tag("settlementType", "Cash"), tag("settlementCurrency", currency),
        tag("valuation", adjustable("valuationDate", last)), tag("amount", adjustable("observationStartDate", start), variance),
    )  # fmt: skip
    terms = {
        "currency": currency, "underlying": "IDX:SPX", "volatility": "IV:SPX",
        "volatility_strike": strike / 100, "start": start, "maturity": last,
        "discount_curve": currency,
    }  # fmt: skip
    return Product(
        tag("varianceSwapTransactionSupplement", leg), [("", "variance_swap", units if receives else -units, terms)]
    )


def barrels(units: Decimal, often: str | None = "PerCalculationPeriod", total: Decimal | None = None) -> str:
    return tag(
        "notionalQuantity",
        tag("quantityUnit", "BBL"),
        tag("quantityFrequency", often) if often else None,
        tag("quantity", units),
    ) + (tag("totalNotionalQuantity", total) if total is not None else "")


@st.composite
def commodity_swap(draw: st.DrawFn) -> Product:
    currency, price, pays, units, often = (
        draw(CURRENCIES),
        draw(PRICES),
        draw(st.booleans()),
        draw(AMOUNTS),
        draw(st.sampled_from([1, 4, 12])),
    )
    start, lag = dt.date(2020, 4, 1), draw(st.integers(1, 10))
    end = dt.date(2020 + draw(st.integers(1, 3)), 4, 1)
    after = tag(
        "relativePaymentDates", tag("payRelativeTo", "CalculationPeriodEndDate"),
        every("paymentDaysOffset", f"{lag}D", tag("dayType", "Business"), tag("businessDayConvention", "NONE")),
        tag("businessCenters", tag("businessCenter", "USNY")),
    )  # fmt: skip
    fixed = tag(
        "fixedLeg",
        paid(pays),
        tag("fixedPrice", tag("price", price), tag("priceCurrency", currency), tag("priceUnit", "BBL")),
        barrels(units),
        after,
    )
    average = tag(
        "calculation",
        tag("pricingDates", tag("dayType", "CommodityBusiness"), tag("dayDistribution", "All")),
        tag("averagingMethod", "Unweighted"),
    )
    oil = tag("commodity", tag("instrumentId", "WTI"), tag("specifiedPrice", "Settlement"))
    floats = tag(
        "floatingLeg",
        paid(not pays),
        every("calculationPeriodsSchedule", PERIODS[often], tag("balanceOfFirstPeriod", "false")),
        oil,
        barrels(units),
        average,
        after,
    )
    text = tag(
        "commoditySwap",
        adjustable("effectiveDate", start),
        adjustable("terminationDate", end - dt.timedelta(days=1)),
        tag("settlementCurrency", currency),
        fixed,
        floats,
    )
    terms = {
        "currency": currency, "underlying": "CMD:WTI", "pay_fixed": pays, "fixed_price": price,
        "start": start, "maturity": end, "frequency": often,
        "calendar": "USNY", "payment_lag": lag - 1 or None, "discount_curve": currency,
    }  # fmt: skip
    return Product(text, [("", "commodity_swap", units, terms)])


@st.composite
def commodity_option(draw: st.DrawFn) -> Product:
    currency, strike, buys, units, last = draw(CURRENCIES), draw(PRICES), draw(st.booleans()), draw(AMOUNTS), draw(SOON)
    side, american = draw(st.sampled_from(["Call", "Put"])), draw(st.booleans())
    exercise = tag("americanExercise" if american else "europeanExercise", adjustable("expirationDate", last))
    text = tag(
        "commodityOption", held(buys), tag("optionType", side), tag("commodity", tag("instrumentId", "WTI")),
        barrels(units, None, units),
        tag("exercise", exercise, tag("automaticExercise", "true")), money("strikePricePerUnit", currency, strike),
    )  # fmt: skip
    terms = {
        "currency": currency, "underlying": "CMD:WTI", "volatility": "IV:WTI", "strike": strike,
        "expiry": last, "option_type": side.lower(),
        "discount_curve": currency,
    }  # fmt: skip
    return Product(
        text, [("", "commodity_american_option" if american else "commodity_option", units if buys else -units, terms)]
    )


@st.composite
def commodity_forward(draw: st.DrawFn) -> Product:
    currency, price, receives, units, when = (
        draw(CURRENCIES),
        draw(PRICES),
        draw(st.booleans()),
        draw(AMOUNTS),
        draw(SOON),
    )
    bullion = tag(
        "bullionPhysicalLeg",
        paid(not receives),
        tag("bullionType", "Gold"),
        tag("physicalQuantity", tag("quantityUnit", "Ounces"), tag("quantity", units)),
    )
    fixed = tag("fixedLeg", paid(receives), tag("fixedPrice", tag("price", price), tag("priceCurrency", currency)))
    terms = {
        "currency": currency,
        "underlying": "CMD:Gold",
        "strike": price,
        "maturity": when,
        "discount_curve": currency,
    }
    return Product(
        tag("commodityForward", adjustable("valueDate", when), fixed, bullion),
        [("", "commodity_forward", units if receives else -units, terms)],
    )


PRODUCTS: dict[str, Callable[[], st.SearchStrategy[Product]]] = {
    "fxSingleLeg": fx_single_leg, "fxSwap": fx_swap, "fxOption": fx_option, "fxDigitalOption": fx_digital_option, "swap": fixed_floating,
    "swap of two floating streams": basis, "swap of two currencies": cross_currency, "swap of an inflation index": inflation, "fra": fra,
    "capFloor": cap_floor, "swaption": swaption, "termDeposit": term_deposit, "creditDefaultSwap": credit_default_swap,
    "equityOption": equity_option, "equityForward": equity_forward, "varianceSwapTransactionSupplement": variance_swap,
    "commoditySwap": commodity_swap, "commodityOption": commodity_option, "commodityForward": commodity_forward,
}  # fmt: skip

PARTIES = tag("party", tag("partyId", "BANK01"), tag("partyName", "Our Bank"), id="us") + tag(
    "party", tag("partyName", "Bank B"), id="them"
)


def trade(product: str, trade_id: str = "T1") -> str:
    named = tag("partyTradeIdentifier", tag("partyReference", href="us"), tag("tradeId", trade_id, tradeIdScheme="x"))
    return tag("trade", tag("tradeHeader", named, tag("tradeDate", "2020-03-10")), product)


def document(*content: str, root: str = "dataDocument", version: str = "5-12", view: str = "confirmation") -> str:
    return tag(root, *content, PARTIES, xmlns=f"http://www.fpml.org/FpML-5/{view}", fpmlVersion=version)
