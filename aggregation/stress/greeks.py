"""Sensitivities of any node, from a stored valuation of every contract under small bumps of every risk factor.

A derivative of `contributions.sensitivities` times the move that the sensitivity is stated for, in the reporting currency, gains
positive; a second derivative times both moves. They are P&L, so they add up over every dimension.
Theta is the P&L of one business day in a constant market, which is priced when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field

from aggregation.answer import Answer
from aggregation.contributions.sensitivities import (
    Bumped,
    BumpedQuery,
    Derivatives,
    Gamma,
    open_bumped,
    plan_bumped,
    price_of_bumped,
    value_bumped,
)
from aggregation.question import Plan, Question
from aggregation.reduce.coverage import coverage_columns, lacking_notes, total_coverage
from aggregation.session import Session
from aggregation.stress.roll_forward import RollRequest, RollResult, price_of_roll, roll_forward
from aggregation.stress.simulation_errors import SimulationErrors, simulation_errors
from aggregation.types import Coverage, Translated
from lake.arrays import Floats
from lake.errors import BadInput, counted, unknown
from scenarios.derived.bumps import bump_in_words
from scenarios.surfaces import surface_of
from scenarios.types import RiskClass, RiskFactor

THETA, CROSS = "theta", "cross_gamma"
GREEKS: Mapping[str, tuple[str, float, str]] = {  # what it is, its unit in the level of the factor, the unit in words
    "delta": ("gain for a price or exchange rate 1% up", 0.01, "+1%"),
    "pv01": ("gain for a rate a basis point up", 1e-4, "+1bp"),
    "cs01": ("gain for a credit spread or hazard rate a basis point up", 1e-4, "+1bp"),
    "recovery01": ("gain for a recovery 1% of face up", 0.01, "+1%"),
    "vega": ("gain for a volatility one point up, a normal one a basis point", 0.01, "+1 point"),
    CROSS: ("gain for the moves of two factors together beyond that for each alone", 1.0, "both moves"),
    THETA: ("gain of one business day in a market that stands still", 1.0, "1 day"),
}
_OF_CLASS = {RiskClass.RATES: "pv01", RiskClass.CREDIT: "cs01", RiskClass.VOLATILITY: "vega"}
_BESIDES = (CROSS, THETA)  # further valuations, which are made for who asks for them
_BOOK = ("as_of", "by", "where", "currency", "positions_date", "as_known")
_SIMULATED = (
    "{} simulated: base and bumps share the paths and the exercise policy of the base, whatever the terms say; value_error and "
    "gamma_error are standard errors of what differs all the same, added up where several contracts or factors are in a row."
)
MOST_ROWS = 500_000


def _known(name: str) -> str:
    if name not in GREEKS:
        raise ValueError(unknown("sensitivity", name, GREEKS).message)
    return name


class GreeksQuery(BumpedQuery, Translated):
    """Whose sensitivities, to what."""

    greeks: tuple[Annotated[str, AfterValidator(_known)], ...] = Field(
        (),
        max_length=len(GREEKS),
        description=f"sensitivities asked for: {', '.join(GREEKS)}; default all but {' and '.join(_BESIDES)}",
    )
    per: Literal["factor", "curve", "class"] = Field(
        "curve", description="a row for each risk factor, for each curve, surface or underlying, or for each risk class"
    )


@dataclass(frozen=True)
class Greeks(Answer):
    """rows : a row a group and what it is sensitive to, groups sorted: the `by` columns, `greek`, `risk_class`, `of` (a risk factor, a
    curve, surface or underlying, or nothing more than the class), `move` (the unit), `bump` (how far each factor was moved for the
    difference), `value` (gain for that move, all factors of the row moving together), `gamma` (how much the value changes with one more
    such move; null where a row has several factors, unless their cross gammas are asked for) and `factors`, how many it has. What is
    exactly zero has no row. `value_error`, `gamma_error`: standard errors, at the most, where contracts are valued by Longstaff-Schwartz;
    null where none is, and of the gamma of several factors. total : the same for all groups together.
    """

    query: GreeksQuery
    rows: pa.Table
    total: pa.Table
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def greek_of(factor: RiskFactor, level: float) -> tuple[str, float, str]:
    """Which sensitivity a factor at that level has, and the move it is stated for, in the factor's own level and in words."""
    if factor.type == "recovery_rate":
        return "recovery01", *GREEKS["recovery01"][1:]
    if factor.type == "normal_vol":
        return "vega", 1e-4, "+1bp"
    if factor.type == "normal_price_vol":
        return "vega", 0.01 * abs(level), "+1%"
    if factor.type == "rate_future":
        return "pv01", -100.0 * 1e-4, "+1bp"  # a price of 100 less the rate
    greek = "delta" if factor.type == "price_index" else _OF_CLASS.get(factor.risk_class, "delta")
    _, unit, move = GREEKS[greek]
    return greek, unit * (abs(level) if greek == "delta" else 1.0), move


def _asked(query: GreeksQuery) -> tuple[str, ...]:
    return query.greeks or tuple(g for g in GREEKS if g not in _BESIDES)


def _gamma(query: GreeksQuery) -> Gamma:
    return "full" if CROSS in _asked(query) else "diagonal"


def _plan(session: Session, query: GreeksQuery) -> Plan:
    return plan_bumped(session, query, _gamma(query))


def _value(session: Session, query: GreeksQuery) -> GreeksQuery:
    value_bumped(session, query, _gamma(query))
    return query


def run_greeks(session: Session, query: GreeksQuery) -> Greeks:
    """The sensitivities; raises `NotValued` where the lake lacks the valuation, `BadInput` for more than half a million rows."""
    bumped = open_bumped(session, query, _gamma(query), query.translation)
    selection = bumped.selection
    errors = simulation_errors(session, bumped, query.currency)
    targets = _targets(bumped, [g for g in _asked(query) if g != THETA], query.per)
    n_groups = selection.groups.n
    parts: list[pa.Table] = []
    found = 0
    for first, derivatives in bumped.portions(0 if query.by else n_groups, n_groups + 1):
        parts.append(_rows(first, derivatives, targets, errors))
        found += parts[-1].num_rows
        if found > MOST_ROWS:
            raise BadInput(
                f"More than {MOST_ROWS:,} sensitivities. Narrow the filters, group less, or ask for those to curves or classes."
            )
    table = pa.concat_tables(parts)
    coverage = total_coverage(coverage_columns(selection))
    notes = [*lacking_notes(coverage, selection, "no sensitivities"), bumped.sizes_in_words, *bumped.notes]
    notes += [_SIMULATED.format(counted(len(errors.held), "contract is", "contracts are"))] if errors.held else []
    if CROSS in _asked(query) and bumped.left_out:
        notes.append("The gamma of a row of several factors is blank, for not all of their pairs are valued.")
    if targets.unasked:
        notes.append(
            f"Cross gammas of two factors of one row are in the gamma of that row: ask for {' and '.join(targets.unasked)} too, or for a "
            "row for each factor."
        )
    rolled = _theta(session, query) if THETA in _asked(query) else None
    total = _of_groups(None, table.filter(np.asarray(table["group"]) == n_groups), rolled)
    keyed = table.filter(np.asarray(table["group"]) < n_groups)
    return Greeks(
        query,
        _of_groups(selection.groups.keys, keyed, rolled) if query.by else total,
        total,
        coverage,
        {**bumped.receipt, "currency": query.currency},
        (*notes, *(() if rolled is None else rolled.notes)),
    )


class _Name(NamedTuple):
    greek: str
    risk_class: str
    of: str | None
    move: str
    bump: str | None


@dataclass(frozen=True)
class _Targets:
    """Rows to make, in order. factors, pairs : of each row the places of the factors, and of the pairs, that are summed in it.

    move : (n_factors,) that a sensitivity is stated for; of_pair : (n_pairs,) the product of both. whole : whether all pairs are known.
    unasked : sensitivities that were not asked for, whose rows have a gamma of pairs.
    """

    names: list[_Name]
    factors: list[list[int]]
    pairs: list[list[int]]
    move: Floats
    of_pair: Floats
    whole: bool
    unasked: tuple[str, ...]


def _targets(bumped: Bumped, wanted: Sequence[str], per: str) -> _Targets:
    factors, base = bumped.scenarios.index.factors, bumped.scenarios.base.tolist()
    rows: dict[_Name, tuple[list[int], list[int]]] = {}
    move = np.zeros(len(factors))
    names: list[_Name] = []
    unasked: set[str] = set()
    for place, (factor, level) in enumerate(zip(factors, base, strict=True)):
        greek, move[place], words = greek_of(factor, level)
        names.append(
            _Name(
                greek,
                factor.risk_class.value,
                _of(factor, per),
                words,
                bump_in_words(factor, bumped.scenarios.definition),
            )
        )
        if greek in wanted:
            rows.setdefault(names[-1], ([], []))[0].append(place)
    for pair, (i, j) in enumerate(bumped.pairs.tolist()):
        one, two = names[i], names[j]
        if one == two:
            if one in rows:
                rows[one][1].append(pair)
            else:
                unasked.add(one.greek)
        elif CROSS in wanted:
            both = zip(one, two, strict=True)
            classes = one.risk_class if one.risk_class == two.risk_class else f"{one.risk_class} x {two.risk_class}"
            _, _, of, moves, bumps = (f"{a or ''} x {b or ''}" for a, b in both)
            name = _Name(CROSS, classes, None if per == "class" else of, moves, bumps)
            rows.setdefault(name, ([], []))[1].append(pair)
    order = sorted(rows, key=lambda r: (wanted.index(r.greek), r.risk_class, r.of or "", r.move))
    i, j = bumped.pairs.T
    return _Targets(
        order, [rows[r][0] for r in order], [rows[r][1] for r in order], move, move[i] * move[j],
        CROSS in wanted and bumped.left_out is None, tuple(g for g in GREEKS if CROSS in wanted and g in unasked),
    )  # fmt: skip


def _of(factor: RiskFactor, per: str) -> str | None:
    if per == "class":
        return None
    return factor.risk_factor_id if per == "factor" else factor.curve or surface_of(factor) or factor.risk_factor_id


_SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        *((name, pa.string()) for name in _Name._fields),
        *((name, pa.float64()) for name in ("value", "gamma", "value_error", "gamma_error")),
        ("factors", pa.int64()),
    ]
)


def _rows(start: int, found: Derivatives, targets: _Targets, errors: SimulationErrors) -> pa.Table:
    """Those of the groups from `start` on that are not zero."""
    of_first, of_second = errors.of(start, len(found.first), targets.move)
    first, second, cross = found.first * targets.move, found.second * targets.move**2, found.cross * targets.of_pair
    values, gamma, value_error, gamma_error = (np.zeros((len(first), len(targets.names))) for _ in range(4))
    for target, (factors, pairs) in enumerate(zip(targets.factors, targets.pairs, strict=True)):
        for place in factors:  # in a fixed order
            values[:, target] += first[:, place]
            gamma[:, target] += second[:, place]
            value_error[:, target] += of_first[:, place]
            gamma_error[:, target] += of_second[:, place]
        for pair in pairs:
            if factors:
                gamma[:, target] += 2.0 * cross[:, pair]
            else:
                values[:, target] += cross[:, pair]
    counts = np.array([len(f) for f in targets.factors], dtype=np.int64)
    gamma[:, (counts == 0) | ((counts > 1) & (not targets.whole))] = np.nan
    value_error[value_error == 0.0] = np.nan  # nothing in it is simulated
    gamma_error[(gamma_error == 0.0) | (counts != 1)] = np.nan
    row, column = np.nonzero((values != 0.0) | (np.nan_to_num(gamma) != 0.0))
    names = [targets.names[c] for c in column.tolist()]
    return pa.table(
        {
            "group": row + start,
            **{field: [n[k] for n in names] for k, field in enumerate(_Name._fields)},
            "value": values[row, column],
            "gamma": pa.array(gamma[row, column], from_pandas=True),
            "value_error": pa.array(value_error[row, column], from_pandas=True),
            "gamma_error": pa.array(gamma_error[row, column], from_pandas=True),
            "factors": np.where(counts == 0, 2, counts)[column],
        },
        schema=_SCHEMA,
    )


def _theta(session: Session, query: GreeksQuery) -> RollResult:
    if query.branch is not None:
        raise BadInput("Theta is of a book that is held; leave theta out for a branch.")
    return roll_forward(session.lake, _rolled(query), cache=session.cache)


def _rolled(query: GreeksQuery) -> RollRequest:
    return RollRequest(**{n: getattr(query, n) for n in _BOOK}, horizons=("1D",), market="constant")


def _of_groups(keys: pa.Table | None, rows: pa.Table, rolled: RollResult | None) -> pa.Table:
    """The rows with the names of their groups, theta after the others of its group."""
    greeks = rows.drop_columns(["group"])
    named = greeks if keys is None else beside(keys.take(rows["group"]), greeks)
    if rolled is None:
        return named
    thetas = pa.Table.from_pylist(list(rolled.totals)) if keys is None else rolled.rows
    thetas = thetas.filter(pa.array([v is not None for v in thetas["pnl"].to_pylist()]))
    n = thetas.num_rows
    text = {"greek": THETA, "risk_class": None, "of": None, "move": GREEKS[THETA][2], "bump": None}
    more = pa.table(
        {
            **{name: pa.array([v] * n, pa.string()) for name, v in text.items()},
            "value": thetas["pnl"],
            **{name: pa.nulls(n, pa.float64()) for name in ("gamma", "value_error", "gamma_error")},
            "factors": pa.array([0] * n, pa.int64()),
        }
    )
    if keys is None:
        return pa.concat_tables([named, more])
    by = keys.column_names
    both = pa.concat_tables([named, beside(thetas.select(by), more).cast(named.schema)])
    order = {tuple(k.values()): i for i, k in enumerate(keys.to_pylist())}
    places = [order[tuple(r[b] for b in by)] for r in both.select(by).to_pylist()]
    return both.take(pa.array(np.argsort(places, kind="stable")))


def beside(left: pa.Table, right: pa.Table) -> pa.Table:
    """The columns of both."""
    return pa.table([*left.columns, *right.columns], names=[*left.column_names, *right.column_names])


def _price(session: Session, query: GreeksQuery) -> float:
    """With theta, of a day's roll."""
    rolled = price_of_roll(session, _rolled(query)) if THETA in _asked(query) else 0.0
    return price_of_bumped(session, query, _gamma(query)) + rolled


GREEKS_QUESTION = Question(
    GreeksQuery,
    run_greeks,
    {"as_of": "2020-03-16", "by": ["desk"], "per": "class"},
    _plan,
    _value,
    price=_price,
)
