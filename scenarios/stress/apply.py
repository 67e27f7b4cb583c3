"""What a document does to a market: levels of every factor in every scenario, and how each of them came about."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, Issue, VarlakeError, unknown
from scenarios.market.base_market import BaseMarket
from scenarios.stress import model as m
from scenarios.stress.amounts import FRACTIONS, as_quotes, as_rates, level_of, listed, multiplied, shifted
from scenarios.stress.crosses import PairShock, PairTree, settle
from scenarios.stress.language import amount_text, selector_text, step_text
from scenarios.stress.select import Universe
from scenarios.stress.shapes import by_curve, curve_amounts
from scenarios.types import POSITIVE_TYPES, FactorIndex, RiskFactor

MAX_LEVELS = 20_000_000  # risk factors x scenarios of one document: 160 MB


@dataclass(frozen=True)
class IncludedScenario:
    """One scenario to include: base and scenario levels (n,) of the factors it moves."""

    index: FactorIndex
    base: Floats
    levels: Floats


Stored = Callable[[m.Include], IncludedScenario]  # a stored scenario by name or id; raises NotFound


@dataclass
class AppliedScenario:
    """One scenario of a document: `levels` of shape (n_factors, n_nodes), one node without a grid.

    named : rows a step names. derived : rows moved by triangulation, and the rule. pairs : pairs named that no factor is,
    as base and quote. crosses : their prices before and after. absent : factors an included scenario moves and this market does not have.
    moved_by : row to the pointer of the last step that names it. failed : assertions that do not hold, in words.
    """

    labels: tuple[str, ...]
    levels: Floats
    named: set[int] = field(default_factory=set)
    derived: dict[int, str] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    crosses: dict[str, tuple[float, Floats]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    moved_by: dict[int, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class DocumentFaults:
    """Gathers every fault of a document with the JSON pointer of its place."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    @contextmanager
    def at(self, pointer: str) -> Iterator[None]:
        try:
            yield
        except VarlakeError as error:
            first = error.issues[0] if error.issues else Issue("", "")
            inside = f"/{first.pointer}" if first.pointer.startswith(("select/", "axes/", "change", "steps/")) else ""
            self.issues.append(Issue(pointer + inside, error.message, first.value, first.allowed))


def evaluate(
    document: m.Document, market: BaseMarket, name: str, stored: Stored
) -> tuple[list[AppliedScenario], list[Issue]]:
    """The outcome of every scenario, and all faults found; an outcome counts only when there are none.

    `name` labels a scenario without a name of its own.
    """
    faults = DocumentFaults()
    outcomes: list[AppliedScenario] = []
    earlier: dict[str, AppliedScenario] = {}
    machine = _Machine(market, stored, earlier, faults)
    n_factors, total = len(market.index.factors), sum(s.size for s in document.scenarios)
    if n_factors * total > MAX_LEVELS:
        raise BadInput(
            f"{total:,} scenarios of {n_factors:,} risk factors are more than the {MAX_LEVELS:,} levels a document may have."
        )
    for i, scenario in enumerate(document.scenarios):
        outcome = machine.run(scenario, name, f"/scenarios/{i}")
        outcomes.append(outcome)
        if scenario.name is not None:
            earlier[scenario.name] = outcome
    labels = [label for o in outcomes for label in o.labels]
    if len(set(labels)) < len(labels):
        faults.issues.append(Issue("/scenarios", "two scenarios have the same label; give them other names"))
    return outcomes, faults.issues


class _Machine:
    def __init__(
        self, market: BaseMarket, stored: Stored, earlier: Mapping[str, AppliedScenario], faults: DocumentFaults
    ) -> None:
        self.market = market
        self.factors = market.index.factors
        self.universe = Universe(market.index, market.excluded)
        self.tree = PairTree(market.index)
        self.stored, self.earlier, self.faults = stored, earlier, faults

    def run(self, scenario: m.Scenario, name: str, pointer: str) -> AppliedScenario:
        ladder = _ladders(scenario.grid)
        base = np.repeat(self.market.base[:, None], scenario.size, axis=1)
        outcome = AppliedScenario(_labels(scenario, name), base)
        stage = _Stage(self, outcome, ladder)
        for i, step in enumerate(scenario.steps):
            if isinstance(step, m.Assertion):
                continue
            here = f"{pointer}/steps/{i}"
            if step.then:
                with self.faults.at(pointer):
                    stage.close()
                stage = _Stage(self, outcome, ladder)
            with self.faults.at(here):
                stage.take(step, f"step {i + 1} ({step_text(step)})", here)
        with self.faults.at(pointer):
            stage.close()
        self._check_levels(outcome, pointer)
        outcome.crosses = {
            pair: (float(self.tree.price(b, q, base)[0]), self.tree.price(b, q, outcome.levels))
            for pair, (b, q) in outcome.pairs.items()
        }
        for i, step in enumerate(scenario.steps):
            if isinstance(step, m.Assertion):
                with self.faults.at(f"{pointer}/steps/{i}"):
                    outcome.failed += failures(step, self.universe, self.tree, outcome.labels, outcome.levels)
        return outcome

    def _check_levels(self, outcome: AppliedScenario, pointer: str) -> None:
        bad: dict[str, list[int]] = {}
        for r, f in enumerate(self.factors):
            levels = outcome.levels[r]
            if not np.isfinite(levels).all() or (f.type in POSITIVE_TYPES and not (levels > 0).all()):
                bad.setdefault(outcome.moved_by.get(r, pointer), []).append(r)
        for place, rows in bad.items():
            f, worst = self.factors[rows[0]], outcome.levels[rows[0]].min()
            message = (
                f"Levels that must be positive would not be: {listed([self.factors[r] for r in rows])}; "
                f"{f.risk_factor_id} at {worst:g} from {self.market.base[rows[0]]:g}. Make the move smaller."
            )
            self.faults.issues.append(Issue(place, message))


class _Stage:
    """Moves that act beside each other: all on the levels before the stage, and no factor twice."""

    def __init__(self, machine: _Machine, outcome: AppliedScenario, ladder: list[Floats]) -> None:
        self.machine, self.outcome, self.ladder = machine, outcome, ladder
        self.before = outcome.levels
        self.new: dict[int, Floats] = {}
        self.said: dict[int, str] = {}
        self.crosses: list[PairShock] = []
        self.included: set[int] = set()
        self.moving: dict[int, str] = {}
        self.place = ""

    def take(self, step: Any, said: str, pointer: str) -> None:
        """Adds a step to the stage; raises `BadInput` where it fits neither the market nor the steps before it."""
        claimed = set(self.said)
        self.place = pointer[pointer.rindex("/steps/") + 1 :]
        self._take(step, said)
        self.outcome.moved_by |= dict.fromkeys(self.said.keys() - claimed, pointer)

    def _take(self, step: Any, said: str) -> None:
        if isinstance(step, m.Include):
            self._include(step, said)
        elif isinstance(step, m.Grid):
            for i, (axis, values) in enumerate(zip(step.axes, self.ladder, strict=True)):
                moved = m.Shift(select=axis.select, value=axis.stop, unit=axis.unit)
                try:
                    self._move(moved, said, functools.partial(_on_ladder, values, axis.unit))
                except VarlakeError as error:
                    issues = [dataclasses.replace(x, pointer=f"axes/{i}/{x.pointer}") for x in error.issues]
                    raise BadInput(error.message, issues=issues) from None
        elif isinstance(step, m.Curve):
            self._curve(step, said)
        elif isinstance(step, m.Shift):
            self._move(step, said, lambda fs, old: shifted(fs, old, step.value, step.unit))
        elif isinstance(step, m.Multiply):
            self._move(step, said, lambda fs, old: multiplied(fs, old, step.value))
        else:
            self._move(step, said, lambda fs, old: _assigned(fs, old, step))

    def _move(self, step: Any, said: str, new: Callable[[list[RiskFactor], Floats], Floats]) -> None:
        rows, pairs = self.machine.universe.rows_and_pairs(step.select)
        factors = [self.machine.factors[r] for r in rows]
        if rows:
            self._claim(rows, new(factors, self.before[list(rows)]), said)
            self._leg(step, rows)
        for base, quote in pairs:
            self._pair(step, base, quote, said, new)

    def _leg(self, step: Any, rows: tuple[int, ...]) -> None:
        """Keeps which leg moves with a held cross; a pair that no triangle decides has none to choose."""
        moving = getattr(step, "moving", None)
        if moving is None:
            return
        if own := [self.machine.factors[r] for r in rows if r in self.machine.tree.rows]:
            raise BadInput(f"{listed(own)} is held and moves itself; `moving` is for crosses. Leave it out.")
        self.moving |= dict.fromkeys(rows, moving)

    def _pair(self, step: Any, base: str, quote: str, said: str, new: Callable[..., Floats]) -> None:
        before = self.machine.tree.price(base, quote, self.before)
        after = new([_as_factor(base, quote)], before[None, :])[0]
        if not (after > 0).all():
            raise BadInput(
                f"{base}{quote} would be {after.min():g}; an exchange rate is positive. Make the move smaller."
            )
        held = self.machine.tree.held.get((quote, base))
        if held is not None:
            self._claim((held,), 1.0 / after[None, :], said)
            self._leg(step, (held,))
        else:
            self.crosses.append(PairShock(base, quote, after / before, step.moving, said, self.place))
        self.outcome.pairs |= {base + quote: (base, quote)}

    def _curve(self, step: m.Curve, said: str) -> None:
        index = self.machine.market.index
        rows = self.machine.universe.select(step.select)
        for own in by_curve(index.factors, rows).values():
            # shortest first, as shapes read them
            ordered = sorted(own, key=lambda r: index.curve(index.factors[r].curve or "").index(index.factors[r]))
            moved, amounts = curve_amounts(step, tuple(index.factors[r] for r in ordered))
            hit = tuple(ordered[i] for i in moved)
            factors = [index.factors[r] for r in hit]
            self._claim(hit, shifted(factors, self.before[list(hit)], amounts[:, None], step.unit), said)

    def _include(self, step: m.Include, said: str) -> None:
        move = self._move_of(step)
        here = self.machine.market.index.row
        for f, base, level in zip(move.index.factors, move.base, move.levels, strict=True):
            row = here.get(f.risk_factor_id)
            if row is None:
                self.outcome.absent[f.risk_factor_id] = f"moved by {step.name}, but not in the market of this date"
                continue
            old = self.before[[row]]
            if step.scale == 1 and (old == base).all():
                new = np.full_like(old, level)
            elif f.shift_type == "absolute":
                new = old + step.scale * (level - base)
            elif base > 0:
                new = old * (1.0 + step.scale * (level / base - 1.0))
            else:
                raise BadInput(
                    f"{step.name} moves {f.risk_factor_id} from {base:g}, which is no base for a relative move."
                )
            self._claim((row,), new, said)
            self.included.add(row)

    def _move_of(self, step: m.Include) -> IncludedScenario:
        local = self.machine.earlier.get(step.name)
        if local is None:
            return self.machine.stored(step)
        column = one_label(step, local.labels)
        rows = sorted(local.named | local.derived.keys())
        index = self.machine.market.index
        return IncludedScenario(
            FactorIndex(tuple(index.factors[r] for r in rows)),
            self.machine.market.base[rows],
            local.levels[rows, column],
        )

    def _claim(self, rows: tuple[int, ...], new: Floats, said: str) -> None:
        if twice := [r for r in rows if r in self.said]:
            raise BadInput(
                f"{said} moves {listed([self.machine.factors[r] for r in twice])}, which {self.said[twice[0]]} moves already. "
                "Write `then` before it if it should act on the result, or narrow one of the selectors."
            )
        self.said |= dict.fromkeys(rows, said)
        self.new |= {r: new[i] for i, r in enumerate(rows)}

    def close(self) -> None:
        """Ends the stage: pairs settled, levels moved."""
        index = self.machine.market.index
        pairs = {r: v for r, v in self.new.items() if index.factors[r].type == "fx_rate"}
        settled: dict[int, Floats] = {}
        if pairs or self.crosses:
            settled, derived = settle(
                self.machine.tree, self.before, pairs, self.crosses, moving=self.moving, included=self.included
            )
            self.outcome.derived |= derived
        levels = self.before.copy()
        for row, value in (self.new | settled).items():
            levels[row] = value
        self.outcome.levels = levels
        self.outcome.named |= self.said.keys()
        for row in self.outcome.named & self.outcome.derived.keys():
            del self.outcome.derived[row]


def failures(
    step: m.Assertion, universe: Universe, tree: PairTree, labels: tuple[str, ...], levels: Floats
) -> list[str]:
    """Where an assertion does not hold, in words, one a factor; raises `BadInput` when it cannot be checked at all."""
    rows, pairs = universe.rows_and_pairs(step.select)
    factors = [universe.index.factors[r] for r in rows]
    seen = [(f, levels[r]) for f, r in zip(factors, rows, strict=True)]
    seen += [(_as_factor(b, q), tree.price(b, q, levels)) for b, q in pairs]
    failed = []
    for f, values in seen:
        wrong = ~_holds(as_rates([f], values[None, :])[0], step.comparison, level_of([f], step.value, step.unit))
        if wrong.any():
            first = int(np.argmax(wrong))
            failed.append(f"{step_text(step)}: {f.risk_factor_id} is {values[first]:g} in {labels[first]}")
    return failed


def _as_factor(base: str, quote: str) -> RiskFactor:
    """A cross that is not held, as a factor priced in its quote currency."""
    return RiskFactor(f"FX:{base}{quote}", "fx_rate", base + quote, quote)


def one_label(step: m.Include, labels: tuple[str, ...]) -> int:
    """Which of a set's scenarios an include means; raises `BadInput` when that is not one."""
    if step.label is not None:
        if step.label not in labels:
            raise unknown(f"scenario of {step.name}", step.label, labels)
        return labels.index(step.label)
    if len(labels) > 1:
        raise BadInput(
            f'{step.name} has {len(labels):,} scenarios; say which, such as include "{step.name}" label "{labels[0]}".'
        )
    return 0


def _assigned(factors: list[RiskFactor], old: Floats, step: m.Assign) -> Floats:
    if len(factors) > 1 and any(f.type not in FRACTIONS for f in factors):
        raise BadInput(f"{step_text(step)} sets {listed(factors)} to one price. Narrow the selector to one of them.")
    return as_quotes(factors, np.full_like(old, level_of(factors, step.value, step.unit)))


def _holds(values: Floats, comparison: str, bound: float) -> Any:
    if comparison == "<":
        return values < bound
    if comparison == "<=":
        return values <= bound
    return values > bound if comparison == ">" else values >= bound


def _on_ladder(values: Floats, unit: str, factors: list[RiskFactor], old: Floats) -> Floats:
    return shifted(factors, old, values, unit)


def ladder_of(axis: m.Axis) -> list[float]:
    # in decimals, so that -20..20 step 0.1 passes through 0 and through 0.3 exactly
    start, increment = Decimal(repr(axis.start)), Decimal(repr(axis.increment))
    return [float(start + i * increment) for i in range(axis.size)]


def _ladders(grid: m.Grid | None) -> list[Floats]:
    """Each axis's amount at every node, the first axis turning slowest."""
    if grid is None:
        return []
    return [values.ravel() for values in np.meshgrid(*map(ladder_of, grid.axes), indexing="ij")]


def _labels(scenario: m.Scenario, name: str) -> tuple[str, ...]:
    grid = scenario.grid
    if grid is None:
        return (scenario.name or name,)
    names = [selector_text(a.select) for a in grid.axes]
    nodes = [
        ", ".join(f"{n} {amount_text(v, a.unit)}" for n, v, a in zip(names, values, grid.axes, strict=True))
        for values in zip(*(ladder.tolist() for ladder in _ladders(grid)), strict=True)
    ]
    head = f"{scenario.name}: " if scenario.name else ""
    return tuple(head + node for node in nodes)


def axes_in(labels: Sequence[str]) -> tuple[tuple[str, list[str]], tuple[str, list[str]]] | None:
    """The two axes behind the labels of a grid, each as what it moves and its amounts; None of any other labels."""
    parts = [label.split(", ") for label in labels]
    for k in range(1, len(parts[0])):  # a selector may hold commas
        halves = [(", ".join(p[:k]), ", ".join(p[k:])) for p in parts]
        down, across = (list(dict.fromkeys(side)) for side in zip(*halves, strict=True))
        moved = [{text.rpartition(" ")[0] for text in side} for side in (down, across)]
        if (
            min(len(down), len(across)) > 1
            and halves == list(itertools.product(down, across))
            and all(len(what) == 1 for what in moved)
        ):
            one, two = (
                (what.pop(), [t.rpartition(" ")[2] for t in s]) for what, s in zip(moved, (down, across), strict=True)
            )
            return one, two
    return None
