"""Limit hedge: from hedge candidates (trades and unwinds) with their costs, the cheapest change that brings ES or VaR of a node under it.

Unit P&L of every candidate comes from the same books and vectors as a what-if, the programme is solved by
`aggregation.kernels.hedge_programme`, and the change it finds is asked as a what-if: the number afterwards is that of the exact measure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.book.changes import Changes, Removal, Scaling, positions_of
from aggregation.book.filters import parse_filters
from aggregation.kernels.fixed_sums import dot
from aggregation.kernels.hedge_programme import HedgeProgramme, Solution, cheapest_es, cheapest_var
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.alignment import COVERED
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Question, seal
from aggregation.receipts import make_receipt
from aggregation.reduce.coverage import failed_in_words
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.session import Session
from aggregation.types import Amount, DimensionName, Filter, Level, RiskQuery, as_model, or_text
from aggregation.whatif.request import ChangeRequest, WhatIfQuery, price_of_changes, value_new
from aggregation.whatif.trades import trades_of_rows
from aggregation.whatif.what_if import WhatIf, make_change, what_if
from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import OBJECT_TAG, TEXT_TAG, BadInput, Issue, counted, validated
from lake.landing.numbers import MOST
from lake.progress import allowance
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from valuation.books.contracts import contracts_by_id

MOST_MOVES = 500
MOST_CELLS = 4_000_000  # moves x scenarios, and scenarios x 10: what the solver takes in seconds
_ATTEMPTS = 8  # the limit is tightened by what rounding in the solver let through
_CONFIDENCE = "0.95"  # of the sampling interval afterwards, unless another is asked for
_NOTHING = 1e-9  # a part of the most that may be done: below it nothing is done


if TYPE_CHECKING:
    Filters = tuple[Filter, ...]
else:
    Filters = or_text(tuple[Filter, ...], parse_filters, "^.+$")


class HedgeCandidate(BaseModel):
    """What may be done: a trade unwound, positions unwound together, or a contract bought or sold. One of the four names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(
        None, max_length=200, description="what it is called in the answer; default from what it is"
    )
    trade: str | None = Field(
        None, description="a trade of the book to unwind, in part or whole; quantities in its units"
    )
    where: Filters = Field(
        (),
        description="positions to unwind together, by filters that all hold; quantities are the share unwound, 0 to 1",
    )
    contract_id: str | None = Field(None, description="a contract of the lake to trade in")
    hedge: dict[str, Any] = Field(
        default_factory=dict, description="a contract to trade in: instrument_type and terms; dimensions as wanted"
    )
    side: Literal["buy", "sell", "both"] = Field("both", description="of a contract to trade in")
    max_quantity: float | None = Field(
        None,
        gt=0,
        le=MOST,
        allow_inf_nan=False,
        description="units at most; needed for a contract to trade in, else default all",
    )
    cost: float = Field(0.0, ge=0, le=MOST, allow_inf_nan=False, description="of one unit, in the reporting currency")
    lot: float | None = Field(
        None, gt=0, le=MOST, allow_inf_nan=False, description="quantities are whole multiples of it"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> HedgeCandidate:
        given = [n for n in ("trade", "where", "contract_id", "hedge") if getattr(self, n)]
        if len(given) != 1:
            raise ValueError(f"expected one of trade, where, contract_id, hedge; given {' and '.join(given) or 'none'}")
        if self.max_quantity is None and not self.unwinds:
            raise ValueError("max_quantity is missing: how much of this contract may be traded at most")
        if self.where and (self.max_quantity or 0.0) > 1.0:
            raise ValueError("max_quantity of positions unwound together is a share: at most 1")
        return self

    @property
    def unwinds(self) -> bool:
        return bool(self.trade or self.where)

    @property
    def title(self) -> str:
        """Its name, or what it is."""
        if self.name:
            return self.name
        if self.unwinds:
            return f"unwind {self.trade or ';'.join(map(str, self.where))}"
        return self.contract_id or str(self.hedge.get("trade") or self.hedge.get("instrument_type", "hedge"))


def _candidate_of_row(row: Mapping[str, Any]) -> HedgeCandidate:
    """The move of a flat row: what is no part of a move describes its hedge, and `trade` is the hedge's own id."""
    own = set(HedgeCandidate.model_fields) - {"trade"}
    hedge = {**row.get("hedge", {}), **{k: v for k, v in row.items() if k not in own}}
    return validated(HedgeCandidate, {**{k: v for k, v in row.items() if k in own}, "hedge": hedge}, "move")


def _shape(value: Any) -> str:
    return TEXT_TAG if isinstance(value, Mapping) and "instrument_type" in value else OBJECT_TAG


if TYPE_CHECKING:
    CandidateOrRow = HedgeCandidate
else:
    _ROW = {"type": "object", "properties": {"instrument_type": {"type": "string"}}, "required": ["instrument_type"]}
    _Row = Annotated[dict[str, Any], AfterValidator(_candidate_of_row), WithJsonSchema(_ROW), Tag(TEXT_TAG)]
    CandidateOrRow = Annotated[Annotated[HedgeCandidate, Tag(OBJECT_TAG)] | _Row, Discriminator(_shape)]


class HedgeRequest(BaseModel):
    """The limit, and what may be done to come under it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Amount = Field(description="what the measure may be at most, in the reporting currency")
    moves: tuple[CandidateOrRow, ...] = Field(
        min_length=1, max_length=MOST_MOVES, description="what may be done, and what it costs"
    )


@dataclass(frozen=True)
class LimitHedge(Answer):
    """`status`: `nothing to do`, `optimal` (no cheaper change of these exists), `feasible` (the limit is met, a cheaper change may
    exist), or `out of reach`, with the change that leads as low as was found.

    before, after : the measure, verified by a what-if with the changes. actions : a row a move that is used: name, action,
    quantity, cost. cost : of all. bound : no change that meets the limit costs less; None where nothing is proven. unusable : moves that
    were left out, with the reason. what_if : the change as a what-if, with its interval; None where nothing is done.
    """

    query: RiskQuery
    request: HedgeRequest = field(metadata=HIDDEN)
    measure: str
    status: str
    before: float
    after: float
    actions: tuple[Mapping[str, Any], ...]
    cost: float
    bound: float | None
    unusable: tuple[Mapping[str, str], ...]
    changes: ChangeRequest | None
    what_if: WhatIf | None
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    @shown("limit")
    def limit(self) -> float:
        """What the measure may be at most."""
        return self.request.limit

    @property
    def rows(self) -> pa.Table:
        """A row a move that is used."""
        kinds = {"quantity": pa.float64(), "cost": pa.float64(), "share": pa.float64()}
        names = ("move", "action", "quantity", "cost", "share")
        schema = pa.schema([(n, kinds.get(n, pa.string())) for n in names])
        return pa.Table.from_pylist([dict(a) for a in self.actions], schema=schema)


def limit_hedge(lake: Lake, query: RiskQuery, request: HedgeRequest, *, cache: VectorCache | None = None) -> LimitHedge:
    """The cheapest change that brings the query's one measure, VaR or ES at one level, of its filters under the limit.

    Raises `BadInput` for another measure, moves that overlap or lie outside of the filters, and sizes beyond the solver's.
    """
    asked = _one(query)
    cache = cache or VectorCache(lake)
    query = query.model_copy(update={"by": ()})
    inputs = open_inputs(cache, query)
    if query.interval is None and inputs.valuation_set.sample:
        query = query.model_copy(update={"interval": _CONFIDENCE})
    selection = open_selection(inputs, query)
    if not selection.counts[-1, COVERED]:
        raise BadInput("None of the positions has a value, so that there is nothing to bring under a limit.")
    pnl = scenario_pnl(selection, selection.groups.n, 1)[1][0]
    before = _measured(asked, inputs, pnl)
    moves, unusable = _usable(selection, query, request)
    if before <= request.limit:
        return _answer(query, request, asked, inputs, "nothing to do", before, None, moves, unusable)
    solution, after = _solved(_programme(inputs, asked, pnl, moves), request.limit, asked, inputs)
    met = solution.status != "infeasible" and after <= request.limit
    status = solution.status if met else "out of reach"
    return _answer(query, request, asked, inputs, status, before, solution, moves, unusable)


def _one(query: RiskQuery) -> AskedMeasure:
    asked = asked_measures(query)
    if len(asked) != 1 or asked[0].measure.name not in ("var", "es"):
        raise BadInput(
            f"A limit is on one measure, var or es, at one level; {', '.join(a.name for a in asked)} were asked for."
        )
    (one,) = asked
    if one.tail != "loss" or query.scale_to_days is not None or query.estimator != "order_statistic":
        raise BadInput(
            "A limit is on the loss tail, over the scenarios' own horizon, with the estimator order_statistic; ask without others."
        )
    return one


def _measured(asked: AskedMeasure, inputs: Inputs, pnl: Floats) -> float:
    return float(asked.values(pnl[None], inputs.weights)[0])


# --- moves ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Priced:
    """A move with what one unit does: pnl (n_scenarios,); quantities from `least` to `most`, of a trade of `held` units."""

    move: HedgeCandidate
    pnl: Floats
    buys: bool
    sells: bool
    most: float
    held: float
    row: Mapping[str, Any] | None


def _usable(
    selection: Selection, query: RiskQuery, request: HedgeRequest
) -> tuple[list[_Priced], list[dict[str, str]]]:
    """The moves with the P&L of a unit of each, and those without a value, with the reason."""
    inputs = selection.inputs
    if inputs.n_scenarios * max(len(request.moves), 10) > MOST_CELLS:
        raise BadInput(
            f"{len(request.moves)} moves in {inputs.n_scenarios:,} scenarios are more than the solver takes in seconds; give at most "
            f"{MOST_CELLS // inputs.n_scenarios:,} moves, or ask for a smaller scenario set."
        )
    unwound = [(i, m) for i, m in enumerate(request.moves) if m.unwinds]
    hit = [_inside(selection, query, m, i) for i, m in unwound]
    _refuse_overlap([m for _, m in unwound], hit)
    trades = [(i, m) for i, m in enumerate(request.moves) if not m.unwinds]
    rows = [_hedge_row(inputs, query, m, i) for i, m in trades]
    added = trades_of_rows(rows, inputs.book.positions_date, "moves") if rows else None
    removals = tuple(Removal(where=_where(m, query)) for _, m in unwound)
    changes = Changes(removals, (), *(added or ()))
    change = make_change(selection, query, changes, value_new(inputs, changes, query.currency))
    n = len(request.moves)
    pnl = change.pnl_of_items(n)[1]
    covered, passed = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for part, item in zip(change.parts, change.items, strict=True):
        state = np.repeat(part.inputs.alignment.state, np.diff(part.inputs.book.starts))
        selected = (part.groups.group >= 0) & (item >= 0) & (item < n)
        passed[item[selected]] = True
        covered[item[selected & (state == COVERED)]] = True
    usable, unusable = [], []
    for number, (i, move) in enumerate([*unwound, *trades]):
        if not passed[number]:
            message = f"{move.title} is outside of the filters, so that it cannot change what is limited."
            raise BadInput(message, issues=(Issue(f"moves/{i}", message),))
        if not covered[number]:
            unusable.append({"move": move.title, "reason": "its contracts have no value in the valuation set"})
            continue
        if move.unwinds:
            available = 1.0 if move.where else float(np.abs(inputs.book.quantity[hit[number]]).sum())
            if available == 0.0:
                unusable.append({"move": move.title, "reason": "it holds nothing to unwind"})
                continue
            most = min(available, move.max_quantity or available)
            usable.append(_Priced(move, pnl[number] / available, True, False, most, available, None))
        else:
            assert move.max_quantity is not None
            buys, sells = move.side != "sell", move.side != "buy"
            row = rows[number - len(unwound)]
            usable.append(_Priced(move, pnl[number], buys, sells, move.max_quantity, 1.0, row))
    return usable, unusable


def _where(move: HedgeCandidate, query: RiskQuery) -> tuple[Filter, ...]:
    """The positions to unwind: of a selection only what the question is about."""
    return (*query.where, *move.where) if move.where else (Filter(dimension="trade", values=(move.trade,)),)


def _inside(selection: Selection, query: RiskQuery, move: HedgeCandidate, i: int) -> Any:
    """The positions that the move unwinds, of those the question is about."""
    found = positions_of(selection.inputs.book, _where(move, query), f"moves/{i}")
    return found[selection.keep[found]]


def _refuse_overlap(moves: Sequence[HedgeCandidate], hit: Sequence[Any]) -> None:
    owner: dict[int, HedgeCandidate] = {}
    for move, rows in zip(moves, hit, strict=True):
        for row in rows.tolist():
            other = owner.setdefault(row, move)
            if other is not move:
                raise BadInput(
                    f"{other.title} and {move.title} unwind the same positions; give moves that do not overlap."
                )


def _hedge_row(inputs: Inputs, query: RiskQuery, move: HedgeCandidate, i: int) -> dict[str, Any]:
    """The trade of one unit; dimensions that are not given are those the filters ask for."""
    row = dict(move.hedge)
    if move.contract_id is not None:
        found = contracts_by_id(inputs.snapshot.lake, pa.array([move.contract_id])).to_pylist()[0]
        row = {"instrument_type": found["instrument_type"], "terms": json.loads(found["terms"])}
    for f in query.where:
        attribute = f.dimension.startswith("attribute.")
        if len(f.values) == 1 and not f.exclude and (f.dimension in DIMENSION_COLUMNS or attribute):
            row.setdefault(f.dimension, f.values[0])
    return {**row, "trade": row.get("trade") or f"way-back-{i + 1}", "quantity": 1.0}


# --- the programme ----------------------------------------------------------------------------------------------------


def _programme(inputs: Inputs, asked: AskedMeasure, pnl: Floats, moves: Sequence[_Priced]) -> HedgeProgramme:
    """A column for each move and side."""
    columns = [(m, sign) for m in moves for sign, may in ((1.0, m.buys), (-1.0, m.sells)) if may]
    assert asked.level is not None
    n = len(columns)
    return HedgeProgramme(
        pnl,
        np.array([sign * m.pnl for m, sign in columns]).reshape(n, len(pnl)),
        np.array([m.most for m, _ in columns]),
        np.array([m.move.cost for m, _ in columns]),
        np.array([m.move.lot or 0.0 for m, _ in columns]),
        asked.level,
        inputs.weights,
    )


def _seconds_of_a_search(moves: int) -> float:
    """Of a core, as an attempt typically takes among so many moves."""
    return min(1.0, 0.05 * moves)


def _solved(problem: HedgeProgramme, limit: float, asked: AskedMeasure, inputs: Inputs) -> tuple[Solution, float]:
    """The solution and the exact measure after it; the limit is tightened where rounding in the solver let it through."""
    if not len(problem.most):
        nothing = np.zeros(0)
        return Solution("infeasible", nothing, 0.0, 0.0), _measured(asked, inputs, problem.pnl)
    target = limit
    for _ in range(_ATTEMPTS):
        allowance().spend(_seconds_of_a_search(len(problem.most)))
        if asked.measure.name == "es":
            solution = cheapest_es(problem, target)
        else:
            solution = cheapest_var(problem, target, lambda pnl: _measured(asked, inputs, pnl))
        # what is next to nothing is rounding of the solver
        quantity = np.where(solution.quantity > _NOTHING * problem.most, solution.quantity, 0.0)
        after = _measured(asked, inputs, problem.after(quantity))
        if solution.status == "infeasible" or after <= limit:
            break
        target -= 2.0 * (after - limit) + 1e-12 * abs(limit)
    return Solution(solution.status, quantity, dot(problem.cost, quantity), solution.bound), after


# --- the answer -------------------------------------------------------------------------------------------------------


def _answer(
    query: RiskQuery,
    request: HedgeRequest,
    asked: AskedMeasure,
    inputs: Inputs,
    status: str,
    before: float,
    solution: Solution | None,
    moves: Sequence[_Priced],
    unusable: Sequence[Mapping[str, str]],
) -> LimitHedge:
    actions, changes = ([], None) if solution is None else _as_changes(solution, moves, query)
    verified = None
    after = before
    if changes is not None:
        added = trades_of_rows(list(changes.add), inputs.book.positions_date) if changes.add else ()
        asked_change = Changes(changes.remove, changes.scale, *added)
        verified = what_if(inputs, query, asked_change, value_new(inputs, asked_change, query.currency))
        after = verified.total[f"{asked.name}_after"]
        after = 0.0 if after is None else float(after)
    cost = sum(a["cost"] for a in actions)
    bound = None if solution is None or not np.isfinite(solution.bound) else max(0.0, solution.bound)
    question = {"query": query.model_dump(mode="json"), "request": request.model_dump(mode="json")}
    figures = np.array([before, after, cost, *(a["quantity"] for a in actions)])
    return LimitHedge(
        query=query,
        request=request,
        measure=asked.name,
        status=status,
        before=before,
        after=after,
        actions=tuple(actions),
        cost=cost,
        bound=bound if status != "out of reach" else None,
        unusable=tuple(unusable),
        changes=changes,
        what_if=verified,
        receipt=make_receipt(
            "way_back",
            question,
            inputs,
            digest(status, *(a["move"] for a in actions), figures.tobytes()),
            estimator=query.estimator,
            levels=list(query.levels),
            currency=query.currency,
            changes_digest=None if verified is None else verified.receipt["changes_digest"],
        ),
        notes=_notes(status, after, request, unusable, verified, failed_in_words(open_selection(inputs, query))),
    )


def _as_changes(
    solution: Solution, moves: Sequence[_Priced], query: RiskQuery
) -> tuple[list[dict[str, Any]], ChangeRequest | None]:
    """The quantities as actions in words, and as the change of a what-if."""
    actions: list[dict[str, Any]] = []
    add: list[dict[str, Any]] = []
    remove: list[Removal] = []
    scale: list[Scaling] = []
    column = 0
    for m in moves:
        quantity = 0.0
        for sign, may in ((1.0, m.buys), (-1.0, m.sells)):
            if may:
                quantity += sign * float(solution.quantity[column])
                column += 1
        if quantity == 0.0:
            continue
        kind = "unwind" if m.move.unwinds else "buy" if quantity > 0 else "sell"
        size = abs(quantity)
        part = {"share": size / m.held} if m.move.unwinds else {}
        actions.append(
            {"move": m.move.title, "action": kind, "quantity": size, "cost": size * m.move.cost, "share": None, **part}
        )
        if m.row is not None:
            add.append({**m.row, "quantity": quantity})
        elif size >= m.held * (1.0 - _NOTHING):
            remove.append(Removal(where=_where(m.move, query)))
        else:
            scale.append(Scaling(where=_where(m.move, query), factor=1.0 - size / m.held))
    if not actions:
        return [], None
    return actions, ChangeRequest(add=tuple(add), remove=tuple(remove), scale=tuple(scale))


def _notes(
    status: str,
    after: float,
    request: HedgeRequest,
    unusable: Sequence[Mapping[str, str]],
    verified: WhatIf | None,
    failed: str,
) -> tuple[str, ...]:
    notes = []
    if status == "out of reach":
        notes.append(
            f"No change of these moves that was found brings it to {request.limit:,.0f}; the lowest found is {after:,.0f}."
        )
    if status == "feasible":
        notes.append("The limit is met; a cheaper change may exist, none below the bound where there is one.")
    if unusable:
        notes.append(f"{counted(len(unusable), 'move')} could not be used.")
    if verified is None and failed:
        notes.append(f"Positions that are not in the numbers: {failed}")
    return (*notes, *(() if verified is None else verified.notes))


class LimitHedgeQuery(HedgeRequest, RiskQuery):
    """One measure, var or es, at one level, a limit, and what may be done to come under it."""

    by: tuple[DimensionName, ...] = Field(
        (), max_length=0, description="not used: the limit is on all that the filters leave"
    )
    measures: tuple[Literal["var", "es"], ...] = Field(
        ("es",), min_length=1, max_length=1, description="the one measure"
    )
    levels: tuple[Level, ...] = Field(("0.975",), min_length=1, max_length=1, description="its one level")

    def risk(self) -> RiskQuery:
        return as_model(RiskQuery, self)

    def request(self) -> HedgeRequest:
        return HedgeRequest(limit=self.limit, moves=self.moves)


def _hedge(session: Session, query: LimitHedgeQuery) -> LimitHedge:
    found = limit_hedge(session.lake, query.risk(), query.request(), cache=session.cache)
    if found.what_if is None or found.changes is None:
        return found
    # what it would do can be asked, and replayed, by itself
    asked = WhatIfQuery(**{**dict(query.risk()), "interval": found.what_if.query.interval}, **dict(found.changes))
    return replace(found, what_if=seal(found.what_if, "what-if", asked))


def _price(session: Session, query: LimitHedgeQuery) -> float:
    """Of every attempt at the programme, of each move alone, and of the change that is proposed."""
    hedges = [str((move.hedge or {}).get("instrument_type")) for move in query.moves if not move.unwinds]
    risk = query.risk().model_copy(update={"interval": query.interval or _CONFIDENCE})
    return _ATTEMPTS * _seconds_of_a_search(len(query.moves)) + 2 * price_of_changes(
        session, risk, len(query.moves), hedges
    )


LIMIT_HEDGE = Question(
    LimitHedgeQuery,
    _hedge,
    {
        "as_of": "2020-03-16",
        "where": ["desk=Treasury"],
        "limit": 1_000_000,
        "moves": [{"name": "half of the desk", "where": "desk=Treasury", "cost": 1}],
    },
    plan_scope,
    value_scope,
    price=_price,
)
