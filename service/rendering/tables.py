"""Answers as people read them on a terminal; the same answers as data come from each object's `to_dict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.rendering import display

if TYPE_CHECKING:
    from aggregation.change.compare import ComparisonResult
    from aggregation.replay import Replay
    from aggregation.stress.reverse_stress import ReverseStress, ReverseStressRequest
    from aggregation.stress.roll_forward import RollResult
    from aggregation.stress.stress_period import StressPeriod, StressPeriodRequest
    from aggregation.stress.stress_test import StressComparison
    from aggregation.types import RiskResult
    from lake.landing.positions import PositionsReport
    from scenarios.market.landing_catalogue import MarketIngestReport
    from scenarios.plausibility.plausibility import Plausibility
    from valuation.sets.run import ValuationRun

SHOWN_REJECTIONS = 20
_COVERAGE = ("failed", "missing", "substituted", "status")


def show_valuation_plan(plan: Mapping[str, Any]) -> None:
    """What a valuation would do, before it does it."""
    apart = ("by_instrument_type", "dropped_days", "excluded_factors", "start_seconds")
    display.print_pairs({k: v for k, v in plan.items() if k not in apart}, title="Plan")
    if plan["by_instrument_type"]:
        display.print_table([{"instrument type": t, **f} for t, f in plan["by_instrument_type"].items()])
    display.say_left_out(plan["dropped_days"], plan["excluded_factors"])


def show_sealed(done: ValuationRun) -> None:
    """What a valuation did: the true figures beside the expected ones."""
    made, run, plan = done.valuation_set, done.this_run, done.plan
    low, high = plan["core_seconds_range"]
    expected = f"{plan['expected_core_seconds']:.3f}" if plan["measured"] else f"{low:.3f} to {high:.3f}"
    display.print_pairs(
        {
            "valuation set": made.valuation_set_id,
            "scenario set": f"{made.scenario_set_name} on {made.market_date} ({made.scenario_set_id[:12]}...)",
            "scenarios": made.scenario_count,
            "submitted": made.submitted,
            "valued": run.valued,
            "reused": run.reused,
            "failed": run.failed,
            "unmoved": made.unmoved,
            "core seconds": f"{made.pricing_seconds if run.valued else 0.0:.3f} (expected {expected})",
            "to load kernels": f"{run.kernels_seconds:.3f}",
            "elapsed seconds": f"{run.elapsed_seconds:.3f}",
            "runner": made.runner if run.valued else "none: nothing was missing",
        },
        title=f"Valuation of {made.valuation_date}, sealed",
    )
    if done.why_failed:
        display.say(f"Failed: {done.why_failed}")


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
    display.print_table(
        rows,
        columns,
        title=f"{display.heading(query, result.receipt)}",
        last={**total, **label},
    )
    if len(rows) > 1:
        benefits = {m: total[f"{m}_diversification"] for m in measures if total.get(f"{m}_diversification") is not None}
        display.print_pairs({f"diversification {m}": v for m, v in benefits.items()})
    show_basis(result, result.receipt["estimator"])


def show_basis(result: Any, how: str = "") -> None:
    """Coverage, scenarios, valuation set and notes of an answer; how : how its numbers were read, where there is something to say."""
    c, receipt = result.coverage, result.receipt
    read = f"{how}; " if how else ""
    display.say(
        f"{c.covered:,} of {c.positions:,} positions covered ({c.status}); "
        f"{display.scenarios_of(receipt)}; {read}"
        f"valuation set {receipt['valuation_set_id'][:12]}..."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def show_comparison(result: ComparisonResult) -> None:
    """Both days and the difference by group."""
    one, two = result.before, result.after
    by = list(one.query.by)
    columns = [c for c in result.rows.column_names if not c.startswith(("positions_", "base_value_"))]
    title = f"{one.query.as_of} to {two.query.as_of} in {one.query.currency}"
    last = {**result.total, **({by[0]: "Total"} if by else {})}
    display.print_table(result.rows.to_pylist() if by else [], columns, title=title, last=last)
    for side in (one, two):
        show_basis(side, side.receipt["estimator"])


def show_replay(done: Replay) -> None:
    """What became of each input, and whether the bits are the same."""
    rows = [i.to_dict() if i.state != "same" else {"input": i.input, "state": i.state} for i in done.inputs]
    display.print_table(rows, ("input", "state", "receipt", "found"), title=f"Replay of {done.kind}")
    if done.changed:
        columns = ("place", "row", "column", "shown", "recomputed")
        display.print_table([c.to_dict() for c in done.changed[:50]], columns, title="Shown otherwise than recomputed")
        if len(done.changed) > 50:
            display.say(f"{len(done.changed) - 50:,} more: --json lists them all.")
    display.say(f"{done.verdict}: {done.result_digest} in the receipt, {done.recomputed_digest or 'nothing'} now.")
    if done.why:
        display.say(done.why)


def show_market_report(report: MarketIngestReport, *, json: bool, short: bool = False) -> None:
    """What a market ingest brought, by source."""
    if json:
        display.print_json(report.to_dict())
        return
    if not short:
        columns = ("source", "factors", "first", "last", "rows", "missing", "new", "changed", "unchanged", "kept")
        display.print_table([vars(s) for s in report.sources], columns, title=f"Catalogue {report.catalogue}")
    for source in report.sources:
        for note in source.notes:
            display.say(f"Note: {source.source}: {note}")
    total = {
        k: sum(getattr(s, k) for s in report.sources)
        for k in ("factors", "rows", "missing", "new", "changed", "unchanged")
    }
    display.print_pairs({**total, "synthetic": report.synthetic, "market_data version": report.market_data_version})


def show_positions_reports(reports: Sequence[PositionsReport], *, json: bool) -> None:
    """What became of positions files, and the first rejected rows of each."""
    if json:
        display.print_json([r.to_dict() for r in reports])
        return
    columns = ("positions_date", "loaded", "new", "changed", "unchanged", "removed", "held")
    display.print_table([vars(d) for r in reports for d in r.dates], columns)
    for r in reports:
        display.say(
            f"{r.path}: {r.read:,} read = {r.loaded:,} loaded + {r.rejected:,} rejected; {r.new_contracts:,} new contracts"
        )
        for note in r.notes:
            display.say(f"Note: {note}")
        if r.rejected:
            display.print_table(r.rejections.slice(0, SHOWN_REJECTIONS).to_pylist(), title=f"Unusable rows of {r.path}")
            more = r.rejections.num_rows - SHOWN_REJECTIONS
            if more > 0:
                display.say(f"... and {more:,} more; --rejects FILE writes all of them")


def show_stress(result: RiskResult) -> None:
    """P&L by group in each scenario."""
    query = result.query
    names = {c: c.removeprefix("pnl_") for c in result.rows.column_names if c.startswith("pnl_")}
    columns = [*query.by, "positions", "base_value", *names.values()]
    rows = [{names.get(k, k): v for k, v in r.items()} for r in result.rows.to_pylist()] if query.by else []
    label = {query.by[0]: "Total"} if query.by else {}
    last = {**{names.get(k, k): v for k, v in result.total.items()}, **label}
    display.print_table(rows, columns, title=f"P&L on {query.as_of} in {query.currency}", last=last)
    show_basis(result)


def show_stress_comparison(result: StressComparison) -> None:
    """The P&L of several scenarios side by side."""
    query = result.results[0].query
    label = {query.by[0]: "Total"} if query.by else {}
    rows = result.rows.to_pylist() if query.by else []
    display.print_table(
        rows,
        result.rows.column_names,
        title=f"P&L on {query.as_of} in {query.currency}",
        last={**result.total, **label},
    )
    for one in result.results:
        show_basis(one)


def show_roll(result: RollResult) -> None:
    """Value, cash and P&L of each group at each horizon."""
    request = result.request
    columns = [
        *request.by,
        "horizon",
        "day",
        "positions",
        "base_value",
        "value",
        "cash",
        "pnl",
        *(("failed", "status") if result.failures else ()),
    ]
    label = {request.by[0]: "Total"} if request.by else {}
    rows = [*(result.rows.to_pylist() if request.by else []), *({**t, **label} for t in result.totals)]
    display.print_table(
        rows, columns, title=f"{request.as_of} rolled forward, {request.market} market, in {request.currency}"
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def show_reverse_stress(found: ReverseStress, query: ReverseStressRequest) -> None:
    """The scenario, its largest moves, and the past days that come nearest."""
    display.print_pairs(
        {
            "loss": found.loss,
            "standard deviations away": found.distance,
            "probability of as much, normal": found.probability,
            "closed form": "-"
            if found.linear_distance is None
            else f"{found.linear_distance:.4g} deviations, loses {display.text(found.linear_loss)}",
            "law": found.covariance,
            "states valued": found.states_valued,
            "name": found.scenario_set.name,
        },
        title=f"Reverse stress in {query.currency}",
    )
    moves = [m for m in found.moves if m.read][:SHOWN_REJECTIONS]
    display.print_table([vars(m) for m in moves], ("risk_factor_id", "base", "level", "move", "deviations", "share"))
    display.print_table([vars(d) for d in found.days], title=f"Nearest of {found.days_compared:,} past days")


def show_stress_period(found: StressPeriod, query: StressPeriodRequest) -> None:
    """The worst window, and the worst ones that do not overlap it."""
    rows = [
        {"window": name, **vars(w)}
        for name, w in (("worst", found.worst), *((f"{i + 2}.", w) for i, w in enumerate(found.runners_up)))
    ]
    display.print_table(rows, title=f"Windows by {query.measure} {query.level}, of {len(found.all_windows):,}")
    display.say(
        f"{found.coverage.covered:,} of {found.coverage.positions:,} positions covered; {len(found.excluded)} risk factors lack history."
    )


def show_plausibility(scores: Sequence[Plausibility]) -> None:
    """How far each scenario lies from no move, its rarest moves, and the past days most like it."""
    for s in scores:
        display.print_pairs(
            {
                "distance": f"{s.distance:.4g} standard deviations over {s.moved} moved factors ({s.covariance})",
                "share of normal moves that are nearer": f"{s.nearer:.4%}",
                "past days compared": f"{s.days_compared:,}, {s.days_left_out:,} lack a move",
                **{f"warning {i + 1}": w for i, w in enumerate(s.warnings)},
            },
            title=f"Plausibility of {s.label}",
        )
        rarest = sorted(s.factors, key=lambda f: -abs(f.deviations))[:10]
        display.print_table(
            [vars(f) for f in rarest],
            ("risk_factor_id", "base", "level", "deviations", "percentile", "expected", "surprise"),
        )
        display.print_table([vars(d) for d in s.nearest], title="Nearest past days")
