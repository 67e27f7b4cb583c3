"""Attribution paths: a change explained through intermediate valuations: old book in the new market, and so on.

The corners of the path are the choices of either point's book, valuation date, market and scenarios: intermediate valuations. One is made
only when somebody accepts its plan; it then is a valuation set like any other. `sequential` walks from one point to the other in a
stated order and explains every step; `shapley` averages over all orders (valuation/kernels/shapley.py).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.answer import HIDDEN
from aggregation.change import explain as identity
from aggregation.change.explain import Explained, ExplainResult, explained, on_grid
from aggregation.change.sides import Comparison, compared
from aggregation.kernels.bootstrap import percentile_interval
from aggregation.kernels.fixed_sums import difference
from aggregation.measures import interval_confidence
from aggregation.opened.alignment import MISSING
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.question import Plan, plan_of
from aggregation.receipts import name_both, name_inputs, receipt_of
from aggregation.risk.sampling_error import paired_resamples, resampled
from aggregation.session import Session
from aggregation.types import RiskQuery
from lake.arrays import Floats
from lake.canonical import digest
from lake.errors import BadInput, NotValued, counted
from lake.tables import Lake, Snapshot
from lake.versions import as_known
from scenarios.requests import ScenarioRequest, make_scenario_set
from scenarios.store import load_scenario_set
from scenarios.types import RiskClass, ScenarioSet
from valuation.costs import NOTHING
from valuation.kernels.shapley import shapley
from valuation.sets.plan import ValuationPlan, all_pricers_version
from valuation.sets.requests import ValuationRequest, plan_valuation, run_valuation
from valuation.types import ValuationSet

COORDINATES = ("positions", "ageing", "market", "scenarios")  # the stated order; bit k of a corner is the k-th
MEANING = {
    **identity.MEANING,
    "positions": "the book of the second point instead of that of the first",
    "ageing": "the valuation date of the second point: time has passed, nothing else",
    "market": "the base levels of the second point under the same moves",
    "scenarios": "the scenarios of the second point: which are in the window, and how they move",
    "moves": "other moves in the scenarios that both windows have",
    "model": "pricers of today instead of those that the two points were valued with",
}
SEQUENTIAL = (
    *("new", "closed", "amended", "transferred", "coverage", "ageing", "market", "left", "entered", "moves"),
    *("currency", "tail", "model"),
)
_OF_STEP = {"ageing": "ageing", "market": "market", "scenarios": "moves"}  # what revaluation is in each step


@dataclass(frozen=True)
class IntermediateValuation:
    """A corner of the path: `bits` has bit k set where coordinate k is that of the second point.

    request : values it, where `valuation_set` is None.
    """

    bits: int
    question: RiskQuery
    request: ValuationRequest
    valuation_set: str | None
    scenario_set: str


@dataclass(frozen=True)
class AttributionPathPlan:
    """The intermediate valuations an explanation goes through. `missing` are valued first: each with its plan, whose cost it states,
    and with what is known of the lake where it is made."""

    method: str
    active: tuple[str, ...]
    corners: tuple[IntermediateValuation, ...]
    missing: tuple[tuple[ValuationRequest, ValuationPlan, str | None], ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "coordinates": list(self.active),
            "corners": [
                {
                    "changed": changed(c.bits),
                    "positions_date": c.question.positions_date,
                    "valuation_date": c.question.as_of,
                    "scenario_set": c.scenario_set,
                    "valuation_set": c.valuation_set,
                }
                for c in self.corners
            ],
            "missing": [{"request": r.model_dump(mode="json"), "plan": p.to_dict()} for r, p, _ in self.missing],
            **sum((p.cost for _, p, _ in self.missing), NOTHING).to_dict(),
        }


@dataclass(frozen=True)
class AttributionPathResult(Explained):
    """The change of a measure by member and cause, as `ExplainResult`, through corners. `steps` : corner to its measure."""

    meanings = MEANING
    question: tuple[RiskQuery, RiskQuery] = field(metadata=HIDDEN)
    method: str
    measure: str
    before: float
    after: float
    rows: pa.Table
    causes: Mapping[str, float] = field(metadata=HIDDEN)
    residual: float
    corners: tuple[Mapping[str, Any], ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]
    intervals: Mapping[str, tuple[float, float]] | None = field(default=None, metadata=HIDDEN)


def changed(bits: int) -> list[str]:
    """The coordinates of a corner that are those of the second point."""
    return [c for k, c in enumerate(COORDINATES) if bits >> k & 1]


def plan_attribution_path(
    lake: Lake, query_from: RiskQuery, query_to: RiskQuery, method: str, cache: VectorCache
) -> AttributionPathPlan:
    """Which intermediate valuations the explanation needs, which of them are valued, and what the others cost; writes nothing."""
    return _AttributionPath(compared(lake, query_from, query_to, cache=cache), cache).plan(method)


def plan_between(path: AttributionPathPlan) -> Plan:
    """What the path misses, as the plan of a question."""
    valuations = [
        (f"{r.as_of} in the market of {r.market_date}, scenarios of {p.scenario_set.name}", r, p)
        for r, p, _ in path.missing
    ]
    about = {k: v for k, v in path.to_dict().items() if k in ("method", "coordinates", "corners")}
    return plan_of(valuations, **about)


def value_intermediate(session: Session, plan: AttributionPathPlan) -> int:
    """Values what the plan misses; returns the number of contracts priced."""
    committer = session.writer()
    means: dict[str, Any] = {"spark": session.spark, "progress": session.progress, "cancelled": session.cancelled}
    made = 0
    for request, _, known in plan.missing:
        lake = committer.lake if known is None else as_known(committer.lake, known)
        made += run_valuation(committer.reading(lake), request, **means).this_run.valued
    return made


def explain_through(
    lake: Lake, query_from: RiskQuery, query_to: RiskQuery, method: str, *, cache: VectorCache
) -> AttributionPathResult:
    """The explanation by `sequential` or `shapley`; raises `NotReady` with what is missing where intermediate valuations are."""
    comparison = compared(lake, query_from, query_to, cache=cache)
    path = _AttributionPath(comparison, cache)
    plan = path.plan(method)
    if plan.missing:
        cost = sum((p.cost for _, p, _ in plan.missing), NOTHING)
        contracts = sum(p.work.num_rows for _, p, _ in plan.missing)
        lacking = "; ".join(
            f"{', '.join(changed(c.bits)) or 'the first point'} with both books"
            for c in plan.corners
            if c.valuation_set is None
        )
        what = counted(
            len(plan.missing), "valuation between the two points is", "valuations between the two points are"
        )
        raise NotValued(
            f"{what} missing ({lacking}): {counted(contracts, 'contract')}, about {cost} seconds of one core."
        )
    return path.shapley(plan) if method == "shapley" else path.sequential(plan)


def _same_base(one: ScenarioSet, two: ScenarioSet) -> bool:
    """Whether two sets start from the same levels of the same factors."""
    return (one.market_date, one.index) == (two.market_date, two.index) and one.base.tobytes() == two.base.tobytes()


class _AttributionPath:
    """The intermediate valuations between the two points of a comparison."""

    def __init__(self, comparison: Comparison, cache: VectorCache) -> None:
        if any(q.branch is not None for q in comparison.question):
            raise BadInput("Points between two are made of stored books; a branch is compared without them.")
        self._comparison, self._cache, self._lake = comparison, cache, cache.lake
        one, two = (s.inputs for s in comparison.sides)
        self._inputs = (one, two)
        same_scenarios = one.valuation_set.scenario_set_id == two.valuation_set.scenario_set_id
        days = one.book.positions_date, two.book.positions_date
        # of one date a book may have been restated: each corner then holds its own book's contracts alone
        self._restated = days[0] == days[1] and one.book.files != two.book.files
        self._same_market = same_scenarios or _same_base(*(self._load(i) for i in self._inputs))
        differs = (
            days[0] != days[1] or self._restated,
            one.valuation_set.valuation_date != two.valuation_set.valuation_date,
            not self._same_market,
            not same_scenarios,
        )
        self.active = tuple(c for c, d in zip(COORDINATES, differs, strict=True) if d)
        self._bits = [1 << k for k, d in enumerate(differs) if d]
        self._every = sum(self._bits)

    @functools.cached_property
    def _snapshot(self) -> Snapshot:
        return self._lake.snapshot()

    @functools.cached_property
    def _of_books(self) -> tuple[Snapshot, Snapshot]:
        """What either book's point knows of the lake."""
        one, two = (i.snapshot.lake for i in self._inputs)
        return one.snapshot(), two.snapshot()

    def _load(self, inputs: Inputs) -> ScenarioSet:
        return load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id)

    def plan(self, method: str) -> AttributionPathPlan:
        """Corners in the order of their bits; of a missing one the book does not matter, so that it is valued once."""
        if method not in ("sequential", "shapley"):
            raise BadInput(f"The method {method!r} was given; expected sequential or shapley.")
        every = list(self._path()) if method == "sequential" else sorted(self._subsets())
        corners = [self._corner(bits) for bits in every]
        missing: dict[int, tuple[ValuationRequest, ValuationPlan, str | None]] = {}
        for c in corners:
            key = c.bits if self._restated else c.bits >> 1
            if c.valuation_set is None and key not in missing:
                plan = plan_valuation(self._of_books[c.bits & 1], c.request)
                missing[key] = (c.request, plan, c.question.as_known)
        return AttributionPathPlan(method, self.active, tuple(corners), tuple(missing.values()))

    def _path(self) -> Iterator[int]:
        return itertools.accumulate([0, *self._bits])

    def _subsets(self) -> Iterator[int]:
        for chosen in itertools.product((False, True), repeat=len(self._bits)):
            yield sum(b for b, c in zip(self._bits, chosen, strict=True) if c)

    def _corner(self, bits: int) -> IntermediateValuation:
        book, day, market, moves = (self._inputs[bits >> k & 1] for k in range(len(COORDINATES)))
        if self._same_market:
            market = moves
        scenario_set, made = self._scenarios(market.valuation_set, moves.valuation_set)
        seal = self._sealed(day.valuation_set.valuation_date, scenario_set, bits)
        classes = self._inputs[0].valuation_set.risk_classes or [c.value for c in RiskClass]
        request = ValuationRequest(
            as_of=day.valuation_set.valuation_date,
            market_date=market.valuation_set.market_date,
            positions_dates=tuple(sorted({i.book.positions_date for i in self._inputs})),
            scenario_set=scenario_set if made is None else None,
            scenarios=made or ScenarioRequest(name=None),
            risk_classes=() if len(classes) == len(RiskClass) else tuple(classes),
        )
        question = self._comparison.question[bits & 1].model_copy(
            update={
                "as_of": day.valuation_set.valuation_date,
                "positions_date": book.book.positions_date,
                "scenario_set": None,
                "market_date": None,
                "valuation_set": seal,
            }
        )
        return IntermediateValuation(bits, question, request, seal, scenario_set)

    def _scenarios(self, market: ValuationSet, moves: ValuationSet) -> tuple[str, ScenarioRequest | None]:
        """Id of the set with these moves on this market, and how to make it where it is not either point's own."""
        if market.scenario_set_id == moves.scenario_set_id:
            return market.scenario_set_id, None
        request = ScenarioRequest(
            method="rebased",
            parameters={"scenario_set": moves.scenario_set_id, "base_set": market.scenario_set_id},
            name=None,
        )
        return self._rebased(market.market_date, request.model_dump_json()), request

    @functools.cache  # noqa: B019 - a path lives as long as one answer
    def _rebased(self, market_date: Any, request: str) -> str:
        made = make_scenario_set(self._snapshot, market_date, ScenarioRequest.model_validate_json(request))
        return made.scenario_set_id

    def _sealed(self, day: Any, scenario_set: str, bits: int) -> str | None:
        """The newest valuation set of these coordinates, by today's pricers, that lacks no contract of either selection."""
        sides = self._comparison.sides[bits & 1 :][:1] if self._restated else self._comparison.sides
        classes = self._inputs[0].valuation_set.risk_classes
        for seal in reversed(self._cache.seals(self._snapshot)):
            if (
                (seal.valuation_date, seal.scenario_set_id) == (day, scenario_set)
                and seal.risk_classes == classes
                and seal.pricer_version in (all_pricers_version(), *self._own_version)
                and not any(self._lacks(seal, side) for side in sides)
            ):
                return seal.valuation_set_id
        return None

    @functools.cached_property
    def _own_version(self) -> tuple[str, ...]:
        """The version of both points, where they have one: then corners may be of it too."""
        versions = {i.valuation_set.pricer_version for i in self._inputs}
        return tuple(versions) if len(versions) == 1 else ()

    def _lacks(self, seal: ValuationSet, side: Any) -> bool:
        book = side.inputs.book
        alignment = self._cache.alignment(book, self._cache.vectors(seal))
        kept = book.by_contract(side.selection.keep) > 0
        return bool((kept & (alignment.state == MISSING)).any())

    # --- the two methods ----------------------------------------------------------------------------------------------

    def sequential(self, plan: AttributionPathPlan) -> AttributionPathResult:
        """Step by step in the order of `COORDINATES`; each step is explained by the product identity."""
        columns: dict[str, Floats] = {}
        steps = [self._between(a.question, b.question) for a, b in itertools.pairwise(plan.corners)]
        names = [changed(b.bits ^ a.bits)[0] for a, b in itertools.pairwise(plan.corners)]
        for name, (_, found) in zip(names, steps, strict=True):
            for cause in found.causes:
                to = _OF_STEP.get(name, cause) if cause == "revaluation" else cause
                columns[to] = columns.get(to, 0.0) + found.rows[cause].to_numpy()
        ends = (steps[0][1].rows["before"], steps[-1][1].rows["after"]) if steps else None
        measures = [found.before for _, found in steps] + ([steps[-1][1].after] if steps else [])
        causes = tuple(c for c in SEQUENTIAL if c in columns or c == "model")
        return self._result(plan, columns, causes, ends, measures, None)

    def shapley(self, plan: AttributionPathPlan) -> AttributionPathResult:
        """The average over all orders of the active coordinates."""
        by_bits = {c.bits: c for c in plan.corners}
        pairs = {}
        for bits, corner in by_bits.items():
            if not bits & 1:
                pairs[bits] = self._between(corner.question, by_bits.get(bits | 1, corner).question)
        n = len(next(iter(pairs.values()))[1].rows)
        values: Floats = np.empty((n, 1 << len(self._bits)))
        totals: dict[int, Any] = {}
        for place, bits in enumerate(self._in_order()):
            comparison, found = pairs[bits & ~1]
            values[:, place] = found.rows["after" if bits & 1 else "before"].to_numpy()
            totals[bits] = (comparison.sides[bits & 1], found.after if bits & 1 else found.before)
        shares = shapley(values)
        columns = dict(zip(self.active, shares.T, strict=True))
        ends = (pa.array(values[:, 0]), pa.array(values[:, -1]))
        intervals = self._intervals([totals[b][0] for b in self._in_order()])
        measures = [totals[c.bits][1] for c in plan.corners]
        return self._result(plan, columns, (*self.active, "model"), ends, measures, intervals)

    def _in_order(self) -> list[int]:
        """Corners as `shapley` numbers them: bit k of the number is the k-th active coordinate."""
        return [sum(b for k, b in enumerate(self._bits) if number >> k & 1) for number in range(1 << len(self._bits))]

    def _between(self, one: RiskQuery, two: RiskQuery) -> tuple[Comparison, ExplainResult]:
        plain = {"interval": None}
        comparison = compared(self._lake, one.model_copy(update=plain), two.model_copy(update=plain), cache=self._cache)
        return comparison, explained(comparison)

    def _intervals(self, sides: Sequence[Any]) -> dict[str, tuple[float, float]] | None:
        """Every corner under the same resamples of its scenarios, and Shapley's average of each."""
        confidence = interval_confidence(self._comparison.question[0])
        if confidence is None:
            return None
        pair = paired_resamples(*self._inputs)
        asked = self._comparison.asked
        moves = COORDINATES.index("scenarios")
        drawn = []
        for bits, side in zip(self._in_order(), sides, strict=True):
            counts = pair[bits >> moves & 1]
            if side.holds:
                drawn.append(resampled(asked, side.pnl[None, :], side.inputs.weights, counts)[0])
            else:
                drawn.append(np.zeros(counts.count))
        values = np.stack(drawn, axis=1)
        figures = np.vstack([shapley(values).T, values[:, -1] - values[:, 0]])
        low, high = percentile_interval(figures, confidence)
        return {c: (float(a), float(b)) for c, a, b in zip((*self.active, "change"), low, high, strict=True)}

    def _result(
        self,
        plan: AttributionPathPlan,
        columns: dict[str, Floats],
        causes: Sequence[str],
        ends: tuple[Any, Any] | None,
        measures: Sequence[float],
        intervals: dict[str, tuple[float, float]] | None,
    ) -> AttributionPathResult:
        """The table, with what the pricers changed at both ends, checked against the two measures."""
        question = tuple(q.model_copy(update={"interval": None}) for q in self._comparison.question)
        own = explained(dataclasses.replace(self._comparison, question=(question[0], question[1])))
        before, after = own.rows["before"].to_numpy(), own.rows["after"].to_numpy()
        model = np.zeros(len(before))
        if ends is not None:
            size = max(np.abs(before).max(initial=0.0), np.abs(after).max(initial=0.0))
            model = difference(ends[0].to_numpy(), before, size) + difference(after, ends[1].to_numpy(), size)
        cells = on_grid(np.stack([{**columns, "model": model}[c] for c in causes], axis=1))
        residual = own.change - float(cells.sum())
        largest = max(abs(own.before), abs(own.after), float(np.abs(cells).max(initial=0.0)))
        if not abs(residual) <= identity.TOLERANCE * largest:
            raise AssertionError(
                f"{own.measure} changed by {own.change!r} and its causes add up to {float(cells.sum())!r}"
            )
        keys = own.rows.select(self._comparison.members.keys.column_names)
        rows = pa.table(
            {
                **dict(zip(keys.column_names, keys.columns, strict=True)),
                "before": before,
                "after": after,
                "change": cells.sum(axis=1),
                **dict(zip(causes, cells.T, strict=True)),
            }
        )
        points = [
            {**entry, "measure": value} for entry, value in zip(plan.to_dict()["corners"], measures, strict=False)
        ]
        return AttributionPathResult(
            question=self._comparison.question,
            method=plan.method,
            measure=own.measure,
            before=own.before,
            after=own.after,
            rows=rows,
            causes=dict(zip(causes, map(float, cells.sum(axis=0)), strict=True)),
            residual=residual,
            corners=tuple(points),
            receipt=self._receipt(plan, cells),
            notes=(*own.notes, *self._notes(plan)),
            intervals=intervals,
        )

    def _receipt(self, plan: AttributionPathPlan, cells: Floats) -> dict[str, Any]:
        one, two = (q.model_dump(mode="json") for q in self._comparison.question)
        question = {"from": one, "to": two, "method": plan.method}
        inputs = [name_inputs(open_inputs(self._cache, c.question)) for c in plan.corners]
        return receipt_of(
            "explain-through",
            question,
            digest(cells.tobytes()),
            {
                **name_both(*self._inputs),
                "corners": {str(c.bits): i for c, i in zip(plan.corners, inputs, strict=True)},
            },
            measure=self._comparison.asked.name,
        )

    def _notes(self, plan: AttributionPathPlan) -> Iterator[str]:
        order = ", then ".join(self.active) or "nothing"
        if plan.method == "sequential":
            yield f"Causes depend on the order of the steps: {order}. The tail is what each step re-ranks, added up."
        else:
            yield f"Each cause is its average over all {len(self.active)}! orders of {', '.join(self.active) or 'nothing'}."
        for c in plan.corners:
            if c.bits in (0, self._every):
                continue
            inputs = open_inputs(self._cache, c.question)
            book = self._comparison.sides[c.bits & 1]
            kept = book.inputs.book.by_contract(book.selection.keep)
            uncovered = int(kept[inputs.alignment.state != 0].sum())
            if uncovered:
                has, they_are = ("position has", "it is") if uncovered == 1 else ("positions have", "they are")
                yield (
                    f"{uncovered:,} {has} no value at the corner with {', '.join(changed(c.bits))} of the second point: {they_are} "
                    "not in its number."
                )
