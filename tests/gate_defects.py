"""Defects of ten kinds put into clean market history, and how many of them the gates find.

A defect counts where it can hurt: it moves the value by at least FLOOR times the mean size of the factor's daily moves in the 60 days
around, whose plain mean is no scale of the gates. Sizes are drawn from there, so that most are small.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lake.arrays import Bools, Floats
from lake.tables import Lake
from scenarios.market.gates import Panel, load_parameters, suspects
from scenarios.market.history import load_calendars, load_factors
from scenarios.market.issues import panel_of
from scenarios.types import tenor_years

FLOOR = 10.0
APART = 45  # rows between two defects of a factor


def panel_of_lake(lake: Lake) -> Panel:
    """All that a lake holds, on every calendar day, so that a date may be off by one."""
    snapshot = lake.snapshot()
    rows = snapshot.read("market_data")
    panel, _, _ = panel_of(rows, load_factors(snapshot), load_calendars(snapshot), load_parameters())
    dates = np.arange(panel.dates[0], panel.dates[-1] + 1)
    at = (panel.dates - dates[0]).astype(int)

    def wide(values: np.ndarray, empty: object) -> np.ndarray:
        out = np.full((len(dates), len(panel.factors)), empty)
        out[at] = values
        return out

    shut = np.ones(len(dates), dtype=bool)
    shut[at] = False
    closed = wide(panel.closed, False) | (shut & ~np.is_busday(dates))[:, None]
    return dataclasses.replace(
        panel,
        dates=dates,
        levels=wide(panel.levels, np.nan),
        closed=closed,
        opened=wide(panel.opened, False),
        partial=wide(panel.partial, False),
        others=wide(panel.others, np.nan),
    )


@dataclass
class Defects:
    """History being spoilt: `levels` as they become, `where` the cells of each defect."""

    panel: Panel
    rng: np.random.Generator

    def __post_init__(self) -> None:
        p = self.panel
        self.levels = p.levels.copy()
        self.rows = [np.flatnonzero(s) for s in p.seen.T]
        self.used = np.zeros(p.levels.shape, dtype=bool)
        self.cells: list[tuple[str, list[tuple[int, int]]]] = []

    def typical(self, j: int, k: int, y: Floats) -> float:
        """Mean size of the daily moves of `y`, on the observed days of factor j, around the k-th of them."""
        around = np.abs(np.diff(y[max(k - 30, 0) : k + 31]))
        return float(np.nanmean(around))

    def far(self, j: int, k: int, value: float) -> bool:
        """Whether the value in place of the k-th of factor j is one that hurts."""
        rows = self.rows[j]
        y, old = self.panel.y[rows, j], self.panel.levels[rows[k], j]
        by_log = bool(self.panel.y[rows[k], j] != old)
        if by_log and value <= 0:
            return self.panel.factors[j].type == "commodity_price"
        change = abs(np.log(value / old)) if by_log else abs(value - old)
        return bool(change >= FLOOR * self.typical(j, k, y))


Spoil = Callable[[Defects, int, int], dict[int, dict[int, float]] | None]


def _run(d: Defects, j: int, k: int, most: int) -> list[int]:
    rows = d.rows[j]
    return rows[k : k + int(d.rng.integers(1, most + 1))].tolist()


def _decimal(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """The decimal point one or two places off, for a day or some."""
    by = float(10.0 ** d.rng.choice([-2, -1, 1, 2]))
    if not d.far(j, k, d.panel.levels[d.rows[j][k], j] * by):
        return None
    return {j: {i: d.panel.levels[i, j] * by for i in _run(d, j, k, 3)}}


def _flip(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    i = int(d.rows[j][k])
    if d.panel.factors[j].type not in ("par_yield", "zero_rate", "credit_spread", "commodity_price"):
        return None
    value = -d.panel.levels[i, j]
    return {j: {i: value}} if d.far(j, k, value) else None


def _spike(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """FLOOR to six times as many mean moves, evenly in logs, up or down, for one to three days."""
    rows = d.rows[j]
    size = FLOOR * 6.0 ** d.rng.random() * d.typical(j, k, d.panel.y[rows, j]) * d.rng.choice([-1.0, 1.0])
    by_log = d.panel.y[rows[k], j] != d.panel.levels[rows[k], j]
    run = _run(d, j, k, 3)
    return {j: {i: d.panel.levels[i, j] * np.exp(size) if by_log else d.panel.levels[i, j] + size for i in run}}


def _split(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """3:2 to 20:1, forward or reverse, from the day on."""
    if d.panel.factors[j].type != "equity_price":
        return None
    ratio = float(d.rng.choice([1.5, 2, 3, 4, 5, 7, 10, 20])) ** float(d.rng.choice([-1, 1]))
    i = int(d.rows[j][k])
    if not d.far(j, k, d.panel.levels[i, j] * ratio):
        return None
    d.levels[i + 1 :, j] *= ratio
    return {j: {i: d.levels[i, j] * ratio}}


def _stale(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """The level of the day before for 12 to 30 days, of a factor that repeats on less than every tenth day."""
    rows = d.rows[j]
    n = int(d.rng.integers(12, 31))
    recent = d.panel.levels[rows[max(k - 250, 0) : k + n], j]
    if np.mean(np.diff(recent) == 0) > 0.1:
        return None
    return {j: {int(i): d.panel.levels[rows[k - 1], j] for i in rows[k : k + n]}}


def _gap(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    run = _run(d, j, k, 10)
    return {j: dict.fromkeys(run, np.nan)} if d.panel.opened[run, j].all() else None


def _swap(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """The values of two series of a source on one day."""
    i = int(d.rows[j][k])
    f = d.panel.factors
    others = [
        o for o in range(len(f)) if o != j and f[o].source == f[j].source and d.panel.seen[i, o] and not d.used[i, o]
    ]
    if not others:
        return None
    o = int(d.rng.choice(others))
    a, b = d.panel.levels[i, j], d.panel.levels[i, o]
    return {j: {i: b}, o: {i: a}} if d.far(j, k, b) else None


def _pillar(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """The value of a neighbouring pillar, FLOOR mean moves of the difference of the two away."""
    f, i = d.panel.factors, int(d.rows[j][k])
    if not f[j].curve:
        return None
    curve = sorted((o for o in range(len(f)) if f[o].curve == f[j].curve), key=lambda o: tenor_years(f[o].pillar or ""))
    at = curve.index(j) + int(d.rng.choice([-1, 1]))
    if not 0 <= at < len(curve) or not d.panel.seen[i, curve[at]]:
        return None
    difference = (d.panel.levels[:, j] - d.panel.levels[:, curve[at]])[d.rows[j]]
    if not abs(difference[k]) >= FLOOR * d.typical(j, k, difference):
        return None
    return {j: {i: d.panel.levels[i, curve[at]]}}


def _off_by_one(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """Dates of 5 to 20 days a calendar day early or late, as of a wrong time zone; the days exist in the panel."""
    p, n = d.panel, int(d.rng.integers(5, 21))
    rows = d.rows[j][k : k + n]
    to = p.dates[rows] + int(d.rng.choice([-1, 1]))
    at = np.searchsorted(p.dates, to)
    if not p.opened[rows, j].all() or (p.dates[np.minimum(at, len(p.dates) - 1)] != to).any():
        return None
    spoilt: dict[int, float] = dict.fromkeys(rows.tolist(), np.nan)
    return {j: spoilt | dict(zip(at.tolist(), p.levels[rows, j].tolist(), strict=True))}


def _currency(d: Defects, j: int, k: int) -> dict[int, dict[int, float]] | None:
    """A share or a commodity in another currency, at the rate of the day, for one to three days."""
    p, i = d.panel, int(d.rows[j][k])
    if p.factors[j].type not in ("equity_price", "commodity_price"):
        return None
    rates = [o for o, f in enumerate(p.factors) if f.type == "fx_rate" and p.seen[i, o]]
    if not rates:
        return None
    rate = p.levels[i, int(d.rng.choice(rates))] ** float(d.rng.choice([-1, 1]))
    if not d.far(j, k, p.levels[i, j] * rate):
        return None
    return {j: {i: p.levels[i, j] * rate for i in _run(d, j, k, 3)}}


KINDS: dict[str, Spoil] = {
    "decimal point": _decimal,
    "sign": _flip,
    "spike that comes back": _spike,
    "unadjusted split": _split,
    "stale run": _stale,
    "missing run": _gap,
    "swapped columns": _swap,
    "neighbouring pillar": _pillar,
    "off by one day": _off_by_one,
    "other currency": _currency,
}


@dataclass(frozen=True)
class Score:
    """found and tried by kind; false : clean values held, of `clean`."""

    found: dict[str, int]
    tried: dict[str, int]
    false: Bools
    clean: int
    missed: list[tuple[str, list[tuple[int, int]]]]

    @property
    def share(self) -> float:
        return sum(self.found.values()) / sum(self.tried.values())

    @property
    def false_share(self) -> float:
        return float(self.false.sum()) / self.clean

    def table(self) -> str:
        held = f"{self.false.sum():,} of {self.clean:,} clean values held, {self.false_share:.3%}"
        a_year = f"{self.false_share * 252 * 300:.0f} a year of 300 factors"
        lines = [f"{kind:24} {self.found[kind]:5} of {n}" for kind, n in self.tried.items()]
        return "\n".join([*lines, f"found {self.share:.2%}; {held}, {a_year}"])


STILL = ("dividend", "fixing", "price_index", "recovery_rate")  # they stand for days or months, and then jump


def score(panel: Panel, seed: int, n: int, first: int = 0) -> Score:
    """Spoils the panel with n defects, as many of each kind, on rows from `first` on, and lets every gate look at it."""
    d = Defects(panel, np.random.default_rng(seed))
    for kind, spoil in KINDS.items():
        made = 0
        for _ in range(n * 400):
            if made == n // len(KINDS):
                break
            j = int(d.rng.integers(len(panel.factors)))
            if panel.factors[j].type in STILL:
                continue
            begin = np.searchsorted(d.rows[j], first)
            if len(d.rows[j]) - begin < 400:
                continue
            k = int(d.rng.integers(begin + 300, len(d.rows[j]) - 60))
            i = int(d.rows[j][k])
            if d.used[max(i - APART, 0) : i + APART + 30, j].any():
                continue
            spoilt = spoil(d, j, k)
            if spoilt is None or any(d.used[i, o] for o, cells in spoilt.items() for i in cells):
                continue
            cells = []
            for o, values in spoilt.items():
                for at, value in values.items():
                    d.levels[at, o] = value
                    d.used[max(at - 5, 0) : at + 5, o] = True
                    cells.append((at, o))
            d.cells.append((kind, cells))
            made += 1
    flags = suspects(dataclasses.replace(panel, levels=d.levels))
    anything = np.logical_or.reduce(list(flags.values()))
    tried = {kind: sum(k == kind for k, _ in d.cells) for kind in KINDS}
    missed = [(kind, cells) for kind, cells in d.cells if not any(anything[c] for c in cells)]
    found = {kind: n - sum(k == kind for k, _ in missed) for kind, n in tried.items()}
    clean = np.isfinite(d.levels)
    for _, cells in d.cells:
        for c in cells:
            clean[c] = False
    held = np.logical_or.reduce([m for name, m in flags.items() if name != "missing"])
    return Score(found, tried, held & clean, int(clean.sum()), missed)
