"""Answers as people read them on a terminal; the same answers as data come from each object's `to_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aggregation.compare import ComparisonResult
from aggregation.types import RiskResult
from service import display

_COVERAGE = ("failed", "missing", "status")


def show_plan(plan: Mapping[str, Any]) -> None:
    """What a valuation would do, before it does it."""
    display.print_pairs({k: v for k, v in plan.items() if k != "by_instrument_type"}, title="Plan")
    if plan["by_instrument_type"]:
        display.print_table([{"instrument type": t, **f} for t, f in plan["by_instrument_type"].items()])


def show_sealed(sealed: Mapping[str, Any]) -> None:
    """What a valuation did: the true figures beside the expected ones."""
    run, plan = sealed["this_run"], sealed["plan"]
    display.print_pairs(
        {
            "valuation set": sealed["valuation_set_id"],
            "scenario set": f"{sealed['scenario_set_name']} on {sealed['market_date']} ({sealed['scenario_set_id'][:12]}...)",
            "scenarios": sealed["scenario_count"],
            "submitted": sealed["submitted"],
            "valued": run["valued"],
            "reused": run["reused"],
            "failed": run["failed"],
            "unmoved": sealed["unmoved"],
            "core seconds": f"{sealed['pricing_seconds'] if run['valued'] else 0.0:.3f} (expected {plan['expected_core_seconds']:.3f})",
            "elapsed seconds": f"{run['elapsed_seconds']:.3f}",
            "runner": sealed["runner"] if run["valued"] else "none: nothing was missing",
        },
        title=f"Valuation of {sealed['valuation_date']}, sealed",
    )


def show_result(result: RiskResult) -> None:
    """VaR by group with total and diversification, then what the numbers rest on."""
    query, total = result.query, dict(result.total)
    measures = [
        c for c in result.rows.column_names if c not in (*query.by, "positions", "covered", "base_value", *_COVERAGE)
    ]
    whole = result.coverage.status == "complete"
    columns = [*query.by, "positions", "base_value", *measures, *(() if whole else _COVERAGE)]
    rows = result.rows.to_pylist() if query.by else []
    label = {query.by[0]: "Total"} if query.by else {}
    display.print_table(rows, columns, title=f"{query.as_of} in {query.currency}", last={**total, **label})
    if len(rows) > 1:
        benefits = {m: total[f"{m}_diversification"] for m in measures if total.get(f"{m}_diversification") is not None}
        display.print_pairs({f"diversification {m}": v for m, v in benefits.items()})
    show_basis(result)


def show_basis(result: RiskResult) -> None:
    """Coverage, receipt and notes of a result."""
    c, receipt = result.coverage, result.receipt
    display.say(
        f"{c.covered:,} of {c.positions:,} positions covered ({c.status}); {receipt['scenario_count']} scenarios of "
        f"{receipt['scenario_set_name']} at {receipt['market_date']}; {receipt['estimator']}; valuation set {receipt['valuation_set_id'][:12]}..."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def show_comparison(result: ComparisonResult) -> None:
    """Both days and the difference by group."""
    one, two = result.before, result.after
    by = list(one.query.by)
    columns = [c for c in result.rows.column_names if not c.startswith(("positions", "covered", "failed", "missing"))]
    title = f"{one.query.as_of} to {two.query.as_of} in {one.query.currency}"
    last = {**result.total, **({by[0]: "Total"} if by else {})}
    display.print_table(result.rows.to_pylist() if by else [], columns, title=title, last=last)
    for side in (one, two):
        show_basis(side)
