"""Contributions and their like as people read them on a terminal, and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation.measures import asked_measures
from lake.errors import counted
from service.rendering import display, pictures, tables

if TYPE_CHECKING:
    from aggregation.contributions.contributions import ContributionResult
    from aggregation.contributions.crif import Crif
    from aggregation.contributions.parametric import ParametricResult
    from aggregation.contributions.risk_classes import RiskClassResult
    from aggregation.stress.stressed_var import StressedResult

SHOWN_FACTORS, SHOWN_ROWS = 20, 60
_FIGURES = (
    "component",
    "component_low",
    "component_high",
    "share",
    "standalone",
    "diversification",
    "marginal",
    "incremental",
    "stability",
)
# a marginal is of one unit of value
_MONEY = (
    "base_value",
    "component",
    "component_low",
    "component_high",
    "standalone",
    "diversification",
    "incremental",
    "delta_gamma",
)
_COVERAGE = ("failed", "missing", "substituted", "status")


def show_contributions(result: ContributionResult) -> None:
    """The groups with their figures and the total, then what the numbers rest on."""
    query, names = result.query, result.rows.column_names
    whole = result.coverage.status == "complete"
    columns = [
        *query.by,
        *(("part",) if "part" in names else ()),
        "positions",
        "base_value",
        *(f for f in _FIGURES if f in names),
        *(() if whole else _COVERAGE),
    ]
    label = {query.by[0]: "Total"} if query.by else {}
    rows = [_named(r, query.by) for r in result.rows.to_pylist()] if query.by else []
    title = f"Contributions to {query.measures[0]} {query.levels[0]} on {display.heading(query, result.receipt)}"
    first = (*query.by, "component", "share", "part", "component_low", "component_high", "standalone")
    display.print_table(rows, columns, title=title, last={**result.total, **label}, first=first, money=_MONEY)
    if "standalone_sum" in result.total and len(rows) > 1:
        words = "sum of standalone, does not add up"
        display.print_pairs({words: result.total["standalone_sum"]}, money=(words,))
    tables.show_basis(result, f"{query.form} form, {query.estimator}")


def plot_contributions(result: ContributionResult, path: Path) -> Path:
    """A bar a group, the greatest component on top, the rest below them."""
    query = result.query
    rows = sorted(result.rows.to_pylist() if query.by else [], key=lambda r: -(r["component"] or 0.0))
    members, rest = ([r for r in rows if (r.get("part") == "rest") == is_rest] for is_rest in (False, True))
    asked = asked_measures(query)[0]
    return pictures.contribution_bars(
        path,
        [pictures.member(r, query.by) for r in members],
        [r["component"] for r in members],
        title=f"Contributions to {pictures.in_words(asked.name)}{pictures.by_words(query.by)}, {query.form} form",
        unit=f"{query.currency}, losses positive",
        intervals=[(r["component_low"], r["component_high"]) for r in members] if query.interval is not None else None,
        whole=("(rest)", rest[0]["component"]) if rest else None,
    )


def show_parametric(result: ParametricResult) -> None:
    """Groups and the total, the factors that matter most, and the figures of the whole."""
    query, total = result.query, result.total
    columns = [
        *query.by,
        "positions",
        "base_value",
        "component",
        "share",
        "standalone",
        "diversification",
        "marginal",
        "incremental",
        "delta_gamma",
    ]
    if query.sensitivities:
        columns = [c for c in columns if c not in ("base_value", "marginal")]
    columns += [] if result.coverage.status == "complete" else ["failed", "status"]
    label = {query.by[0]: "Total"} if query.by else {}
    what = f"{query.measure} {query.level}"
    display.print_table(
        result.rows.to_pylist() if query.by else [],
        columns,
        title=f"Parametric {what} on {display.heading(query, result.receipt)}, delta-normal",
        last={**total, "positions": result.coverage.positions, **label},
        first=(*query.by, "component", "share", "standalone"),
        money=_MONEY,
    )
    shown = result.factors.slice(0, SHOWN_FACTORS).to_pylist()
    title = f"Risk factors, {len(shown)} of {result.factors.num_rows:,}"
    money = ("component", "delta", "gamma", "delta_gamma")  # a delta and a gamma are of a move of one
    display.print_table(shown, title=title, first=("risk_factor", *money), money=money)
    display.print_table(result.classes.to_pylist(), title="Risk classes", money=_MONEY)
    if result.unused.num_rows:
        lacking = result.unused.slice(0, SHOWN_FACTORS).to_pylist()
        title = f"In no figure, {len(lacking)} of {result.unused.num_rows:,}"
        display.print_table(lacking, title=title, first=("factor", "kind", "share", "reason"), money=("amount",))
    curved = {k: total[k] for k in ("mean", "skewness", "excess_kurtosis", "cornish_fisher", "cornish_fisher_valid")}
    figures = {
        "delta-normal": total["component"],
        **({} if query.gamma == "none" else {"delta-gamma, exact": total["delta_gamma"]}),
        **{f"delta-gamma {k.replace('_', ' ')}": v for k, v in curved.items() if v is not None},
        **({} if query.sensitivities else {"historical, same scenarios": total["historical"]}),
    }
    shares = ("delta-gamma skewness", "delta-gamma excess kurtosis", "delta-gamma cornish fisher valid")
    display.print_pairs(figures, title=what, money=[k for k in figures if k not in shares])
    if query.sensitivities:
        coverage = result.coverage
        display.say(f"{coverage.covered:,} of {coverage.positions:,} nodes with all sensitivities in the figures.")
        for note in result.notes:
            display.say(f"Note: {note}")
    else:
        tables.show_basis(
            result, "covariance of their moves" if query.covariance is None else f"covariance {query.covariance}"
        )


def plot_parametric(result: ParametricResult, path: Path) -> Path:
    """A bar a group, or a risk factor where there are no groups; the greatest component on top."""
    query = result.query
    if query.by:
        rows = sorted(result.rows.to_pylist(), key=lambda r: -(r["component"] or 0.0))
        named, what = [(pictures.member(r, query.by), r["component"]) for r in rows], pictures.by_words(query.by)
    else:
        rows = sorted(result.factors.slice(0, SHOWN_FACTORS).to_pylist(), key=lambda r: -r["component"])
        named = [(r["risk_factor"], r["component"]) for r in rows]
        what = f" by risk factor, {len(rows)} of {result.factors.num_rows:,}"
    return pictures.contribution_bars(
        path,
        [name for name, _ in named],
        [value for _, value in named],
        title=f"Parametric {pictures.in_words(f'{query.measure}_{query.level}')}, delta-normal components{what}",
        unit=f"{query.currency}, losses positive",
    )


def show_crif(result: Crif) -> None:
    """The first rows, and how many there are."""
    rows = result.rows.slice(0, SHOWN_ROWS).to_pylist()
    title = f"CRIF on {display.heading(result.query, result.receipt)}, {len(rows)} of {counted(result.rows.num_rows, 'row')}"
    first = ("TradeID", "RiskType", "Qualifier", "Label1", "Amount")
    display.print_table(rows, result.rows.column_names, title=title, first=first, money=("Amount", "AmountUSD"))
    if len(rows) < result.rows.num_rows:
        display.say("All rows: --csv, --parquet or --json.")
    for note in result.notes:
        display.say(f"Note: {note}")


def show_classes(result: RiskClassResult) -> None:
    """A row a group and class, and the totals with what the classes save each other."""
    query, names = result.query, list(result.diversification)
    columns = [*query.by, "risk_class", "positions", "base_value", *names]
    title = f"By risk class, each shocked alone, on {display.heading(query, result.receipt)}"
    money = tables.money_of(query, columns)
    if query.by:
        first = (*query.by, "risk_class", *names)
        display.print_table(result.rows.to_pylist(), columns, title=title, first=first, money=money)
    totals = [{"risk_class": c, **t} for c, t in result.totals.items()]
    display.print_table(
        totals[:-1],
        columns[len(query.by) :],
        title="Total" if query.by else title,
        last=totals[-1],
        first=("risk_class", *names),
        money=money,
    )
    words = "sum of the classes minus all, "
    display.print_pairs({f"{words}{n}": v for n, v in result.diversification.items()}, money={words + n for n in money})
    tables.show_basis(result, query.estimator)


def show_stressed(result: StressedResult) -> None:
    """The period, and each figure now, under it, and the difference."""
    how = "the worst window, searched" if result.searched else "as given"
    display.say(f"Stress period {result.first} to {result.last} ({how}); _from is current, _to is stressed.")
    tables.show_comparison(result.comparison)


def _named(row: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """The row with the group of the rest called so."""
    return {**row, **({by[0]: "(rest)"} if row.get("part") == "rest" else {})}
