"""Backtests: reported VaR of one day against the P&L of the next, with every test of `kernels.backtest_statistics`. Pure.

An exception is a loss greater than the VaR. A day without VaR or without P&L counts as one too, and says why (MAR32.9): what
is missing must not make a model look good. Tests of how bad losses are need both, and leave such days out.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from aggregation.answer import HIDDEN, Answer, shown
from aggregation.backtest.prescribed import attribution_zone, desk_limit, traffic_light_rules
from aggregation.kernels import backtest_statistics as tests
from aggregation.kernels.backtest_statistics import Attribution, StatisticalTest, TailOutcomes, TrafficLight
from aggregation.kernels.estimators import exact_level
from aggregation.measures import MEASURES
from aggregation.reduce.selection import Selection, scenario_pnl
from aggregation.risk.query import level_text
from aggregation.types import EstimatorName, Level, Positions, RiskQuery, Whole
from lake.arrays import Bools, Floats
from lake.dates import Day
from lake.errors import BadInput, Issue, counted

HYPOTHETICAL, ACTUAL = "hypothetical", "actual"

Key = tuple[str | None, ...]  # members of a node; () for the total


class BacktestQuery(Positions):
    """Which VaR is held against which P&L, and how it is tested."""

    first: Day = Field(alias="from", description="first day whose VaR is tested, against the P&L of the next")
    last: Day = Field(alias="to", description="last day whose P&L is tested")
    levels: tuple[Level, ...] = Field(
        ("0.99", "0.975"),
        min_length=1,
        max_length=32,
        description="confidence levels; the ES tests at several levels begin at the lowest",
    )
    estimator: EstimatorName = Field("order_statistic", description="how a quantile is read from the scenarios")
    scenario_set: str | None = Field(None, description="scenario set name; default the standard of the lake or desk")
    source: str | None = Field(
        None, description="system whose reported VaR is tested (varlake ingest var), instead of VaR from stored vectors"
    )
    calendar: str = Field(
        "XNYS",
        description="business days that are tested: an exchange calendar, weekdays, or books for the days that have one",
    )
    window: Whole = Field(250, ge=1, le=5000, description="days the traffic light and the limits look back")
    time: Literal["frozen", "passes"] = Field(
        "frozen",
        description="hypothetical P&L with the valuation date kept (frozen, as the scenarios of VaR have it), or with the day's "
        "ageing and the cash it pays (passes)",
    )
    significance: float = Field(0.05, ge=0.0001, le=0.5, description="p-value below which a test rejects")
    law: Literal["scenarios", "normal", "t"] = Field(
        "scenarios",
        description="law of P&L under which the ES statistics are simulated: each day's stored scenarios, normal, or t",
    )
    degrees: float = Field(5.0, gt=2, le=1000, description="degrees of freedom of the law t")
    simulations: Whole = Field(
        10_000, ge=0, le=100_000, description="simulations of the ES statistics; 0 leaves them out"
    )
    seed: Whole = Field(1, ge=0, description="seed of the simulations")
    steps: Whole = Field(4, ge=1, le=64, description="VaR levels of the multinomial test, from the lowest level up")
    method: str = Field("historical", description="scenario method of the days that are valued for it")
    parameters: dict[str, Any] = Field(default_factory=dict, description="parameters of that method")

    @model_validator(mode="after")
    def _in_order(self) -> BacktestQuery:
        if self.last <= self.first:
            raise ValueError("expected a last day after the first")
        return self

    def exact_levels(self) -> list[Fraction]:
        """The levels, exact, without repetition; raises `BadInput`."""
        found: dict[Fraction, None] = {}
        for i, text in enumerate(self.levels):
            try:
                found[exact_level(text)] = None
            except ValueError as error:
                raise BadInput(str(error), issues=(Issue(f"levels/{i}", str(error), text),)) from None
        return list(found)

    def ladder(self) -> list[Fraction]:
        """The levels of the multinomial test: a, a + (1 - a) / k, ..., of k steps from the lowest level a."""
        a = min(self.exact_levels())
        return [a + j * (1 - a) / self.steps for j in range(self.steps)]

    def question(self, day: dt.date) -> RiskQuery:
        """The question for the risk of one day."""
        return RiskQuery(
            as_of=day,
            by=self.by,
            where=self.where,
            measures=("var", "es"),
            levels=self.levels,
            currency=self.currency,
            estimator=self.estimator,
            scenario_set=self.scenario_set,
        )


@dataclass(frozen=True)
class NodeRisk:
    """Risk of a node on a day: `var` and `es` by level, `ladder` VaR by its levels, `tails` by level.

    Of a VaR that was reported there are no scenarios, hence no tails, and nobody knows of how many positions it is.
    """

    var: Floats
    es: Floats
    ladder: Floats
    tails: tuple[TailOutcomes, ...]
    positions: int | None
    covered: int | None


@dataclass(frozen=True)
class NodePnL:
    """P&L of a node on a day; None with the reason. `note` says what is not whole in a value that is there."""

    value: float | None
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class TestedDay:
    """A day of a node: VaR of `var_day` against P&L of `day`, by kind of P&L."""

    var_day: dt.date
    day: dt.date
    risk: NodeRisk | None
    reason: str | None
    pnl: Mapping[str, NodePnL]


def published(selection: Selection, query: BacktestQuery) -> dict[Key, NodeRisk]:
    """Risk of every group of the selection and, under (), of all; groups with nothing covered are not there."""
    inputs, groups = selection.inputs, selection.groups
    horizon, made = inputs.scenarios.horizon_days, inputs.valuation_set
    if horizon != 1:
        raise BadInput(
            f"VaR of {made.valuation_date} spans {horizon} days (scenario set {made.scenario_set_name}), and "
            "is tested against P&L of one day; name a scenario set of one-day moves."
        )
    first = 0 if query.by else groups.n
    _, pnl = scenario_pnl(selection, first, groups.n + 1 - first)
    covered = selection.counts[first:, 0] > 0
    pnl = pnl[covered]
    if not len(pnl):
        return {}
    levels, weights = query.exact_levels(), inputs.weights

    def measured(name: str, at: Sequence[Fraction]) -> Floats:
        how = {"weights": weights, "estimator": query.estimator}
        return np.stack([MEASURES[name].function(pnl, level=level, **how) for level in at], axis=1)

    var, es, ladder = measured("var", levels), measured("es", levels), measured("var", query.ladder())
    keys: list[Key] = [*zip(*(c.to_pylist() for c in groups.keys.columns), strict=True)] if query.by else []
    out = {}
    for i, g in enumerate((first + np.flatnonzero(covered)).tolist()):
        tails = tuple(
            tests.tail_of(pnl[i], v, e, weights) for v, e in zip(var[i].tolist(), es[i].tolist(), strict=True)
        )
        count = selection.counts[g]
        out[keys[g] if g < groups.n else ()] = NodeRisk(
            var[i], es[i], ladder[i], tails, int(count.sum()), int(count[0])
        )
    return out


@dataclass(frozen=True)
class Judged(Answer):
    """One kind of P&L at one level. exceptions = exceeded + missing; `window` has them among the last days looked at."""

    pnl: str
    days: int
    exceptions: int
    exceeded: int
    missing: int
    window: int
    outcomes: tuple[StatisticalTest, ...]


@dataclass(frozen=True)
class LevelBacktest(Answer):
    """A level. `exceptions` is the greatest count of any kind of P&L, in the window; limit of a desk where there is one."""

    level: str
    exceptions: int
    traffic_light: TrafficLight
    desk_limit: int | None
    by_pnl: tuple[Judged, ...]

    @property
    @shown("within_limit")
    def within_limit(self) -> bool | None:
        return None if self.desk_limit is None else self.exceptions <= self.desk_limit


@dataclass(frozen=True)
class NodeBacktest(Answer):
    """A node's backtest. `node` names its members by dimension, empty for the total. `days` has a row a tested day.

    attribution : P&L attribution: the P&L by file of the kind `attributed` against the revalued one, None where no file brought any.
    exceptions : what lies behind each, a mapping a day (see `aggregation.backtest.backtest`).
    """

    node: Mapping[str, str | None]
    days: tuple[Mapping[str, Any], ...]
    levels: tuple[LevelBacktest, ...]
    multinomial: Mapping[str, StatisticalTest]
    attribution: Attribution | None
    attributed: str | None
    exceptions: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BacktestResult(Answer):
    """The total first, then the members asked for; what was read, by day, in `receipt`."""

    query: BacktestQuery = field(metadata=HIDDEN)
    nodes: tuple[NodeBacktest, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    @shown("query")
    def asked(self) -> Mapping[str, Any]:
        """The question, with its days as first and last."""
        return self.query.model_dump(mode="json")

    @property
    def rows(self) -> pa.Table:
        """The tested days of all nodes: the `by` columns, `total` (true for all together), and a column a figure."""
        rows = [{**n.node, "total": not n.node, **day} for n in self.nodes for day in n.days]
        columns = dict.fromkeys(
            [*self.query.by, "total", *(name for n in self.nodes for day in n.days[:1] for name in day)]
        )
        return pa.Table.from_pylist(rows, schema=pa.schema([pa.field(c, self._type(c)) for c in columns]))

    def _type(self, column: str) -> pa.DataType:
        if column in self.query.by or column == "remark":
            return pa.string()
        if column in ("day", "var_day"):
            return pa.date32()
        if column == "total" or "_exception_" in column:
            return pa.bool_()
        return pa.int64() if column in ("positions", "covered") or column.startswith("exceptions_in") else pa.float64()


@dataclass
class _TestedColumns:
    """The tested days of a node as arrays; NaN where there is nothing."""

    days: Sequence[TestedDay]
    kinds: tuple[str, ...]
    var: Floats
    es: Floats
    ladder: Floats
    pnl: dict[str, Floats]
    missing: dict[str, Bools] = field(default_factory=dict)

    def __post_init__(self) -> None:
        no_var = np.array([d.risk is None for d in self.days])
        self.missing = {k: no_var | np.isnan(self.pnl[k]) for k in self.kinds}

    def exceeded(self, kind: str, level: int) -> Bools:
        with np.errstate(invalid="ignore"):  # what is missing is no number, and exceeds nothing
            return np.asarray(-self.pnl[kind] > self.var[:, level])

    def exceptions(self, kind: str, level: int) -> Bools:
        return self.exceeded(kind, level) | self.missing[kind]


def judge(
    days: Sequence[TestedDay], query: BacktestQuery, node: Mapping[str, str | None], supplied: Mapping[str, Floats]
) -> NodeBacktest:
    """All tests of a node over its days, in order of day.

    supplied : by kind the P&L (n_days,) that came by file, NaN where it did not; the attribution takes hypothetical P&L of the
    front office where there is some, else the actual one.
    """
    columns = _columns(days, query)
    levels = tuple(_level(columns, i, level, query) for i, level in enumerate(query.exact_levels()))
    multinomial = {k: _multinomial(columns, k, query) for k in columns.kinds}
    attribution, attributed = _attribution(columns, supplied)
    notes = []
    for kind in columns.kinds:
        if n := int(columns.missing[kind].sum()):
            has, count = ("has", "counts as an exception") if n == 1 else ("have", "count as exceptions")
            notes.append(f"{n} of {counted(len(days), 'day')} {has} no VaR or no {kind} P&L, and {count} of it.")
    partial = sum(d.risk is not None and (d.risk.covered or 0) < (d.risk.positions or 0) for d in days)
    if partial:
        notes.append(
            f"On {partial} of {counted(len(days), 'day')} the VaR rests on part of the positions; see covered."
        )
    return NodeBacktest(
        dict(node),
        tuple(_row(columns, i, query) for i in range(len(days))),
        levels,
        {k: o for k, o in multinomial.items() if o is not None},
        attribution,
        attributed,
        notes=tuple(notes),
    )


def _columns(days: Sequence[TestedDay], query: BacktestQuery) -> _TestedColumns:
    kinds = tuple(k for k in (HYPOTHETICAL, ACTUAL) if any(k in d.pnl for d in days))
    n, n_levels = len(days), len(query.exact_levels())
    var, es, ladder = (np.full((n, k), np.nan) for k in (n_levels, n_levels, query.steps))
    pnl: dict[str, Floats] = {k: np.full(n, np.nan) for k in kinds}
    for i, day in enumerate(days):
        if day.risk is not None:
            var[i], es[i], ladder[i] = day.risk.var, day.risk.es, day.risk.ladder
        for kind, found in day.pnl.items():
            pnl[kind][i] = np.nan if found.value is None else found.value
    return _TestedColumns(days, kinds, var, es, ladder, pnl)


def _level(columns: _TestedColumns, i: int, level: Fraction, query: BacktestQuery) -> LevelBacktest:
    p = float(1 - level)
    judged = tuple(_judged(columns, kind, i, p, query) for kind in columns.kinds)
    count = max(j.window for j in judged)
    looked_at = min(query.window, len(columns.days))
    light = tests.traffic_light(looked_at, count, p, traffic_light_rules())
    return LevelBacktest(level_text(level), count, light, desk_limit(float(level), query.window), judged)


def _judged(columns: _TestedColumns, kind: str, i: int, p: float, query: BacktestQuery) -> Judged:
    hits = columns.exceptions(kind, i)
    n, x = len(hits), int(hits.sum())
    s = query.significance
    count, pairs = tests.kupiec(n, x, p, s), tests.christoffersen(hits, s)
    outcomes = [
        tests.binomial(n, x, p, s),
        count,
        pairs,
        tests.conditional_coverage(count, pairs),
        tests.first_failure(hits, p, s),
        tests.time_between_failures(hits, p, s),
        *_shortfall(columns, kind, i, p, query),
    ]
    missing = int(columns.missing[kind].sum())
    return Judged(kind, n, x, x - missing, missing, int(hits[-query.window :].sum()), tuple(outcomes))


def _shortfall(columns: _TestedColumns, kind: str, i: int, p: float, query: BacktestQuery) -> Sequence[StatisticalTest]:
    """The tests of Acerbi and Szekely over the days that have VaR and P&L, and an ES that is a loss."""
    usable = ~columns.missing[kind] & (columns.es[:, i] > 0)
    n = int(usable.sum())
    if not query.simulations or not n or (query.law == "scenarios" and query.source is not None):
        return ()
    if query.law == "scenarios":
        tails = [d.risk.tails[i] for d, u in zip(columns.days, usable, strict=True) if u and d.risk is not None]
        null, law = tests.of_scenarios(tails), "stored scenarios of each day"
    elif query.law == "normal":
        null, law = tests.normal_tail(n, p), "normal"
    else:
        null, law = tests.student_tail(n, p, query.degrees), f"Student t, {query.degrees:g} degrees of freedom"
    return tests.acerbi_szekely(
        columns.pnl[kind][usable],
        columns.var[usable, i],
        columns.es[usable, i],
        p,
        null,
        law,
        simulations=query.simulations,
        seed=query.seed,
        significance=query.significance,
    )


def _multinomial(columns: _TestedColumns, kind: str, query: BacktestQuery) -> StatisticalTest | None:
    usable = ~columns.missing[kind] & np.isfinite(columns.ladder).all(axis=1)
    if not usable.any():
        return None
    breaches = (-columns.pnl[kind][usable, None] > columns.ladder[usable]).sum(axis=1)
    tail = float(1 - min(query.exact_levels()))
    return tests.multinomial(breaches, [1 - tail, *[tail / query.steps] * query.steps], query.significance)


def _attribution(columns: _TestedColumns, supplied: Mapping[str, Floats]) -> tuple[Attribution | None, str | None]:
    for kind in (HYPOTHETICAL, ACTUAL):
        if kind in supplied and HYPOTHETICAL in columns.pnl:
            revalued, given = columns.pnl[HYPOTHETICAL], supplied[kind]
            both = np.isfinite(revalued) & np.isfinite(given)
            return tests.attribution(revalued[both], given[both], attribution_zone), kind
    return None, None


def _row(columns: _TestedColumns, i: int, query: BacktestQuery) -> dict[str, Any]:
    """What the table of days shows of one."""
    day = columns.days[i]
    names = [level_text(x) for x in query.exact_levels()]
    row: dict[str, Any] = {
        "day": day.day,
        "var_day": day.var_day,
        "positions": None if day.risk is None else day.risk.positions,
        "covered": None if day.risk is None else day.risk.covered,
    }
    for what, values in (("var", columns.var), ("es", columns.es)):
        row |= {f"{what}_{n}": None if math.isnan(v) else v for n, v in zip(names, values[i].tolist(), strict=True)}
    for kind in columns.kinds:
        row[f"{kind}_pnl"] = None if np.isnan(columns.pnl[kind][i]) else float(columns.pnl[kind][i])
        row |= {f"{kind}_exception_{n}": bool(columns.exceptions(kind, j)[i]) for j, n in enumerate(names)}
    begin = max(i + 1 - query.window, 0)
    for j, n in enumerate(names):
        row[f"exceptions_in_window_{n}"] = max(
            int(columns.exceptions(k, j)[begin : i + 1].sum()) for k in columns.kinds
        )
    reasons = [day.reason, *(p.reason for p in day.pnl.values()), *(p.note for p in day.pnl.values())]
    row["remark"] = "; ".join(dict.fromkeys(r for r in reasons if r)) or None
    return row
