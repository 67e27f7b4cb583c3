"""Answers as people read them on a terminal; the same answers as data come from each object's `to_dict`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lake.errors import counted
from service.rendering import display

if TYPE_CHECKING:
    import pyarrow as pa

    from aggregation.change.compare import ComparisonResult
    from aggregation.change.restatement import Restated
    from aggregation.recomputed import Recomputed
    from aggregation.replay import Replay
    from aggregation.stress.reverse_stress import ReverseStress, ReverseStressRequest
    from aggregation.stress.roll_forward import RollResult
    from aggregation.stress.stress_period import StressPeriod, StressPeriodRequest
    from aggregation.stress.stress_test import StressComparison
    from aggregation.types import RiskResult
    from scenarios.plausibility.plausibility import Plausibility
    from valuation.books.trade_history import TradeHistory

SHOWN_REJECTIONS = 20
_MANY_COLUMNS = 8
_COVERAGE = ("failed", "missing", "substituted", "status")


def money_of(query: Any, columns: Iterable[str]) -> set[str]:
    """The columns of money: the base value, and the measures in a currency with their intervals, changes and parts."""
    from aggregation.measures import asked_measures  # noqa: PLC0415 - there already where there is an answer

    names = [a.name for a in asked_measures(query) if a.measure.unit.startswith("currency")]
    return {c for c in columns if c == "base_value" or any(c == n or c.startswith(f"{n}_") for n in names)}


def figures_first(query: Any, columns: Iterable[str], *ends: str) -> list[str]:
    """The `by` columns, then the figures of the measures, those with the first ending first."""
    named = list(columns)
    return [*query.by, *(c for end in ends for c in named if c.endswith(end))]


def show_valuation_plan(plan: Mapping[str, Any]) -> None:
    """What a valuation would do, before it does it."""
    apart = ("by_instrument_type", "dropped_days", "excluded_factors", "start_seconds")
    display.print_pairs({k: v for k, v in plan.items() if k not in apart}, title="Plan")
    if plan["by_instrument_type"]:
        display.print_table([{"instrument type": t, **f} for t, f in plan["by_instrument_type"].items()])
    display.say_left_out(plan["dropped_days"], plan["excluded_factors"])


def show_sealed(done: Mapping[str, Any]) -> None:
    """What a valuation did, as `ValuationRun.to_dict` has it: the true figures beside the expected ones."""
    run, plan = done["this_run"], done["plan"]
    low, high = plan["core_seconds_range"]
    expected = f"{plan['expected_core_seconds']:.3f}" if plan["measured"] else f"{low:.3f} to {high:.3f}"
    display.print_pairs(
        {
            "valuation set": done["valuation_set_id"],
            "scenario set": f"{done['scenario_set_name']} on {done['market_date']} ({done['scenario_set_id'][:12]}...)",
            "scenarios": done["scenario_count"],
            "submitted": done["submitted"],
            "valued": run["valued"],
            "reused": run["reused"],
            "failed": run["failed"],
            "unmoved": done["unmoved"],
            "core seconds": f"{done['pricing_seconds'] if run['valued'] else 0.0:.3f} (expected {expected})",
            "to load kernels": f"{run['kernels_seconds']:.3f}",
            "elapsed seconds": f"{run['elapsed_seconds']:.3f}",
            "runner": done["runner"] if run["valued"] else "none: nothing was missing",
        },
        title=f"Valuation of {done['valuation_date']}, sealed",
    )
    if done["why_failed"]:
        display.say(f"Failed: {done['why_failed']}")


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
    money = money_of(query, columns)
    display.print_table(
        rows,
        columns,
        title=f"{display.heading(query, result.receipt)}",
        last={**total, **label},
        first=(*query.by, *measures, "status"),
        money=money,
    )
    if len(rows) > 1:
        benefits = {m: total[f"{m}_diversification"] for m in measures if total.get(f"{m}_diversification") is not None}
        display.print_pairs(
            {f"diversification {m}": v for m, v in benefits.items()}, money={f"diversification {m}" for m in money}
        )
    show_basis(result, result.receipt["estimator"])


def show_basis(result: Any, how: str = "") -> None:
    """Coverage, scenarios, valuation set and notes of an answer; how : how its numbers were read, where there is something to say."""
    receipt = result.receipt
    read = f"{how}; " if how else ""
    display.say(
        f"{display.covered(result.coverage)}; "
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
    first = figures_first(one.query, columns, "_change", "_to")
    money = money_of(one.query, columns)
    display.print_table(
        result.rows.to_pylist() if by else [], columns, title=title, last=last, first=first, money=money
    )
    if result.restated is not None:
        _show_restated(result.restated, one.query.currency)
    for side in (one, two):
        show_basis(side, side.receipt["estimator"])
    for note in result.notes:
        if not note.startswith("On "):  # those of either side are told with it
            display.say(f"Note: {note}")


def _show_restated(found: Restated, currency: str) -> None:
    """The causes, then the trades and the market values."""
    if found.causes.num_rows:
        columns = found.causes.column_names
        title = f"What each restatement did, in {currency}"
        display.print_table(found.causes.to_pylist(), columns, title=title, money=columns[1:])
    for title, rows in (("Restated trades", found.positions), ("Restated market values", found.market_data)):
        _show_some(rows, rows.column_names, title)


def _show_some(rows: pa.Table, columns: Sequence[str], title: str) -> None:
    """The first rows, values of the market to their last digit; nothing where there are none."""
    shown = rows.slice(0, _MOST_RESTATED).to_pylist()
    for row in shown:
        row |= {n: repr(row[n]) for n in ("value_from", "value_to") if row.get(n) is not None}
    if shown:
        display.print_table(shown, columns, title=title)
    if len(rows) > len(shown):
        display.say(f"{len(rows) - len(shown):,} more: --json lists them.")


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


def show_market_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What market ingests brought."""
    for report in reports:
        show_market_report(report)


def show_pnl_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of actual P&L, as `PnLReport.to_dict` has it."""
    display.print_table([{k: v for k, v in report.items() if k != "notes"} for report in reports])
    for note in (note for report in reports for note in report["notes"]):
        display.say(f"Note: {note}")


def show_var_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of VaR of other systems, as `VarReport.to_dict` has it."""
    display.print_table([{**report, "levels": ", ".join(report["levels"])} for report in reports])


def show_vectors_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of P&L vectors, as `VectorsReport.to_dict` has it, and the first of the nodes that failed."""
    columns = ("date", "scenario_set", "scenarios", "nodes", "failed", "new", "changed", "unchanged", "removed", "held")
    display.print_table([d for r in reports for d in r["dates"]], columns)
    for r in reports:
        display.say(f"{r['path']}: {r['read']:,} nodes = {r['loaded']:,} loaded + {r['failed']:,} failed")
        for note in r["notes"]:
            display.say(f"Note: {note}")
        if r["failed"]:
            display.print_table(r["failures"][:10], ("row", "date", "trade", "reason"), title="Failed")


def show_sensitivities_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of sensitivities, as `SensitivitiesReport.to_dict` has it: counts, then what is not mapped."""
    columns = ("path", "source", "layout", "dates", "read", "stored", "zero", "replaced", "factors", "unmapped_factors")
    display.print_table(reports, columns)
    for report in reports:
        if report["unmapped"]:
            display.print_table(report["unmapped"], title=f"{report['path']}: factors that are none of the lake")
        if report["skipped"]:
            display.print_table(report["skipped"], title=f"{report['path']}: rows that are no sensitivities")
    for note in (note for report in reports for note in report["notes"]):
        display.say(f"Note: {note}")


def show_covariance_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of a covariance matrix, as `CovarianceReport.to_dict` has it."""
    for report in reports:
        display.print_pairs({k: v for k, v in report.items() if k != "notes"})
        for note in report["notes"]:
            display.say(f"Note: {note}")


def show_ticks_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of ticks, as `TicksReport.to_dict` has it."""
    for report in reports:
        plain = {k: v for k, v in report.items() if k not in ("became", "seen", "notes")}
        display.print_pairs(
            {**plain, **{f"ticks {k.replace('_', ' ')}": v for k, v in report["became"].items()}, **report["seen"]}
        )
        for note in report["notes"]:
            display.say(f"Note: {note}")


def show_corporate_actions_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of files of corporate actions, and what levels before each ex date are multiplied by."""
    display.print_table([{k: v for k, v in report.items() if k not in ("rules", "notes")} for report in reports])
    if rules := [rule for report in reports for rule in report["rules"]]:
        display.print_table(rules, list(rules[0]), title="Levels before the ex date are multiplied by the factor")
    for note in (note for report in reports for note in report["notes"]):
        display.say(f"Note: {note}")


_MOST_RESTATED = 20


def show_recomputed(again: Recomputed) -> None:
    """What is not as published, and what was restated since."""
    figures = ("place", "row", "as_published", "now", "change")
    tables = {
        f"{again.kind} as published and now": (again.rows, figures),
        "Trades restated since": (again.positions, again.positions.column_names),
        "Market values restated since": (again.market_data, again.market_data.column_names),
    }
    for title, (rows, columns) in tables.items():
        _show_some(rows, columns, title)
    for note in again.notes:
        display.say(f"Note: {note}")


def show_market_report(report: Mapping[str, Any], *, short: bool = False) -> None:
    """What a market ingest brought, by source, as `MarketIngestReport.to_dict` has it."""
    sources = report["sources"]
    if not short:
        columns = ("source", "factors", "first", "last", "rows", "missing", "new", "changed", "unchanged", "kept")
        display.print_table(sources, columns, title=f"Catalogue {report['catalogue']}")
    for source in sources:
        for note in source["notes"]:
            display.say(f"Note: {source['source']}: {note}")
    total = {k: sum(s[k] for s in sources) for k in ("factors", "rows", "missing", "new", "changed", "unchanged")}
    about = {"synthetic": report["synthetic"], "market_data version": report["market_data_version"]}
    display.print_pairs({**total, **about})


def show_positions_reports(reports: Sequence[Mapping[str, Any]]) -> None:
    """What became of positions files, as `PositionsReport.to_dict` has it: counts, faults by reason, where the unusable rows are."""
    columns = ("positions_date", "loaded", "new", "changed", "unchanged", "removed", "held")
    display.print_table([d for r in reports for d in r["dates"]], columns)
    for r in reports:
        counts = f"{r['read']:,} read = {r['loaded']:,} loaded + {r['rejected']:,} rejected"
        display.say(f"{r['path']}: {counts}; {counted(r['new_contracts'], 'new contract')}")
        for note in r["notes"]:
            display.say(f"Note: {note}")
        if r["rejected"]:
            show_faults(r["reasons"], f"Unusable rows of {r['path']}, by reason")
        if r["rejects"]:
            by = " by the same mapping" if r["mapping"] else ""
            display.say(f"The unusable rows are in {r['rejects']}: correct them there and load that file{by}.")


def show_faults(reasons: Sequence[Mapping[str, Any]], title: str) -> None:
    """Faults by kind, each with its first row and value."""
    renamed = [
        {**{k: r.get(k) for k in ("rows", "column", "reason")}, "first row": r.get("row"), "value": r.get("value")}
        for r in reasons
    ]
    display.print_table(renamed[:SHOWN_REJECTIONS], first=("column", "reason", "rows"), title=title)
    if len(reasons) > SHOWN_REJECTIONS:
        display.say(f"... and {len(reasons) - SHOWN_REJECTIONS:,} more kinds; --json lists them all.")


def show_trade_history(history: TradeHistory) -> None:
    """A line a change of a trade; of an amendment what was and is."""
    rows = []
    for v in history.versions:
        changes = [f"{k} {_whole(was)} -> {_whole(now)}" for k, (was, now) in v.changed.items()]
        changed = "; ".join(changes) if v.action == "amend" else ""
        rows.append(
            {
                **{k: getattr(v, k) for k in ("positions_date", "version", "loaded_at", "action", "file")},
                "changed": changed,
            }
        )
    display.print_table(rows, first=("positions_date", "action", "file", "changed"))
    for note in history.notes:
        display.say(f"Note: {note}")


def _whole(value: Any) -> str:
    """With all its digits: a change in the last one is a change."""
    if value is None:
        return "nothing"
    return f"{value:,}".removesuffix(".0") if isinstance(value, float) else str(value)


def show_suggestion(guess: Any, *, whole: bool) -> None:
    """How the first rows would load by what is guessed, and what is wrong; as a `whole` the guess, else its doubts.

    Rows of many columns are shown a column each.
    """
    if whole:
        display.print_text(guess.toml())
    rows = guess.rows
    if rows and len(rows[0]) > _MANY_COLUMNS:
        rows = [{"column": n, **{str(i + 1): r.get(n) for i, r in enumerate(rows)}} for n in rows[0]]
    display.print_table(rows, title="The first rows, as they would load")
    if guess.faults:
        show_faults(guess.faults, "Rows that would not load, by reason")
    for doubt in () if whole else guess.doubts:
        display.say(f"Doubt: {doubt}")


def show_stress(result: RiskResult) -> None:
    """P&L by group in each scenario; of a grid of two axes as a matrix, the first down and the second across."""
    from scenarios.stress.apply import axes_in  # noqa: PLC0415 - see service.cli
    from service.rendering.ladder import show_matrix  # noqa: PLC0415 - see service.cli

    query = result.query
    names = {c: c.removeprefix("pnl_") for c in result.rows.column_names if c.startswith("pnl_")}
    axes = axes_in(list(names.values()))
    columns = [*query.by, "positions", "base_value", *(names.values() if axes is None else ())]
    rows = [{names.get(k, k): v for k, v in r.items()} for r in result.rows.to_pylist()] if query.by else []
    label = {query.by[0]: "Total"} if query.by else {}
    last = {**{names.get(k, k): v for k, v in result.total.items()}, **label}
    display.print_table(
        rows,
        columns,
        title=f"P&L on {query.as_of} in {query.currency}",
        last=last,
        first=(*query.by, *names.values()),
        money=("base_value", *names.values()),
    )
    if axes is not None:
        (down, one), (across, two) = axes
        nodes = list(zip(names.values(), itertools.product(one, two), strict=True))
        title = f"{down} down, {across} across, gains positive"
        show_matrix(query.by, [(r, *at, r[name]) for r in (*rows, last) for name, at in nodes], title)
    show_basis(result)


def show_stress_comparison(result: StressComparison) -> None:
    """The P&L of several scenarios side by side."""
    query = result.results[0].query
    label = {query.by[0]: "Total"} if query.by else {}
    figures = [c for c in result.rows.column_names if c not in (*query.by, "positions", "base_value")]
    rows = result.rows.to_pylist() if query.by else []
    display.print_table(
        rows,
        result.rows.column_names,
        title=f"P&L on {query.as_of} in {query.currency}",
        last={**result.total, **label},
        first=(*query.by, *figures),
        money=("base_value", *figures),
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
    money = ("pnl", "value", "cash", "base_value")
    display.print_table(
        rows,
        columns,
        title=f"{request.as_of} rolled forward, {request.market} market, in {request.currency}",
        first=(*request.by, "horizon", *money),
        money=money,
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
            else f"{found.linear_distance:.4g} deviations, loses {display.cell(found.linear_loss)}",
            "law": found.covariance,
            "states valued": found.states_valued,
            "name": found.scenario_set.name,
        },
        title=f"Reverse stress in {query.currency}",
        money=("loss",),
    )
    moves = [m for m in found.moves if m.read][:SHOWN_REJECTIONS]
    display.print_table([vars(m) for m in moves], ("risk_factor_id", "base", "level", "move", "deviations", "share"))
    days = f"Nearest of {counted(found.days_compared, 'past day')}"
    display.print_table([vars(d) for d in found.days], title=days, money=("loss",))


def show_stress_period(found: StressPeriod, query: StressPeriodRequest) -> None:
    """The worst window, and the worst ones that do not overlap it."""
    rows = [
        {"window": name, **vars(w)}
        for name, w in (("worst", found.worst), *((f"{i + 2}.", w) for i, w in enumerate(found.runners_up)))
    ]
    title = f"Windows by {query.measure} {query.level}, of {len(found.all_windows):,}, in {query.currency}"
    display.print_table(rows, title=title, money=("value",))
    display.say(
        f"{found.coverage.covered:,} of {counted(found.coverage.positions, 'position')} covered; "
        f"{counted(len(found.excluded), 'risk factor lacks', 'risk factors lack')} history."
    )


def show_plausibility(scores: Sequence[Plausibility]) -> None:
    """How far each scenario lies from no move, its rarest moves, and the past days most like it."""
    for s in scores:
        display.print_pairs(
            {
                "distance": f"{s.distance:.4g} standard deviations over {counted(s.moved, 'moved factor')} ({s.covariance})",
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
