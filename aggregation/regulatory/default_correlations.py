"""The two correlations of the default risk charge of the internal model: as given, or estimated from the market's history (MAR33.20).

MAR33.20 asks for two kinds of systematic factors, and for correlations from credit spreads or listed equity prices, of ten years with a
period of stress in them, over a liquidity horizon of one year. An issuer's moves are the log moves of its share; where the lake has none,
those of its credit spread at five years with their sign turned. They span business days and overlap; a move needs a level on both of
its days, and a missing one is never filled. Both correlations are moments of the simulated model, see `pair_correlations`.

The standard error is a jackknife over stretches of time as long as a move. Moves at the ends of two stretches share days, so that it is
rather low: by a seventh in the long run.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from aggregation.kernels.pair_correlations import ACROSS, WITHIN, PairMeans, jackknife_error, pair_means
from aggregation.opened.inputs import Inputs
from aggregation.receipts import market_data_digest, name_actions
from aggregation.regulatory.modellability import year_before
from aggregation.session import Session
from aggregation.types import Whole
from lake.arrays import Floats
from lake.errors import BadInput, Issue, NotFound, counted
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.historical.period_replay import PERIODS
from scenarios.kernels import shifts
from scenarios.market.calendars import CALENDAR_START, MEANING
from scenarios.market.corporate_actions import TABLE
from scenarios.market.history import MarketHistory, load_factors, load_history
from scenarios.types import SHARES, FactorIndex, RiskFactor, tenor_years

YEARS, DAYS = 10, 250  # of MAR33.20: the history, and a year of business days
SECONDS_A_PAIR_MOVE = 7e-9
_APART = 4  # so many lengths of a move after the first one, a fifth begins that overlaps none
_MOST = 0.999  # of both together: below one, so that something is left to the issuer alone
_TENOR = 5.0  # years, at which names are quoted most
_LATE = dt.timedelta(days=10)  # that a history may begin after the day asked for: weekends and holidays
_LASTING = dt.timedelta(days=5)  # an event of a day or two is no period of stress
_CURVES = ("cds_spread", "hazard_rate")  # of a name, the one that is quoted first
_SHOWN = 3
_INDEX = "an index has many issuers"
_NO_FACTOR = "the lake has neither a price of its share nor a credit spread of that name"


class CorrelationRules(BaseModel):
    """The two correlations, or from which history they are estimated."""

    common_correlation: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of every issuer's variance that the common factor of defaults has; default estimated from history",
    )
    sector_correlation: float | None = Field(
        None, ge=0, lt=1, description="share that the factor of its sector has, given with the common one or not at all"
    )
    correlation_years: Whole = Field(
        YEARS, ge=1, le=50, description="years of history the correlations are estimated from"
    )
    correlation_days: Whole = Field(
        DAYS, ge=1, le=750, description="business days that the moves span whose correlation is estimated; they overlap"
    )
    correlation_calendar: str = Field("XNYS", description=MEANING)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        given = {n: getattr(self, n) for n in ("common_correlation", "sector_correlation")}
        lacking = [n for n, v in given.items() if v is None]
        if len(lacking) == 1:
            ((other, value),) = ((n, v) for n, v in given.items() if v is not None)
            raise ValueError(
                f"{lacking[0]} is not given and {other} is {value:g}; give both, or neither to have them estimated from history"
            )
        if not lacking and sum(given.values()) >= 1.0:
            raise ValueError("common_correlation and sector_correlation must be below 1 together")
        return self


@dataclass(frozen=True)
class Correlations:
    """common, own_sector : shares of variance, together below 1. rows : both with what they rest on, see `_SCHEMA`. history : by issuer
    the risk factor its moves are of. moves : by issuer, how many. lacking : by issuer why it has none. short : whether the history is less
    than the rule asks for. substituted : whether issuers have none, or less than the others. named : of the receipt."""

    common: float
    own_sector: float
    rows: pa.Table
    history: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, int] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    short: bool = False
    substituted: bool = False
    notes: tuple[str, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


class Issuers(NamedTuple):
    """Those whose defaults are drawn. sectors : by name. indices : names that are no issuer. lose : names with an amount."""

    sectors: Mapping[str, str]
    indices: frozenset[str]
    lose: frozenset[str]


_SCHEMA = pa.schema(
    {
        "factor": pa.string(),  # common, or sector
        "correlation": pa.float64(),
        "correlation_standard_error": pa.float64(),
        "how": pa.string(),
        "pairs_of": pa.string(),
        "mean_correlation": pa.float64(),  # of those pairs
        "issuers": pa.int64(),
        "pairs": pa.int64(),
        "most_moves": pa.int64(),  # that a pair has in common
        "fewest_moves": pa.int64(),
        "first": pa.date32(),  # day that the first move begins on
        "last": pa.date32(),  # day that the last one ends on
    }
)


def correlations_of(inputs: Inputs, rules: CorrelationRules, issuers: Issuers) -> Correlations:
    """The correlations that a charge is simulated with.

    With fewer than two issuers that lose or gain the charge depends on none, and both are nil. Raises `BadInput` where they are not given
    and the history is too short to estimate them.
    """
    if rules.common_correlation is not None and rules.sector_correlation is not None:
        pair = rules.common_correlation, rules.sector_correlation
        note = f"Correlations as given, common {pair[0]:g} and of a sector {pair[1]:g}; MAR33.20 asks for a bank's own estimates."
        return Correlations(*pair, _rows(*pair, ("as given", "as given")), notes=(note,))
    if len(issuers.lose) < 2:
        how = "not needed: fewer than two issuers"
        note = "No correlation is needed: the charge has fewer than two issuers."
        return Correlations(0.0, 0.0, _rows(None, None, (how, how)), notes=(note,))
    return _estimated(inputs, rules, issuers)


def names_that_may_default(session: Session) -> frozenset[str]:
    """What a book of this lake may have the default of: shares, names with a curve or a spread, and governments by their currency."""
    key = ("names that may default", session.lake.version("risk_factors"))

    def make() -> frozenset[str]:
        rows = session.lake.read("risk_factors", ["risk_factor_id", "type", "curve", "currency"]).to_pylist()
        names = {r["risk_factor_id"] for r in rows if r["type"] in (*SHARES, "credit_spread", "credit_yield")}
        names |= {r["curve"] for r in rows if r["type"] in _CURVES} | {r["currency"] for r in rows}
        return frozenset(n for n in names if n is not None)

    return session.cache.keep(key, make)


def factors_of(index: FactorIndex, issuers: Iterable[str]) -> dict[str, list[RiskFactor]]:
    """By issuer the factors that its moves may be of, the first that has enough of them: its share, under its own name or with EQ: before
    it; the pillar of its credit default swaps, then of its hazard rates, that is nearest to five years, the shorter of two; a spread of
    its name. Issuers without any are left out."""
    curves: dict[tuple[str, str], list[tuple[float, float, RiskFactor]]] = {}
    for f in index.factors:
        if f.type in _CURVES and f.curve and f.pillar:
            try:
                years = tenor_years(f.pillar)
            except BadInput:
                continue  # a pillar without a length
            curves.setdefault((f.type, f.curve), []).append((abs(years - _TENOR), years, f))
    found = {}
    for issuer in issuers:
        named = [index.factors[index.row[i]] for i in (issuer, f"EQ:{issuer}") if i in index.row]
        shares = [f for f in named if f.type == "equity_price"]
        pillars = [min(curves[t, issuer])[-1] for t in _CURVES if (t, issuer) in curves]
        if candidates := [*shares, *pillars, *(f for f in named if f.type == "credit_spread")]:
            found[issuer] = candidates
    return found


def history_of(
    snapshot: Snapshot, rules: CorrelationRules, market_date: dt.date, factors: Iterable[RiskFactor]
) -> MarketHistory:
    """Levels of the factors over the years that end on the market date, in the terms of that day."""
    first = max(year_before(market_date, 12 * rules.correlation_years), CALENDAR_START)
    return load_history(snapshot, rules.correlation_calendar, first, market_date, FactorIndex.of(factors))


def moves_of(history: MarketHistory, days: int) -> Floats:
    """Log moves over so many business days, (n_factors, n_days - days), each from one row on; those of spreads with their sign turned.
    NaN where a level lacks at either end, or is not positive."""
    n = max(len(history.dates) - days, 0)
    levels = history.levels
    moves = shifts.move("log", levels[:n], levels[len(levels) - n :]).T
    sign = np.array([1.0 if f.type == "equity_price" else -1.0 for f in history.index.factors])
    return np.ascontiguousarray(moves * sign[:, None])


def _estimated(inputs: Inputs, rules: CorrelationRules, issuers: Issuers) -> Correlations:
    snapshot, market_date, days = inputs.snapshot, inputs.valuation_set.market_date, rules.correlation_days
    names = sorted(issuers.sectors)
    lacking = {n: _INDEX if n in issuers.indices else _NO_FACTOR for n in names}
    try:
        index = load_factors(snapshot)
    except NotFound:  # vectors that were brought in need no market
        index = FactorIndex(())
    candidates = factors_of(index, [n for n in names if n not in issuers.indices])
    least = _APART * days + 1
    if not candidates:
        raise _too_short(issuers, lacking, rules, least, market_date)
    history = history_of(snapshot, rules, market_date, {f for of in candidates.values() for f in of})
    moves = moves_of(history, days)
    columns, reasons = _columns(history, moves, candidates, least, days)
    lacking = {n: why for n, why in {**lacking, **reasons}.items() if n not in columns}
    if len(set(columns.values())) < 2:
        raise _too_short(issuers, lacking, rules, least, market_date)
    of = moves[[*columns.values()]]
    used = np.flatnonzero(np.isfinite(of).any(axis=0))
    begin, n_moves = int(used[0]), int(used[-1] - used[0]) + 1
    sectors = sorted({issuers.sectors[n] for n in columns})
    means = pair_means(
        of[:, begin : begin + n_moves],
        np.array([*columns.values()], np.int32),
        np.array([sectors.index(issuers.sectors[n]) for n in columns], np.int32),
        n_moves // days,
        least,
    )
    for name, pairs in zip([*columns], means.partners.tolist(), strict=True):
        if not pairs:
            lacking[name] = f"no other issuer has {least:,} moves on the same days"
            del columns[name]
    if not columns:
        raise _too_short(issuers, lacking, rules, least, market_date)
    fit = _fit(means, issuers)
    dates = [(history.dates[begin + a].item(), history.dates[begin + b + days].item()) for a, b in _spans(means)]
    asked = year_before(market_date, 12 * rules.correlation_years)
    about, short = _about_history(rules, means, dates, asked)
    late = [] if min(d[0] for d in dates) > asked + _LATE else _late(history, columns, asked)
    others = [n for n in sorted(lacking) if n not in issuers.indices]
    if late:
        about.append(
            f"The history of {counted(len(late), 'issuer')} begins later than asked for, see moves: {first_of(late, _SHOWN)}."
        )
    if others:
        told = f"{counted(len(others), 'issuer')} without a history take the correlations of the others, see no_history"
        about.append(f"{told}: {first_of(others, _SHOWN)}.")
    return Correlations(
        fit.common,
        fit.own_sector,
        _rows(fit.common, fit.own_sector, fit.how, fit.errors, means, dates),
        {n: history.index.factors[c].risk_factor_id for n, c in columns.items()},
        {n: int(np.count_nonzero(np.isfinite(moves[c]))) for n, c in columns.items()},
        lacking,
        short,
        bool(late or others),
        (*fit.notes, *about),
        _named(snapshot, history, market_date),
    )


def _columns(
    history: MarketHistory, moves: Floats, candidates: Mapping[str, Sequence[RiskFactor]], least: int, days: int
) -> tuple[dict[str, int], dict[str, str]]:
    """By issuer the column of the first of its factors with enough moves; and why factors of others have not."""
    columns: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name, factors in candidates.items():
        said = []
        for f in factors:
            column = history.index.row[f.risk_factor_id]
            n = int(np.count_nonzero(np.isfinite(moves[column])))
            if n < least:
                has = f"{counted(n, 'move')} over {counted(days, 'business day')}"
                said.append(f"{f.risk_factor_id} has {has}, of {least:,} that are needed")
            elif np.fmin.reduce(moves[column]) == np.fmax.reduce(moves[column]):
                said.append(f"{f.risk_factor_id} never moves")
            else:
                columns[name] = column
                break
        if name not in columns:
            reasons[name] = "; ".join(said)
    return columns, reasons


def _late(history: MarketHistory, columns: Mapping[str, int], asked: dt.date) -> list[str]:
    """Issuers whose history begins later than it was asked for."""
    begins = {n: history.dates[int(np.argmax(np.isfinite(history.levels[:, c])))].item() for n, c in columns.items()}
    return [n for n, day in begins.items() if day > asked + _LATE]


class _Fit(NamedTuple):
    """Both correlations, how they were found, their standard errors (NaN where there is none), and what is to be said of them."""

    common: float
    own_sector: float
    how: tuple[str, str]
    errors: tuple[float, float]
    notes: tuple[str, ...]


def _fit(means: PairMeans, issuers: Issuers) -> _Fit:
    """The correlations from the means of both kinds of pairs, each floored at nil."""
    across, within = (float(m) for m in means.mean)
    of_across, of_within = means.without
    notes: list[str] = []
    if not means.pairs[ACROSS]:
        how = "mean of pairs of one sector: there is none of different sectors"
        losing = {issuers.sectors[n] for n in issuers.lose}
        if len(losing) > 1:
            notes.append(
                "No two issuers of different sectors have a history: the correlation of one sector is the common one of all, the most "
                "that it can be. That is prudent where issuers of different sectors are held long."
            )
        g, s, errors = _floored(within, notes, "common"), 0.0, (jackknife_error(of_within), math.nan)
        return _Fit(*_below_one(g, s, notes), (how, "nil: the common factor has it"), errors, tuple(notes))
    g = _floored(across, notes, "common")
    if not means.pairs[WITHIN]:
        doubled = _of_one_sector(issuers)
        if doubled:
            raise BadInput(
                "sector_correlation cannot be estimated: no two issuers of one sector have histories of their own, and "
                f"{' and '.join(doubled)} in the charge are both of sector {issuers.sectors[doubled[0]]}. Give common_correlation and "
                "sector_correlation, or bring in their history.",
                issues=(Issue("/sector_correlation", "cannot be estimated from this history"),),
            )
        how = "not needed: no two issuers of the charge are of one sector"
        errors = jackknife_error(of_across), math.nan
        return _Fit(*_below_one(g, 0.0, notes), ("mean of pairs of different sectors", how), errors, tuple(notes))
    s = _floored(within - g, notes, "sector")
    how_both = "mean of pairs of different sectors", "mean of pairs of one sector, less the common correlation"
    errors = jackknife_error(of_across), jackknife_error(of_within - of_across)
    return _Fit(*_below_one(g, s, notes), how_both, errors, tuple(notes))


def _floored(value: float, notes: list[str], which: str) -> float:
    """The value, at least nil, with a note where it is lifted."""
    if value >= 0.0:
        return value
    notes.append(f"The estimate of {which}_correlation is {value:.3f}, and is lifted to nil.")
    return 0.0


def _below_one(g: float, s: float, notes: list[str]) -> tuple[float, float]:
    if g + s <= _MOST:
        return g, s
    notes.append(
        f"Both correlations are {g + s:.4f} together, and are cut to {_MOST}: something is left to each issuer alone."
    )
    g = min(g, _MOST)
    return g, _MOST - g


def _of_one_sector(issuers: Issuers) -> list[str]:
    """The first two issuers of the charge that are of one sector; empty where there are none."""
    first: dict[str, str] = {}
    for name in sorted(issuers.lose - issuers.indices):
        sector = issuers.sectors[name]
        if sector in first:
            return [first[sector], name]
        first[sector] = name
    return []


def _spans(means: PairMeans) -> list[tuple[int, int]]:
    """Rows of the first and the last move of each kind of pair; of a kind without a pair those of the other."""
    there = [k for k in (ACROSS, WITHIN) if means.pairs[k]]
    return [
        (int(means.first[k if k in there else there[0]]), int(means.last[k if k in there else there[0]]))
        for k in (ACROSS, WITHIN)
    ]


def _about_history(
    rules: CorrelationRules, means: PairMeans, dates: Sequence[tuple[dt.date, dt.date]], asked: dt.date
) -> tuple[list[str], bool]:
    """What is to be said of the history that was used, and whether it is less than the rule asks for. asked : its first day, as asked."""
    first, last = min(d[0] for d in dates), max(d[1] for d in dates)
    days, years = rules.correlation_days, rules.correlation_years
    pairs, span = counted(int(means.pairs.sum()), "pair"), counted(days, "business day")
    how = f"Pearson's, of log moves over {span} that overlap, {first} to {last}; every pair weighs the same"
    notes = [f"Correlations are estimated from {pairs} of issuers: {how}. See correlations."]
    short = False
    if first > asked + _LATE:
        short = True
        notes.append(f"The history is shorter than the {counted(years, 'year')} asked for: it begins on {first}.")
    if years < YEARS or days < DAYS:
        short = True
        notes.append(f"MAR33.20 asks for {YEARS} years at least and moves over a year, here {DAYS} business days.")
    lasting = {name: p for name, p in PERIODS.items() if p.last - p.first >= _LASTING}
    stress = [name for name, p in lasting.items() if first <= p.first and p.last <= last]
    if stress:
        notes.append(f"Periods of stress in this history: {', '.join(stress)}.")
    else:
        short = True
        notes.append(
            "MAR33.20 asks for a period of stress in the history, and none of those known by name lies in it. Ask for more "
            "correlation_years, or bring in more history."
        )
    return notes, short


def _rows(
    common: float | None,
    own_sector: float | None,
    how: tuple[str, str],
    errors: tuple[float, float] = (math.nan, math.nan),
    means: PairMeans | None = None,
    dates: Sequence[tuple[dt.date, dt.date]] = (),
) -> pa.Table:
    rows: list[dict[str, Any]] = []
    about = ("common", common, "different sectors"), ("sector", own_sector, "one sector")
    for k, (factor, value, pairs_of) in enumerate(about):
        row: dict[str, Any] = {"factor": factor, "correlation": value, "how": how[k]}
        row["correlation_standard_error"] = None if math.isnan(errors[k]) else errors[k]
        if means is not None:
            row |= {"pairs_of": pairs_of, "issuers": int(means.issuers[k]), "pairs": int(means.pairs[k])}
            if means.pairs[k]:
                row |= {"mean_correlation": float(means.mean[k]), "first": dates[k][0], "last": dates[k][1]}
                row |= {"most_moves": int(means.most[k]), "fewest_moves": int(means.fewest[k])}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _named(snapshot: Snapshot, history: MarketHistory, market_date: dt.date) -> dict[str, Any]:
    """What the receipt names: the market data that the history was read from, and its days."""
    version = history.market_data_version
    return {
        "correlations": {
            "market_data_version": version,
            "market_data_digest": market_data_digest(snapshot.lake, version),
            "market_date": str(market_date),
            "window": f"{history.dates[0]}..{history.dates[-1]}",
            **name_actions(snapshot.lake, snapshot.versions.get(TABLE)),
        }
    }


def _too_short(
    issuers: Issuers,
    lacking: Mapping[str, str],
    rules: CorrelationRules,
    least: int,
    market_date: dt.date,
) -> BadInput:
    whole = len(issuers.sectors)
    enough = whole - len(lacking)
    told = sorted(lacking.items(), key=lambda x: (x[1] in (_INDEX, _NO_FACTOR), x[0]))
    first = first_of((f"{n}: {why}" for n, why in told), _SHOWN, "; ")
    return BadInput(
        f"The correlations of defaults cannot be estimated: {enough} of {counted(whole, 'issuer')} "
        f"{'has' if enough == 1 else 'have'} enough history in the {counted(rules.correlation_years, 'year')} to {market_date}, and two of "
        f"different shares or spreads are needed with {least:,} moves over {counted(rules.correlation_days, 'business day')} in common. "
        f"{first}. Give common_correlation and sector_correlation, or shorter correlation_days, or bring in more history.",
        issues=(Issue("/common_correlation", "cannot be estimated from this history"),),
    )
