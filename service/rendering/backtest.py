"""Backtests and series as people read them: on a terminal, and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation.measures import asked_measures
from lake.errors import counted
from service.rendering import display, pictures, tables

if TYPE_CHECKING:
    from aggregation.backtest.counts import CountsResult
    from aggregation.backtest.judgement import BacktestResult, NodeBacktest
    from aggregation.kernels.backtest_statistics import StatisticalTest
    from aggregation.risk.series import SeriesResult

_SHOWN_EXCEPTIONS = 20
_SHOWN_LINES = 10


def show_backtest(result: BacktestResult) -> None:
    """The counts of every node, then the tests of the total and what lies behind its exceptions."""
    query, total = result.query, result.nodes[0]
    counts = [row for node in result.nodes for row in _counts(node)]
    first = ("node", "level", *(c for c in counts[0] if c.endswith(" exceptions")), "zone")
    title = f"Backtest of {_span(total)}, {counted(len(total.days), 'day')}, in {query.currency}"
    display.print_table(counts, title=title, first=first)
    rows = [
        {"level": level.level, "P&L": judged.pnl, **_outcome(outcome)}
        for level in total.levels
        for judged in level.by_pnl
        for outcome in judged.outcomes
    ]
    rows += [
        {"level": min(x.level for x in total.levels), "P&L": k, **_outcome(o)} for k, o in total.multinomial.items()
    ]
    title = f"Tests of the total, rejected below a p-value of {query.significance:g}"
    display.print_table(rows, title=title, first=("level", "P&L", "test", "p-value", "verdict"))
    if total.attribution is not None:
        display.print_pairs(
            total.attribution.to_dict(), title=f"P&L attribution, revalued against supplied {total.attributed} P&L"
        )
    exceptions = [_exception(e) for e in total.exceptions]
    if exceptions:
        shown = exceptions[-_SHOWN_EXCEPTIONS:]
        money = [c for row in shown for c in row if c.startswith("var_0") or c.endswith("_pnl")]
        title = f"Exceptions of the total, the last {len(shown)} of {len(exceptions)}"
        display.print_table(shown, title=title, money=money)
    for note in (*total.notes, *result.notes):
        display.say(f"Note: {note}")


def show_counts(result: CountsResult) -> None:
    """The tests, then the zone."""
    display.print_table(result.rows.to_pylist(), first=("test", "statistic", "p_value", "rejected"))
    for note in result.notes:
        display.say(f"Note: {note}")


def _span(node: NodeBacktest) -> str:
    """Which days' VaR is held against which days' P&L."""
    var, pnl = (f"{node.days[0][name]} to {node.days[-1][name]}" for name in ("var_day", "day"))
    return f"VaR of {var} against P&L of {pnl}"


def _counts(node: NodeBacktest) -> list[dict[str, Any]]:
    name = ", ".join(f"{k}={v or '(none)'}" for k, v in node.node.items()) or "Total"
    rows = []
    for level in node.levels:
        light = level.traffic_light
        rows.append(
            {
                "node": name,
                "level": level.level,
                **{f"{j.pnl} exceptions": j.exceptions for j in level.by_pnl},
                "missing": max(j.missing for j in level.by_pnl),
                "expected": len(node.days) * (1 - float(level.level)),
                f"in last {light.days}": level.exceptions,
                "zone": light.zone,
                "multiplier": light.multiplier,
                "limit": level.desk_limit,
            }
        )
    return rows


def _outcome(outcome: StatisticalTest) -> dict[str, Any]:
    verdict = {True: "rejected", False: "not rejected", None: outcome.why}[outcome.rejected]
    return {
        "test": outcome.test,
        "statistic": outcome.statistic,
        "p-value": outcome.p_value,
        "verdict": verdict,
        "sided": outcome.sided,
        "source": outcome.source,
    }


def _exception(found: Any) -> dict[str, Any]:
    lost, moved = found["contributors"], found["moves"]
    figures = {k: v for k, v in found.items() if k.startswith("var_0") or k.endswith("_pnl")}
    return {
        "VaR of": found["var_day"],
        "P&L of": found["day"],
        **figures,
        "lost most": ", ".join(f"{p['instrument']} {display.cell(p['pnl'])}" for p in lost[:2]) or found["remark"],
        "moved most": ", ".join(f"{m['risk_factor']} {_move(m)}" for m in _widest(moved)),
    }


def _widest(moves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The widest move of each risk class, the widest three of them."""
    first = {m["risk_class"]: m for m in reversed(moves)}
    return sorted(first.values(), key=lambda m: -abs(m["deviations"] or 0.0))[:3]


def _move(move: dict[str, Any]) -> str:
    if move["shift_type"] == "absolute":
        return f"{1e4 * move['move']:+.0f}bp"
    return f"{move['move']:+.1%}"


def draw_backtest(result: BacktestResult, path: Path) -> Path:
    """VaR as a line below zero, P&L as dots, exceptions marked; of the total."""
    total = result.nodes[0]
    days = [row["day"] for row in total.days]
    kinds = [j.pnl for j in total.levels[0].by_pnl]
    lines = {
        f"minus {pictures.in_words(f'var_{level.level}')}": [
            None if row[f"var_{level.level}"] is None else -row[f"var_{level.level}"] for row in total.days
        ]
        for level in total.levels
    }
    points = {f"{k} P&L": [row[f"{k}_pnl"] for row in total.days] for k in kinds}
    strict = max(total.levels, key=lambda x: float(x.level)).level
    marked = [
        (row["day"], row[f"{k}_pnl"])
        for row in total.days
        for k in kinds
        if row[f"{k}_exception_{strict}"] and row[f"{k}_pnl"] is not None and row[f"var_{strict}"] is not None
    ]
    missing = [
        row["day"] for row in total.days if any(row[f"{k}_pnl"] is None or row[f"var_{strict}"] is None for k in kinds)
    ]
    dots = {
        f"exceptions of {pictures.in_words(f'var_{strict}')} ({len(marked)})": (
            [d for d, _ in marked],
            [v for _, v in marked],
        )
    }
    if missing:
        dots[f"missing, counted as exceptions ({len(missing)})"] = (missing, [0.0] * len(missing))
    light = next(x for x in total.levels if x.level == strict).traffic_light
    return pictures.time_line(
        path,
        days,
        lines,
        title=f"{_span(total)}: {light.zone} in the last {light.days:,} day{'s' * (light.days != 1)}",
        unit=f"{result.query.currency}, gains positive",
        dots=dots,
        points=points,
        dates_are="day of the P&L; its VaR is that of the tested day before",
    )


def show_series(result: SeriesResult) -> None:
    """A row a day and group, gaps with their reason."""
    rows = result.rows if result.query.by else result.totals
    columns = [c for c in rows.column_names if c not in ("covered", "failed", "missing")]
    if not any(rows["reason"].to_pylist()):
        columns.remove("reason")
    title = f"{result.first} to {result.last} in {result.query.currency}"
    money = tables.money_of(result.query, columns)
    first = ("date", *result.query.by, *(c for c in columns if c in money and c != "base_value"), "status")
    display.print_table(rows.select(columns).to_pylist(), columns, title=title, first=first, money=money)
    for note in result.notes:
        display.say(f"Note: {note}")


def draw_series(result: SeriesResult, path: Path) -> Path:
    """Every measure of the total; or, by group, the first measure of the groups in which it was greatest."""
    by, total = result.query.by, result.totals
    skipped = {"date", "status", "reason", "positions", "covered", "failed", "missing", "base_value"}
    measures = [f.name for f in total.schema if f.name not in skipped and str(f.type) == "double"]
    dates = total["date"].to_pylist()
    units = {a.name: pictures.unit_of(a, result.query.currency) for a in asked_measures(result.query)}
    unit = units[measures[0]] if by else " or ".join(sorted(set(units.values())))
    if not by:
        lines = {pictures.in_words(m): total[m].to_pylist() for m in measures}
        return pictures.time_line(path, dates, lines, title=f"{', '.join(lines)} day by day", unit=unit)
    values: dict[tuple[Any, ...], dict[Any, float | None]] = {}
    for row in result.rows.to_pylist():
        values.setdefault(tuple(row[b] for b in by), {})[row["date"]] = row[measures[0]]
    known = {k: v for k, v in values.items() if any(x is not None for x in v.values())}
    greatest = sorted(known, key=lambda k: -max(abs(x) for x in known[k].values() if x is not None))[:_SHOWN_LINES]
    lines = {" / ".join(x or "(none)" for x in k): [known[k].get(d) for d in dates] for k in greatest}
    of = f", the {len(greatest)} greatest of {len(known):,}" if len(known) > len(greatest) else ""
    title = f"{pictures.in_words(measures[0])}{pictures.by_words(by)}, day by day{of}"
    return pictures.time_line(path, dates, lines, title=title, unit=unit)
