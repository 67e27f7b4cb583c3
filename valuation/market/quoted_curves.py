"""Curves quoted by deposits, forward rate agreements, futures, swaps and basis swaps, as equations of their discount factors.

What each quote is, by its attributes, stands in docs/market-data.md. Dates come from QuantLib, once a curve and valuation
date. A period of a floating rate projects P(start) / P(end) - 1, so that a compounded overnight rate is projected alike.
A future's rate is taken as the forward rate: there is no convexity adjustment.
Source: Ametrano and Bianchetti, *Everything you always wanted to know about multiple interest rate curve bootstrapping*, 2013.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Floats, Ints
from lake.errors import VarlakeError, nearest
from scenarios.types import FactorIndex, RiskFactor
from valuation.instruments import schedules
from valuation.instruments.schedules import Leg
from valuation.kernels.bootstrap import Equations, implied_quotes
from valuation.types import NotValuable

_BESIDE_OTHERS = ("swap_rate", "basis_spread")  # bootstrapped with other curves, which attributes name
QUOTED = ("deposit_rate", "fra_rate", "rate_future", *_BESIDE_OTHERS)
_REFERENCES = ("discount_curve", "reference_curve", "reference_discount_curve", "projection_curve")

Factors = Sequence[tuple[str, int, int]]  # curve, days from the valuation date, power


@dataclass(frozen=True)
class _Term:
    """(constant + slope x quote) x product of discount factors."""

    constant: float
    slope: float
    factors: Factors


@dataclass(frozen=True)
class QuotedCurve:
    """pillars : by node; days : (n_quotes + 1,) nodes in days from the valuation date, the first 0.

    external : the products of other curves' discount factors that terms hold, the first empty.
    own : (2, n_terms) days of a and b of each term, see `valuation.kernels.bootstrap`.
    """

    name: str
    pillars: tuple[RiskFactor, ...]
    days: Ints
    equations: Equations
    external: tuple[Factors, ...]
    own: Ints

    def nodes_read(self, quote: int) -> set[int]:
        """The nodes that a quote reads, its own among them."""
        first, stop = self.equations.offsets[quote : quote + 2]
        return {int(k) for ends in (self.equations.left, self.equations.right) for k in ends[:, first:stop].flat} - {0}

    def external_read(self, quote: int) -> set[tuple[str, int]]:
        """The other curves, and their days, that a quote reads."""
        first, stop = self.equations.offsets[quote : quote + 2]
        return {(c, day) for row in self.equations.external[first:stop] for c, day, _ in self.external[row]}

    def unsolved(self, logs: Floats, quotes: Floats, products: Floats) -> RiskFactor | None:
        """The first pillar whose node is not finite though all that it rests on is; of one state."""
        for k in np.flatnonzero(~np.isfinite(logs[1:])).tolist():
            first, stop = self.equations.offsets[k : k + 2]
            rests_on = [
                *logs[list(self.nodes_read(k) - {k + 1})],
                quotes[k],
                *products[self.equations.external[first:stop]],
            ]
            if np.isfinite(rests_on).all():
                return self.pillars[k]
        return None

    def products(self, discount: Callable[[str, Ints], Floats], n_states: int) -> Floats:
        """The external products, (n_external, n_states), of discount factors (n_days, n_states) by curve and days."""
        days: dict[str, list[int]] = {}
        for curve, day in sorted({(c, d) for product in self.external for c, d, _ in product}):
            days.setdefault(curve, []).append(day)
        made = {
            (curve, day): row
            for curve, at in days.items()
            for day, row in zip(at, discount(curve, np.array(at)), strict=True)
        }
        out = np.ones((len(self.external), n_states))
        for row, product in zip(out, self.external, strict=True):
            for curve, day, power in product:
                row[:] = row * made[curve, day] if power > 0 else row / made[curve, day]
        return out

    def quotes(self, discount: Callable[[str, Ints], Floats]) -> Floats:
        """What each instrument is quoted at, (n_quotes,), by discount factors (n_days,) of a curve on days; one state."""
        own = discount(self.name, self.own.ravel()).reshape(self.own.shape)
        external = self.products(lambda c, days: discount(c, days)[:, None], 1)[self.equations.external, 0]
        return implied_quotes(*self.equations[:3], external * own[0] / own[1])


def quoted_curve(index: FactorIndex, curve: str, valuation_date: dt.date) -> QuotedCurve:
    """The equations of a curve on that date; raises `NotValuable` where attributes or dates are at fault, with curve and pillar."""
    key = (quoted_curve, curve, valuation_date)
    if key not in index.memo:
        _check_references(index, curve, (curve,))
        index.memo[key] = _quoted_curve(index, curve, valuation_date)
    made: QuotedCurve = index.memo[key]
    return made


def _check_references(index: FactorIndex, curve: str, path: tuple[str, ...]) -> None:
    """Raises where a curve is bootstrapped with one of another currency, or with one that is bootstrapped with itself."""
    for f in index.curve(curve):
        given = dict(f.attributes) if f.type in _BESIDE_OTHERS else {}
        # what makes a basis one of two currencies is that it projects its own leg, too
        own = ("discount_curve", "projection_curve" if "projection_curve" in given else "reference_curve")
        for attribute in given.keys() & {*own}:
            index.curve_in(given[attribute], f.currency, f"the {attribute} of {f.risk_factor_id}")
    named = {dict(f.attributes).get(a) for f in index.curve(curve) if f.type in _BESIDE_OTHERS for a in _REFERENCES}
    for other in sorted(n for n in named if n and n != curve):
        if other in path:
            raise NotValuable(
                "invalid_curve",
                f"Curves {' and '.join(sorted({curve, other}))} each need the other to be bootstrapped first; give one of them "
                "quotes that do not name the other.",
            )
        _check_references(index, other, (*path, other))


def _quoted_curve(index: FactorIndex, curve: str, valuation_date: dt.date) -> QuotedCurve:
    found = []
    for pillar in index.curve(curve):
        try:
            terms = _Quote(curve, pillar, valuation_date).terms()
        except (VarlakeError, ValueError, RuntimeError) as error:
            why = error.message if isinstance(error, VarlakeError) else str(error).splitlines()[0]
            raise NotValuable("invalid_curve", f"Curve {curve}, pillar {pillar.pillar}: {why}") from None
        found.append((max(day for t in terms for c, day, _ in t.factors if c == curve), pillar, terms))
    found.sort(key=lambda f: f[:2])
    for (day, one, _), (same, two, _) in itertools.pairwise(found):
        if day == same:
            end = valuation_date + dt.timedelta(days=day)
            raise NotValuable(
                "invalid_curve",
                f"Curve {curve}: pillars {one.pillar} and {two.pillar} both end on {end}; leave one out.",
            )
    nodes = np.array([0, *(day for day, _, _ in found)])
    external: dict[Factors, int] = {(): 0}
    constant, slope, row, own_days, offsets = [], [], [], [], [0]
    for _, _, terms in found:
        for t in terms:
            ends = {power: day for c, day, power in t.factors if c == curve}
            others = tuple(f for f in t.factors if f[0] != curve)
            constant.append(t.constant)
            slope.append(t.slope)
            row.append(external.setdefault(others, len(external)))
            own_days.append([ends.get(1, 0), ends.get(-1, 0)])
        offsets.append(len(constant))
    days = np.array(own_days).T.copy()
    right = np.searchsorted(nodes, days)
    left = np.where(nodes[right] == days, right, right - 1)
    gap = np.where(left == right, 1, nodes[right] - nodes[left])
    equations = Equations(
        np.array(offsets), np.array(constant), np.array(slope), np.array(row), left, right, (days - nodes[left]) / gap
    )
    return QuotedCurve(curve, tuple(p for _, p, _ in found), nodes, equations, tuple(external), days)


class _Quote:
    """One quote: its attributes, read as they are needed, and the terms of its equation."""

    def __init__(self, curve: str, pillar: RiskFactor, valuation_date: dt.date) -> None:
        self.curve, self.pillar, self.today = curve, pillar, valuation_date
        self.given = dict(pillar.attributes)
        self.calendar = self._one_of("calendar", "weekdays", schedules.CALENDARS)
        self.convention = self._one_of(
            "business_day_convention", "ModifiedFollowing", schedules.BUSINESS_DAY_CONVENTIONS
        )

    def terms(self) -> list[_Term]:
        if self.pillar.type == "rate_future":
            start = self._future_start()
            end = self._advance(start, self.given.get("tenor", "3M"))
            accrual = self._accrual(start, end)
            # the rate is (100 - price) / 100
            return self._one_period(start, end, -1.0 - accrual, accrual / 100)
        spot = schedules.spot_date(self.today, int(self.given.get("spot_lag", 2)), self.calendar)
        start = self._advance(spot, self.given["start"]) if "start" in self.given else spot
        end = self._advance(spot, self.pillar.pillar or "")
        if end <= start:
            raise ValueError(f"it ends on {end}, and begins on {start}.")
        if self.pillar.type in ("deposit_rate", "fra_rate"):
            if self.pillar.type == "fra_rate" and "start" not in self.given:
                raise ValueError("a FRA needs the attribute start, the tenor from spot to its first day, such as 3M.")
            return self._one_period(start, end, -1.0, -self._accrual(start, end))
        unadjusted = schedules.tenor_end(spot, self.pillar.pillar or "")
        return self._swap(start, unadjusted) if self.pillar.type == "swap_rate" else self._basis(start, unadjusted)

    def _one_period(self, start: dt.date, end: dt.date, constant: float, slope: float) -> list[_Term]:
        """P(start) and, with its sign, what is paid at the end: (constant + slope x quote) P(end)."""
        return [
            self._term(1.0, 0.0, (self.curve, start.toordinal(), 1)),
            self._term(constant, slope, (self.curve, end.toordinal(), 1)),
        ]

    def _swap(self, start: dt.date, end: dt.date) -> list[_Term]:
        discount = self.given.get("discount_curve", self.curve)
        fixed = self._leg("frequency", "1", "day_count", "Thirty360", start, end)
        floating = self._leg("float_frequency", "4", "float_day_count", "Actual360", start, end)
        paid = [
            self._term(0.0, -float(a), (discount, int(p), 1))
            for p, a in zip(fixed.payments, fixed.accruals, strict=True)
        ]
        return [*self._projected(1.0, self.curve, discount, floating), *paid]

    def _basis(self, start: dt.date, end: dt.date) -> list[_Term]:
        reference = self._curve("reference_curve")
        if reference == self.curve:
            raise ValueError("its reference_curve is the curve itself; a basis is between two.")
        leg = self._leg("float_frequency", "4", "float_day_count", "Actual360", start, end)
        other = self._leg("reference_frequency", "4", "float_day_count", "Actual360", start, end)
        if "projection_curve" in self.given:
            return self._cross_currency(reference, leg, other)
        discount = self._curve("discount_curve")
        bearer, sign = (leg, 1.0) if self._one_of("spread_leg", "own", ("own", "reference")) == "own" else (other, -1.0)
        spread = [
            self._term(0.0, sign * float(a), (discount, int(p), 1))
            for p, a in zip(bearer.payments, bearer.accruals, strict=True)
        ]
        return [
            *self._projected(1.0, self.curve, discount, leg), *self._projected(-1.0, reference, discount, other), *spread
        ]  # fmt: skip

    def _cross_currency(self, reference: str, leg: Leg, other: Leg) -> list[_Term]:
        """This curve discounts its currency, whose leg bears the spread; notionals are exchanged at both ends.

        The other notional is worth as much at spot. Where it resets, it is set anew each period at the forward exchange rate,
        P(t) / D(t) of both discount curves, and each of its periods stands alone.
        """
        discount = self.given.get("reference_discount_curve", reference)
        terms = [
            *self._exchanged(-1.0, self.curve, leg),
            *self._projected(1.0, self._curve("projection_curve"), self.curve, leg),
            *(
                self._term(0.0, float(a), (self.curve, int(p), 1))
                for p, a in zip(leg.payments, leg.accruals, strict=True)
            ),
        ]
        if self._one_of("resetting", "false", ("false", "true")) == "false":
            return [
                *terms, *self._exchanged(1.0, discount, other), *self._projected(-1.0, reference, discount, other)
            ]  # fmt: skip
        for begin, end in zip(other.starts.tolist(), other.payments.tolist(), strict=True):
            forward = ((self.curve, begin, 1), (discount, begin, -1))
            terms.append(self._term(1.0, 0.0, *forward, (discount, begin, 1)))
            terms.append(
                self._term(-1.0, 0.0, *forward, (discount, end, 1), (reference, begin, 1), (reference, end, -1))
            )
        return terms

    def _projected(self, sign: float, projection: str, discount: str, leg: Leg) -> list[_Term]:
        """The floating payments P(start) / P(end) - 1 of a leg, discounted."""
        if projection == discount:  # what lies between cancels
            return [
                self._term(sign, 0.0, (discount, int(leg.starts[0]), 1)),
                self._term(-sign, 0.0, (discount, int(leg.payments[-1]), 1)),
            ]
        terms = []
        for begin, end in zip(leg.starts.tolist(), leg.payments.tolist(), strict=True):
            terms.append(self._term(sign, 0.0, (projection, begin, 1), (projection, end, -1), (discount, end, 1)))
            terms.append(self._term(-sign, 0.0, (discount, end, 1)))
        return terms

    def _exchanged(self, sign: float, discount: str, leg: Leg) -> list[_Term]:
        """The notional at the start, with this sign, and back at the end."""
        return [
            self._term(sign, 0.0, (discount, int(leg.starts[0]), 1)),
            self._term(-sign, 0.0, (discount, int(leg.payments[-1]), 1)),
        ]

    def _term(self, constant: float, slope: float, *factors: tuple[str, int, int]) -> _Term:
        """A term of discount factors at ordinals of days; equal ones above and below the line cancel."""
        powers: Counter[tuple[str, int]] = Counter()
        for curve, ordinal, power in factors:
            powers[curve, ordinal - self.today.toordinal()] += power
        return _Term(constant, slope, tuple((c, day, p) for (c, day), p in sorted(powers.items()) if p and day))

    def _leg(self, frequency: str, payments: str, day_count: str, named: str, start: dt.date, end: dt.date) -> Leg:
        a_year = int(self._one_of(frequency, payments, ("1", "2", "4", "12")))
        return schedules.leg(
            start, end, a_year, self._one_of(day_count, named, schedules.DAY_COUNTS), self.calendar, self.convention, True, False,
        )  # fmt: skip

    def _future_start(self) -> dt.date:
        text = self.given.get("start", "")
        if match := re.fullmatch(r"IMM([1-9]\d?)", text):
            return schedules.imm_date(self.today, int(match[1]))
        try:
            start = dt.date.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"a future needs the attribute start, IMM1 for the next IMM date or a date such as 2026-06-17; given: {text or 'none'}."
            ) from None
        if start < self.today:
            raise ValueError(f"its future began on {start}, before {self.today}; give the next one, or start as IMM1.")
        return start

    def _accrual(self, start: dt.date, end: dt.date) -> float:
        return schedules.year_fraction(start, end, self._one_of("day_count", "Actual360", schedules.DAY_COUNTS))

    def _advance(self, day: dt.date, tenor: str) -> dt.date:
        return schedules.advanced(day, tenor, self.calendar, self.convention)

    def _curve(self, attribute: str) -> str:
        if attribute not in self.given:
            raise ValueError(f"a {self.pillar.type} needs the attribute {attribute}, the name of a curve.")
        return self.given[attribute]

    def _one_of(self, attribute: str, default: str, names: Iterable[str]) -> str:
        text = self.given.get(attribute, default)
        if text not in names:
            raise ValueError(f"attribute {attribute} is {text}; nearest: {', '.join(nearest(text, names))}.")
        return text
