"""What a change of the book does to VaR, ES and other measures: before and after, by any dimension and change by change.

Let p be the P&L of a group before, d that of the change, both by scenario.

- incremental: measure(p + d) - measure(p), the whole effect;
- marginal: -sum_s w_s d_s with the tail weights w of the group before, the slope of the measure in the direction of the
  change (Euler; Tasche 1999), which is what a small change of the kind adds; marginals of the changes add up, incrementals
  need not.

P&L is additive, so p + d needs the vectors of the changed trades alone; p is kept between questions. Where more than an
eighth of the positions change, the positions that stay are netted anew instead: their P&L then carries no rounding of what
has left. Either way the numbers are those of a whole recomputation within 1e-12 of the sum of the absolute P&L of the
positions, and the same bits on any number of threads. Nothing is written.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.answer import Answer, called
from aggregation.book.book import Book
from aggregation.book.changes import Changes, Edits, added_rows, describe, edit, find
from aggregation.book.filters import select
from aggregation.kernels.fixed_sums import row_dots
from aggregation.measures import AskedMeasure, asked_measures, interval_confidence
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import failed_in_words
from aggregation.reduce.grouping import group_by
from aggregation.reduce.product import by_rows
from aggregation.reduce.selection import Selection, exchange_rates, open_selection, scenario_pnl
from aggregation.risk.query import calendar_notes, standing_still, stated_horizon, worst_loss_notes
from aggregation.risk.sampling_error import change_in_words, difference_interval, interval, interval_notes, resamples_of
from aggregation.types import Coverage, RiskQuery
from aggregation.whatif.additions import added_trades
from lake.arrays import Floats, Ints
from lake.canonical import digest
from lake.errors import BadInput, counted
from valuation.types import PnLBlock, failures_in_words

KEPT_BYTES = 32 << 20  # P&L of the groups of one question kept for the next change
MOST_BYTES = 256 << 20  # P&L of the groups that a change touches
MOST_ITEMS = 1000  # changes that are measured one by one
WHOLE_SHARE = 8  # from one position in so many on, what stays is netted anew


@dataclass(frozen=True)
class WhatIf(Answer):
    """`rows` has one row a group that the changes touch, sorted by group: the `by` columns, `change` (both, new or gone),
    positions, status and base value `_before` and `_after`, and for every measure `<name>_before`, `<name>_after`,
    `<name>_incremental` and, where it splits, `<name>_marginal`; with an interval asked for, `_after_low`, `_after_high`,
    `_incremental_low` and `_incremental_high`. `total` has the same for all groups together.

    `items` has one row a change: kind, what, positions, covered, base_value and for every measure `<name>_standalone` (of
    the change alone), `<name>_incremental` and `<name>_marginal` of the total. Money is in the reporting currency;
    losses are positive in VaR and ES. `failures` are added trades that have no value, with the reason: they are in no number.
    """

    query: RiskQuery
    rows: pa.Table
    total: Mapping[str, Any]
    items: pa.Table
    before: Coverage = field(metadata=called("coverage_before"))
    after: Coverage = field(metadata=called("coverage_after"))
    failures: tuple[Mapping[str, str], ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def unknown_contracts(inputs: Inputs, changes: Changes) -> pa.Table:
    """The contracts of the additions for which the valuation set has neither a vector nor a failure."""
    ids = changes.contracts["contract_id"].combine_chunks()
    known = find(inputs.vectors.contract_ids, ids)[1] | find(inputs.vectors.failures.column("contract_id"), ids)[1]
    return changes.contracts.filter(pa.array(~known))


def what_if(
    inputs: Inputs,
    query: RiskQuery,
    changes: Changes,
    valued: PnLBlock | None = None,
    threads: int | None = None,
) -> WhatIf:
    """What the changes do to the answer of `query`, whose `inputs` were opened by `open_inputs`.

    valued : vectors of the contracts that `unknown_contracts` names, under the scenarios of the inputs; what it lacks is
    missing. Raises `BadInput` for unknown names, filters and measures, `Conflict` for trades that are there already.
    """
    asked = asked_measures(query)
    if query.scale_to_days is not None:
        asked = [a.over(stated_horizon(inputs)) for a in asked]
    selection = open_selection(inputs, query)
    change = make_change(selection, query, changes, valued)
    n = len(change.places)
    if (n + 1) * inputs.n_scenarios * 8 > MOST_BYTES:
        raise BadInput(
            f"The changes touch {n:,} groups in {inputs.n_scenarios:,} scenarios; group by fewer dimensions, filter, or "
            "change less at once."
        )
    base, pnl = before = _before(selection, change.places, threads)
    moved = change.pnl(threads)
    if change.netted_anew:
        stays = _staying(selection, change.edits, change.places, threads)
        added = change.pnl(threads, change.added)
        after = (stays[0] + added[0], stays[1] + added[1])
    else:
        after = (base + moved[0], pnl + moved[1])
    held = _counts(selection, change.places)
    counts = (held, held + change.counts)
    figures = {
        **_measured(asked, inputs, before, counts[0], "before"),
        **_measured(asked, inputs, after, counts[1], "after"),
        **_slopes(asked, inputs, pnl, moved[1], counts[0]),
        **_intervals(asked, query, inputs, pnl, after[1], counts),
    }
    rows, total = _table(change.keys, counts, asked, figures)
    described = describe(changes)
    items = _items(change, described[:MOST_ITEMS], asked, inputs, pnl[-1:], bool(counts[0][-1, COVERED]), threads)
    coverage = [Coverage(int(c[-1].sum()), *map(int, c[-1])) for c in counts]
    failures = failures_of(inputs, changes, valued)
    question = {"query": query.model_dump(mode="json"), "changes": {**changes.rules, "add": added_rows(changes)}}
    legs = {c: path for part in (selection, *change.parts) for c, path in part.rates.legs.items()}
    return WhatIf(
        query=query,
        rows=rows if query.by else pa.Table.from_pylist([total]),
        total=total,
        items=items,
        before=coverage[0],
        after=coverage[1],
        failures=failures,
        receipt=make_receipt(
            "what_if",
            question,
            inputs,
            digest(*(part for name, values in figures.items() for part in (name, values.tobytes()))),
            changes_digest=changes.digest(),
            estimator=query.estimator,
            levels=list(query.levels),
            currency=query.currency,
            exchange_rates={c: [[factor, power] for factor, power in path] for c, path in legs.items()},
            computed="netted anew" if change.netted_anew else "added to what is kept",
            valued_for_this=[] if valued is None else list(valued.contract_ids),
        ),
        notes=(
            *_notes(selection, change, coverage[1], failures, len(described)),
            *worst_loss_notes(inputs.n_scenarios, [a.level for a in asked if a.level is not None]),
            *standing_still(inputs, asked, after[1][-1:] if counts[1][-1, COVERED] else after[1][:0]),
            *calendar_notes(selection, query.as_of),
            *_words_on_sampling(asked, query, inputs, total),
        ),
    )


# --- what stays -------------------------------------------------------------------------------------------------------


def _before(selection: Selection, places: Ints, threads: int | None) -> tuple[Floats, Floats]:
    """Base and P&L of these groups and, last, of the total, before any change; zeros for -1.

    The P&L of all groups is kept by `scenario_pnl` for the next change, where they are few enough.
    """
    n = selection.groups.n
    if (n + 1) * selection.inputs.n_scenarios * 8 > KEPT_BYTES:
        base, pnl = _of_groups(selection, places, threads)
        of_all = scenario_pnl(selection, n, 1, threads)
        return np.append(base, of_all[0]), np.vstack([pnl, of_all[1]])
    base, pnl = scenario_pnl(selection, 0, n + 1, threads)
    index = np.append(places, n)
    there = index >= 0
    return np.where(there, base[index], 0.0), np.where(there[:, None], pnl[index], 0.0)


def _counts(selection: Selection, places: Ints) -> Ints:
    """Positions covered, failed and missing of these groups and, last, of the total; zeros for -1."""
    there = (places >= 0)[:, None]
    return np.vstack([np.where(there, selection.counts[places], 0), selection.counts[-1:]])


def _places(before: Selection, keys: Sequence[tuple[Any, ...]]) -> Ints:
    """Number of each group before, -1 where there is none."""
    groups = before.groups
    if not groups.keys.num_columns:
        return np.zeros(len(keys), dtype=np.int64)
    if len(keys) * 20 > groups.n:
        number = {k: i for i, k in enumerate(_keys(groups.keys, groups.n))}
        return np.array([number.get(k, -1) for k in keys], dtype=np.int64)
    there = []
    for key in keys:
        same = functools.reduce(
            pc.and_, (_same(groups.keys[c], v) for c, v in zip(groups.keys.column_names, key, strict=True))
        )
        there.append(pc.index(same, True).as_py())
    return np.array(there, dtype=np.int64)


def _same(column: pa.ChunkedArray, value: str | None) -> pa.ChunkedArray:
    return column.is_null() if value is None else pc.fill_null(pc.equal(column, value), False)


def _of_groups(selection: Selection, places: Ints, threads: int | None) -> tuple[Floats, Floats]:
    """Base and P&L of these groups, zeros for -1; positions of other groups are not looked at."""
    n = len(places)
    number = np.full(selection.groups.n + 1, -1, dtype=np.int32)
    number[places[places >= 0]] = np.flatnonzero(places >= 0)
    group = np.where(selection.groups.group >= 0, number[selection.groups.group], np.int32(-1))
    part = dataclasses.replace(selection, groups=dataclasses.replace(selection.groups, group=group, n=n))
    return scenario_pnl(part, 0, n, threads)


def _staying(selection: Selection, edits: Edits, places: Ints, threads: int | None) -> tuple[Floats, Floats]:
    """Base and P&L of what is left of these groups and of the total after removals and scalings, netted anew."""
    inputs = selection.inputs
    rows = np.flatnonzero(edits.alive)
    held = np.add.reduceat(np.append(edits.alive, False).astype(np.int64), inputs.book.starts[:-1])
    book = dataclasses.replace(
        inputs.book,
        starts=np.concatenate([[0], np.cumsum(held)]).astype(np.int64),
        quantity=edits.left[rows],
        columns={},
    )
    groups = dataclasses.replace(selection.groups, group=selection.groups.group[rows])
    left = dataclasses.replace(selection, inputs=dataclasses.replace(inputs, book=book), groups=groups)
    base, pnl = _of_groups(left, places, threads)
    base_of_all, pnl_of_all = scenario_pnl(left, groups.n, 1, threads)
    return np.append(base, base_of_all), np.vstack([pnl, pnl_of_all])


def _keys(table: pa.Table, n: int) -> list[tuple[Any, ...]]:
    """The members of each of n groups; empty ones where nothing is grouped by."""
    if not table.num_columns:
        return [()] * n
    return list(zip(*(table[c].to_pylist() for c in table.column_names), strict=True))


# --- what changes -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """The changed trades, as books of their own: what is taken out is in `taken` with its sign turned.

    keys, places : the groups that are touched, sorted, and their numbers before, -1 where new. parts : `taken` are the
    positions that were there, `added` the additions with vectors of the valuation set and with those valued now; their
    groups are numbered as in `keys`. items : number of the change of each position of each part. counts : (n_groups + 1, 3)
    by how much positions covered, failed and missing change, the total last. outside : positions the filters leave out.
    """

    keys: pa.Table
    places: Ints
    taken: Selection
    added: tuple[Selection, ...]
    items: tuple[npt.NDArray[np.int64], ...]
    counts: Ints
    edits: Edits
    netted_anew: bool
    outside: int

    @property
    def parts(self) -> tuple[Selection, ...]:
        return (self.taken, *self.added)

    def pnl(self, threads: int | None, parts: Sequence[Selection] | None = None) -> tuple[Floats, Floats]:
        """Base value and P&L of the change by group and, last, in total."""
        n = len(self.places) + 1
        return _sum([scenario_pnl(part, 0, n, threads) for part in (self.parts if parts is None else parts)])

    def pnl_of_items(self, n: int, threads: int | None = None) -> tuple[Floats, Floats]:
        """Base value and P&L of each of the first n changes by itself."""
        alone = []
        for part, item in zip(self.parts, self.items, strict=True):
            group = np.where((part.groups.group >= 0) & (item < n), item, -1).astype(np.int32)
            groups = dataclasses.replace(part.groups, group=group, n=n)
            alone.append(scenario_pnl(dataclasses.replace(part, groups=groups), 0, n, threads))
        return _sum(alone)


def _sum(parts: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """The parts added in their order."""
    base, pnl = parts[0]
    for more_base, more_pnl in parts[1:]:
        base, pnl = base + more_base, pnl + more_pnl
    return base, pnl


def make_change(before: Selection, query: RiskQuery, changes: Changes, valued: PnLBlock | None) -> Change:
    """The changes upon the selection `before` of the same query; raises as `what_if` does."""
    inputs = before.inputs
    edits = edit(inputs.book, changes)
    book, positions = _part_of(inputs.book, edits.rows, edits.quantity)
    contract = np.repeat(np.arange(len(inputs.book.contract_ids)), np.diff(book.starts))
    state_taken = inputs.alignment.state[contract]
    group_taken = before.groups.group[edits.rows[positions]]
    item_taken, sign = edits.item[positions].astype(np.int64), edits.kind[positions].astype(np.int64)

    more = added_trades(before, query, changes, valued)
    added, parts, state_added = more.book, more.parts, more.state
    is_added = more.item >= 0
    keep = select(added, query.where) & is_added
    groups = group_by(added, query.by, keep)

    # one numbering of the groups for all parts
    touched = np.unique(group_taken[group_taken >= 0])
    names = before.groups.keys
    keys_taken = _keys(names.take(pa.array(touched)) if names.num_columns else names, len(touched))
    keys_added = _keys(groups.keys, groups.n)
    keys = sorted({*keys_taken, *keys_added}, key=lambda k: [(v is None, v or "") for v in k])
    number = {k: i for i, k in enumerate(keys)}
    of_taken = np.full(before.groups.n + 1, -1, dtype=np.int32)
    of_taken[touched] = [number[k] for k in keys_taken]
    of_added = np.array([*(number[k] for k in keys_added), -1], dtype=np.int32)
    n = len(keys)
    group_taken, group_added = of_taken[group_taken], of_added[groups.group]
    counts = np.zeros((n + 1, 3), dtype=np.int64)
    for group, state, by in ((group_taken, state_taken, sign), (group_added, state_added, is_added.astype(np.int64))):
        passed = group >= 0
        np.add.at(counts, (group[passed], state[passed]), by[passed])
    counts[-1] = counts[:-1].sum(axis=0)

    table = pa.table({name: pa.array([k[i] for k in keys], pa.string()) for i, name in enumerate(query.by)})
    n_rules = len(changes.remove) + len(changes.scale) + int(changes.replace)
    item_added = n_rules + more.item
    taken = dataclasses.replace(
        before,
        inputs=dataclasses.replace(inputs, book=book),
        groups=dataclasses.replace(before.groups, group=group_taken, keys=table, n=n),
    )
    additions = tuple(
        Selection(
            p,
            keep,
            dataclasses.replace(groups, group=group_added, n=n),
            counts,
            exchange_rates(p, keep, query.currency),
        )
        for p in parts
    )
    return Change(
        keys=table,
        places=_places(before, keys),
        taken=taken,
        added=additions,
        items=(item_taken, *(item_added for _ in parts)),
        counts=counts,
        edits=edits,
        netted_anew=WHOLE_SHARE * len(edits.rows) > inputs.book.n_positions,
        outside=int((group_taken < 0).sum() + (group_added[is_added] < 0).sum()),
    )


def _part_of(book: Book, rows: Ints, quantity: Floats) -> tuple[Book, Ints]:
    """A book of these positions alone, which may stand several times, with other quantities; and their order in it."""
    order = np.argsort(rows, kind="stable")
    contract = np.searchsorted(book.starts, rows[order], side="right") - 1
    held = np.bincount(contract, minlength=len(book.contract_ids))
    starts = np.concatenate([[0], np.cumsum(held)]).astype(np.int64)
    return dataclasses.replace(book, starts=starts, quantity=quantity[order], columns={}), order


def failures_of(inputs: Inputs, changes: Changes, valued: PnLBlock | None) -> tuple[Mapping[str, str], ...]:
    """The added trades whose contract has no value, with the reason."""
    known = inputs.vectors.failures
    ids = changes.contracts["contract_id"].combine_chunks()
    of = {r["contract_id"]: r for r in known.filter(pc.is_in(known.column("contract_id"), value_set=ids)).to_pylist()}
    of |= {f.contract_id: {"reason": f.reason, "message": f.message} for f in (valued.failures if valued else ())}
    added = zip(changes.added["trade"].to_pylist(), changes.added["contract_id"].to_pylist(), strict=True)
    return tuple(
        {"trade": t, "contract_id": c, "reason": of[c]["reason"], "message": of[c]["message"]}
        for t, c in added
        if c in of
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def _measured(
    asked: Sequence[AskedMeasure], inputs: Inputs, pnl_of: tuple[Floats, Floats], counts: Ints, when: str
) -> dict[str, Floats]:
    """Base value and measures by group and of the total; NaN where nothing is covered."""
    base, pnl = pnl_of
    valid = counts[:, COVERED] > 0
    figures = {f"base_value_{when}": np.where(valid, base, np.nan)}
    for a in asked:
        figures[f"{a.name}_{when}"] = values = np.full(len(base), np.nan)
        if valid.any():
            values[valid] = measure_of(a, inputs.weights, pnl[valid])
    return figures


def measure_of(asked: AskedMeasure, weights: Floats | None, pnl: Floats) -> Floats:
    """The measure of each row of P&L; raises `BadInput` where it is not defined."""
    return by_rows(functools.partial(asked.values, weights=weights), pnl)


def _tail(asked: AskedMeasure, weights: Floats | None, pnl: Floats) -> Floats | None:
    """Tail weights of each row of P&L; None where the measure has none."""
    if asked.measure.tail_weights is None:
        return None
    try:
        return asked.tail_weights(pnl, weights)
    except BadInput:  # not defined for weighted scenarios and this estimator: there is a figure, but it has no slope
        return None


def _slopes(
    asked: Sequence[AskedMeasure], inputs: Inputs, before: Floats, moved: Floats, counts: Ints
) -> dict[str, Floats]:
    """-sum_s w_s d_s of each group and the total, for the measures that split; NaN where there was no number before."""
    valid = counts[:, COVERED] > 0
    slopes = {}
    for a in asked:
        tail = _tail(a, inputs.weights, before)
        if tail is not None:
            slopes[f"{a.name}_marginal"] = np.where(valid, 0.0 - row_dots(tail, moved), np.nan)
    return slopes


def _intervals(
    asked: Sequence[AskedMeasure],
    query: RiskQuery,
    inputs: Inputs,
    before: Floats,
    after: Floats,
    counts: tuple[Ints, Ints],
) -> dict[str, Floats]:
    """Sampling intervals, where they are asked for: of each figure afterwards, and of its change by the same resamples."""
    confidence = interval_confidence(query)
    if confidence is None:
        return {}
    resamples, weights = resamples_of(inputs), inputs.weights
    held = counts[1][:, COVERED] > 0
    # a side that holds nothing has a P&L of zero; one that holds something without a number leaves the change open
    both = [(c[:, COVERED] > 0) | (c.sum(axis=1) == 0) for c in counts]
    moved = both[0] & both[1]
    ends: dict[str, Floats] = {}
    for a in asked:
        names = [f"{a.name}_{what}_{end}" for what in ("after", "incremental") for end in ("low", "high")]
        ends |= {name: np.full(len(held), np.nan) for name in names}
        if held.any():
            ends[names[0]][held], ends[names[1]][held] = interval(a, after[held], weights, confidence, resamples)
        if moved.any() and a.measure.sampled:
            sides = ((before[moved], weights), (after[moved], weights))
            pair = (resamples, resamples)
            ends[names[2]][moved], ends[names[3]][moved] = difference_interval(a, *sides, pair, confidence)
    return ends


def _table(
    keys: pa.Table, counts: tuple[Ints, Ints], asked: Sequence[AskedMeasure], figures: Mapping[str, Floats]
) -> tuple[pa.Table, dict[str, Any]]:
    """A row a group, and the total."""
    there = [c.sum(axis=1) > 0 for c in counts]
    change = np.where(there[0] & there[1], "both", np.where(there[1], "new", "gone"))
    columns: dict[str, Any] = {"change": pa.array(change, pa.string())}
    for when, held in zip(("before", "after"), counts, strict=True):
        columns[f"positions_{when}"] = pa.array(held.sum(axis=1))
        columns[f"status_{when}"] = pa.array([_status(c) for c in held], pa.string())
    for name in ("base_value", *(a.name for a in asked)):
        was, now = figures[f"{name}_before"], figures[f"{name}_after"]
        # a side that holds nothing counts as zero; one that holds something without a number leaves the change open
        moved = np.where(there[1], now, 0.0) - np.where(there[0], was, 0.0)
        columns |= {f"{name}_before": _nullable(was), f"{name}_after": _nullable(now)}
        columns[f"{name}_{'change' if name == 'base_value' else 'incremental'}"] = _nullable(moved)
        for more in ("marginal", "after_low", "after_high", "incremental_low", "incremental_high"):
            if f"{name}_{more}" in figures:
                columns[f"{name}_{more}"] = _nullable(figures[f"{name}_{more}"])
    n = keys.num_rows if keys.num_columns else len(counts[0]) - 1
    total = {name: values[-1].as_py() for name, values in columns.items()}
    rows = {**dict(zip(keys.column_names, keys.columns, strict=True)), **{k: v[:n] for k, v in columns.items()}}
    return pa.table(rows), total


def _status(counts: npt.NDArray[np.int64]) -> str | None:
    held = Coverage(int(counts.sum()), *map(int, counts))
    return held.status if held.positions else None


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _items(
    change: Change,
    described: Sequence[Mapping[str, Any]],
    asked: Sequence[AskedMeasure],
    inputs: Inputs,
    before: Floats,
    valid: bool,
    threads: int | None,
) -> pa.Table:
    """Each change by itself: alone, on top of the total before, and its slope there. `before` is (1, n_scenarios)."""
    n = len(described)
    positions, covered = np.zeros((2, n), dtype=np.int64)
    for number, (part, item) in enumerate(zip(change.parts, change.items, strict=True)):
        state = np.repeat(part.inputs.alignment.state, np.diff(part.inputs.book.starts))
        passed = (part.groups.group >= 0) & (item < n)
        if number < 2:  # the second of the added parts holds the same positions as the first
            np.add.at(positions, item[passed], 1)
        np.add.at(covered, item[passed & (state == COVERED)], 1)
    base, pnl = change.pnl_of_items(n, threads)
    measured = covered > 0
    columns: dict[str, pa.Array] = {
        "kind": pa.array([d["kind"] for d in described], pa.string()),
        "what": pa.array([d["what"] for d in described], pa.string()),
        "positions": pa.array(positions),
        "covered": pa.array(covered),
        "base_value": pa.array(base, mask=~measured),
    }
    on_total = pa.array(np.zeros(n), mask=np.ones(n, dtype=np.bool_))  # null where the total had no number
    for a in asked:
        columns[f"{a.name}_standalone"] = pa.array(measure_of(a, inputs.weights, pnl), mask=~measured)
        columns[f"{a.name}_incremental"] = on_total
        if valid:
            on_top = measure_of(a, inputs.weights, before + pnl) - measure_of(a, inputs.weights, before)
            columns[f"{a.name}_incremental"] = pa.array(on_top, mask=~measured)
        tail = _tail(a, inputs.weights, before)
        if tail is not None:
            slope = pa.array(0.0 - row_dots(pnl, tail), mask=~measured)
            columns[f"{a.name}_marginal"] = slope if valid else on_total
    return pa.table(columns)


def _words_on_sampling(
    asked: Sequence[AskedMeasure], query: RiskQuery, inputs: Inputs, total: Mapping[str, Any]
) -> list[str]:
    """How intervals were made, and which changes of the total stand out of the sampling error."""
    confidence = interval_confidence(query)
    if confidence is None:
        return []
    words = list(interval_notes(asked, inputs, confidence, resamples_of(inputs)))
    for a in asked:
        change, low, high = (total.get(f"{a.name}_incremental{end}") for end in ("", "_low", "_high"))
        if change is not None and low is not None and high is not None:
            words.append(f"The change of {a.name} is {change_in_words(change, low, high, confidence)}.")
    return words


def _notes(
    selection: Selection, change: Change, after: Coverage, failures: Sequence[Mapping[str, str]], n_items: int
) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    notes, inputs = [], selection.inputs
    if inputs.scenarios.synthetic:
        notes.append("The market data is synthetic.")
    if failures:
        why = failures_in_words((f["reason"], f["message"], 1) for f in failures)
        one, many = (
            "added trade is not in the numbers: its contract has",
            "added trades are not in the numbers: their contracts have",
        )
        notes.append(f"{counted(len(failures), one, many)} no value. {why}")
    if (out := after.failed + after.missing) > len(failures):
        notes.append(
            f"{out:,} of {after.positions:,} positions after the change {'is' if out == 1 else 'are'} not in the numbers; "
            f"coverage says how many failed. {failed_in_words(selection)}".rstrip()
        )
    if inputs.scenarios.held or inputs.scenarios.proxied:
        notes.append(
            "Some risk factors keep an earlier level or move by a proxy; the question var says which and how many positions rest "
            "on them."
        )
    if change.outside:
        many = "changed positions do not pass the filters and are"
        notes.append(
            f"{counted(change.outside, 'changed position does not pass the filters and is', many)} in no number."
        )
    if n_items > MOST_ITEMS:
        notes.append(f"Of {n_items:,} changes the first {MOST_ITEMS:,} are measured one by one.")
    return tuple(notes)
