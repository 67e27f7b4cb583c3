"""Exposure as tables: by group and date, over time, and what trades contribute where netting does not permit a group of its own.

A dimension permits a group of its own where no netting set has two members of it: counterparty, legal entity, netting set, and whatever
else a book happens to keep apart. `by` may begin with such dimensions: they make the nodes. What follows, such as desk or trade, splits the
exposure of its node into contributions that add up to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.profile_contributions import Contributions, items_of
from aggregation.exposure.profiles import YEAR_DAYS, Asked, Profile, profile
from aggregation.exposure.scope import ExposureScope, MarginFloors, OpenedExposure, open_exposure
from aggregation.kernels.exposure_profile import time_weights
from aggregation.reduce.grouping import Groups, group_by
from aggregation.session import Session
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput
from valuation.instruments.schedules import horizon_date

PART, TRADES, COLLATERAL, FLOWS = "part", "trades", "collateral", "cash flows"


@dataclass(frozen=True)
class Nodes:
    """What exposure is told of.

    by, finer : the dimensions of `by` that netting permits, and those that follow. groups : of the positions kept by `by`'s permitted
    ones. of_set : (n_sets,) node of each netting set.
    """

    by: tuple[str, ...]
    finer: tuple[str, ...]
    groups: Groups
    of_set: Codes


@dataclass(frozen=True)
class ProfileTables:
    """Exposure of nodes as figures and as tables.

    figures : of the nodes, and of all together as one more where there are dimensions. rows : a row a group and date, see
    `answer columns` of the question. summary : a row a group. total : the same of all together, one row. For contributions rows and
    summary are of parts that add up to their node.
    """

    opened: OpenedExposure
    nodes: Nodes
    figures: Profile
    rows: pa.Table
    summary: pa.Table
    total: Mapping[str, Any]


def permits(book: Book, sets: NettingSets, name: str) -> bool:
    """Whether no netting set has two members of a dimension."""
    column = book.column(name)
    pairs = sets.code.astype(np.int64) * len(column.members) + column.codes[sets.position]
    return len(np.unique(pairs)) == len(sets)


def nodes_of(opened: OpenedExposure, by: Sequence[str]) -> Nodes:
    """The nodes of `by`; raises `BadInput` for an unknown dimension."""
    book, sets = opened.held.book, opened.held.sets
    if len(set(by)) < len(by):
        raise BadInput(f"A dimension is named twice: {', '.join(by)}.")
    allowed = [permits(book, sets, name) for name in by]
    first = allowed.index(False) if False in allowed else len(by)
    groups = group_by(book, by[:first], opened.held.keep)
    of_set = np.zeros(len(sets), np.int32)
    of_set[sets.code] = groups.group[sets.position]
    return Nodes(tuple(by[:first]), tuple(by[first:]), groups, of_set)


def asked_of(query: ExposureScope, levels: Sequence[Fraction]) -> Asked:
    """How figures are read from the paths of the query."""
    step = {"random": 1, "antithetic": 2, "sobol": None}[query.sampling]
    year = (horizon_date(query.as_of, "1Y", "weekdays") - query.as_of).days / YEAR_DAYS
    return Asked(tuple(levels), step, year)


def profiles(
    session: Session,
    query: ExposureScope,
    levels: Sequence[Fraction],
    names: Sequence[str],
    *,
    floors: MarginFloors | None = None,
    factor: float | None = None,
    opened: OpenedExposure | None = None,
) -> ProfileTables:
    """Exposure of the query's groups. levels, names : of PFE, exactly and as columns are named. factor : what EEPE is multiplied with to an
    exposure at default, None where that is not asked. opened : in place of what the query opens.

    Raises `NotValued` where values on the paths are missing, `BadInput` for unknown names and for an empty selection.
    """
    opened = opened or open_exposure(session, query, floors)
    nodes, asked = nodes_of(opened, query.by), asked_of(query, levels)
    counts = _counts(opened, nodes.groups)
    if nodes.finer:
        return _contributions(opened, nodes, asked, names, factor, query.by)
    whole = bool(query.by)
    figures = profile(opened.along, nodes.of_set, nodes.groups.n, asked, total=whole)
    keys = nodes.groups.keys
    summary = _summary(figures, names, factor, counts, _sets_of(opened, nodes))
    of_nodes = summary.slice(0, nodes.groups.n)
    rows = _by_date(figures, names, counts, nodes.groups.n)
    n_dates = len(figures.dates)
    repeated = {c: keys[c].take(pa.array(np.repeat(np.arange(nodes.groups.n), n_dates))) for c in keys.column_names}
    total = summary.slice(len(summary) - 1).to_pylist()[0]
    named = pa.table({**{c: keys[c] for c in keys.column_names}, **{c: of_nodes[c] for c in of_nodes.column_names}})
    return ProfileTables(
        opened, nodes, figures, pa.table({**repeated, **{c: rows[c] for c in rows.column_names}}), named, total
    )


def _counts(opened: OpenedExposure, groups: Groups) -> Ints:
    """Positions and those covered, of each group and of all, (n_groups + 1, 2)."""
    kept = groups.group >= 0
    each = [np.bincount(groups.group[kept & of], minlength=groups.n) for of in (np.True_, opened.covered)]
    found = np.stack(each, axis=1)
    return np.vstack([found, found.sum(axis=0)]).astype(np.int64)


def _sets_of(opened: OpenedExposure, nodes: Nodes) -> Ints:
    """Netting sets of each node and of all, and trades alone, (n_nodes + 1, 2)."""
    sets = opened.held.sets
    alone = np.arange(len(sets)) >= len(sets.agreements)
    each = [np.bincount(nodes.of_set[of], minlength=nodes.groups.n) for of in (np.ones(len(sets), np.bool_), alone)]
    found = np.stack(each, axis=1)
    return np.vstack([found, found.sum(axis=0)]).astype(np.int64)


def _null(values: Floats, empty: Bools) -> pa.Array:
    """Without a number where nothing is covered, or where there is none."""
    values = np.ascontiguousarray(values, np.float64)
    return pa.array(values, mask=empty | np.isnan(values))


def _status(counts: Ints) -> pa.Array:
    n, covered = counts[:, 0], counts[:, 1]
    return pa.array(["invalid", "partial", "complete"]).take(
        pa.array(np.where(covered == 0, 0, np.where(covered < n, 1, 2)))
    )


def _summary(figures: Profile, names: Sequence[str], factor: float | None, counts: Ints, sets: Ints) -> pa.Table:
    """Figures over time of each node, and of all together last."""
    n = len(figures.epe)
    counts, sets = counts[:n] if n < len(counts) else counts, sets[:n] if n < len(sets) else sets
    if n == 1:
        counts, sets = counts[-1:], sets[-1:]
    empty = counts[:, 1] == 0
    columns: dict[str, pa.Array] = {
        "positions": pa.array(counts[:, 0]),
        "covered": pa.array(counts[:, 1]),
        "status": _status(counts),
        "netting_sets": pa.array(sets[:, 0]),
        "trades_alone": pa.array(sets[:, 1]),
        "current": _null(figures.ee[:, 0], empty),
        "epe": _null(figures.epe, empty),
        "epe_se": _null(figures.epe_se, empty),
        "enpe": _null(figures.enpe, empty),
        "epe_year": _null(figures.epe_year, empty),
        "eepe": _null(figures.eepe, empty),
        "eepe_se": _null(figures.eepe_se, empty),
    }
    if factor is not None:
        columns |= {"ead": _null(factor * figures.eepe, empty), "ead_se": _null(factor * figures.eepe_se, empty)}
    for i, name in enumerate(names):
        peak = figures.pfe[i].argmax(axis=1)  # the first of equals
        columns[f"peak_pfe_{name}"] = _null(figures.pfe[i, np.arange(n), peak], empty)
        days = pa.array([None if e else figures.dates[p] for p, e in zip(peak.tolist(), empty.tolist(), strict=True)])
        columns[f"peak_date_{name}"] = days.cast(pa.date32())
    return pa.table(columns)


def _by_date(figures: Profile, names: Sequence[str], counts: Ints, n: int) -> pa.Table:
    """Figures of each node at each date, the dates of a node together."""
    n_dates = len(figures.dates)
    empty = np.repeat(counts[:n, 1] == 0, n_dates)

    def column(values: Floats) -> pa.Array:
        return _null(values[:n].reshape(-1), empty)

    columns: dict[str, pa.Array] = {
        "date": pa.array(list(figures.dates) * n, pa.date32()),
        "years": pa.array(np.tile(figures.times, n)),
    }
    of = ("value", "ee", "ee_se", "ene", "ene_se")
    columns |= {name: column(getattr(figures, name)) for name in of}
    columns["collateral"] = column(figures.held)
    columns |= {name: column(getattr(figures, name)) for name in ("effective_ee", "discounted_ee")}
    for i, name in enumerate(names):
        columns[f"pfe_{name}"], columns[f"pfe_{name}_se"] = column(figures.pfe[i]), column(figures.pfe_se[i])
    return pa.table(columns)


def _contributions(
    opened: OpenedExposure, nodes: Nodes, asked: Asked, names: Sequence[str], factor: float | None, by: Sequence[str]
) -> ProfileTables:
    """What members of the finer dimensions contribute, with the collateral of each node as a line of its own."""
    book, keep = opened.held.book, opened.held.keep
    groups = group_by(book, by, keep)
    items = items_of(opened.along, opened.covered)
    n_nodes, n_members = nodes.groups.n, groups.n
    row = np.concatenate(
        [
            groups.group[items.position],
            n_members + nodes.of_set[items.of_set[items.collateral]],
            n_members + n_nodes + nodes.of_set[items.of_set[items.flows]],
        ]
    ).astype(np.int32)
    days = [d for d, r in zip(opened.along.paths.dates, opened.along.reported.tolist(), strict=True) if r]
    times = np.array([(d - opened.along.paths.as_of).days / YEAR_DAYS for d in days])
    found = Contributions(
        opened.along,
        items,
        nodes.of_set,
        n_nodes,
        row,
        n_members + 2 * n_nodes,
        len(names),
        time_weights(times),
        time_weights(times, asked.year),
    )
    figures = profile(opened.along, nodes.of_set, n_nodes, asked, found)
    epe, ead = found.over_time(figures.epe, figures.eepe, 1.0 if factor is None else factor)
    columns = {
        "ee": np.stack(found.ee),
        **{f"pfe_{name}": np.stack([p[i] for p in found.pfe]) for i, name in enumerate(names)},
    }
    last = "eepe" if factor is None else "ead"
    counts = _counts(opened, groups)[:-1]
    # of what is no trade, the rows in which something is
    other = np.flatnonzero(
        np.array([c[:, n_members:] != 0.0 for c in columns.values()]).any(axis=(0, 1)) | (epe[n_members:] != 0.0)
    )
    rows = np.concatenate([np.arange(n_members), n_members + other])
    node_of_member = np.zeros(n_members, np.int32)
    node_of_member[groups.group[groups.group >= 0]] = nodes.groups.group[groups.group >= 0]
    of_node = np.concatenate([node_of_member, np.tile(np.arange(n_nodes), 2)])[rows]
    order = np.lexsort((rows, of_node))
    rows = rows[order]
    kinds = np.array([TRADES, COLLATERAL, FLOWS])[np.searchsorted([n_members, n_members + n_nodes], rows, side="right")]
    keys = _keys(groups, nodes, rows, n_members)
    is_trades = rows < n_members
    covered = np.where(is_trades, counts[np.minimum(rows, n_members - 1), 1], 1)
    empty = covered == 0
    positions = np.where(is_trades, counts[np.minimum(rows, n_members - 1), 0], 0)
    status = _status(np.stack([np.where(is_trades, positions, 1), covered], axis=1))
    summary = pa.table(
        {
            **keys,
            PART: pa.array(kinds),
            "positions": pa.array(positions),
            "covered": pa.array(np.where(is_trades, covered, 0)),
            "status": status,
            "epe": _null(epe[rows], empty),
            last: _null(ead[rows], empty),
        }
    )
    n_dates = len(figures.dates)
    repeat = pa.array(np.repeat(np.arange(len(rows)), n_dates))
    by_date = pa.table(
        {
            **{c: v.take(repeat) for c, v in keys.items()},
            PART: pa.array(kinds).take(repeat),
            "date": pa.array(list(figures.dates) * len(rows), pa.date32()),
            "years": pa.array(np.tile(figures.times, len(rows))),
            **{c: _null(v[:, rows].T.reshape(-1), np.repeat(empty, n_dates)) for c, v in columns.items()},
        }
    )
    whole = dataclasses.replace(opened, notes=opened.notes)
    total = {"positions": int(counts[:, 0].sum()), "covered": int(counts[:, 1].sum())}
    return ProfileTables(whole, nodes, figures, by_date, summary, total)


def _keys(groups: Groups, nodes: Nodes, rows: Ints, n_members: int) -> dict[str, pa.Array]:
    """The dimensions of each row; what is no trade has those of its node alone."""
    n_nodes = nodes.groups.n
    keys = {}
    for name in groups.keys.column_names:
        own = groups.keys[name].combine_chunks()
        if name in nodes.by:
            of_node = nodes.groups.keys[name].combine_chunks()
            both = pa.concat_arrays([own, of_node, of_node])
        else:
            both = pa.concat_arrays([own, pa.nulls(2 * n_nodes, own.type)])
        keys[name] = both.take(pa.array(rows))
    assert n_members == groups.n
    return keys
