"""Trades of FpML are worth what their payments are, added up by hand from the schedule of the whole trade."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from math import exp
from pathlib import Path

import pytest
import QuantLib as ql  # noqa: N813 - the library's own habit
from fpml_products import (
    DAY,
    Grid,
    document,
    every,
    exchange,
    fixed_rate,
    floating,
    money,
    notional,
    paid,
    stream,
    tag,
    trade,
)
from make_market import make_market, value

from lake.errors import BadInput
from lake.landing.markup import read_markup
from valuation.books.trade_files.fpml import document as fpml
from valuation.books.trade_files.trade import NotRead, Trade
from valuation.catalogue import parse_terms
from valuation.instruments import schedules

RATES = {"USD": 0.02, "EUR": 0.01}
FX = 1.1
MARKET = make_market(
    DAY,
    {
        **{f"YC:{c}:{p}": r for c, r in RATES.items() for p in ("1M", "1Y", "5Y", "10Y", "30Y")},
        **{f"YC:USD-LIBOR-BBA-6M:{p}": 0.025 for p in ("1M", "1Y", "5Y", "10Y", "30Y")},
        "FX:EURUSD": FX,
        "NV:USD_CAP": 0.008,
    },
)
GRID = Grid(
    dt.date(2020, 3, 18), dt.date(2024, 3, 18), None, None, ("GBLO", "USNY"), ("MODFOLLOWING", "ModifiedFollowing")
)
STEPS = {dt.date(2020 + k, 3, 18): Decimal(10_000_000 - 2_000_000 * k) for k in range(4)}


def read(tmp_path: Path, text: str) -> list[Trade]:
    (tmp_path / "trade.xml").write_text(document(trade(text)))
    ((_, _, made),) = fpml.trades(read_markup(tmp_path / "trade.xml"), DAY, "us")
    return made()


def worth(made: list[Trade]) -> float:
    total = 0.0
    for part in made:
        row = part.row(DAY)
        terms = parse_terms(part.instrument_type, {k: v for k, v in row.items() if k in part.terms})
        total += float(part.quantity) * float(value(terms, MARKET)[0])
    return total


def discount(day: dt.date, rate: float) -> float:
    return exp(-rate * (day - DAY).days / 365)


def periods(months: int) -> list[tuple[dt.date, dt.date]]:
    """Of the whole trade, by QuantLib, on the business days of London and New York."""
    calendar = ql.JointCalendar(ql.UnitedKingdom(), ql.UnitedStates(ql.UnitedStates.Settlement))
    schedule = ql.Schedule(
        ql.Date(18, 3, 2020), ql.Date(18, 3, 2024), ql.Period(months, ql.Months), calendar, ql.ModifiedFollowing, ql.ModifiedFollowing,
        ql.DateGeneration.Backward, False,
    )  # fmt: skip
    days = [dt.date(d.year(), d.month(), d.dayOfMonth()) for d in schedule]
    return list(itertools.pairwise(days))


def level(day: dt.date, steps: dict[dt.date, Decimal]) -> float:
    """What holds in a period that begins on a day, which may be some days after the step."""
    return float(steps[max(d for d in steps if d <= day)])


def test_an_amortising_swap_is_worth_its_payments(tmp_path: Path) -> None:
    rates = {d: Decimal("0.02") + Decimal(k) / 1000 for k, d in enumerate(STEPS)}
    swap = tag(
        "swap",
        stream(True, GRID.text("1Y"), notional("USD", STEPS), tag("fixedRateSchedule", fixed_rate(rates)), "ACT/360"),
        stream(
            False, GRID.text("6M"), notional("USD", STEPS), floating("USD-LIBOR-BBA", "6M", Decimal("0.001")), "ACT/360"
        ),
    )
    made = read(tmp_path, swap)
    assert [t.trade_id for t in made] == ["T1/1", "T1/2", "T1/3", "T1/4"]
    fixed = sum(level(a, STEPS) * level(a, rates) * (b - a).days / 360 * discount(b, 0.02) for a, b in periods(12))
    floats = sum(
        level(a, STEPS) * (discount(a, 0.025) / discount(b, 0.025) - 1 + 0.001 * (b - a).days / 360) * discount(b, 0.02)
        for a, b in periods(6)
    )
    assert worth(made) == pytest.approx(floats - fixed, abs=1e-6)


def test_an_amortising_swap_of_two_currencies_exchanges_what_is_repaid(tmp_path: Path) -> None:
    euros = {d: n / 2 for d, n in STEPS.items()}
    flags = tag("principalExchanges", *(tag(f"{n}Exchange", "true") for n in ("initial", "final", "intermediate")))
    coupon = tag("fixedRateSchedule", tag("initialValue", "0.03"))
    swap = tag(
        "swap",
        stream(True, GRID.text("6M"), notional("USD", STEPS), coupon, "ACT/360", flags),
        stream(False, GRID.text("6M"), notional("EUR", euros), coupon, "ACT/360", flags),
    )

    def leg(steps: dict[dt.date, Decimal], rate: float) -> float:
        flows, held = 0.0, 0.0
        for a, b in periods(6):
            flows += (held - level(a, steps)) * discount(a, rate)
            held = level(a, steps)
            flows += held * 0.03 * (b - a).days / 360 * discount(b, rate)
        return flows + held * discount(periods(6)[-1][1], rate)

    assert worth(read(tmp_path, swap)) == pytest.approx(FX * leg(euros, 0.01) - leg(STEPS, 0.02), abs=1e-5)


def test_a_collar_less_its_floor_bought_back_is_a_cap(tmp_path: Path) -> None:
    def product(*kinds: str) -> str:
        strikes = [
            tag(
                f"{kind}RateSchedule",
                fixed_rate({GRID.start: Decimal(k), dt.date(2022, 3, 18): Decimal(k) * 2}),
                tag("buyer", buyer),
            )
            for kind, k, buyer in (("cap", "0.03", "Receiver"), ("floor", "0.01", "Payer"))
            if kind in kinds
        ]
        rate = floating("USD-LIBOR-BBA", "6M", None, *strikes)
        return tag(
            "capFloor", stream(False, GRID.text("6M"), notional("USD", STEPS), rate, "ACT/360", name="capFloorStream")
        )

    collar, cap, floor = (read(tmp_path, product(*kinds)) for kinds in (("cap", "floor"), ("cap",), ("floor",)))
    assert [t.trade_id for t in collar] == [f"T1/{kind}-{k}" for kind in ("cap", "floor") for k in range(1, 5)]
    assert worth(collar) == pytest.approx(worth(cap) + worth(floor), rel=1e-12)
    assert worth(cap) > 0 > worth(floor)  # we receive the cap and have sold the floor


def test_a_premium_still_to_be_paid_is_worth_less_than_nothing(tmp_path: Path) -> None:
    premium = tag(
        "additionalPayment",
        paid(True),
        money("paymentAmount", "USD", 50_000),
        tag("paymentDate", tag("adjustedDate", "2020-06-16")),
    )
    flat = {GRID.start: Decimal(1_000_000)}
    legs = (
        stream(
            True,
            GRID.text("1Y"),
            notional("USD", flat),
            tag("fixedRateSchedule", tag("initialValue", "0.02")),
            "30/360",
        ),
        stream(False, GRID.text("6M"), notional("USD", flat), floating("USD-LIBOR-BBA", "6M"), "ACT/360"),
    )
    with_it, without = (read(tmp_path, tag("swap", *legs, *more)) for more in ((premium,), ()))
    assert worth(with_it) - worth(without) == pytest.approx(-50_000 * discount(dt.date(2020, 6, 16), 0.02), abs=1e-6)


RUNNING = Grid(dt.date(2019, 6, 18), dt.date(2024, 6, 18), None, None, ("USNY",), ("MODFOLLOWING", "ModifiedFollowing"))


def running(known: str, more: str = "") -> str:
    """A swap whose second floating period runs, from 18 December 2019 to 18 June 2020."""
    flat = {RUNNING.start: Decimal(1_000_000)}
    rate = floating("USD-LIBOR-BBA", "6M", None, known)
    return tag(
        "swap",
        stream(
            True,
            RUNNING.text("1Y"),
            notional("USD", flat),
            tag("fixedRateSchedule", tag("initialValue", "0.02")),
            "30/360",
        ),
        stream(False, RUNNING.text("6M"), notional("USD", flat), rate, "ACT/360", more),
    )


def observed(day: str, rate: str, match: str = "true") -> str:
    observation = tag("floatingRateDefinition", tag("rateObservation", tag("observedRate", rate)))
    period = tag("calculationPeriod", tag("adjustedStartDate", day), tag("adjustedEndDate", "2020-06-18"), observation)
    return tag("cashflows", tag("cashflowsMatchParameters", match), tag("paymentCalculationPeriod", period))


def test_rates_that_are_known_come_with_the_trade(tmp_path: Path) -> None:
    (made,) = read(tmp_path, running(tag("initialRate", "0.0225"), observed("2019-12-18", "0.019")))
    assert made.terms["fixings"] == {"2019-06-18": 0.0225, "2019-12-18": 0.019}
    assert worth([made]) != 0


def test_an_observed_overnight_rate_is_of_its_own_day(tmp_path: Path) -> None:
    def leg(name: str, *content: str) -> str:
        return stream(name == "pay", RUNNING.text("1Y"), notional("USD", {RUNNING.start: Decimal(100)}), *content)

    observations = "".join(
        tag("rateObservation", tag("adjustedFixingDate", d), tag("observedRate", "0.015"))
        for d in ("2020-03-12", "2020-03-13")
    )
    flows = observed("2019-06-18", "0.019").replace(
        "<rateObservation><observedRate>0.019</observedRate></rateObservation>", observations
    )
    swap = tag(
        "swap",
        leg("pay", tag("fixedRateSchedule", tag("initialValue", "0.02")), "ACT/360"),
        leg("receive", floating("USD-SOFR-COMPOUND", None), "ACT/360", flows),
    )
    (made,) = read(tmp_path, swap)
    assert made.terms["fixings"] == {"2020-03-12": 0.015, "2020-03-13": 0.015}


def odd(stub: str) -> str:
    grid = Grid(
        dt.date(2020, 3, 18),
        dt.date(2023, 6, 18),
        dt.date(2020, 6, 18),
        None,
        ("USNY",),
        ("MODFOLLOWING", "ModifiedFollowing"),
    )
    flat = {grid.start: Decimal(100)}
    return tag(
        "swap",
        stream(True, grid.text("1Y"), notional("USD", flat), tag("fixedRateSchedule", tag("initialValue", "0.02")), "30/360"),
        stream(
            False, grid.text("6M"), notional("USD", flat), floating("USD-LIBOR-BBA", "6M"), "ACT/360",
            tag("stubCalculationPeriodAmount", tag("initialStub", stub)),
        ),
    )  # fmt: skip


def test_the_rate_of_an_odd_period_that_is_agreed_is_its_fixing(tmp_path: Path) -> None:
    (made,) = read(tmp_path, odd(tag("stubRate", "0.0125")))
    assert made.terms["fixings"] == {"2020-03-18": 0.0125}


TWO = "".join(
    tag("floatingRate", tag("floatingRateIndex", "USD-LIBOR-BBA"), every("indexTenor", f"{n}M")) for n in "36"
)
CAP = tag("capRateSchedule", tag("initialValue", "0.03"))
FLAT = {GRID.start: Decimal(100)}


def cap(rate: str, *more: str) -> str:
    return tag(
        "capFloor", stream(True, GRID.text("6M"), notional("USD", FLAT), rate, "ACT/360", name="capFloorStream"), *more
    )


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text


REFUSED: dict[str, tuple[str, str]] = {
    "cash flows of their own": (
        running("", observed("2019-12-18", "0.019", "false")),
        "its cash flows are not those of its parameters",
    ),
    "an interpolated odd period": (
        odd(TWO),
        "its initialStub pays another rate than its periods: USD-LIBOR-BBA-3M, USD-LIBOR-BBA-6M",
    ),
    "an amount for an odd period": (odd(tag("stubAmount", tag("amount", "5"))), "its initialStub pays an amount"),
    "a digital payoff": (
        cap(floating("USD-LIBOR-BBA", "6M", None, CAP), tag("digitalPayoff", "1")),
        "digitalPayoff of capFloor is not read",
    ),
    "a spread under a cap": (
        cap(floating("USD-LIBOR-BBA", "6M", Decimal("0.01"), CAP)),
        "its floating rate has a spread",
    ),
    "no strike": (cap(floating("USD-LIBOR-BBA", "6M")), "it has no strike"),
    "a multiple of the rate": (
        cap(
            floating("USD-LIBOR-BBA", "6M", None, tag("floatingRateMultiplierSchedule", tag("initialValue", "2")), CAP)
        ),
        "its floating rate is multiplied",
    ),
    "an average": (
        changed(
            running(""),
            ("</floatingRateCalculation>", "<averagingMethod>Weighted</averagingMethod></floatingRateCalculation>"),
        ),
        "averagingMethod of floatingRateCalculation is not read",
    ),
    "in arrears": (
        running("").replace(
            "</paymentDates>",
            "</paymentDates><resetDates><resetRelativeTo>CalculationPeriodEndDate</resetRelativeTo></resetDates>",
        ),
        "its floating rate is set in arrears",
    ),
    "a lag of payment": (
        running("").replace(
            "<payRelativeTo>", every("paymentDaysOffset", "2D", tag("dayType", "Business")) + "<payRelativeTo>"
        ),
        "it is paid 2 business days after its periods",
    ),
    "another roll": (
        running("").replace("<rollConvention>18<", "<rollConvention>IMM<"),
        "it rolls on IMM, and its regular periods end on 2024-06-18",
    ),
    "payments by another rule": (
        running("").replace(
            "<paymentDatesAdjustments><businessDayConvention>MOD", "<paymentDatesAdjustments><businessDayConvention>"
        ),
        "payments are moved off holidays by another rule",
    ),
    "two notionals": (
        changed(running(""), ("<initialValue>1000000<", "<initialValue>1000001<")),
        "its streams differ in notional",
    ),
    "another day count": (
        running("").replace("30/360", "BUS/252"),
        "dayCountFraction is 'BUS/252', which has no counterpart here",
    ),
    "a step within a period": (
        changed(
            running(""),
            (
                "<initialValue>0.02<",
                "<initialValue>0.02</initialValue><step><stepDate>2021-09-18</stepDate><stepValue>0.03</stepValue></step><initialValue>0<",
            ),
        ),
        "it steps on 2021-09-18, within a period of a stream",
    ),
    "a right to end it": (
        running("").replace(
            "</swap>",
            tag("earlyTerminationProvision", tag("mandatoryEarlyTermination", tag("cashSettlement", "x"))) + "</swap>",
        ),
        "cashSettlement of mandatoryEarlyTermination is not read",
    ),
    "no rate below zero": (
        running(tag("negativeInterestRateTreatment", "ZeroInterestRateMethod")),
        "a rate below zero is not paid (ZeroInterestRateMethod)",
    ),
    "two days": (
        tag(
            "fxSingleLeg",
            exchange(("EUR", Decimal(1)), ("USD", Decimal(1)), DAY),
            tag("currency1ValueDate", DAY),
            tag("currency2ValueDate", "2020-03-18"),
        ),
        "its currencies are paid on two days",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_instrument_keeps_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    text, reason = REFUSED[name]
    with pytest.raises(NotRead) as told:
        read(tmp_path, text)
    assert reason in str(told.value)


@pytest.mark.parametrize(("centres", "moved"), [("GBLO", [11, 3]), ("USNY", [8, 6]), ("GBLO+USNY", [11, 6])])
def test_joint_calendars_have_the_holidays_of_each(centres: str, moved: list[int]) -> None:
    """Friday 8 May 2020 was a holiday in London alone, and Friday 3 July in New York alone."""
    days = (dt.date(2020, 5, 8), dt.date(2020, 7, 3))
    assert [schedules.payment_date(day, centres, "Following").day for day in days] == moved


def test_the_name_of_a_joint_calendar_is_in_the_order_of_the_alphabet() -> None:
    terms = {"currency": "USD", "maturity": "2021-03-16", "discount_curve": "USD"}
    ids = {
        parse_terms("zero_bond", {**terms, "calendar": c}).contract_id()
        for c in ("USNY+GBLO", "GBLO+USNY", "GBLO+USNY+GBLO")
    }
    assert len(ids) == 1
    with pytest.raises(BadInput, match="nearest: USNY"):
        parse_terms("zero_bond", {**terms, "calendar": "GBLO+USNX"})
