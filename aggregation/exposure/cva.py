"""CVA and DVA of a book, unilateral and to the first default, by any dimension, with contributions of trades that add up to the last bit.

Exposures are expected over risk-neutral paths, net within netting sets and after collateral; defaults are those of the stored credit
curves.
What a trade contributes is the slope of its netting set's figure in its direction (Euler); what of a figure no trade makes, since
collateral
alone makes the exposure, stands in a row of its own. So rows of any grouping add up to the total exactly. Nothing is zero for want of
a curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from aggregation.answer import HIDDEN, Answer
from aggregation.exposure.cva_figures import FIGURES, CvaFigures, cva_figures, date_weights
from aggregation.exposure.cva_query import CvaScope, OpenedCva, open_cva
from aggregation.exposure.default_curves import bumped_levels
from aggregation.exposure.path_values import plan_paths, value_paths
from aggregation.exposure.scope import GRID, horizon_notes, open_book, path_scope
from aggregation.kernels.cva import standard_error
from aggregation.kernels.euler import Split, exact_split
from aggregation.price import size_of
from aggregation.question import Plan, Question
from aggregation.reduce.grouping import Groups, group_by
from aggregation.session import Session
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import counted
from lake.words import sentences
from valuation.types import ValuationFailure

Scoped = TypeVar("Scoped", bound=CvaScope)

CS01, OWN_CS01 = "cs01", "own_cs01"


class CvaQuery(CvaScope):
    """Whose CVA, on which day, by what."""


@dataclass(frozen=True)
class Cva(Answer):
    """CVA is a cost and DVA a gain, both positive, in the reporting currency.

    rows : a row a group: the `by` columns, part (positions, or collateral: what collateral alone makes), positions, covered, failed,
    status,
    reason, cva and dva (each alone), cva_bilateral and dva_bilateral (whoever defaults first), bcva (cva_bilateral less dva_bilateral), the
    standard error of each over the paths as `_se` where the group is of whole netting sets, cs01 (rise of cva for a basis point up of all
    spreads of the counterparties), cs01_TENOR (of that part of the curve), own_cs01 (rise of dva for a basis point up of our own).
    sets : a row a
    netting set: what its figures rest on, and the reason where it has none. total : of all that could be computed. profile : a row a
    netting set and date, the expected discounted exposures.
    """

    query: CvaQuery
    rows: pa.Table
    total: Mapping[str, Any]
    sets: pa.Table
    profile: pa.Table = field(metadata=HIDDEN)
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitCva:
    """Figures split exactly: names of the columns; splits : one a column, of parts of kept positions and then of netting sets'
    collateral."""

    names: tuple[str, ...]
    splits: tuple[Split, ...]
    whole: CvaFigures


def split_cva(
    opened: OpenedCva,
    groups: Groups,
    group_of_set: Codes,
) -> SplitCva:
    """One pass over the paths, and every figure split by position."""
    base = opened.weights.filled()
    columns = [*_columns(base), *_bumped(opened, base)]
    ways, by_date = opened.wrong_way()
    found = cva_figures(opened.along, [w for _, w in columns], group_of_set, groups.n, ways, by_date)
    splits = []
    for m, (_, w) in enumerate(columns):
        per_set = set_sums(w, found)
        of_positions = found.positions[:, m]
        left = per_set.copy()
        np.subtract.at(left, opened.sets.code, of_positions)
        splits.append(exact_split(np.concatenate([of_positions, left]), math.fsum(per_set)))
    return SplitCva(tuple(n for n, _ in columns), tuple(splits), found)


def _columns(base: Floats) -> list[tuple[str, Floats]]:
    """Weights of the positive and negative exposure, (n_sets, n_dates, 2), of each of `FIGURES`."""
    out = []
    for i, name in enumerate(FIGURES):
        w = np.zeros((*base.shape[:2], 2))
        w[:, :, i // 2] = base[:, :, i]
        out.append((name, w))
    return out


def _bumped(opened: OpenedCva, base: Floats) -> list[tuple[str, Floats]]:
    """Weights of the sensitivities to spreads: those of the bumped curves less those of the base."""
    query = opened.query
    levels = bumped_levels(opened.market, opened.curves.curves.values(), query.tenors)
    curves = opened.curves_in(opened.market.with_levels(levels))
    out = []
    for state in range(1, 2 + len(query.tenors)):
        moved = date_weights(
            curves, opened.sets.counterparties, opened.sets.legal_entities, len(opened.times), state
        ).filled()
        w = np.zeros((*base.shape[:2], 2))
        w[:, :, 0] = moved[:, :, 0] - base[:, :, 0]
        out.append((CS01 if state == 1 else f"{CS01}_{query.tenors[state - 2]}", w))
        if state == 1:
            own = np.zeros_like(w)
            own[:, :, 1] = moved[:, :, 2] - base[:, :, 2]
            out.append((OWN_CS01, own))
    return out


def set_sums(w: Floats, found: CvaFigures) -> Floats:
    """The figure of each netting set, (n_sets,): added date by date."""
    total = np.zeros(len(w))
    for k in range(w.shape[1]):
        total += w[:, k, 0] * found.positive[:, k] + w[:, k, 1] * found.negative[:, k]
    return total


def set_figures(opened: OpenedCva) -> CvaFigures:
    """The figures of `FIGURES` of every netting set and position, of no group."""
    ways, by_date = opened.wrong_way()
    nowhere = np.full(len(opened.sets), -1, np.int32)
    columns = _columns(opened.weights.filled())
    return cva_figures(opened.along, [w for _, w in columns], nowhere, 0, ways, by_date)


def cva_parts(opened: OpenedCva) -> Floats:
    """Unilateral CVA of each kept position and then what collateral makes of each netting set, (n_kept + n_sets,), not rounded to a
    grid."""
    found = set_figures(opened)
    left = set_sums(_columns(opened.weights.filled())[0][1], found)
    np.subtract.at(left, opened.sets.code, found.positions[:, 0])
    return np.concatenate([found.positions[:, 0], left])


def grouping(opened: OpenedCva) -> tuple[Groups, Codes, Bools]:
    """Groups of the positions; the group of each netting set, -1 where it is in several; and whether a group is of whole sets."""
    groups = group_by(opened.book, opened.query.by, opened.exposure.held.keep)
    of_position = groups.group[opened.sets.position]
    low = np.full(len(opened.sets), groups.n)
    high = np.full(len(opened.sets), -1)
    np.minimum.at(low, opened.sets.code, of_position)
    np.maximum.at(high, opened.sets.code, of_position)
    of_set = np.where(low == high, low, -1).astype(np.int32)
    whole = np.ones(groups.n, np.bool_)
    whole[of_position[of_set[opened.sets.code] < 0]] = False
    return groups, of_set, whole


def run_cva(session: Session, query: CvaQuery) -> Cva:
    """CVA of the selected positions by the query's dimensions; values nothing.

    Raises `NotValued` where values on the paths are missing, `BadInput` for names and filters that are not there.
    """
    opened = open_cva(session, query)
    return answer_from(opened)


def answer_from(opened: OpenedCva) -> Cva:
    """The answer from netting sets on the paths."""
    query = opened.query
    groups, of_set, whole = grouping(opened)
    split = split_cva(opened, groups, of_set)
    rows, total = _rows(opened, split, groups, of_set, whole)
    sets = _sets(opened, split)
    return Cva(
        CvaQuery.model_validate(query.model_dump()),
        rows,
        total,
        sets,
        profile_table(opened, split.whole),
        opened.exposure.failures,
        receipt_of_cva(opened),
        (*notes_of_cva(opened), *horizon_notes(opened.exposure)),
    )


def _lacking(opened: OpenedCva) -> tuple[Bools, Bools]:
    """Which netting sets have no CVA, and no DVA, for want of a curve."""
    told = opened.reasons()
    return np.array([bool(c) for c, _ in told], np.bool_), np.array([bool(e) for _, e in told], np.bool_)


def _rows(
    opened: OpenedCva, split: SplitCva, groups: Groups, of_set: Codes, whole: Bools
) -> tuple[pa.Table, dict[str, Any]]:
    sets, n_kept = opened.sets, len(opened.sets.position)
    no_cva, no_dva = _lacking(opened)
    group = groups.group[sets.position].astype(np.int64)
    # what collateral alone makes stands with the group that holds the whole set, else in a row of its own
    place = np.concatenate([group, np.where(of_set >= 0, of_set, groups.n)])
    figures = {name: sums_of(s.parts, place, groups.n + 1) for name, s in zip(split.names, split.splits, strict=True)}
    kept = _counts(opened, group, groups.n)
    gone = ~opened.covered  # without values on the paths: in no figure, whatever the curves
    lacks_cva, lacks_dva, lacks_either = (
        np.bincount(group[lacking[sets.code] | gone], minlength=groups.n)
        for lacking in (no_cva, no_dva, no_cva | no_dva)
    )
    errors = _errors(opened, split.whole.by_path)
    columns: dict[str, Any] = {}
    has_rest = any((s.parts[n_kept:][of_set < 0] != 0.0).any() for s in split.splits)
    n = groups.n + has_rest
    for name, values in figures.items():
        lacks = _lacks(name, lacks_cva, lacks_dva, lacks_either)
        computed = np.append(lacks < kept["positions"], True)[:n]
        columns[name] = pa.array(values[:n], mask=~computed)
    columns["bcva"] = pa.array(
        (figures["cva_bilateral"] - figures["dva_bilateral"])[:n],
        mask=~np.append(lacks_either < kept["positions"], True)[:n],
    )
    for name, values in errors.items():
        lacks = _lacks(name, lacks_cva, lacks_dva, lacks_either)
        shown = np.append(whole & (lacks < kept["positions"]), False)[:n]
        columns[f"{name}_se"] = pa.array(np.append(values[:-1], np.nan)[:n], mask=~shown)
    state = "with substitutes" if opened.held_levels else "complete"
    status, reason = _status(opened, opened.reasons(), kept, (lacks_cva, lacks_dva), group, groups.n, state)
    part = ["positions"] * groups.n + ["collateral"] * has_rest
    extra = [None] * has_rest
    keys = {c: pa.array([*groups.keys[c].to_pylist(), *extra], pa.string()) for c in groups.keys.column_names}
    counts = {c: pa.array([*v.tolist(), *([0] * has_rest)], pa.int64()) for c, v in kept.items()}
    table = pa.table(
        {
            **keys,
            "part": part,
            **counts,
            "status": [*status, *(["complete"] * has_rest)],
            "reason": pa.array([*reason, *extra], pa.string()),
            **columns,
        }
    )
    total: dict[str, Any] = {"positions": int(n_kept), "covered": int((opened.covered).sum())}
    for name, s in zip(split.names, split.splits, strict=True):
        total[name] = None if gone.all() or _all_lack(name, no_cva, no_dva) else s.total
    both = not (gone.all() or _all_lack("cva_bilateral", no_cva, no_dva))
    total["bcva"] = total["cva_bilateral"] - total["dva_bilateral"] if both else None
    for name, values in errors.items():
        total[f"{name}_se"] = None if total[name] is None else float(values[-1])
    total["netting_sets"], total["without_cva"], total["without_dva"] = len(sets), int(no_cva.sum()), int(no_dva.sum())
    total["status"] = _overall(total, opened)
    return table, total


def _overall(total: Mapping[str, Any], opened: OpenedCva) -> str:
    if total["without_cva"] == len(opened.sets) or not total["covered"]:
        return "invalid"
    if total["without_cva"] or total["without_dva"] or total["covered"] < total["positions"]:
        return "partial"
    return "with substitutes" if opened.held_levels else "complete"


def _lacks(name: str, no_cva: Ints, no_dva: Ints, either: Ints) -> Ints:
    """How many positions lack a figure."""
    if name == "bcva" or name.endswith("_bilateral"):
        return either
    return no_dva if name in ("dva", OWN_CS01) else no_cva


def _all_lack(name: str, no_cva: Bools, no_dva: Bools) -> bool:
    if name.endswith("_bilateral"):
        return bool((no_cva | no_dva).all())
    return bool((no_dva if name in ("dva", OWN_CS01) else no_cva).all())


def sums_of(parts: Floats, place: Ints, n: int) -> Floats:
    """Sums of the parts by place, (n,); exact, since parts are multiples of one grid."""
    return np.asarray(np.bincount(place, weights=parts, minlength=n), np.float64)


def _counts(opened: OpenedCva, group: Ints, n: int) -> dict[str, Ints]:
    covered = opened.covered
    return {
        "positions": np.bincount(group, minlength=n),
        "covered": np.bincount(group[covered], minlength=n),
        "failed": np.bincount(group[~covered], minlength=n),
    }


def _errors(opened: OpenedCva, by_path: Floats) -> dict[str, Floats]:
    """Standard errors of each group, the total last, of each figure; none for Sobol points, which are not independent."""
    if opened.query.sampling == "sobol":
        return {}
    paired = opened.query.sampling == "antithetic"
    of = {name: by_path[:, i] for i, name in enumerate(FIGURES)}
    of["bcva"] = by_path[:, 1] - by_path[:, 3]
    return {name: np.array([standard_error(row, paired) for row in rows]) for name, rows in of.items()}


def cva_status(opened: OpenedCva, group: Ints, n: int) -> tuple[list[str], list[str | None]]:
    """Of each group whether its CVA is whole, and what it lacks. group : (n_kept,) of each position."""
    no_cva, _ = _lacking(opened)
    lacks = np.bincount(group[no_cva[opened.sets.code] | ~opened.covered], minlength=n)
    return _status(
        opened, [(c,) for c, _ in opened.reasons()], _counts(opened, group, n), (lacks,), group, n, "complete"
    )


def _status(
    opened: OpenedCva,
    told: Sequence[Sequence[str]],
    kept: Mapping[str, Ints],
    lacks: Sequence[Ints],
    group: Ints,
    n: int,
    whole: str,
) -> tuple[list[str], list[str | None]]:
    """Of each group whether its figures are whole, and what they lack.

    told : of each netting set why it lacks a figure, empty texts where it does not. lacks : positions that lack each figure, (n,) each; a
    group of which all lack the first is invalid. whole : the status of what lacks nothing.
    """
    of: list[dict[str, None]] = [{} for _ in range(n)]
    for g, s in sorted(set(zip(group.tolist(), opened.sets.code.tolist(), strict=True))):
        for text in told[s]:
            if text:
                of[g].setdefault(text)
    states = []
    for g in range(n):
        positions, covered = int(kept["positions"][g]), int(kept["covered"][g])
        if lacks[0][g] == positions or not covered:
            states.append("invalid")
        elif any(lack[g] for lack in lacks) or covered < positions:
            states.append("partial")
        else:
            states.append(whole)
    return states, [sentences(t) or None for t in of]


def _sets(opened: OpenedCva, split: SplitCva) -> pa.Table:
    """Every netting set with what its figures rest on."""
    sets, told = opened.sets, opened.reasons()
    n_kept = len(sets.position)
    of_set = np.concatenate([sets.code.astype(np.int64), np.arange(len(sets))])
    figures = {
        name: sums_of(s.parts, of_set, len(sets)) for name, s in zip(split.names[:4], split.splits, strict=False)
    }
    none = np.bincount(sets.code[opened.covered], minlength=len(sets)) == 0
    no_cva, no_dva = (lacking | none for lacking in _lacking(opened))
    curves = [opened.curves.curves.get(c or "") for c in sets.counterparties]
    masks = {"cva": no_cva, "dva": no_dva, "cva_bilateral": no_cva | no_dva, "dva_bilateral": no_cva | no_dva}
    ways, _ = opened.wrong_way()
    return pa.table(
        {
            "netting_set": pa.array(list(sets.ids), pa.string()),
            "counterparty": pa.array(list(sets.counterparties), pa.string()),
            "legal_entity": pa.array(list(sets.legal_entities), pa.string()),
            "positions": np.bincount(sets.code, minlength=len(sets)),
            "covered": np.bincount(sets.code[opened.covered], minlength=len(sets)),
            "agreement": [k < len(sets.agreements) for k in range(len(sets))],
            "margined": [k < len(sets.agreements) and sets.agreements[k].margined for k in range(len(sets))],
            "credit_curve": pa.array([None if c is None else c.curve for c in curves], pa.string()),
            "loss_given_default": pa.array([None if c is None else c.loss for c in curves], pa.float64()),
            "wrong_way": pa.array(
                [f"{w.risk_factor_id} {w.correlation:+g}" if (w := ways.get(s)) else None for s in range(len(sets))],
                pa.string(),
            ),
            **{name: pa.array(figures[name], mask=masks[name]) for name in FIGURES},
            "of_collateral": pa.array(split.splits[0].parts[n_kept:], mask=no_cva),
            "reason": pa.array([" ".join(t for t in pair if t) or None for pair in told], pa.string()),
        }
    )


def profile_table(opened: OpenedCva, found: CvaFigures) -> pa.Table:
    """A row a netting set and date: expected discounted exposure, positive and negative."""
    n_sets, n_dates = found.positive.shape
    days = opened.days
    return pa.table(
        {
            "netting_set": pa.array(np.repeat(np.array(opened.sets.ids, dtype=object), n_dates), pa.string()),
            "date": pa.array(days * n_sets, pa.date32()),
            "expected_exposure": found.positive.ravel(),
            "expected_negative_exposure": found.negative.ravel(),
        }
    )


def receipt_of_cva(opened: OpenedCva) -> dict[str, Any]:
    """What the numbers rest on."""
    snapshot = opened.exposure.held.snapshot
    versions = {name: snapshot.lake.version(name) for name in ("counterparties", "classifications")}
    return {
        **opened.exposure.receipt,
        "market_date": str(opened.query.as_of),
        "currency": opened.query.currency,
        "synthetic": any(f.synthetic for f in opened.market.index.factors),
        "held": dict(opened.held_levels),
        "credit_curves": {n: c.curve for n, c in sorted(opened.curves.curves.items())},
        "table_versions": {**opened.exposure.receipt["table_versions"], **versions},
    }


def notes_of_cva(opened: OpenedCva) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    query, told = opened.query, opened.reasons()
    notes = [*opened.exposure.notes]
    if query.wrong_way:
        ways = ", ".join(f"{w.counterparty}: {w.factor} {w.correlation:+g}" for w in query.wrong_way)
        notes.append(
            f"Wrong-way risk ({ways}): default and factor are joined by a Gaussian copula date by date; the probability of default over "
            "all paths stays that of the curve. DVA takes none."
        )
    for i, what in ((0, "CVA"), (1, "DVA")):
        lacking = sorted({pair[i] for pair in told if pair[i]})
        if lacking:
            n = sum(1 for pair in told if pair[i])
            notes.append(f"{counted(n, 'netting set has', 'netting sets have')} no {what}: {sentences(lacking)}")
    if any(f.synthetic for f in opened.market.index.factors):
        notes.append("The market data is synthetic.")
    return tuple(notes)


def plan_cva(session: Session, query: CvaScope) -> Plan:
    """What the values on the paths of the query take."""
    return plan_paths(session, path_scope(session, query, open_book(session, query))[0])


def value_cva(session: Session, query: Scoped) -> Scoped:
    """Values the query's book on its paths; the same query then finds it."""
    value_paths(session, path_scope(session, query, open_book(session, query))[0])
    return query


def price_of_cva(session: Session, query: CvaScope) -> float:
    """Three passes over the values on paths: netting, exposures, and what each contract contributes."""
    return size_of(session, query, scenarios=query.paths * (len(query.grid) or len(GRID))).seconds(passes=3)


CVA = Question(
    CvaQuery,
    run_cva,
    {"as_of": "2020-03-16", "by": ["counterparty"], "grid": ["1M", "3M", "6M", "1Y", "2Y", "5Y"], "paths": 200},
    plan_cva,
    value_cva,
    price=price_of_cva,
)
