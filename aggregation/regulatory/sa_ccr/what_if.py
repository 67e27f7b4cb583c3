"""The question `sa-ccr-what-if`: exposures at default before and after trades are added, removed and scaled.

Only the netting sets that the changes touch are computed again, from sums that are kept; see `portfolio.changed`. The figures are those
of the whole computed anew, to the bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from aggregation.answer import Answer
from aggregation.book.changes import Changes, edit
from aggregation.book.filters import select
from aggregation.exposure.netting_sets import NettingSets, base_rates, netting_sets
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED
from aggregation.question import Question
from aggregation.regulatory.sa_ccr.classing import CLASSED, UnitRows, unit_rows
from aggregation.regulatory.sa_ccr.ead import (
    OUT_OF_SCOPE,
    NettedExposures,
    SaCcrQuery,
    Trades,
    context_of,
    ead_by_netting_set,
    exceptions,
    margins_of,
    receipt_of,
    with_shift,
)
from aggregation.regulatory.sa_ccr.portfolio import Entity, Margins, Position, changed
from aggregation.regulatory.sa_ccr.question import found_rule, price_of, rule_of
from aggregation.session import Session
from aggregation.types import DimensionName, as_model
from aggregation.whatif.additions import book_of_added
from aggregation.whatif.request import ChangeRequest, changes_of, value_new
from lake.errors import counted
from valuation.types import Contract, PnLBlock, ValuationFailure, failures_in_words

_FIGURES = ("ead", "rc", "pfe")


@dataclass
class Touched:
    """What changes in a netting set. positions, values : of what leaves, with its sign turned, and of what comes. trades : by how many
    more it has. notional, years : by how much more of notional, and of notional times residual maturity, as `ead.maturity_sums` adds
    them. comes : the trades that come, and rule, the one that holds for a trade alone.
    """

    code: int | None
    counterparty: str | None
    legal_entity: str | None
    positions: list[Position] = dataclasses.field(default_factory=list)
    values: list[float] = dataclasses.field(default_factory=list)
    trades: int = 0
    notional: float = 0.0
    years: float = 0.0
    comes: list[tuple[Contract, float]] = dataclasses.field(default_factory=list)
    margins: Margins | None = None
    rule: str | None = None


class SaCcrWhatIfQuery(ChangeRequest, SaCcrQuery):
    """A question of exposure at default, and what to remove, scale and add before it is asked again."""

    by: tuple[DimensionName, ...] = Field((), max_length=0, description="none: a row is a netting set that is touched")


@dataclass(frozen=True)
class SaCcrWhatIf(Answer):
    """rows : a row a netting set that is touched, sorted: netting_set, counterparty, legal_entity, change (both, new or gone), trades,
    and ead, rc and pfe before, after and their difference, in the reporting currency. total : ead before and after of all netting sets,
    touched or not. failures : added contracts without an exposure, which are in no figure.
    """

    query: SaCcrWhatIfQuery
    rows: pa.Table
    total: Mapping[str, float]
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Added:
    """Added trades that the filters leave: contract, quantity and value of one unit in the reporting currency, NaN where it has none."""

    contracts: tuple[Contract, ...]
    units: UnitRows
    worth: Mapping[str, float]
    why: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class ChangedExposures:
    """Netting sets before and after changes. found : before. touched : by name; rows : of the answer, in the order of the names.
    failures : added contracts without an exposure. notes : of what was found, and of the changes."""

    found: NettedExposures
    touched: Mapping[str, Touched]
    rows: tuple[Mapping[str, Any], ...]
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


def _answer(session: Session, query: SaCcrWhatIfQuery) -> SaCcrWhatIf:
    made = changed_exposures(session, query)
    before = float(made.found.exposures.ead[made.found.in_scope].sum())
    difference = sum(row["ead_difference"] for row in made.rows)
    return SaCcrWhatIf(
        query,
        pa.Table.from_pylist([dict(row) for row in made.rows], schema=_SCHEMA),
        {"ead_before": before, "ead_after": before + difference, "ead_difference": difference},
        made.failures,
        made.receipt,
        made.notes,
    )


def changed_exposures(session: Session, query: SaCcrWhatIfQuery) -> ChangedExposures:
    """The netting sets that the changes touch, before and after; raises as `ead_by_netting_set` and `changes_of` do."""
    found = ead_by_netting_set(session, as_model(SaCcrQuery, query))
    changes = changes_of(as_model(ChangeRequest, query), found.inputs)
    added = _added(found, changes, value_new(found.inputs, changes, query.currency))
    together = {
        name: max(found.units.shift.get(name, 0.0), added.units.shift.get(name, 0.0))
        for name in sorted({*found.units.shift, *added.units.shift})
    }
    lifted = any(together[name] != shift for name, shift in found.units.shift.items())
    if lifted:
        found = with_shift(found, together)
    added = dataclasses.replace(added, units=added.units.shifted(found.parameters.rules, together))
    touched, failures, outside = _touched(session, found, changes, added)
    rows = tuple(_row(found, name, touched[name]) for name in sorted(touched))
    notes = [*found.notes]
    if lifted:
        notes.append(
            "The added options lift the rates and prices that are not positive further; the figures before are with that lift too."
        )
    if failures:
        why = failures_in_words((f.reason, f.message, 1) for f in failures)
        notes.append(
            f"{counted(len(failures), 'added contract has', 'added contracts have')} no exposure and no part in the figures. {why}"
        )
    if outside:
        notes.append(
            f"{counted(outside, 'added position is', 'added positions are')} left out: not in the filters, or no derivative."
        )
    receipt = {**receipt_of(found), "changes_digest": changes.digest()}
    return ChangedExposures(found, touched, rows, tuple(failures), receipt, tuple(notes))


_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("netting_set", "counterparty", "legal_entity", "change", "rule_before", "rule_after")
        ),
        ("trades_before", pa.int64()),
        ("trades_after", pa.int64()),
        *((f"{name}_{when}", pa.float64()) for name in _FIGURES for when in ("before", "after", "difference")),
    ]
)


def _added(found: NettedExposures, changes: Changes, valued: PnLBlock | None) -> _Added:
    """The added contracts with their rows and values."""
    inputs, query = found.inputs, found.query
    contracts = tuple(Contract.of(changes.contracts))
    units = unit_rows(context_of(inputs, query, found.parameters), contracts)
    vectors, worth, why = inputs.vectors, dict[str, float](), dict[str, tuple[str, str]]()
    ids = pa.array([c.contract_id for c in contracts], pa.string())
    places = pc.index_in(ids, vectors.contract_ids).to_pylist()
    bases = {
        i: (float(vectors.base[p]), vectors.currencies[vectors.currency[p]])
        for i, p in zip(ids.to_pylist(), places, strict=True)
        if p is not None
    }
    if valued is not None:
        bases |= {i: (float(b), c) for i, b, c in zip(valued.contract_ids, valued.base, valued.currencies, strict=True)}
        why |= {f.contract_id: (f.reason, f.message) for f in valued.failures}
    rates = base_rates(inputs, sorted({c for _, c in bases.values()}), query.currency)
    for contract_id, (base, currency) in bases.items():
        worth[contract_id] = base * rates[currency]
    failed = vectors.failures
    for i, reason, message in zip(
        *(failed.column(c).to_pylist() for c in ("contract_id", "reason", "message")), strict=True
    ):
        why.setdefault(i, (reason, message))
    return _Added(contracts, units, worth, why)


def _touched(
    session: Session, found: NettedExposures, changes: Changes, added: _Added
) -> tuple[dict[str, Touched], list[ValuationFailure], int]:
    """What the changes do to each netting set; the added contracts without an exposure; how many additions are left out."""
    out: dict[str, Touched] = {}
    _taken(found, changes, out)
    book, order = book_of_added(found.selection, found.query, changes)
    is_new = order >= len(order) - changes.added.num_rows
    keep = select(book, found.query.where) & is_new
    outside = int((is_new & ~keep).sum())
    failures: dict[str, ValuationFailure] = {}
    if not keep.any():
        return out, [], outside
    nets = netting_sets(
        found.inputs.snapshot, session.cache, book, keep, found.query.agreed_on, found.query.balanced_on
    )
    place = {c.contract_id: i for i, c in enumerate(added.contracts)}
    ids = book.contract_ids.to_pylist()
    known = {name: code for code, name in enumerate(found.nets.ids)}
    for position, code in zip(nets.position.tolist(), nets.code.tolist(), strict=True):
        contract_id = ids[int(np.searchsorted(book.starts, position, side="right")) - 1]
        at = place[contract_id]
        contract = added.contracts[at]
        if isinstance(CLASSED.get(contract.instrument_type), str):
            outside += 1
            continue
        if at in added.units.failed or contract_id not in added.worth:
            reason, message = (
                added.why.get(contract_id) or added.units.failed.get(at) or ("not_valued", "It has no value.")
            )
            failures[contract_id] = ValuationFailure(contract_id, contract.instrument_type, reason, message)
            continue
        name = nets.ids[code]
        touched = out.setdefault(name, Touched(known.get(name), nets.counterparties[code], nets.legal_entities[code]))
        _count(touched, contract, float(book.quantity[position]), added.worth[contract_id], added.units, at)
    for code, name in enumerate(nets.ids):
        if name in out and out[name].code is None:
            out[name].margins = _margins(found, nets, code, out[name])
    return out, [failures[i] for i in sorted(failures)], outside


def _taken(found: NettedExposures, changes: Changes, out: dict[str, Touched]) -> None:
    """The trades that are removed or scaled: they leave, and come with what is left of them."""
    edits = edit(found.inputs.book, changes)
    rows = np.unique(edits.rows)
    rows = rows[found.selection.keep[rows]]
    for position, at in zip(rows.tolist(), np.searchsorted(found.trades.position, rows).tolist(), strict=True):
        if found.trades.state[at] != COVERED:
            continue
        code, place = int(found.trades.set_of[at]), int(found.trades.contract[at])
        nets = found.nets
        touched = out.setdefault(nets.ids[code], Touched(code, nets.counterparties[code], nets.legal_entities[code]))
        contract, quantity = found.contracts[place], float(found.trades.quantity[at])
        worth = _unit_value(found, position)
        _count(touched, contract, quantity, worth, found.units, place, leaves=True)
        if edits.alive[position]:
            _count(touched, contract, float(edits.left[position]), worth, found.units, place)


def _unit_value(found: NettedExposures, position: int) -> float:
    """Of one unit of what a position holds, in the reporting currency."""
    inputs, vectors = found.inputs, found.inputs.vectors
    row = inputs.alignment.row[int(np.searchsorted(inputs.book.starts, position, side="right")) - 1]
    return float(vectors.base[row] * found.selection.rates.base[vectors.currency[row]])


def _count(
    touched: Touched,
    contract: Contract,
    quantity: float,
    worth: float,
    units: UnitRows,
    place: int,
    leaves: bool = False,
) -> None:
    """Puts a trade among the changes of its netting set."""
    sign = -1.0 if leaves else 1.0
    for row in range(int(units.starts[place]), int(units.starts[place + 1])):
        notional = sign * float(units.notional[row] * quantity)
        touched.positions.append(Position(Entity.of(units.rows[row]), notional, float(units.factor[row])))
        size = sign * abs(units.rows[row].notional) * abs(quantity)
        touched.notional += size
        touched.years += size * units.rows[row].maturity
    touched.values.append(sign * (quantity * worth))
    touched.trades += -1 if leaves else 1
    if not leaves:
        touched.comes.append((contract, quantity))


def _margins(found: NettedExposures, nets: NettingSets, code: int, touched: Touched) -> Margins:
    """The margins of a netting set after the changes."""
    counts = np.zeros((1, 4), dtype=np.int64)
    if touched.code is not None:
        counts[0] = found.counts[touched.code]
    counts[0, COVERED] += touched.trades
    most = np.full(1, np.inf)
    if code >= len(nets.agreements) and touched.comes:
        contracts = tuple(c for c, _ in touched.comes)
        n = len(contracts)
        alone = Trades(
            np.arange(n),
            np.full(n, code, np.int32),
            np.arange(n),
            np.array([q for _, q in touched.comes]),
            np.zeros(n),
            np.full(n, COVERED, np.int32),
        )
        limits, why = exceptions(found.query, found.parameters, nets, alone, contracts, found.inputs)
        most[0], touched.rule = limits[code], why.get(code)
    return margins_of(found.query, found.parameters, nets, counts, found.inputs, most, [code])


def _row(found: NettedExposures, name: str, touched: Touched) -> dict[str, Any]:
    code = touched.code
    if code is None:
        assert touched.margins is not None
        after_margins = touched.margins
        before_margins = Margins.none(1)
    else:
        after_margins = _margins(found, found.nets, code, touched)
        before_margins = found.portfolio.margins.of(np.array([code]))
    before, after = changed(found.portfolio, code, touched.positions, touched.values, before_margins, after_margins)
    n = 0 if code is None else int(found.counts[code, :OUT_OF_SCOPE].sum())
    row: dict[str, Any] = {
        "netting_set": name,
        "counterparty": touched.counterparty,
        "legal_entity": touched.legal_entity,
        "change": "new" if n == 0 else "gone" if n + touched.trades == 0 else "both",
        "rule_before": found_rule(found, code) if code is not None and n else None,
        "rule_after": (touched.rule or rule_of(after, 0)) if n + touched.trades else None,
        "trades_before": n,
        "trades_after": n + touched.trades,
    }
    gone = n + touched.trades == 0
    for figure in _FIGURES:
        one = float(getattr(before.figures, figure)[0])
        other = 0.0 if gone else float(getattr(after.figures, figure)[0])
        row |= {f"{figure}_before": one, f"{figure}_after": other, f"{figure}_difference": other - one}
    return row


SA_CCR_WHAT_IF = Question(
    SaCcrWhatIfQuery,
    _answer,
    {"as_of": "2020-03-16", "scale": ["desk=Rates Options*0.5"]},
    plan_scope,
    value_scope,
    price=price_of,
)
