"""Gates on market data: named rules that find suspicious values. A value that one suspects is held, never clipped, filled or dropped.

Every rule is a pure function of levels on dates. A move is judged against usual moves of its own factor, and is none of the factor's own
where the class shares it. What came back within days is told from what stayed by the days that follow; of the newest day nothing can be
known but its size, so that its limit is higher. Parameters stand in gates.toml.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lake.arrays import Bools, Dates, Floats, Ints
from lake.errors import BadInput, NotFound, unknown
from scenarios.types import FACTOR_TYPES, POSITIVE_TYPES, RiskFactor, tenor_years

SHIPPED_PARAMETERS = Path(__file__).with_name("gates.toml")
SAME_AS = "same_as"  # attribute of a factor that measures what another one does, from a second source
_END = 1.2
_BY_LOG = (*POSITIVE_TYPES, "commodity_price")

Parameters = Mapping[str, Mapping[str, Any]]


def load_parameters(path: str | Path | None = None) -> Parameters:
    """The shipped parameters, with those of an own file in their place; raises `NotFound`, or `BadInput` with the nearest names."""
    import tomllib  # noqa: PLC0415 - slow to import, and every question reads what gates have held

    shipped = tomllib.loads(SHIPPED_PARAMETERS.read_text(encoding="utf-8"))
    if path is None:
        return shipped
    try:
        own = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"There is no file {path} with parameters of the gates; VARLAKE_GATES names it.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"The parameters of the gates, {path}, cannot be read as TOML: {error}.") from None
    return _merged(shipped, own, str(path))


def _merged(shipped: Mapping[str, Any], own: Mapping[str, Any], where: str) -> dict[str, Any]:
    out = dict(shipped)
    for key, value in own.items():
        known = [*shipped, *(FACTOR_TYPES if "default" in shipped else ())]
        if key not in known and not ("default" in shipped and ":" in key):  # the id of a risk factor
            raise unknown("key", key, known, pointer=where)
        before = shipped.get(key, shipped.get("default"))
        if isinstance(before, dict):
            if not isinstance(value, dict):
                raise BadInput(f"{where}: {key} is {value!r}; expected a table.")
            out[key] = _merged(before, value, f"{where}: {key}")
        elif isinstance(before, list):
            if not isinstance(value, list) or not all(_is_limit(v) and v > 0 for v in value):
                raise BadInput(f"{where}: {key} is {value!r}; expected a list of positive numbers.")
            out[key] = value
        elif not _is_limit(value):
            raise BadInput(f"{where}: {key} is {value!r}; expected a number, such as {before}.")
        else:
            out[key] = type(before)(value)
    return out


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


@dataclass(frozen=True)
class Panel:
    """Levels of some risk factors on ascending dates, (n_dates, n_factors); NaN where there is none.

    closed : the factor's calendar is known to be closed; opened : it is known to be open. partial : the value is of a last row that is
    partial by its volume. others : levels of the factor that `same_as` names, NaN without one.
    """

    dates: Dates
    factors: tuple[RiskFactor, ...]
    levels: Floats
    closed: Bools
    opened: Bools
    partial: Bools
    others: Floats
    p: Parameters = field(default_factory=load_parameters)

    def by_type(self, table: Mapping[str, Any]) -> Floats:
        """A parameter of each factor, (n_factors,): its own, else its type's, else the default."""
        return np.array(
            [table.get(f.risk_factor_id, table.get(f.type, table["default"])) for f in self.factors], dtype=np.float64
        )

    def of_type(self, *types: str) -> Bools:
        return np.array([f.type in types for f in self.factors], dtype=bool)

    @functools.cached_property
    def seen(self) -> Bools:
        return np.isfinite(self.levels)

    @functools.cached_property
    def usable(self) -> Bools:
        """Values that `y` has: of what moves by logs those above zero."""
        return self.seen & ((self.levels > 0) | ~self.of_type(*_BY_LOG))

    @functools.cached_property
    def y(self) -> Floats:
        """Logs of prices, exchange rates, volatilities; rates and spreads as they are. NaN for what has no log."""
        out = np.where(self.usable, self.levels, np.nan)
        by_log = self.of_type(*_BY_LOG)
        out[:, by_log] = np.log(out[:, by_log])
        return out

    @functools.cached_property
    def own(self) -> Moves:
        return Moves.of(self.y, self.by_type(self.p["scale"]["least"]), self.p["scale"])

    @functools.cached_property
    def spikes(self) -> tuple[Bools, Bools]:
        """Values away from their history and class, and the values after them that are back."""
        p = self.p["spike"]
        limits = self.by_type(p["usual_moves"]), self.by_type(p["newest"])
        return self.own.spikes(self.shared, *limits, int(p["days"]), p["rest"])

    @functools.cached_property
    def shared(self) -> Floats:
        """The median of the class's moves, in usual moves of each factor; 0 where the class is too small."""
        out = np.zeros_like(self.y)
        classes = np.array([str(f.risk_class) for f in self.factors])
        for name in np.unique(classes).tolist():
            own = classes == name
            out[:, own] = _median(self.own.z[:, own], int(self.p["spike"]["peers"]))[:, None]
        return out


@dataclass(frozen=True)
class Moves:
    """Moves between observed days, (n_dates, n_factors): into each day, and in usual moves (`z`).

    usual : a usual move, the larger of that before the day and of that after the move out of it. before, later : of those before the
    day, and after it. old : enough moves came before. long : of the longer memory. rows : the observed days of each factor.
    """

    y: Floats
    into: Floats
    z: Floats
    usual: Floats
    before: Floats
    later: Floats
    old: Bools
    long: Floats
    rows: tuple[Ints, ...]

    @classmethod
    def of(cls, y: Floats, least: Floats, p: Mapping[str, Any]) -> Moves:
        into = y - _before(y)
        before, long = _scale(into, least, p)
        later = _scale(into[::-1], least, p)[0][::-1]
        after = later.copy()
        rows = tuple(np.flatnonzero(seen) for seen in np.isfinite(y).T)
        for j, at in enumerate(rows):
            after[at, j] = np.append(later[at[1:], j], np.nan)[: len(at)]
        usual = np.fmax(before, after)
        old = np.cumsum(np.isfinite(into), axis=0) > int(p["warm_up"])
        with np.errstate(invalid="ignore"):
            z = np.where(old, into / usual, 0.0)
        return cls(y, into, z, usual, before, later, old, long, rows)

    def odd(self, shared: Floats) -> Floats:
        """Sizes of the moves in usual ones, less what the class moved the same way."""
        odd: Floats = np.maximum(np.abs(self.z) - np.maximum(shared * np.sign(self.z), 0.0), 0.0)
        return odd

    def spikes(self, shared: Floats, limit: Floats, newest: Floats, days: int, rest: float) -> tuple[Bools, Bools]:
        """Values that went away and came back within `days` observed days, or a last one that is far away; and those that are back."""
        away, returned = np.zeros(self.y.shape, dtype=bool), np.zeros(self.y.shape, dtype=bool)
        excess = self.odd(shared)
        for j, rows in enumerate(self.rows):
            y, e, before, later = (v[rows, j] for v in (self.y, excess, self.before, self.later))
            old, of_class = self.old[rows, j], shared[rows, j]
            found, back = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
            for n in range(1, min(days, len(y) - 2) + 1):
                # into t, out of it at t + n
                into, out = y[1:-n] - y[: -n - 1], y[n + 1 :] - y[n:-1]
                smaller = np.minimum(np.abs(into), np.abs(out))
                usual = np.maximum(before[1:-n], later[n + 1 :])
                with np.errstate(invalid="ignore"):
                    own = np.abs(into) / usual - np.maximum(of_class[1:-n] * np.sign(into), 0.0)
                    far = old[1:-n] & (np.minimum(own, smaller / usual) >= limit[j])
                    left = np.abs(y[n + 1 :] - y[: -n - 1]) <= rest * smaller
                    hit = far & left & (into * out < 0) & (e[n + 1 :] >= limit[j] / 3)
                back[n + 1 :] |= hit
                for k in range(1, n + 1):
                    found[k : len(hit) + k] |= hit
            if len(y) and e[-1] >= newest[j] and not back[-1]:
                found[-1] = True
            away[rows[found], j], returned[rows[back], j] = True, True
        return away, returned & ~away


def _before(y: Floats) -> Floats:
    """The last value observed before each day, NaN without one."""
    seen = np.isfinite(y)
    at = np.maximum.accumulate(np.where(seen, np.arange(len(y))[:, None], -1), axis=0)
    at = np.vstack([np.full((1, y.shape[1]), -1), at[:-1]])
    return np.where(at >= 0, np.take_along_axis(y, np.maximum(at, 0), axis=0), np.nan)


def _scale(into: Floats, least: Floats, p: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Usual moves known before each day, and those of the longer memory: exponential means of squares, each clipped so that a defect
    does not hide the next one."""
    fast, slow = (1 - 0.5 ** (1 / float(p[name])) for name in ("half_life", "long_half_life"))
    floor = least**2
    start = _early(into)
    variance = np.fmax(start**2, floor)
    long = variance.copy()
    usual, memory = np.empty_like(into), np.empty_like(into)
    most = float(p["clip"]) ** 2
    for i, moves in enumerate(into):
        known = np.maximum(np.maximum(variance, 0.25 * long), floor)
        usual[i], memory[i] = known, long
        square = np.minimum(moves * moves, most * known)
        moved = np.isfinite(square)
        variance = np.where(moved, variance + fast * (square - variance), variance)
        long = np.where(moved, long + slow * (square - long), long)
    return np.sqrt(usual), np.sqrt(memory)


def _early(into: Floats) -> Floats:
    """A robust scale of the first sixty moves of each factor: their median size, as of a normal law."""
    order = np.argsort(~np.isfinite(into), axis=0, kind="stable")[:60]
    sizes = np.abs(np.take_along_axis(into, order, axis=0))
    return _median(sizes.T, 1) * 1.4826


def _median(values: Floats, least: int) -> Floats:
    """Median of the finite ones of each row; 0 where they are fewer than `least`."""
    ordered, n = np.sort(values, axis=1), np.isfinite(values).sum(axis=1)  # NaN stands last
    low, high = (np.take_along_axis(ordered, np.maximum(i, 0)[:, None], axis=1)[:, 0] for i in ((n - 1) // 2, n // 2))
    return np.where(n >= least, (low + high) / 2, 0.0)


def _spike(panel: Panel) -> Bools:
    return panel.spikes[0]


def _curves(panel: Panel) -> Iterator[tuple[Ints, Floats]]:
    """Columns of each curve, by tenor, and the tenors in years; of two of one tenor, such as 12M and 1Y, the first.

    Quotes of one kind are neighbours: a future's price lies beside no swap rate.
    """
    for name, kind in sorted({(f.curve, f.type) for f in panel.factors if f.curve and f.pillar}):
        own = {j: tenor_years(f.pillar or "") for j, f in enumerate(panel.factors) if (f.curve, f.type) == (name, kind)}
        columns = sorted({tenor: j for j, tenor in reversed(own.items())}.values(), key=lambda j: own[j])
        if len(columns) > 1:
            yield np.array(columns), np.array([own[j] for j in columns])


def _curve(panel: Panel) -> Bools:
    """A pillar that leaves its neighbours and comes back to them; of pillars that do at once, the one that left most."""
    p, curves = panel.p["curve"], [*_curves(panel)]
    if not curves:
        return np.zeros(panel.levels.shape, dtype=bool)
    off = np.full(panel.levels.shape, np.nan)
    for columns, tenors in curves:
        off[:, columns] = _from_neighbours(panel.levels[:, columns], tenors)
    moves = Moves.of(off, np.full(len(panel.factors), p["least"]), panel.p["scale"])
    limit, newest = panel.by_type(p["usual_moves"]), panel.by_type(p["newest"])
    out, _ = moves.spikes(np.zeros_like(off), limit, newest, int(panel.p["spike"]["days"]), panel.p["spike"]["rest"])
    size = np.where(np.isfinite(moves.into), np.abs(moves.into), 0.0)
    for columns, _ in curves:
        beside = np.pad(size[:, columns], ((0, 0), (1, 1)))
        most = np.maximum(beside[:, :-2], beside[:, 2:])
        most[:, [0, -1]] *= _END  # an end less its neighbour moves as much as its neighbour does where that is the one
        out[:, columns] &= size[:, columns] >= most
    return out


def _copied(panel: Panel) -> Bools:
    """A pillar that stands exactly at its neighbour, from which it is many usual moves of their difference away before and after; of the
    two the one that moved less with the rest of the curve."""
    p, out = panel.p["copied"], np.zeros(panel.levels.shape, dtype=bool)
    pairs = [pair for columns, _ in _curves(panel) for pair in itertools.pairwise(columns.tolist())]
    if not pairs:
        return out
    a, b = np.array(pairs).T
    apart = panel.levels[:, a] - panel.levels[:, b]
    moves = Moves.of(apart, np.full(len(pairs), p["least"]), panel.p["scale"])
    rest = np.full(out.shape, np.nan)
    for columns, _ in _curves(panel):
        into = panel.own.into[:, columns]
        rest[:, columns] = np.abs(into - _median(into, 1)[:, None])
    for k, both in enumerate(moves.rows):
        size = np.abs(apart[both, k]) / moves.usual[both, k]
        around = np.fmin(np.append(np.nan, size[:-1]), np.append(size[1:], np.nan))[: len(both)]
        at = both[(apart[both, k] == 0) & (around >= p["usual_moves"])]
        first = rest[at, a[k]] > rest[at, b[k]]
        out[at[first], a[k]], out[at[~first], b[k]] = True, True
    return out


def _from_neighbours(levels: Floats, tenors: Floats) -> Floats:
    """Each pillar less the line through the nearest pillars on both sides that have a level; of an end, less its neighbour."""
    off = np.full(levels.shape, np.nan)
    for i in range(levels.shape[1]):
        left, at_left = _nearest(levels[:, :i][:, ::-1], tenors[:i][::-1])
        right, at_right = _nearest(levels[:, i + 1 :], tenors[i + 1 :])
        with np.errstate(invalid="ignore"):
            line = left + (right - left) * (tenors[i] - at_left) / (at_right - at_left)
        off[:, i] = levels[:, i] - np.where(np.isnan(left), right, np.where(np.isnan(right), left, line))
    return off


def _nearest(levels: Floats, tenors: Floats) -> tuple[Floats, Floats]:
    """The first level of each row that is there, and its tenor; NaN without one."""
    if not len(tenors):
        return np.full(len(levels), np.nan), np.full(len(levels), np.nan)
    at = np.isfinite(levels).argmax(axis=1)
    found = levels[np.arange(len(levels)), at]
    return found, np.where(np.isnan(found), np.nan, tenors[at])


_FORWARD_ALREADY = ("fra_rate", "rate_future", "basis_spread")  # each of a period of its own


def _forward(panel: Panel) -> Bools:
    """Both pillars of a forward rate that is absurd; the forwards are simple ones of the rates as they are quoted."""
    p, out = panel.p["curve"], np.zeros(panel.levels.shape, dtype=bool)
    for columns, tenors in _curves(panel):
        if panel.factors[columns[0]].type in _FORWARD_ALREADY:
            continue
        rates = panel.levels[:, columns]
        forward = np.diff(rates * tenors, axis=1) / np.diff(tenors)
        with np.errstate(invalid="ignore"):
            absurd = panel.own.old[:, columns[1:]] & (
                (forward < p["lowest_forward"]) | (forward > p["highest_forward"])
            )
        out[:, columns[:-1]] |= absurd
        out[:, columns[1:]] |= absurd
    return out


def _stale(panel: Panel) -> Bools:
    """Days from the k-th repeat of a level on, where its factor does not repeat so often by habit."""
    p, out = panel.p["stale"], np.zeros(panel.levels.shape, dtype=bool)
    days = panel.by_type(p["days"])
    for j, rows in enumerate(panel.own.rows):
        level = panel.levels[rows, j]
        same = np.append(False, level[1:] == level[:-1])
        at = np.arange(len(level))
        run = at - np.maximum.accumulate(np.where(same, 0, at))  # repeats up to each day
        start = at - run
        repeats = np.cumsum(same)
        # the habit of the year before the run
        before = np.maximum(start - 250, 0)
        share = (repeats[start] - repeats[before] + 1) / (start - before + 2)
        habit = np.log(p["odds"]) / -np.log(np.clip(share, 1e-9, 1 - 1e-9))
        out[rows, j] = run >= np.maximum(days[j], habit)
    return out


def _missing(panel: Panel) -> Bools:
    """Days without a value on which the calendar is open, from the first value of the factor to the last."""
    at = np.arange(len(panel.dates))[:, None]
    first = np.where(panel.seen, at, len(at)).min(axis=0)
    last = np.where(panel.seen, at, -1).max(axis=0)
    ended = len(at) - 1 - last > panel.p["missing"]["ended"]
    found: Bools = panel.opened & ~panel.seen & (at > first) & ((at < last) | ~ended & (last >= 0))
    return found


def _closed(panel: Panel) -> Bools:
    """Values on weekends on which the calendar is closed, near an open day without one: the dates are off by a day. Holidays do not
    tell: many sources repeat a level or have month-ends on them."""
    lacks = ~panel.seen & ~panel.closed
    beside = np.zeros_like(lacks)
    for n in range(1, int(panel.p["closed"]["days"]) + 1):
        beside[n:] |= lacks[:-n]
        beside[:-n] |= lacks[n:]
    return panel.seen & panel.closed & beside & ~np.is_busday(panel.dates)[:, None]


def _bounds(panel: Panel) -> Bools:
    p = panel.p["bounds"]
    low, high, most = (panel.by_type(p[name]) for name in ("lowest", "highest", "move"))
    with np.errstate(invalid="ignore"):
        jumped = (np.abs(panel.own.into) > most) & panel.own.old & ~panel.spikes[1]
        found: Bools = (panel.levels < low) | (panel.levels > high) | jumped
    return found


def _sign(panel: Panel) -> Bools:
    """What is positive by nature and is not; a commodity below zero in a calm, or whose size is that of the day before."""
    with np.errstate(invalid="ignore", divide="ignore"):
        below: Bools = panel.levels <= 0
        if not below.any():
            return below
        size = np.log(np.abs(panel.levels)) - _before(panel.y)
        flipped = np.abs(size) <= 3 * panel.own.usual
        calm = panel.own.old & (panel.own.usual < panel.p["sign"]["turmoil"] * panel.own.long)
    odd: Bools = panel.of_type(*POSITIVE_TYPES) | panel.of_type("commodity_price") & (flipped | calm)
    return below & odd


def _ratio(panel: Panel, name: str, logs: Floats, types: tuple[str, ...]) -> Bools:
    """Moves by one of the ratios, whose logs are given, but for the return of a value that was away."""
    p, moves, found = panel.p[name], panel.own, np.zeros(panel.levels.shape, dtype=bool)
    around = {ratio: max(p["share"] * ratio, p["tolerance"]) for ratio in logs.tolist()}  # how far from it at most
    with np.errstate(invalid="ignore"):
        far = np.abs(moves.into) >= 0.99 * min(ratio - most for ratio, most in around.items())
        at = np.nonzero(far & ~panel.spikes[1] & panel.of_type(*types))
        size, usual, near = np.abs(moves.into[at]), moves.usual[at], np.zeros(len(at[0]), dtype=bool)
        for ratio, most in around.items():
            near |= np.abs(size - ratio) <= np.clip(p["usual_moves"] * usual, p["tolerance"], most)
        turmoil = usual >= p["turmoil"] * moves.long[at]
        odd = moves.odd(panel.shared)[at] >= np.where(turmoil, p["in_turmoil"], p["in_calm"])
    found[at] = near & odd
    return found


def _split(panel: Panel) -> Bools:
    return _ratio(panel, "split", np.log(panel.p["split"]["ratios"]), ("equity_price",))


def _redenomination(panel: Panel) -> Bools:
    powers = np.array(panel.p["redenomination"]["powers"]) * np.log(10)
    return _ratio(panel, "redenomination", powers, tuple(t for t in _BY_LOG if t != "traded_volume"))


def _sources(panel: Panel) -> Bools:
    """Values that a second source does not confirm."""
    if np.isnan(panel.others).all():
        return np.zeros(panel.levels.shape, dtype=bool)
    tolerance = panel.by_type(panel.p["sources"]["tolerance"])
    relative = panel.of_type("equity_price", "index_level", "fx_rate", "commodity_price")
    with np.errstate(invalid="ignore"):
        return np.abs(panel.levels - panel.others) > tolerance * np.where(relative, np.abs(panel.others), 1.0) * (
            1 + 1e-9
        )


def is_partial(volumes: Floats, p: Parameters) -> bool:
    """Whether the last of the volumes (n_days,) is of a day that was not over: in finer units than every one before, or very low."""
    days, known = int(p["intraday"]["days"]), volumes[np.isfinite(volumes)]
    if len(known) <= days or not np.isfinite(volumes[-1]):
        return False
    unit = max(u for u in (1, 10, 100, 1000) if (known[:-1] % u == 0).all() or u == 1)
    low = known[-1] < p["intraday"]["least_volume"] * np.median(known[-1 - days : -1])
    return bool(known[-1] % unit != 0 or low)


@dataclass(frozen=True)
class Rule:
    """A named rule: which values (n_dates, n_factors) it suspects. What is missing is told; what is there is held."""

    meaning: str
    suspects: Callable[[Panel], Bools]


RULES: dict[str, Rule] = {
    "missing": Rule("no value on a day on which its calendar is open, or its row is blank", _missing),
    "closed": Rule("a value on a weekend, and none on an open day beside it", _closed),
    "sign": Rule("not positive, where its type is or the market is calm", _sign),
    "bounds": Rule("a level, or a move in a day, beyond the bounds of its type", _bounds),
    "sources": Rule("another source of the same number disagrees", _sources),
    "redenomination": Rule("a move by a power of ten", _redenomination),
    "split": Rule("a share moves by the ratio of a split", _split),
    "spike": Rule("away from its history and its class, and back; or far away on the newest day", _spike),
    "curve": Rule("a pillar away from its neighbours, and back", _curve),
    "copied": Rule("a pillar exactly at its neighbour, from which it is far away before and after", _copied),
    "forward": Rule("an absurd forward rate between two pillars", _forward),
    "stale": Rule("the same level day after day", _stale),
    "intraday": Rule(
        "the last row of a file is of a day that was not over, by its volume", lambda panel: panel.partial
    ),
}


def suspects(panel: Panel) -> dict[str, Bools]:
    """What each rule suspects, (n_dates, n_factors), by name."""
    return {name: rule.suspects(panel) for name, rule in RULES.items()}
