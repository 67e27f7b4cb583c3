"""Drill-through: from a node to its trades or contracts, in its tail scenarios.

Contributions of all positions are computed at once, and terms, P&L by scenario and reasons for the rows of the page only: a
page of a million positions costs one pass over the vectors in the tail scenarios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import Field, field_validator

from aggregation.answer import Answer
from aggregation.kernels.euler import exact_split, group_sums, position_parts, unit_contributions
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED, FAILED
from aggregation.opened.inputs import Inputs, open_inputs, scenario_labels
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import of_scope
from aggregation.question import Question, of_lake
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import coverage_columns, failed_in_words, total_coverage
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import standing_still, stated_horizon
from aggregation.types import Coverage, Label, RiskQuery, Whole
from lake.arrays import Codes, Floats, Ints
from lake.canonical import digest
from lake.errors import BY_PLAN, unknown
from lake.progress import allowance
from lake.tables import Lake
from scenarios.kernels.currency import converted_pnl
from valuation.books.contracts import contract_notes
from valuation.types import Contract

_FIGURES = ("contract_id", "quantity", "base_value", "contribution", "state", "reason", "message", "terms")
MOST_SCENARIOS = 20  # columns of P&L side by side
STATES = ("covered", "failed", "missing")
Per = Literal["trade", "contract"]
Order = Literal["loss", "gain", "name"]


class DrillQuery(RiskQuery):
    """A node, by its filters, and which of its trades or contracts to show. `by` stays empty."""

    scenarios: tuple[Label, ...] = Field(
        (), max_length=MOST_SCENARIOS, description="scenarios by label; default those of the measure's tail"
    )
    per: Per = Field("trade", description="a row a trade, or a row a contract with its net quantity")
    order: Order = Field(
        "loss", description="largest contribution to the loss first, or largest offset, or by trade or contract id"
    )
    first: Whole = Field(0, ge=0, description="rows to pass over")
    limit: Whole = Field(100, ge=1, le=10_000, description="rows to show")

    @field_validator("by")
    @classmethod
    def _empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            raise ValueError("a drill is into one node, which its filters name; leave by out")
        return value

    @field_validator("interval")
    @classmethod
    def _none(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError("a drill gives no sampling intervals; leave interval out")
        return value


@dataclass(frozen=True)
class DrillResult(Answer):
    """A page of the trades or contracts of a node.

    `rows` have, per trade, trade, contract_id, every dimension and quantity; per contract, contract_id, instrument_type,
    currency, trades and the net quantity. Both then have base_value, a column `pnl_<label>` for each scenario shown, gains
    positive, `contribution`, `state` (covered, failed or missing), reason and message of what is not covered, and the
    `terms`. `contribution` is -sum_s w_s P&L_s in the reporting currency, losses positive: with the tail weights of the
    measure it adds up over all rows to `value`; with scenarios named it is the mean loss in these.
    `scenarios` has the label, weight and P&L of the node in each scenario shown, worst first. `count` rows there are in all.
    """

    query: DrillQuery
    measure: str
    value: float | None
    rows: pa.Table
    scenarios: tuple[Mapping[str, Any], ...]
    count: int
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _ScenarioWeights:
    """What decides the contributions: the column it is of, its value, and the weight of each scenario, (n_scenarios,)."""

    name: str
    value: float | None
    weights: Floats
    shown: Ints
    notes: tuple[str, ...] = ()


def run_drill(
    lake: Lake, query: DrillQuery, *, cache: VectorCache | None = None, threads: int | None = None
) -> DrillResult:
    """The rows first to first + limit - 1 of the node; values nothing.

    Without scenarios the first measure at the first level decides: VaR as an order statistic rests on one scenario, ES on
    those of its tail. Raises as `run_query` does, and `BadInput` for a measure that is no sum over scenarios or for unknown
    scenario labels.
    """
    asked_measures(query)
    inputs = open_inputs(cache or VectorCache(lake), query)
    selection = open_selection(inputs, query)
    allowance().show(min(query.limit, inputs.book.n_positions), (*inputs.book.columns, *_FIGURES))
    _, pnl = scenario_pnl(selection, selection.groups.n, 1, threads)
    labels = scenario_labels(inputs)
    valid = bool(selection.counts[-1, 0])
    tail = _named_scenarios(query, labels) if query.scenarios else _measured(query, inputs, pnl, valid)
    parts = _contributions(selection, tail)
    per_trade = query.per == "trade"
    places, contribution = _by_trade(selection, parts) if per_trade else _by_contract(selection, parts)
    # contracts are sorted by id already
    name = inputs.book.columns["trade"].codes[places].astype(np.int64) if per_trade else places
    chosen = _page(query, contribution, name)
    rows = (_trade_rows if per_trade else _contract_rows)(selection, places[chosen])
    rows = _figures(selection, query, rows, places[chosen], tail, labels, contribution[chosen])
    return DrillResult(
        query=query,
        measure=tail.name,
        value=tail.value,
        rows=rows,
        scenarios=tuple(
            {"scenario": labels[s], "weight": float(tail.weights[s]), "pnl": float(pnl[0, s]) if valid else None}
            for s in tail.shown
        ),
        count=len(places),
        coverage=total_coverage(coverage_columns(selection)),
        receipt=make_receipt(
            "drill",
            query.model_dump(mode="json"),
            inputs,
            digest(rows["contribution"].to_numpy(zero_copy_only=False).tobytes(), *rows["contract_id"].to_pylist()),
        ),
        notes=(
            *tail.notes,
            *([f"Failed: {why}"] if (why := failed_in_words(selection)) else []),
            *contract_notes(Contract.of(rows), query.as_of),
        ),
    )


def _named_scenarios(query: DrillQuery, labels: Sequence[str]) -> _ScenarioWeights:
    place = {label: i for i, label in enumerate(labels)}
    for name in query.scenarios:
        if name not in place:
            raise unknown("scenario", name, _near(name, labels), pointer="scenarios")
    chosen = np.array([place[name] for name in dict.fromkeys(query.scenarios)])
    weights = np.zeros(len(labels))
    weights[chosen] = 1.0 / len(chosen)
    return _ScenarioWeights("mean loss in the scenarios named", None, weights, chosen)


def _near(name: str, labels: Sequence[str]) -> Sequence[str]:
    """Labels to compare with letter by letter: of very many those around the name in sorting order."""
    ordered = sorted(labels)
    place = int(np.searchsorted(np.array(ordered), name))
    return ordered[max(0, place - 1000) : place + 1000]


def _measured(query: DrillQuery, inputs: Inputs, pnl: Floats, valid: bool) -> _ScenarioWeights:
    asked = asked_measures(query)[0]
    if query.scale_to_days is not None:
        asked = asked.over(stated_horizon(inputs))
    if not valid:
        nothing = np.zeros(inputs.n_scenarios)
        return _ScenarioWeights(
            asked.name, None, nothing, np.zeros(0, np.int64), ("The node has no number: nothing of it is covered.",)
        )
    weights = asked.tail_weights(pnl, inputs.weights)[0]
    read = np.flatnonzero(weights)
    worst_first = read[np.argsort(pnl[0, read], kind="stable")][:: -1 if asked.tail == "gain" else 1]
    shown = worst_first[:MOST_SCENARIOS]
    notes = standing_still(inputs, [asked], pnl)
    if len(read) > len(shown):
        notes.append(
            f"{asked.name} rests on {len(read):,} scenarios; the {len(shown)} worst are shown, and contributions count all."
        )
    return _ScenarioWeights(asked.name, float(asked.values(pnl, inputs.weights)[0]), weights, shown, tuple(notes))


def _contributions(selection: Selection, tail: _ScenarioWeights) -> Floats:
    """The part of each position of the book, (n_positions,); zero where it is not covered or not of the node."""
    inputs, rates = selection.inputs, selection.rates
    vectors, book = inputs.vectors, inputs.book
    # a currency that nothing kept is in has no rate, and no row that would read it
    fx_base, fx = np.nan_to_num(rates.base), np.nan_to_num(rates.scenarios)
    unit = unit_contributions(
        vectors.rows, inputs.alignment.row, vectors.base, vectors.currency, fx_base, fx, tail.weights[None, :]
    )[0]
    parts = position_parts(book.starts, book.quantity, selection.groups.group, unit)
    return parts if tail.value is None else exact_split(parts, tail.value).parts


def _contract_of(inputs: Inputs) -> Codes:
    """Contract of each position of the book, (n_positions,)."""
    return np.repeat(np.arange(len(inputs.book.contract_ids), dtype=np.int32), np.diff(inputs.book.starts))


def _by_trade(selection: Selection, parts: Floats) -> tuple[Ints, Floats]:
    """The positions of the node, and their contribution, NaN where they are not covered."""
    places = np.flatnonzero(selection.groups.group >= 0)
    covered = selection.inputs.alignment.state[_contract_of(selection.inputs)[places]] == COVERED
    return places, np.where(covered, parts[places], np.nan)


def _by_contract(selection: Selection, parts: Floats) -> tuple[Ints, Floats]:
    """The contracts of the node, and their contribution, NaN where they are not covered."""
    inputs = selection.inputs
    contract = np.where(selection.groups.group >= 0, _contract_of(inputs), np.int32(-1))
    places = np.unique(contract[contract >= 0]).astype(np.int64)
    sums = group_sums(parts, contract, len(inputs.book.contract_ids))
    return places, np.where(inputs.alignment.state[places] == COVERED, sums[places], np.nan)


def _page(query: DrillQuery, contribution: Floats, name: Ints) -> Ints:
    """Places of the rows of the page, in the order asked for; what is not covered stands last, ties by name."""
    wanted = {"loss": -contribution, "gain": contribution, "name": np.zeros(len(name))}[query.order]
    wanted = np.where(np.isnan(wanted), np.inf, wanted)
    last = query.first + query.limit
    candidates = np.arange(len(name))
    if query.order != "name" and last < len(name):  # only those that can be on the page are sorted
        candidates = np.flatnonzero(wanted <= np.partition(wanted, last - 1)[last - 1])
    ordered = candidates[np.lexsort((name[candidates], wanted[candidates]))]
    return ordered[query.first : last]


def _trade_rows(selection: Selection, page: Ints) -> pa.Table:
    book = selection.inputs.book
    contract = _contract_of(selection.inputs)[page]
    dimensions = {n: c.members.take(pa.array(c.codes[page])) for n, c in book.columns.items() if n != "trade"}
    trade = book.columns["trade"]
    return pa.table(
        {
            "trade": trade.members.take(pa.array(trade.codes[page])),
            "contract_id": book.contract_ids.take(pa.array(contract)),
            **dimensions,
            "quantity": book.quantity[page],
        }
    )


def _contract_rows(selection: Selection, page: Ints) -> pa.Table:
    book, group = selection.inputs.book, selection.groups.group
    held = [np.arange(book.starts[c], book.starts[c + 1]) for c in page]
    kept = [p[group[p] >= 0] for p in held]
    one = np.array([p[0] for p in kept], np.int64)
    columns = {n: book.columns[n] for n in ("instrument_type", "currency")}
    return pa.table(
        {
            "contract_id": book.contract_ids.take(pa.array(page)),
            **{n: c.members.take(pa.array(c.codes[one])) for n, c in columns.items()},
            "trades": np.array([len(p) for p in kept], np.int64),
            "quantity": np.array([np.add.accumulate(book.quantity[p])[-1] for p in kept], np.float64),
        }
    )


def _figures(
    selection: Selection,
    query: DrillQuery,
    rows: pa.Table,
    page: Ints,
    tail: _ScenarioWeights,
    labels: Sequence[str],
    contribution: Floats,
) -> pa.Table:
    """The rows with value, P&L, contribution, state with its reason, and terms."""
    inputs, rates = selection.inputs, selection.rates
    contract = _contract_of(inputs)[page] if query.per == "trade" else page
    vectors, state = inputs.vectors, inputs.alignment.state[contract]
    held = np.flatnonzero(state == COVERED)
    lacking = state != COVERED
    row, quantity = inputs.alignment.row[contract[held]], rows["quantity"].to_numpy()[held]
    currency, base = vectors.currency[row], vectors.base[row]
    fx_base = rates.base[currency]

    def of_all(values: Floats) -> pa.Array:
        everyone = np.zeros(len(rows))
        everyone[held] = values
        return pa.array(everyone, mask=lacking)

    columns: dict[str, Any] = {"base_value": of_all(quantity * base * fx_base)}
    for s in tail.shown:
        fx = rates.scenarios[currency, s]
        columns[f"pnl_{labels[s]}"] = of_all(quantity * converted_pnl(base, vectors.rows[row, s], fx, fx_base))
    columns["contribution"] = pa.array(contribution, mask=lacking)
    columns["state"] = pa.array([STATES[s] for s in state], pa.string())
    failures = vectors.failures
    place = pc.index_in(rows["contract_id"].combine_chunks(), failures.column("contract_id"))
    failed = pa.array(state == FAILED)
    missing = pc.and_(pa.array(lacking), pc.invert(failed))
    unseen = f"It is not in the valuation set. {BY_PLAN}"
    for name, otherwise in (("reason", "not_valued"), ("message", unseen)):
        known = pc.if_else(failed, failures.column(name).take(place), pa.scalar(None, pa.string()))
        columns[name] = pc.if_else(missing, otherwise, known)
    columns["terms"] = _terms(inputs, rows["contract_id"].combine_chunks())
    return pa.table({**{n: rows[n] for n in rows.column_names}, **columns})


def _terms(inputs: Inputs, contract_ids: pa.Array) -> pa.Array:
    """The terms of each contract as JSON text."""
    known = inputs.snapshot.lake.read(
        "contracts", ["contract_id", "terms"], ds.field("contract_id").isin(pc.unique(contract_ids))
    )
    return known["terms"].combine_chunks().take(pc.index_in(contract_ids, known["contract_id"].combine_chunks()))


DRILL = Question(
    DrillQuery,
    of_lake(run_drill),
    {"as_of": "2020-03-16", "where": ["desk=Treasury"], "measures": ["es"], "limit": 10},
    plan_scope,
    value_scope,
    price=of_scope(passes=2),
)
