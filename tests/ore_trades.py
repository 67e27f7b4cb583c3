"""Random trades of every instrument that is written for ORE, in the market of `examples`, as terms of a positions file."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

from examples import LEVELS, TODAY

from valuation.books.trade_files.ore_portfolio import WRITTEN
from valuation.catalogue import parse_terms
from valuation.instruments import schedules

CALENDARS = {"USD": "USNY", "EUR": "EUTA", "JPY": "JPTO"}


class Drawn:
    """Terms by instrument type, from one stream of random numbers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.make: dict[str, Callable[[], dict[str, Any]]] = {
            "fx_forward": lambda: self.pair(True) | {"maturity": self.day(1, 9000)},
            "fx_swap": lambda: self.swap_of_pair(),
            "fx_option": lambda: self.pair() | self.option("VOL:EURUSD"),
            "fx_american_option": lambda: self.pair() | self.option("VOL:EURUSD", 1500),
            "fx_barrier_option": lambda: self.pair() | self.option("VOL:EURUSD") | self.barrier(LEVELS["FX:EURUSD"]),
            "fx_digital_option": lambda: self.pair() | self.option("VOL:EURUSD") | self.payoff(),
            "equity_forward": lambda: self.on("EQ:A", 50, 150, "dividend_yield") | {"maturity": self.day(1, 4000)},
            "equity_option": lambda: self.on("EQ:A", 50, 150, "dividend_yield") | self.option("VOL:A"),
            "equity_american_option": lambda: self.on("EQ:A", 50, 150, "dividend_yield") | self.option("VOL:A", 1500),
            "equity_barrier_option": lambda: (
                self.on("EQ:A", 50, 150, "dividend_yield") | self.option("VOL:A") | self.barrier(LEVELS["EQ:A"])
            ),
            "equity_digital_option": lambda: (
                self.on("EQ:A", 50, 150, "dividend_yield") | self.option("VOL:A") | {"payoff": "cash_or_nothing"}
            ),
            "equity_asian_option": lambda: self.asian(),
            "commodity_forward": lambda: self.on("CM:WTI", -5, 50, "carry") | {"maturity": self.day(1, 3000)},
            "commodity_option": lambda: self.on("CM:WTI", 5, 60, "carry") | self.option("VOL:WTI"),
            "commodity_american_option": lambda: (
                self.on("CM:COPPER", 3000, 7000, None) | self.option("VOL:COPPER", 1500)
            ),
            "interest_rate_swap": lambda: self.swap("interest_rate_swap"),
            "overnight_swap": lambda: self.swap("overnight_swap"),
            "basis_swap": lambda: self.basis(),
            "cross_currency_swap": lambda: self.cross_currency(),
            "forward_rate_agreement": lambda: self.fra(),
            "cap_floor": lambda: self.cap(),
            "swaption": lambda: self.swaption(),
            "bermudan_swaption": lambda: self.bermudan(),
            "zero_bond": lambda: self.spread("zero_bond") | {"maturity": self.day(1, 9000)},
            "fixed_bond": lambda: self.bond("fixed_bond"),
            "government_bond": lambda: self.bond("government_bond"),
            "step_bond": lambda: self.step(),
            "amortising_bond": lambda: self.bond("amortising_bond") | {"amortisation": self.rng.choice(("linear", "annuity"))},
            "floating_bond": lambda: self.floater(),
            "risky_bond": lambda: self.bond("risky_bond") | self.credit(),
            "credit_default_swap": lambda: self.default_swap(),
            "credit_index": lambda: (
                self.default_swap()
                | {"currency": "EUR", "discount_curve": "EUR", "credit_curve": "INDEX", "recovery_rate": 0.4, "recovery": None}
            ),
        }  # fmt: skip
        assert self.make.keys() == WRITTEN.keys()

    def trades(self, n: int, kinds: tuple[str, ...] = tuple(WRITTEN)) -> list[tuple[str, dict[str, Any], float, str]]:
        """As many of each: type, terms, quantity, id."""
        return [
            (kind, self.make[kind](), self.rng.choice((-1, 1)) * self.rng.randint(1000, 1_000_000), f"{kind}{i}")
            for kind in kinds
            for i in range(n)
        ]

    # --- parts --------------------------------------------------------------------------------------------------------

    def day(self, first: int, last: int, start: dt.date = TODAY) -> str:
        return str(start + dt.timedelta(days=self.rng.randint(first, last)))

    def pair(self, any_pair: bool = False) -> dict[str, Any]:
        pairs = (("EUR", "USD"), ("USD", "JPY"), ("EUR", "JPY"), ("USD", "EUR"), ("JPY", "USD"))
        base, quote = self.rng.choice(pairs) if any_pair else pairs[0]
        strike = (
            LEVELS["FX:EURUSD"] * self.rng.uniform(0.8, 1.2)
            if "JPY" not in (base, quote)
            else self.rng.uniform(90, 130)
        )
        terms = {"currency": quote, "base_currency": base, "quote_curve": quote, "base_curve": base}
        return {**terms, "strike": round(strike if quote != "EUR" and base != "JPY" else 1 / strike, 6)}

    def swap_of_pair(self) -> dict[str, Any]:
        far = self.pair(True)
        near = self.day(-100, 300)
        near = near if near != str(TODAY) else str(TODAY + dt.timedelta(days=1))
        maturity = max(dt.date.fromisoformat(near), TODAY) + dt.timedelta(days=self.rng.randint(1, 2000))
        return {
            **far,
            "near_strike": round(far["strike"] * 1.01, 6),
            "near_maturity": near,
            "maturity": str(maturity),
        }

    def on(self, underlying: str, low: float, high: float, rate: str | None) -> dict[str, Any]:
        about = {"currency": "USD", "underlying": underlying, "discount_curve": "USD"}
        yields = {} if rate is None else {rate: self.rng.choice((0, 0.013))}
        return {**about, **yields, "strike": round(self.rng.uniform(low, high), 2)}

    def option(self, volatility: str, most_days: int = 3000) -> dict[str, Any]:
        return {
            "volatility": volatility,
            "expiry": self.day(1, most_days),
            "option_type": self.rng.choice(("call", "put")),
        }

    def barrier(self, spot: float) -> dict[str, Any]:
        up = self.rng.random() < 0.5
        kind = f"{'up' if up else 'down'}_{self.rng.choice(('in', 'out'))}"
        level = spot * (self.rng.uniform(1.02, 1.5) if up else self.rng.uniform(0.6, 0.98))
        return {
            "barrier": round(level, 4),
            "barrier_type": kind,
            "rebate": self.rng.choice((None, round(spot / 50, 4))),
        }

    def payoff(self) -> dict[str, Any]:
        return {"payoff": self.rng.choice(("cash_or_nothing", "asset_or_nothing"))}

    def asian(self) -> dict[str, Any]:
        terms = self.on("EQ:A", 50, 150, "dividend_yield") | self.option("VOL:A", 900)
        expiry = dt.date.fromisoformat(terms["expiry"])
        days = sorted({self.day(-60, (expiry - TODAY).days) for _ in range(self.rng.randint(3, 40))} - {str(TODAY)})
        days = [d for d in days if dt.date.fromisoformat(d).weekday() < 5]
        days = days or [terms["expiry"]]
        return {
            **terms,
            "averaging_dates": days,
            "fixings": {d: round(self.rng.uniform(80, 130), 2) for d in days if d < str(TODAY)},
            "average": self.rng.choice((None, "geometric")),
        }

    def dated(self, earliest: int = -400, periods: bool = True) -> dict[str, Any]:
        currency = self.rng.choice(("USD", "EUR", "JPY"))
        start = TODAY + dt.timedelta(days=self.rng.randint(earliest, 900))
        found: dict[str, Any] = {
            "currency": currency,
            "start": str(start),
            "maturity": str(start + dt.timedelta(days=self.rng.randint(500, 9000))),
            "calendar": CALENDARS[currency],
            "business_day_convention": self.rng.choice(("ModifiedFollowing", "Following", "Preceding", "Unadjusted")),
            "discount_curve": currency,
        }
        return found | ({"end_of_month": self.rng.random() < 0.5} if periods else {})

    def fixings(self, kind: str, terms: dict[str, Any], leg: str = "floating_leg") -> dict[str, Any]:
        parsed: Any = parse_terms(kind, terms)
        starts = map(dt.date.fromordinal, getattr(parsed, leg)().starts.tolist())
        return {**terms, "fixings": {str(d): 0.01 for d in starts if d < TODAY}}

    def fixed_side(self) -> dict[str, Any]:
        return {
            "pay_fixed": self.rng.random() < 0.5,
            "fixed_rate": round(self.rng.uniform(0, 0.04), 5),
            "fixed_frequency": self.rng.choice((1, 2, 4)),
            "fixed_day_count": self.rng.choice(("Thirty360", "Actual365Fixed", "Actual360", "ActualActualISMA")),
        }

    def swap(self, kind: str) -> dict[str, Any]:
        overnight = kind == "overnight_swap"
        terms = {
            **self.dated(2 if overnight else -400),
            **self.fixed_side(),
            "float_frequency": self.rng.choice((1, 2, 4, 12)),
            "float_day_count": "Actual360",
            "spread": self.rng.choice((0.001, 0.0)),
        }
        if not overnight:
            return self.fixings(kind, terms)
        return {
            **terms,
            "projection_curve": "USD_SOFR" if terms["currency"] == "USD" else None,
            "payment_lag": self.rng.choice((0, 2)),
        }

    def basis(self) -> dict[str, Any]:
        return {
            **self.dated(1),
            "currency": "USD",
            "calendar": "USNY",
            "discount_curve": "USD",
            "receive_projection_curve": "USD_3M",
            "receive_frequency": 4,
            "receive_spread": 0.0011,
            "pay_projection_curve": "USD_6M",
            "pay_frequency": 2,
        }

    def cross_currency(self) -> dict[str, Any]:
        resets, exchanged = self.rng.random() < 0.4, True
        terms = {
            **self.dated(1 if resets else -300),
            "currency": "USD", "base_currency": "EUR", "initial_exchange_rate": round(self.rng.uniform(1.0, 1.2), 4),
            "discount_curve": "USD", "base_curve": "EUR", "calendar": "EUTA",
            "frequency": self.rng.choice((2, 4)), "base_frequency": self.rng.choice((1, 2, 4)),
            "notional_exchange": exchanged if resets else self.rng.random() < 0.8, "resetting": resets,
        }  # fmt: skip
        for prefix in ("", "base_"):
            if self.rng.random() < 0.5:
                terms |= {f"{prefix}fixed_rate": round(self.rng.uniform(0, 0.03), 4)}
        parsed: Any = parse_terms("cross_currency_swap", terms)
        for prefix, leg in (("", parsed.coupon_leg()), ("base_", parsed.base_legs()[0][1])):
            if f"{prefix}fixed_rate" not in terms:
                starts = map(dt.date.fromordinal, leg.schedule.starts.tolist())
                terms[f"{prefix}fixings"] = {str(d): 0.01 for d in starts if d < TODAY}
        return terms

    def fra(self) -> dict[str, Any]:
        start = TODAY + dt.timedelta(days=self.rng.randint(3, 900))
        currency = self.rng.choice(("USD", "EUR"))
        return {
            "currency": currency, "pay_fixed": self.rng.random() < 0.5, "fixed_rate": round(self.rng.uniform(-0.01, 0.04), 5),
            "start": str(start), "maturity": str(schedules.tenor_end(start, self.rng.choice(("3M", "6M")))),
            "calendar": CALENDARS[currency], "discount_curve": currency,
        }  # fmt: skip

    def rate_option(self, kind: str, *, earliest: int) -> dict[str, Any]:
        """One model and volatility for each currency, as ORE has it."""
        dated = self.dated(earliest)
        while dated["currency"] == "JPY":  # of which the examples have no volatility
            dated = self.dated(earliest)
        terms = {**dated, "float_frequency": self.rng.choice((2, 4)), "float_day_count": "Actual360"}
        what = {"cap_floor": "CAP", "swaption": "SWAPTION"}[kind]
        if terms["currency"] == "USD":
            return {**terms, "model": "black", "shift": 0.05, "volatility": f"IV:USD_{what}"}
        return {**terms, "model": "normal", "volatility": f"NV:EUR_{what}"}

    def cap(self) -> dict[str, Any]:
        terms = {
            **self.rate_option("cap_floor", earliest=-400),
            "option_type": self.rng.choice(("cap", "floor")),
            "strike": round(self.rng.uniform(-0.01, 0.03), 4),
        }
        return self.fixings("cap_floor", terms)

    def swaption(self) -> dict[str, Any]:
        terms = self.rate_option("swaption", earliest=10) | self.fixed_side()
        start = dt.date.fromisoformat(terms["start"])
        expiry = {"expiry": self.day(-min(5, (start - TODAY).days - 1), 0, start)}
        if self.rng.random() < 0.5:
            return {**terms, **expiry}
        # settled in cash, a swap of whole years with a yearly coupon: ORE's par yield compounds yearly
        begin = start.replace(day=min(start.day, 28))
        whole = {"start": str(begin), "maturity": str(begin.replace(year=begin.year + self.rng.randint(1, 20)))}
        return {
            **terms,
            **expiry,
            **whole,
            "expiry": str(begin),
            "fixed_frequency": 1,
            "fixed_day_count": "Thirty360",
            "settlement": "cash",
        }

    def bermudan(self) -> dict[str, Any]:
        terms = {
            **self.dated(200),
            **self.fixed_side(),
            "currency": "USD", "calendar": "USNY", "discount_curve": "USD", "fixed_frequency": 1,
            "float_frequency": self.rng.choice((2, 4)), "float_day_count": "Actual360",
            "business_day_convention": "ModifiedFollowing", "end_of_month": False,
            "mean_reversion": 0.03, "volatility": "NV:USD_SHORT_RATE", "exercise_dates": ["2020-06-01"],
        }  # fmt: skip
        parsed: Any = parse_terms("bermudan_swaption", terms)
        dates = [str(dt.date.fromordinal(d)) for d in parsed.fixed_leg().starts.tolist()][1:]
        return {**terms, "exercise_dates": dates or [terms["start"]]}

    def spread(self, kind: str) -> dict[str, Any]:
        currency = self.rng.choice(("USD", "EUR"))
        terms: dict[str, Any] = {
            "currency": currency,
            "calendar": CALENDARS[currency],
            "discount_curve": currency,
        }
        if kind not in ("government_bond", "risky_bond") and currency == "USD":
            terms["credit_spread"] = self.rng.choice((None, "CS:USD:BBB"))
        return terms

    def bond(self, kind: str) -> dict[str, Any]:
        issued = TODAY + dt.timedelta(days=self.rng.randint(-2000, 100))
        return {
            **self.spread(kind),
            "issue_date": str(issued),
            "maturity": str(max(issued, TODAY) + dt.timedelta(days=self.rng.randint(300, 7000))),
            "coupon": round(self.rng.uniform(0, 0.08), 4),
            "frequency": self.rng.choice((1, 2, 4)),
            "day_count": self.rng.choice(("Thirty360", "Actual365Fixed", "Actual360", "ActualActualISMA")),
            "end_of_month": self.rng.random() < 0.3,
        }

    def step(self) -> dict[str, Any]:
        terms = self.bond("step_bond")
        parsed: Any = parse_terms("fixed_bond", terms)
        starts = [str(dt.date.fromordinal(d)) for d in parsed.coupons().starts.tolist()][1:]
        chosen = self.rng.sample(starts, min(2, len(starts)))
        return {**terms, "steps": {d: round(self.rng.uniform(0, 0.08), 4) for d in chosen}} if chosen else self.step()

    def floater(self) -> dict[str, Any]:
        terms = self.bond("floating_bond") | {"spread": self.rng.choice((None, 0.0115)), "day_count": "Actual360"}
        terms.pop("coupon")
        return self.fixings("floating_bond", terms, "coupons")

    def credit(self) -> dict[str, Any]:
        return {"currency": "USD", "discount_curve": "USD", "credit_curve": "ACME", "recovery": "REC:ACME"}

    def default_swap(self) -> dict[str, Any]:
        month = self.rng.choice((3, 6, 9, 12))
        return {
            **self.credit(),
            "buy_protection": self.rng.random() < 0.5,
            "coupon": self.rng.choice((0.01, 0.05)),
            "start": self.day(-500, 5),
            "maturity": str(dt.date(self.rng.randint(2021, 2029), month, 20)),
        }
