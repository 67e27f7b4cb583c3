"""RiskQuery to RiskResult: finds the inputs, runs the reduce, keeps the receipt. Contains no formula.

Rows and total come from the same pass over the same net positions: the total is one group more, never a sum of results.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.kernels.fixed_sums import difference
from aggregation.measures import MEASURES, AskedMeasure, asked_measures, interval_confidence, with_fits
from aggregation.measures import level_text as level_text
from aggregation.opened.inputs import Inputs, open_inputs, scenario_labels
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import remembered
from aggregation.price import size_of
from aggregation.receipts import identity, make_receipt, sealed
from aggregation.reduce.coverage import FAILED_POSITIONS, coverage_columns, failed_in_words, show_groups, total_coverage
from aggregation.reduce.product import by_rows
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.sampling_error import (
    SECONDS_A_RANK,
    Resamples,
    drawn_from,
    interval,
    interval_notes,
    interval_seconds,
    resamples_of,
)
from aggregation.session import Session
from aggregation.types import Coverage, RiskQuery, RiskResult, Scope, Translation
from lake.arrays import Bools, Floats
from lake.canonical import digest
from lake.errors import BadInput, counted
from lake.progress import allowance
from lake.tables import Lake
from lake.words import first_of
from scenarios.types import RiskClass, ScenarioDetails, ScenarioSet
from valuation.books.contracts import contract_notes, on_ending_calendars

MOST_COLUMNS = 1000  # scenarios shown side by side
PNL_BYTES = 256 << 20  # scenario P&L held at once; more groups than fit are done in portions

_STANDING = " a market closed: "
_Figures = dict[str, Floats]


def run_query(
    lake: Lake, query: RiskQuery, *, cache: VectorCache | None = None, threads: int | None = None
) -> RiskResult:
    """Answers the query from stored vectors; values nothing.

    `cache` defaults to the lake's own cache folder; `threads` to the usable cores, and changes no bit. Raises `BadInput`
    for unknown names and empty selections, `NotFound` for dates and sets without data, both with the nearest that exist.
    """
    asked_measures(query)  # what is asked wrongly is said before anything is opened
    clock = _Clock()
    with clock.step("load"):
        inputs = open_inputs(cache or VectorCache(lake), query)
    return answer(inputs, query, threads=threads, clock=clock)


def answer(
    inputs: Inputs,
    query: RiskQuery,
    *,
    within: Bools | None = None,
    threads: int | None = None,
    clock: _Clock | None = None,
    most: int | None = None,
) -> RiskResult:
    """Answers the query from opened inputs, on the positions that pass its filters and are in `within`, (n_positions,).

    most : rows of it that are shown; default all.
    """
    asked = asked_measures(with_fits(query))
    if query.scale_to_days is not None:
        asked = [a.over(stated_horizon(inputs)) for a in asked]

    confidence = interval_confidence(query)
    resamples = None if confidence is None else resamples_of(inputs)

    def measured(inputs: Inputs, pnl: Floats) -> dict[str, Floats]:
        figures = {}
        for a in asked:
            figures[a.name] = by_rows(functools.partial(a.values, weights=inputs.weights), pnl, threads)
            if confidence is not None and resamples is not None:
                ends = functools.partial(_ends, a, inputs.weights, confidence, resamples)
                figures |= dict(zip(a.interval_names, by_rows(ends, pnl, threads).T, strict=True))
        return figures

    price = _seconds_a_group(asked, inputs.scenarios, inputs.n_scenarios, resamples)
    names = [n for a in asked for n in ((a.name,) if confidence is None else (a.name, *a.interval_names))]
    return _run(inputs, query, names, asked, measured, within, threads, clock or _Clock(), price, most)


def _seconds_a_group(
    asked: Sequence[AskedMeasure], scenarios: ScenarioDetails, n: int, resamples: Resamples | None
) -> float:
    """Of a core, for the figures of one group in n scenarios, with their intervals where there are resamples."""
    intervals = (
        () if resamples is None else (interval_seconds(a, scenarios.weights is not None, resamples) for a in asked)
    )
    return SECONDS_A_RANK * n * len(asked) + sum(intervals)


def risk_price(session: Session, query: RiskQuery, by: Sequence[str] | None = None, reading: bool = False) -> float:
    """The price of a risk question, grouped `by` in place of its own dimensions; with that of opening the vectors where `reading`."""
    asked = asked_measures(with_fits(query))
    size = size_of(session, query, by=by)
    assert size.seal is not None
    scenarios = session.cache.as_known(query.as_known).scenarios(size.seal)
    resamples = None if query.interval is None else drawn_from(scenarios, size.scenarios)
    figures = _seconds_a_group(asked, scenarios, size.scenarios, resamples)
    return size.seconds(a_group=figures) + (size.reading if reading else 0.0)


def _ends(
    asked: AskedMeasure, weights: Floats | None, confidence: Fraction, resamples: Resamples, pnl: Floats
) -> Floats:
    return np.stack(interval(asked, pnl, weights, confidence, resamples), axis=1)


def run_scenarios(
    lake: Lake,
    query: RiskQuery,
    *,
    translation: Translation = "scenario",
    cache: VectorCache | None = None,
    threads: int | None = None,
) -> RiskResult:
    """P&L of each group in each scenario of the query's valuation set, a column `pnl_<label>` each, gains positive.

    Measures, levels and estimator of the query are not used. Meant for stress tests: raises `BadInput` for a set of more
    than a thousand scenarios.
    """
    clock = _Clock()
    with clock.step("load"):
        inputs = open_inputs(cache or VectorCache(lake), query)
    names = _labels(inputs)
    with clock.step("select"):
        selection = open_selection(inputs, query, translation=translation)
    figures, total_pnl = _reduce(
        selection, query, names, lambda _, pnl: dict(zip(names, pnl.T, strict=True)), clock, threads
    )
    result = _result(query, selection, [], figures, total_pnl, clock)
    notes = (*result.notes, *translation_notes(inputs, query, translation, len(names)))
    return dataclasses.replace(result, notes=notes, receipt=sealed({**result.receipt, "kind": "scenario-pnl"}))


def translation_notes(inputs: Inputs, query: Scope, translation: Translation, n: int) -> tuple[str, ...]:
    """What exchange rates do to the P&L of the total in the first `n` scenarios, by either convention."""
    if translation == "spot":
        return ("P&L of each contract in its own currency, at the exchange rates of the base (translation=spot).",)
    rates = open_selection(inputs, query).rates
    if not (np.isfinite(rates.base[:, None]) & (rates.scenarios[:, :n] != rates.base[:, None])).any():
        return ()
    selections = [open_selection(inputs, query, translation=by) for by in ("scenario", "spot")]
    whole, without = (scenario_pnl(s, s.groups.n, 1)[1][0, :n] for s in selections)
    moved = difference(whole, without)
    most = int(np.abs(moved).argmax())
    if not moved[most]:
        return ()
    note = (
        f"The P&L holds the translation of values in other currencies into {query.currency}: {moved[most]:,.0f} of the total in "
        f"scenario {scenario_labels(inputs)[most]}{', the most' if n > 1 else ''}. translation=spot gives it without."
    )
    return (note,)


def _labels(inputs: Inputs) -> list[str]:
    if inputs.vectors.n_scenarios > MOST_COLUMNS:
        raise BadInput(
            f"{inputs.vectors.n_scenarios:,} scenarios would be as many columns; ask for measures, or a set of {MOST_COLUMNS:,} at most."
        )
    return [f"pnl_{label}" for label in inputs.scenarios.labels]


def _run(
    inputs: Inputs,
    query: RiskQuery,
    names: list[str],
    asked: list[AskedMeasure],
    figures_of: Callable[[Inputs, Floats], dict[str, Floats]],
    within: Bools | None,
    threads: int | None,
    clock: _Clock,
    price: float,
    most: int | None,
) -> RiskResult:
    """`price` : core-seconds of the figures of one group."""
    with clock.step("select"):
        selection = open_selection(inputs, query, within)
    allowance().spend(price * (selection.groups.n + 1))
    figures, total_pnl = _reduce(selection, query, names, figures_of, clock, threads, most)
    return _result(query, selection, asked, figures, total_pnl, clock)


class _Clock:
    """Milliseconds by step."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.ms[name] = round(self.ms.get(name, 0.0) + (time.perf_counter() - started) * 1e3, 3)


def stated_horizon(inputs: Inputs) -> int:
    """Business days every scenario spans; raises `BadInput` where they span none or not all the same."""
    return one_horizon(inputs.scenarios, sample=inputs.valuation_set.sample)


def one_horizon(scenarios: ScenarioSet | ScenarioDetails, *, sample: bool) -> int:
    """As `stated_horizon`, of a scenario set; sample : whether its scenarios are draws of one distribution."""
    if not sample or not scenarios.horizon_days or len(scenarios.horizons) > 1:
        raise BadInput(
            f"Scenario set {scenarios.name} states no one horizon for all its scenarios, so that there is nothing "
            "to scale from. Ask without scaling, or for a set whose scenarios span the same number of days."
        )
    return scenarios.horizon_days


def _reduce(
    selection: Selection,
    query: RiskQuery,
    names: list[str],
    figures_of: Callable[[Inputs, Floats], dict[str, Floats]],
    clock: _Clock,
    threads: int | None,
    most: int | None = None,
) -> tuple[_Figures, Floats]:
    """Base value and the named figures of every group and, last, of the total; NaN where nothing is covered. And the P&L of the total,
    (1, n_scenarios), no row where nothing is covered."""
    inputs, count = selection.inputs, selection.groups.n + 1
    show_groups(selection, query, ("base_value", *names), most)
    valid = selection.counts[:, 0] > 0
    figures = {name: np.full(count, np.nan) for name in ("base_value", *names)}
    portion = max(1, PNL_BYTES // (8 * inputs.n_scenarios))
    for first in range(0 if query.by else selection.groups.n, count, portion):
        with clock.step("reduce"):
            base, pnl = scenario_pnl(selection, first, min(portion, count - first), threads)
        with clock.step("measure"):
            here = np.flatnonzero(valid[first : first + len(base)])
            pnl = pnl if len(here) == len(base) else pnl[here]
            figures["base_value"][first + here] = base[here]
            if len(here):
                for name, values in figures_of(inputs, pnl).items():
                    figures[name][first + here] = values
    return figures, pnl[len(pnl) - int(valid[-1]) :]


def _result(
    query: RiskQuery,
    selection: Selection,
    asked: list[AskedMeasure],
    figures: _Figures,
    total_pnl: Floats,
    clock: _Clock,
) -> RiskResult:
    groups, counts = selection.groups, selection.counts
    covered = coverage_columns(selection)
    everything = {
        **covered,
        **{name: pa.array(values, mask=np.isnan(values)) for name, values in figures.items()},
    }
    total = {name: column[groups.n].as_py() for name, column in everything.items()}
    if query.by:
        keys = dict(zip(groups.keys.column_names, groups.keys.columns, strict=True))
        rows = pa.table({**keys, **{name: column[: groups.n] for name, column in everything.items()}})
        for a in (a for a in asked if a.measure.of_money):
            alone = figures[a.name][: groups.n]
            alone = alone[~np.isnan(alone)]  # none is left where no group has enough of a tail, say
            standalone = float(np.add.accumulate(alone)[-1]) if len(alone) else None
            total[f"{a.name}_standalone_sum"] = standalone
            total[f"{a.name}_diversification"] = (
                None if standalone is None or total[a.name] is None else float(difference(standalone, total[a.name]))
            )
    else:
        rows = pa.table({name: column[groups.n :] for name, column in everything.items()})
    return RiskResult(
        query=query,
        rows=rows,
        total=total,
        coverage=total_coverage(covered),
        receipt=_receipt(query, selection, figures, clock),
        notes=(
            *answer_notes(
                query, selection, asked, total_coverage(covered), int((counts[:-1, 0] == 0).sum()) if query.by else 0
            ),
            *standing_still(selection.inputs, asked, total_pnl),
            *_without_figure(asked, figures),
        ),
    )


def standing_still(inputs: Inputs, asked: Sequence[AskedMeasure], pnl: Floats) -> list[str]:
    """Says on which days of the tail a market was closed, so that its factors stand still; P&L (1, n_scenarios) of the whole, or (0, n)."""
    closed = inputs.scenarios.holidays
    if not closed or not len(pnl):
        return []
    tail = np.zeros(inputs.n_scenarios, dtype=bool)
    for a in asked:
        # what ranks at or beyond a quantile, and not the one scenario alone that gives it
        of = dataclasses.replace(a, measure=MEASURES["es"]) if a.level is not None else a
        if of.measure.of_tail and of.measure.tail_weights is not None:
            tail |= of.tail_weights(pnl, inputs.weights)[0] != 0
    days = [d for d, t in zip(scenario_labels(inputs), tail, strict=True) if t and d in closed]
    listed = first_of((f"{d} ({closed[d]})" for d in days), between="; ")
    tailed = counted(int(tail.sum()), "scenario")
    has = "has" if len(days) == 1 else "have"
    return [f"{len(days)} of the {tailed} in the tail of the total {has}{_STANDING}{listed}."] if days else []


def _without_figure(asked: list[AskedMeasure], figures: _Figures) -> Iterator[str]:
    """Says which measure is not defined for some group that is covered."""
    measured = ~np.isnan(figures["base_value"])
    for a in asked:
        lacking = int((np.isnan(figures[a.name]) & measured).sum())
        if lacking:
            yield f"{a.name} is not defined where {a.measure.undefined}: {lacking:,} times, the total included."


def _receipt(query: RiskQuery, selection: Selection, figures: _Figures, clock: _Clock) -> dict[str, Any]:
    """Every input by name and digest; only `timings_ms` differs when the same question is asked again."""
    inputs, legs = selection.inputs, selection.rates.legs
    return {
        **make_receipt(
            "var",
            query.model_dump(mode="json"),
            inputs,
            digest(*(part for name, values in figures.items() for part in (name, values.tobytes()))),
            estimator=query.estimator,
            levels=list(query.levels),
            tail=query.tail,
            scale_to_days=query.scale_to_days,
            interval=None
            if query.interval is None
            else {"confidence": query.interval, **resamples_of(inputs).to_dict()},
            currency=query.currency,
            exchange_rates={c: [[factor, power] for factor, power in path] for c, path in legs.items()},
        ),
        "timings_ms": dict(clock.ms),
    }


def answer_notes(
    query: RiskQuery, selection: Selection, asked: list[AskedMeasure], total: Coverage, invalid: int
) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    inputs = selection.inputs
    notes, n = basis_notes(query, selection, total, invalid), inputs.n_scenarios
    notes += worst_loss_notes(n, [a.level for a in asked if a.level is not None])
    if query.tail == "gain":
        notes.append("Of the gain tail: figures so named are those of -P&L, gains positive.")
    if query.scale_to_days is not None:
        notes.append(
            f"Scaled from {stated_horizon(inputs)} to {query.scale_to_days} days by the square root of time, which holds for "
            "independent moves of mean zero and a value linear in them. Not a revaluation over the longer horizon."
        )
    if (confidence := interval_confidence(query)) is not None:
        notes += interval_notes(asked, inputs, confidence, resamples_of(inputs))
    return tuple(notes)


def calendar_notes(selection: Selection, day: dt.date) -> tuple[str, ...]:
    """What contracts of the selection say of calendars that end before their dates do."""
    lake, book = selection.inputs.snapshot.lake, selection.inputs.book
    # contracts never change: the newest version of their table holds those of any book
    key = ("ending calendars", identity(lake), lake.version("contracts"))
    noted = remembered(key, (), lambda: on_ending_calendars(lake), lambda found: 500 * len(found))
    if not noted:
        return ()
    held = book.by_contract(selection.keep) > 0
    mine = set(book.contract_ids.filter(pa.array(held)).to_pylist())
    return contract_notes([c for c in noted if c.contract_id in mine], day)


def tail_notes(days: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Of answers on several days, each with its notes: how many have a tail that rests on a closed market, and what the last such
    says; and what the last day says of calendars."""
    said = [(day, of_day(notes)) for day, notes in days]
    found = [(day, note) for day, notes in said for note in notes if _STANDING in note]
    last = [f"On {len(found):,} days a market is closed in the tail; on {day}: {note}" for day, note in found[-1:]]
    return [*last, *(f"On {day}: {note}" for day, notes in said[-1:] for note in notes if _STANDING not in note)]


def of_day(notes: Iterable[str]) -> list[str]:
    """Of the notes of an answer those on its day's tail and on the calendars of its contracts, for an answer on several days."""
    return [n for n in notes if _STANDING in n or n.startswith("Calendar ")]


def worst_loss_notes(n_scenarios: int, levels: Iterable[Fraction]) -> list[str]:
    """A line for every level whose tail holds less than one of so many scenarios."""
    return [
        f"Fewer than one of {counted(n_scenarios, 'scenario')} lies beyond level {level_text(level)}: the tail is the worst loss."
        for level in dict.fromkeys(levels)
        if n_scenarios * (1 - level) < 1
    ]


def basis_notes(query: Scope, selection: Selection, total: Coverage, invalid: int) -> list[str]:
    """What a reader must know of the positions and the scenarios; `invalid` counts the groups of which nothing is covered."""
    notes = []
    inputs, scenarios = selection.inputs, selection.inputs.scenarios
    if scenarios.synthetic:
        notes.append("The market data is synthetic.")
    if total.failed:
        notes.append(f"{counted(total.failed, *FAILED_POSITIONS)}. {failed_in_words(selection)}")
    if total.missing:
        one = "position is not in the numbers: its contract is"
        many = "positions are not in the numbers: their contracts are"
        notes.append(
            f"{counted(total.missing, one, many)} not in the valuation set. "
            "Ask for the plan of this question, and have them valued."
        )
    if total.substituted is None:
        notes.append(
            "Which positions rest on substituted market data is not known: the valuation set is of before that was kept."
        )
    elif total.substituted:
        notes.append(
            f"{counted(total.substituted, 'position rests', 'positions rest')} on market data that was held or proxied."
        )
    notes += calendar_notes(selection, query.as_of)
    if invalid:
        notes.append(
            f"{counted(invalid, 'group has no number: none of its', 'groups have no number: none of their')} positions is covered."
        )
    for special, what in (
        (scenarios.held, "keep an earlier level"),
        (scenarios.proxied, "move by a proxy"),
        (scenarios.excluded, "are not in the scenarios"),
        (scenarios.unscaled, "moved out of a calm and are not scaled to today's volatility"),
    ):
        factors = sorted(special)
        if factors:
            notes.append(f"Risk factors that {what}: {first_of(factors)}.")
    shocked = inputs.valuation_set.shocked_classes
    if len(shocked) < len(RiskClass):
        notes.append(f"Only these risk classes are shocked: {', '.join(shocked)}.")
    if scenarios.weights is not None:
        notes.append("The scenarios carry weights.")
    return notes
