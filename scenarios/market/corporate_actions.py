"""Corporate actions: what a share becomes and what is paid out of it from an ex date on, and history in the terms of one day.

The lake keeps prices as they were received. Whoever reads history reads it in the terms of a day, most often the market date: a
level from before an ex date is multiplied by `(1 - amount / last level before) / shares`, as providers of adjusted closes and CRSP do
(Center for Research in Security Prices, *Data Definitions*, "Cumulative factor to adjust price").
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lake.arrays import Bools, Dates, Floats
from lake.errors import BadInput
from lake.tables import Lake, Snapshot

TABLE = "corporate_actions"
SPLITS, ALL = (
    "splits",
    "all",
)  # what a source may have adjusted its levels for already: what changes shares, or that and payments


@dataclass(frozen=True)
class Kind:
    """What an action of this kind says: `ratio`, `amount` and `new` are needed (True), refused (False) or may be given (None)."""

    meaning: str
    ratio: bool | None = False
    amount: bool | None = False
    new: bool | None = False


KINDS: dict[str, Kind] = {
    "split": Kind("ratio shares for each one held: 4:1, or 1:10 for a reverse split", ratio=True),
    "stock_dividend": Kind("ratio further shares for each one held: 1:20", ratio=True),
    "cash_dividend": Kind("amount a share, of the ordinary run; options and forwards stay", amount=True),
    "special_dividend": Kind("amount a share, out of the run", amount=True),
    "spin_off": Kind(
        "ratio shares of the new one for each one held; amount is what they are worth, for each share held",
        ratio=True,
        amount=True,
        new=True,
    ),
    "symbol_change": Kind("the new id takes its place", new=True),
    "merger": Kind("ratio shares of the new one, an amount of cash, or both, for each one held", None, None, None),
}
CANCELLED = "cancelled"  # in a file: there is no such action


@dataclass(frozen=True)
class CorporateAction:
    """A row of the table; `ratio` exact, `amount` in the currency of the share for each share held before."""

    risk_factor_id: str
    ex_date: dt.date
    kind: str
    ratio: Fraction | None = None
    amount: float | None = None
    new_risk_factor_id: str | None = None
    source: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CorporateAction:
        given = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(
            **{
                **given,
                "ratio": None if row["ratio"] is None else ratio_of(row["ratio"]),
                "source": row["source"] or "",
            }
        )

    @property
    def shares(self) -> Fraction:
        """Shares of what it becomes for each one held before; zero where it becomes cash alone."""
        if self.kind == "stock_dividend":
            return 1 + (self.ratio or Fraction(0))
        return (self.ratio or Fraction(0)) if self.kind in ("split", "merger") else Fraction(1)

    @property
    def becomes(self) -> str:
        """The share that is held afterwards."""
        return (self.new_risk_factor_id or self.risk_factor_id) if self.kind != "spin_off" else self.risk_factor_id

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f" {ratio_text(self.ratio)}"
        amount = "" if self.amount is None else f" of {self.amount:g}"
        new = "" if self.new_risk_factor_id is None else f" into {self.new_risk_factor_id}"
        return f"{self.risk_factor_id} {self.kind.replace('_', ' ')}{ratio}{amount}{new} on {self.ex_date}"

    def price_factor(self, last: float, done: str | None = None, later: Fraction = Fraction(1)) -> float:
        """What a level from before the ex date is multiplied by; `last` is the last one of them.

        done : what the source has adjusted for already, then for splits that are `later`, too. Raises `BadInput` for an amount that is
        the whole price or more.
        """
        if self.kind == "merger" or done == ALL:
            return 1.0
        paid = float((self.amount or 0.0) / later) if done == SPLITS else self.amount or 0.0
        if paid >= last:
            raise BadInput(
                f"The corporate action {self} pays out {paid:g} a share, and the last level before it is {last:g}. Correct the "
                "amount, which is for one share, and bring the action in again."
            )
        # one division: a split of 4 makes 125 of 500 to the bit
        return (1.0 - paid / last) / (1.0 if done == SPLITS else float(self.shares))


def ratio_of(text: str) -> Fraction:
    """The ratio of `4:1` or `0.05`; raises `ValueError` for what is none above zero."""
    given, _, held = text.partition(":")
    try:
        found = Fraction(given.strip()) / Fraction(held.strip() or "1")
    except ZeroDivisionError:
        found = Fraction(0)
    if not 0 < found <= 10**6:
        raise ValueError("expected a ratio above zero")
    return found


def ratio_text(ratio: Fraction) -> str:
    return f"{ratio.numerator}:{ratio.denominator}"


class Gone(NamedTuple):
    """What a share was merged into: `shares` of `into` for each one; zero where it became cash alone."""

    merger: CorporateAction
    into: str
    shares: Fraction


class Carried(NamedTuple):
    """What becomes of shares from one day to another, by risk factor id.

    paid : in cash or in shares of a spin-off, for each one held at the end or until it was gone; nothing where the levels are adjusted
    for that. gone : by a merger, the last first.
    """

    paid: Mapping[str, float]
    gone: Mapping[str, Gone]

    def for_cash(self, risk_factor_id: str) -> CorporateAction | None:
        """The first merger of the share, or of what it became, that gave cash."""
        for _ in self.gone:
            if (found := self.gone.get(risk_factor_id)) is None or found.merger.amount:
                return found and found.merger
            risk_factor_id = found.into
        return None


@dataclass(frozen=True)
class CorporateActions:
    """The actions of a lake, by ex date and share. done : risk factor id to what its source has adjusted for, `SPLITS` or `ALL`."""

    actions: tuple[CorporateAction, ...] = ()
    done: Mapping[str, str] = field(default_factory=dict)

    def explained(self, risk_factor_id: str, day: dt.date, since: dt.date | None = None) -> CorporateAction | None:
        """The action that a move of the factor into `day`, from the day `since` where that is not the one before, comes from."""
        after = day - dt.timedelta(days=1) if since is None else since
        named = (a for a in self.between(after, day) if risk_factor_id in (a.risk_factor_id, a.new_risk_factor_id))
        return next(named, None)

    def between(self, since: dt.date, until: dt.date) -> tuple[CorporateAction, ...]:
        """Those with an ex date after `since` and up to `until`."""
        return tuple(a for a in self.actions if since < a.ex_date <= until)

    def about(self, wanted: Iterable[str]) -> CorporateActions:
        """Those of the given factors, and of what has become one of them."""
        names, kept = set(wanted), []
        for action in reversed(self.actions):
            if action.risk_factor_id in names or (action.kind == "symbol_change" and action.becomes in names):
                kept.append(action)
                names.add(action.risk_factor_id)
        return CorporateActions(tuple(reversed(kept)), self.done)

    def later_shares(self, action: CorporateAction) -> Fraction:
        """Shares that one share after the action has become since."""
        shares = Fraction(1)
        for a in self.actions:
            if a.risk_factor_id == action.risk_factor_id and a.ex_date > action.ex_date and a.kind != "merger":
                shares *= a.shares
        return shares

    def carried(self, since: dt.date, until: dt.date) -> Carried:
        """What holders of shares are paid after `since` and up to `until`, and what shares that are gone by then became."""
        paid: dict[str, float] = {}
        gone: dict[str, Gone] = {}
        shares: dict[str, Fraction] = {}
        now: dict[str, str] = {}
        for a in reversed(self.between(since, until)):
            name = now.get(a.risk_factor_id, a.risk_factor_id)
            if a.kind == "symbol_change":
                now[a.risk_factor_id] = now.get(a.becomes, a.becomes)
            elif a.kind == "merger":  # of what it becomes, that which the later actions, seen already, make of it
                into = now.get(a.becomes, a.becomes)
                gone[name] = Gone(a, into, a.shares * shares.get(into, Fraction(1)))
                paid[name] = (a.amount or 0.0) + float(gone[name].shares) * paid.get(into, 0.0)
            else:
                shares[name] = shares.get(name, Fraction(1)) * a.shares
                if a.amount and self.done.get(a.risk_factor_id) != ALL:
                    paid[name] = paid.get(name, 0.0) + a.amount / float(shares[name])
        return Carried(paid, gone)

    def adjust(self, column: Mapping[str, int], dates: Dates, levels: Floats, blank: Bools, terms: dt.date) -> None:
        """Puts levels (n_dates, n_factors) into the terms of a day, in place: those before an ex date up to that day are multiplied, those
        from a later ex date on divided. What takes the place of a share from an ex date on has its levels before, and a share that is gone
        has the value of what it became."""
        received = levels.copy()
        for action in self.actions:
            if action.risk_factor_id not in column:
                continue
            j, before = column[action.risk_factor_id], dates < np.datetime64(action.ex_date)
            past = action.ex_date <= terms
            if action.kind == "symbol_change" and past and action.becomes in column:
                new = column[action.becomes]
                lacking = before & np.isnan(levels[:, new])
                for values in (levels, received):
                    values[lacking, new] = values[lacking, j]
                blank[lacking, new] = blank[lacking, j]
            seen = np.flatnonzero(before & np.isfinite(received[:, j]))
            if not len(seen):
                continue
            last = float(received[seen[-1], j])
            factor = action.price_factor(last, self.done.get(action.risk_factor_id), self.later_shares(action))
            if past:
                levels[before, j] *= factor
            else:
                levels[~before, j] /= factor
        for action in reversed(self.actions):  # what a share becomes later is its level
            if (
                action.kind in ("symbol_change", "merger")
                and action.ex_date > terms
                and action.risk_factor_id in column
            ):
                j = column[action.risk_factor_id]
                since = (dates >= np.datetime64(action.ex_date)) & np.isnan(levels[:, j])
                levels[since, j] = action.amount or 0.0
                if action.becomes != action.risk_factor_id and action.becomes in column:
                    levels[:, j] += np.where(since, float(action.shares) * levels[:, column[action.becomes]], 0.0)


def load_actions(at: Lake | Snapshot) -> CorporateActions:
    """The actions of the lake; at the versions of a snapshot, and as it is now where the snapshot pins none."""
    lake = at.lake if isinstance(at, Snapshot) else at

    def rows(name: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
        pinned = isinstance(at, Snapshot) and name in at.versions
        found: list[dict[str, Any]] = (at if pinned else lake).read(name, columns).to_pylist()
        return found

    actions = sorted(map(CorporateAction.from_row, rows(TABLE)), key=lambda a: (a.ex_date, a.risk_factor_id))
    factors = rows("risk_factors", ["risk_factor_id", "adjusted"]) if actions else []
    return CorporateActions(tuple(actions), {f["risk_factor_id"]: f["adjusted"] for f in factors if f["adjusted"]})
