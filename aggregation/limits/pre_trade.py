"""Pre-trade: what trades not yet done would do to VaR, ES and limits of their desks, of every node with a limit that they touch, and of the
firm.

P&L is additive: the P&L of each node is kept from question to question, that of the trades is computed once, and what a trade does is
measure(p + d) - measure(p). So an order is tried by itself, and all of them together, without a look at a position of the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.book.changes import Changes, edit
from aggregation.book.entitled_lake import shows_node
from aggregation.limits.against import LIMITS, Against, against, each_order, schema_of_orders, verdict_of
from aggregation.limits.blotter import as_trades
from aggregation.limits.held import NO_FIRM, TABLE, Node, Openings, firm_openings, node_text, var_limits_on
from aggregation.limits.trial import NodeTrial, Trial, known
from aggregation.limits.use import not_shown, scopes_of
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_inputs
from aggregation.session import Session
from aggregation.types import (
    VAR_AND_ES,
    Currency,
    EstimatorName,
    Figures,
    Filter,
    Level,
    MeasureName,
    Point,
    RiskQuery,
    Scope,
)
from aggregation.whatif.request import price_of_changes, value_new
from aggregation.whatif.trades import trades_of_rows
from aggregation.whatif.what_if import failures_of
from lake.errors import Issue, NotAllowed, VarlakeError, counted
from lake.words import first_of

MOST_ORDERS = 1000
_TEXT, _NUMBER = pa.string(), pa.float64()


class PreTradeQuery(Point):
    """Which trades, on which day, measured how."""

    add: tuple[dict[str, Any], ...] = Field(
        min_length=1,
        max_length=MOST_ORDERS,
        description="trades not yet done: instrument_type, terms, quantity; or open orders: order_id, side, symbol; and dimensions",
    )
    currency: Currency = Field("USD", description="reporting currency, ISO 4217; limits are in their own")
    measures: tuple[MeasureName, ...] = VAR_AND_ES
    levels: tuple[Level, ...] = Field(
        ("0.99",), min_length=1, max_length=32, description=Figures.model_fields["levels"].description
    )
    estimator: EstimatorName = Field("order_statistic", description=Figures.model_fields["estimator"].description)

    def scope(self) -> Scope:
        return Scope(**{n: getattr(self, n) for n in Point.model_fields}, currency=self.currency)

    def risk(self) -> RiskQuery:
        return RiskQuery(**dict(self.scope()), measures=self.measures, levels=self.levels, estimator=self.estimator)


@dataclass(frozen=True)
class PreTrade(Answer):
    """verdict : what all trades together would do to the limits, in words. status : within, warning, breach, or not known, where a trade or
    a limit that is touched has no figure.

    rows : a row a node: `kind` is desk, limit, granted (all that is seen) or firm; how many of the `trades` and `positions` are in it; and
    for every measure `<name>_before`, `_after`, `_incremental` and `_standalone`, of its trades alone, in the reporting currency.
    limits : a row a limit that the trades touch, before and after, in its own currency; `over` is by how much it would be breached.
    orders : a row a trade by itself: standalone, incremental on all that is seen, and the worst that it does to a limit.
    failures : trades that have no value, with the reason: they are in no number.
    """

    query: PreTradeQuery
    status: str
    verdict: str
    rows: pa.Table
    limits: pa.Table
    orders: pa.Table
    failures: tuple[Mapping[str, str], ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _answer(session: Session, query: PreTradeQuery) -> PreTrade:
    asked = asked_measures(query.risk())
    scope = query.scope()
    openings = Openings(session.cache, scope)
    own = openings.of((), query.currency)
    added, contracts = trades_of_rows(as_trades(query.add), own.book.positions_date)
    _refuse_others(session, added)
    given = added["trade"].to_pylist()
    changes = Changes(added=added.sort_by("trade"), contracts=contracts)  # sums are in this order, whatever came first
    edit(own.book, changes)  # refuses a trade that is there already
    seen, firm = Trial(openings, scope, changes), _firm(session, scope, changes)
    everything = seen.node((), query.currency)
    told = []
    for limit in var_limits_on(session, query.as_of):
        side = seen if limit.node or not session.lake.reader else firm
        if limit.of_tail and side is not None:
            told += [t for t in (against(limit, side, scope, query.estimator),) if t is not None]
    rows = [_of_node(asked, *node) for node in _nodes(session, query, changes, seen, firm, told)]
    orders = {r["trade"]: r for r in each_order(asked, changes, everything, told)}
    failures = failures_of(own, changes, value_new(own, changes, query.currency))
    status, verdict = verdict_of(told, failures, len(given))
    return PreTrade(
        query=query,
        status=status,
        verdict=verdict,
        rows=pa.Table.from_pylist(rows, schema=_schema(asked)),
        limits=pa.Table.from_pylist([t.row for t in told], schema=LIMITS),
        orders=pa.Table.from_pylist([orders[t] for t in given], schema=schema_of_orders(asked)),
        failures=failures,
        receipt=_receipt(session, seen, firm, changes),
        notes=tuple(_notes(session, query, seen, firm, changes, failures)),
    )


def _firm(session: Session, scope: Scope, changes: Changes) -> Trial | None:
    """The trades on everything held, where that is told and has figures; see `firm_openings`."""
    openings = firm_openings(session, scope)
    if openings is None:
        return None
    trial = Trial(openings, scope, changes, of_firm=True)
    try:
        trial.node((), scope.currency)
    except VarlakeError:  # what of others' it is about is not told
        return None
    return trial


def _refuse_others(session: Session, added: pa.Table) -> None:
    """A trade is tried where it would be booked, by who sees that."""
    if session.entitlement is None:
        return
    for i, row in enumerate(added.to_pylist()):
        if not session.entitlement.grants(row):
            granted = "; ".join(f"{n} {', '.join(v)}" for n, v in session.entitlement.granted.items())
            message = f"Trade {row['trade']} names no desk, book or legal entity that you are granted ({granted}); give it one."
            raise NotAllowed(message, issues=(Issue(f"add/{i}/desk", message, row["desk"]),))


def _nodes(
    session: Session,
    query: PreTradeQuery,
    changes: Changes,
    seen: Trial,
    firm: Trial | None,
    told: Sequence[Against],
) -> Iterator[tuple[str, Node, NodeTrial]]:
    """The kind, the node and its P&L: desks of the trades, other nodes with a limit, then everything."""
    kinds: dict[Node, str] = {}
    for desk in sorted({d for d in changes.added["desk"].to_pylist() if d is not None}):
        node: Node = (Filter(dimension="desk", values=(desk,)),)
        if session.entitlement is None or shows_node(session.entitlement, node):
            kinds[node] = "desk"
    for one in told:
        if one.limit.node and one.trades.any():
            kinds.setdefault(one.limit.node, "limit")
    for node, kind in kinds.items():
        yield kind, node, seen.node(node, query.currency)
    yield "granted" if session.lake.reader else "firm", (), seen.node((), query.currency)
    if firm is not None:
        yield "firm", (), firm.node((), query.currency)


def _of_node(asked: Sequence[AskedMeasure], kind: str, node: Node, of: NodeTrial) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": kind,
        "node": node_text(node),
        "trades": int(of.mine.sum()),
        "positions": of.positions,
    }
    for a in asked:
        before, after = of.both(a)
        alone = known(float(of.figure(a, of.together)[0])) if of.covered_trades else None
        row |= {f"{a.name}_before": before, f"{a.name}_after": after, f"{a.name}_standalone": alone}
        row[f"{a.name}_incremental"] = None if before is None or after is None else after - before
    return {**row, "reason": of.reason}


def _schema(asked: Sequence[AskedMeasure]) -> pa.Schema:
    figures = [f"{a.name}_{w}" for a in asked for w in ("before", "after", "incremental", "standalone")]
    about = [("kind", _TEXT), ("node", _TEXT), ("trades", pa.int64()), ("positions", pa.int64())]
    return pa.schema([*about, *((f, _NUMBER) for f in figures), ("reason", _TEXT)])


def _receipt(session: Session, seen: Trial, firm: Trial | None, changes: Changes) -> dict[str, Any]:
    lake = session.lake
    named = [name_inputs(i) for i in seen.openings.all]
    own = {n: lake.version(n) for n in (TABLE,) if lake.shows_version(n)}
    found = {**named[0], "table_versions": {**named[0]["table_versions"], **own}, "changes_digest": changes.digest()}
    found |= {f"also_{i}": part for i, part in enumerate(named[1:], 1)}
    return {**found, **({"firm_totals": True} if firm is not None else {})}


def _notes(
    session: Session,
    query: PreTradeQuery,
    seen: Trial,
    firm: Trial | None,
    changes: Changes,
    failures: Sequence[Mapping[str, str]],
) -> Iterator[str]:
    if any(i.scenarios.synthetic for i in seen.openings.all):
        yield "The market data is synthetic."
    if failures:
        told = first_of((f"{f['trade']}: {f['message']}" for f in failures), between="; ")
        yield f"{counted(len(failures), 'trade has no value and is', 'trades have no value and are')} in no number: {told}"
    if of_loss := sum(not limit.of_tail for limit in var_limits_on(session, query.as_of)):
        yield f"{counted(of_loss, 'limit of loss is', 'limits of loss are')} of P&L that was made; trades not yet done change none."
    if session.entitlement is None:
        return
    desks = {d for d in changes.added["desk"].to_pylist() if d is not None}
    part = [d for d in sorted(desks) if not shows_node(session.entitlement, (Filter(dimension="desk", values=(d,)),))]
    if part:
        yield f"You are granted a part of desk {first_of(part)}: figures of the desk are not shown."
    if not session.lake.shows_totals():
        yield "Figures of the firm are for those who are granted firm totals, and are not shown."
    elif firm is None:
        yield NO_FIRM
    yield not_shown(session)


def _scopes(session: Session, query: PreTradeQuery) -> list[Scope]:
    return scopes_of(session, query.scope())


def _plan(session: Session, query: PreTradeQuery) -> Plan:
    return together([plan_scope(session, scope) for scope in _scopes(session, query)])


def _value(session: Session, query: PreTradeQuery) -> PreTradeQuery:
    for scope in _scopes(session, query):
        value_scope(session, scope)
    return query


def _price(session: Session, query: PreTradeQuery) -> float:
    """Of a what-if for each node: those of the limits, the desks and everything, on both sides."""
    kinds = Counter(str(row.get("instrument_type")) for row in query.add)
    nodes = 2 + len(var_limits_on(session, query.as_of)) + len({row.get("desk") for row in query.add})
    return nodes * price_of_changes(session, query.risk(), len(query.add), list(kinds.elements()))


_EXAMPLE = {
    "as_of": "2020-03-16",
    "add": [
        {
            "order_id": "B1",
            "side": "buy",
            "symbol": "EQ:AAPL",
            "currency": "USD",
            "quantity": 20_000,
            "desk": "US Equities",
        }
    ],
}
PRE_TRADE = Question(PreTradeQuery, _answer, _EXAMPLE, _plan, _value, price=_price)
