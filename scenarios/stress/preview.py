"""What a scenario does, before it is stored: every factor before and after, curves, crosses, assertions, warnings."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lake.errors import counted
from lake.tables import Snapshot
from scenarios.market.base_market import BaseMarket, load_base
from scenarios.stress import language
from scenarios.stress import model as m
from scenarios.stress.amounts import FRACTIONS, as_rates
from scenarios.stress.apply import AppliedScenario, evaluate
from scenarios.stress.generate import GridDefinition, StoredScenarios, StressDefinition, locate, refuse, text_of
from scenarios.stress.warnings import curve_names, warnings
from scenarios.types import RiskFactor, tenor_years

MAX_SHOWN = 20  # scenarios previewed of a document, unless asked otherwise

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class FactorRow:
    """A risk factor before and after; `change` in the words of its unit, `rule` why a derived one moves."""

    risk_factor_id: str
    risk_class: str
    unit: str
    status: Literal["shocked", "derived", "unchanged"]
    base: float
    level: float
    change: str
    rule: str


@dataclass(frozen=True)
class CurveRow:
    curve: str
    pillar: str
    years: float
    base: float
    level: float


@dataclass(frozen=True)
class ScenarioPreview:
    """One scenario: every factor of the market, every curve pillar, and the crosses the text names."""

    label: str
    factors: tuple[FactorRow, ...]
    curves: tuple[CurveRow, ...]
    crosses: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Preview:
    """The first `MAX_SHOWN` scenarios of a document; `total` counts all. `failed` lists assertions that do not hold,
    `excluded` and `held` factors as in a ScenarioSet."""

    market_date: dt.date
    text: str
    total: int
    scenarios: tuple[ScenarioPreview, ...]
    assertions: tuple[str, ...]
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    excluded: Mapping[str, str]
    held: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def preview(
    snapshot: Snapshot, definition: StressDefinition | GridDefinition, name: str, shown: int = MAX_SHOWN
) -> Preview:
    """The preview of a definition; nothing is stored, and assertions that fail are listed, not raised.

    Raises `BadInput` with every fault when the scenario cannot be made at all.
    """
    if isinstance(definition, StressDefinition) and definition.document is not None:
        text = language.to_text(definition.document)
    else:
        text = text_of(definition.model_dump())
    document, places = language.parse_with_places(text)
    market = load_base(snapshot, definition.market_date, definition.calendar, definition.max_held_days)
    outcomes, issues = evaluate(document, market, name, StoredScenarios(snapshot, market, definition.pinned))
    if issues:
        raise refuse(text, places, issues)
    return of_outcomes(document, market, outcomes, shown)


def of_outcomes(
    document: m.Document, market: BaseMarket, outcomes: list[AppliedScenario], shown: int = MAX_SHOWN
) -> Preview:
    """The preview of what `evaluate` gave without a fault."""
    total = sum(len(o.labels) for o in outcomes)
    absent: dict[str, str] = {}
    for outcome in outcomes:
        absent |= outcome.absent
    return Preview(
        market_date=market.market_date,
        text=language.to_text(document),
        total=total,
        scenarios=tuple(_scenario(market, *locate(outcomes, i)) for i in range(min(total, shown))),
        assertions=tuple(
            language.step_text(step) for s in document.scenarios for step in s.steps if isinstance(step, m.Assertion)
        ),
        failed=tuple(f for o in outcomes for f in o.failed),
        warnings=tuple(w.message for w in warnings(document, market, outcomes)),
        excluded={**absent, **market.excluded},
        held=dict(market.held),
    )


def _scenario(market: BaseMarket, outcome: AppliedScenario, node: int) -> ScenarioPreview:
    rows, levels = market.index.row, outcome.levels[:, node]
    factors = tuple(
        _factor_row(f, float(market.base[r]), float(levels[r]), r in outcome.named, outcome.derived.get(r))
        for r, f in sorted(enumerate(market.index.factors), key=lambda row: _place(row[1]))
    )
    curves = tuple(
        CurveRow(c, p.pillar or "", tenor_years(p.pillar or ""), float(market.base[r]), float(levels[r]))
        for c in curve_names(market.index)
        for p in market.index.curve(c)
        for r in (rows[p.risk_factor_id],)
    )
    crosses = {pair: (before, float(after[node])) for pair, (before, after) in outcome.crosses.items()}
    return ScenarioPreview(outcome.labels[node], factors, curves, crosses)


def _place(f: RiskFactor) -> tuple[str, float, str]:
    """By id, the pillars of a curve shortest first."""
    if f.pillar is None:
        return f.risk_factor_id, 0.0, ""
    return f.risk_factor_id.removesuffix(f.pillar), tenor_years(f.pillar), f.risk_factor_id


def _factor_row(f: RiskFactor, base: float, level: float, named: bool, rule: str | None) -> FactorRow:
    status: Literal["shocked", "derived", "unchanged"] = (
        "shocked" if named else "unchanged" if rule is None else "derived"
    )
    return FactorRow(
        f.risk_factor_id, f.risk_class.value, f.unit, status, base, level, _change(f, base, level), rule or ""
    )


def _change(f: RiskFactor, base: float, level: float) -> str:
    base, level = as_rates([f], np.array([[base, level]]))[0].tolist()
    if f.type == "implied_vol":
        return f"{100 * (level - base):+.2f}pt"
    if f.type in FRACTIONS:
        return f"{1e4 * (level - base):+.1f}bp"
    return f"{100 * (level / base - 1):+.2f}%" if base > 0 else f"{level - base:+g}"


def sparkline(values: list[float], low: float, high: float) -> str:
    """A bar a value, between `low` and `high`."""
    span = high - low
    top = len(_BARS) - 1
    return "".join(_BARS[round((v - low) / span * top) if span > 0 else 0] for v in values)


def render(p: Preview) -> str:
    """The preview as plain text for a terminal."""
    lines = [
        f"Market of {p.market_date}, {counted(p.total, 'scenario')}"
        + (f", first {len(p.scenarios)}" if len(p.scenarios) < p.total else "")
    ]
    for s in p.scenarios:
        lines += ["", *_render_scenario(s)]
    for title, entries in (
        ("Assertions", [f"{a}" for a in p.assertions]),
        ("Do not hold", list(p.failed)),
        ("Warnings", list(p.warnings)),
        ("Not in the market", [f"{i}: {why}" for i, why in sorted(p.excluded.items())]),
        ("Held", [f"{i}: {why}" for i, why in sorted(p.held.items())]),
    ):
        if entries:
            lines += ["", f"{title}:", *(f"  {e}" for e in entries)]
    return "\n".join(lines)


def _render_scenario(s: ScenarioPreview) -> list[str]:
    count = {k: [r for r in s.factors if r.status == k] for k in ("shocked", "derived", "unchanged")}
    lines = [f"{s.label}: " + ", ".join(f"{len(rows)} {k}" for k, rows in count.items())]
    moved = count["shocked"] + count["derived"]
    width = max((len(r.risk_factor_id) for r in moved), default=0)
    lines += [
        f"  {r.risk_factor_id:<{width}}  {r.base:>12.6g} -> {r.level:<12.6g} {r.change:>10}"
        + (f"  derived: {r.rule}" if r.rule else "")
        for r in moved
    ]
    lines += [
        f"  {pair} (cross)  {a:.6g} -> {b:.6g} {100 * (b / a - 1):+.2f}%" for pair, (a, b) in sorted(s.crosses.items())
    ]
    for name in dict.fromkeys(c.curve for c in s.curves):
        pillars = [c for c in s.curves if c.curve == name]
        if all(c.base == c.level for c in pillars):
            continue
        before, after = [c.base for c in pillars], [c.level for c in pillars]
        low, high = min(before + after), max(before + after)
        ends = f"{pillars[0].pillar}..{pillars[-1].pillar}, {100 * low:.2f}% to {100 * high:.2f}%"
        lines.append(f"  {name} {sparkline(before, low, high)} -> {sparkline(after, low, high)}  {ends}")
    still = [r.risk_factor_id for r in count["unchanged"]]
    return [*lines, f"  unchanged: {', '.join(still)}"] if still else lines
