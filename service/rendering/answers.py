"""How the answer of each question is shown on a terminal, and drawn. Without a line here it is shown as its table."""

from __future__ import annotations

import datetime as dt
import importlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from aggregation.question import Plan
    from aggregation.session import Session
    from valuation.sets.plan import ValuationPlan

# ruff: noqa: PLC0415 - the names alone are needed where a command is made

# question to the function of this folder that shows its answer, given the answer and the query
SHOWN: Mapping[str, str] = {
    "var": "dimensions:show_var",
    "intraday": "live:show_live",
    "pivot": "dimensions:show_pivot",
    "series": "backtest:show_series",
    "pnl": "scenario_pnl:show_pnl",
    "drill": "dimensions:show_drill",
    "contributions": "contributions:show_contributions",
    "parametric": "contributions:show_parametric",
    "greeks": "greeks:show_greeks",
    "taylor": "greeks:show_taylor",
    "crif": "contributions:show_crif",
    "risk-classes": "contributions:show_classes",
    "compare": "tables:show_comparison",
    "explain": "explain:show_explanation",
    "explain-drill": "explain:show_cause_drill",
    "drivers": "causes:show_drivers",
    "pnl-explain": "causes:show_pnl_explain",
    "reconcile": "causes:show_reconciliation",
    "parameter-sensitivity": "sensitivity:show_sensitivity",
    "what-if": "whatif:show_what_if",
    "limit-hedge": "whatif:show_limit_hedge",
    "limits": "var_limits:show_var_limits",
    "pre-trade": "var_limits:show_pre_trade",
    "backtest": "backtest:show_backtest",
    "backtest-counts": "backtest:show_counts",
    "stress": "tables:show_stress",
    "stress-compare": "tables:show_stress_comparison",
    "ladder": "ladder:show_ladder",
    "scenario-pnl": "tables:show_stress",
    "stressed-var": "contributions:show_stressed",
    "stress-period": "tables:show_stress_period",
    "reverse-stress": "tables:show_reverse_stress",
    "roll-forward": "tables:show_roll",
    "sa-ccr": "sa_ccr:show_exposures",
    "sa-ccr-trades": "sa_ccr:show_trades",
    "sa-ccr-what-if": "sa_ccr:show_what_if",
    "credit-rwa": "credit:show_credit_rwa",
    "exposure": "exposure:show_exposure",
    "exposure-drill": "exposure:show_drill",
    "exposure-what-if": "exposure:show_what_if",
    "exposure-limits": "exposure:show_limits",
}
# question to the function that draws its answer, given the answer, the path, the query and the session
PICTURES: Mapping[str, str] = {
    "var": "scenario_pnl:plot_var",
    "pnl": "scenario_pnl:plot_pnl",
    "drill": "dimensions:plot_drill",
    "series": "backtest:draw_series",
    "contributions": "contributions:plot_contributions",
    "parametric": "contributions:plot_parametric",
    "explain": "explain:plot_explanation",
    "drivers": "causes:plot_drivers",
    "pnl-explain": "causes:plot_pnl_explain",
    "parameter-sensitivity": "sensitivity:plot_sensitivity",
    "what-if": "whatif:plot_what_if",
    "limit-hedge": "whatif:plot_limit_hedge",
    "backtest": "backtest:draw_backtest",
    "stress": "ladder:plot_stress",
    "ladder": "ladder:plot_ladder",
    "exposure": "exposure:draw_exposure",
}
# shown by functions that do not say which scenarios they rest on
_OF_POINTS = (
    "series", "explain", "explain-drill", "drivers", "reconcile", "limit-hedge", "backtest", "ladder", "stress-period",
    "reverse-stress",
)  # fmt: skip
_OF_QUERY = ("stress-period", "reverse-stress")  # shown with what was asked beside
_DRAWING = threading.Lock()
_SMALL = 12  # rows of a table beside the answer's own that is shown
_DIGEST = 12  # characters of a receipt's digest that name it
_OF_SESSION = ("var", "pnl")  # drawn from all scenarios, which the answer may not hold


def _function(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"service.rendering.{module}"), name)


def show(name: str, result: Any, query: Any) -> None:
    """Prints the answer."""
    if name not in SHOWN:
        show_any(name, result, query)
    elif name in _OF_QUERY:
        _function(SHOWN[name])(result, query)
    else:
        _function(SHOWN[name])(result)
    if name in _OF_POINTS:
        from service.rendering import display

        for line in display.scenario_lines(result.receipt):
            display.say(f"Rests on {line}.")


def show_any(name: str, result: Any, query: Any) -> None:
    """Any answer: its table and the total, its small tables, the names of the large ones, and its notes."""
    from dataclasses import fields

    import pyarrow as pa

    from service.rendering import display

    currency = getattr(query, "currency", None)  # a question about observations has no money
    title = f"{name} in {currency}" if currency else name
    rows, by = result.rows, getattr(query, "by", ())
    total = getattr(result, "total", {})
    total = dict(total) if isinstance(total, Mapping) else {"total": total}
    last = {c: total[c] for c in rows.column_names if c in total}
    display.print_table(
        rows.to_pylist(),
        rows.column_names,
        title=title,
        last={**last, by[0]: "Total"} if by and last else None,
        first=by,
        money=_money(rows.schema, result),
    )
    rest = {k: v for k, v in total.items() if k not in rows.column_names and isinstance(v, str | int | float | None)}
    if rest:
        schema = pa.schema([(k, pa.float64()) for k, v in rest.items() if isinstance(v, float)])
        display.print_pairs(rest, title="Total", money=_money(schema, result))
    large = []
    for field in fields(result):
        table = getattr(result, field.name)
        if field.name == "rows" or not isinstance(table, pa.Table) or not table.num_rows:
            continue
        if table.num_rows > _SMALL:
            large.append(f"{field.name} ({table.num_rows:,} rows)")
        else:
            words = field.name.replace("_", " ").capitalize()
            display.print_table(table.to_pylist(), table.column_names, title=words, money=_money(table.schema, result))
    if large:
        display.say(f"Also in the answer: {', '.join(large)}; see --json or --xlsx FILE.")
    for note in result.notes:
        display.say(f"Note: {note}")


def _money(columns: pa.Schema, result: Any) -> list[str]:
    """The columns in the currency of the question."""
    from aggregation.units import units_of

    asked = result.receipt["question"]
    return [c for c, unit in units_of(columns, asked).items() if unit == asked.get("currency")]


def draw(name: str, result: Any, query: Any, path: Path, session: Session) -> Path:
    """Draws the answer; returns the path."""
    from service.rendering.figure import captioned

    made = _function(PICTURES[name])
    with captioned(*_around(result, query, session)):
        return Path(made(result, path, query, session) if name in _OF_SESSION else made(result, path) or path)


def drawn(name: str, result: Any, query: Any, kind: str, session: Session) -> bytes:
    """The answer drawn: the bytes of a file of that kind, such as svg; one at a time, since the style is the process's."""
    import tempfile

    with _DRAWING, tempfile.TemporaryDirectory(prefix="varlake-") as folder:
        return draw(name, result, query, Path(folder) / f"{name}.{kind}", session).read_bytes()


def _around(result: Any, query: Any, session: Session) -> tuple[list[str], list[str]]:
    """What stands below the title of a picture, and at its foot: days, scenarios, filters, book, coverage, receipt, synthetic data.

    The scenarios stand at the foot where they are the standard, and below the title where they are not.
    """
    from aggregation.receipts import parts_of
    from aggregation.synthetic import rests_on_synthetic
    from service.rendering import display
    from service.rendering.figure import SYNTHETIC

    receipt = result.receipt
    asked, parts = receipt["question"], parts_of(receipt)
    points = [p if isinstance(p, Mapping) else {"as_of": p} for k in ("as_of", "from", "to") if (p := asked.get(k))]
    below = [f"{' to '.join(str(p['as_of']) for p in points)} in {query.currency}"]
    scenarios = display.scenario_lines(receipt)
    special = any(display.apart(p) for p in parts if "scenario_set_name" in p)
    books = sorted({p["positions_date"] for p in parts if p.get("positions_date")})
    branches = [f"branch {b}" for p in (asked, *points) if (b := p.get("branch"))]
    book = ", ".join(dict.fromkeys([" to ".join(dict.fromkeys(books[:1] + books[-1:])), *branches]))
    found = getattr(result, "coverage", ())
    coverages = found if isinstance(found, tuple) else (found,)
    foot = [
        *(() if special else scenarios),
        f"Positions of {book}: {'; '.join(map(str, query.where)) or 'all'}",
        *dict.fromkeys(display.covered(c) for c in coverages if c.status != "complete"),
        f"Receipt {receipt['receipt_digest'][:_DIGEST]}",
    ]
    if rests_on_synthetic(session, [dt.date.fromisoformat(b) for b in books], query):
        foot.append(SYNTHETIC)
    return [*below, *(scenarios if special else ())], foot


def show_plan(plan: Plan) -> None:
    """What has to be valued first, what it takes, and what the answer prices for itself."""
    from service.rendering import display

    display.print_pairs(
        {
            "ready": plan.ready,
            "expected core seconds": f"{plan.cost}{'' if plan.cost.measured else ', not yet measured on this lake'}",
            "core seconds of the answer": "not known yet"
            if plan.answer_seconds is None
            else f"at most {plan.answer_seconds:.3g}",
            **_starts([p for _, _, p in plan.valuations if p.work.num_rows]),
            **_flat(plan.about),
        },
        title="Plan",
    )
    rows = [
        {
            "for": label,
            "scenario set": p.scenario_set.name,
            "wanted": p.wanted,
            "present": p.members.num_rows,
            "missing": p.work.num_rows,
            "cannot be valued": len(p.failures),
            "expected core seconds": str(p.cost),
            "sealed": p.sealed is not None,
        }
        for label, _, p in plan.valuations
    ]
    if rows:
        display.print_table(rows, first=("for", "scenario set", "missing", "expected core seconds"))
    for _, _, p in plan.valuations:
        display.say_left_out(p.scenario_set.dropped, p.scenario_set.excluded)
    say_newer(plan)


def say_newer(plan: Plan) -> None:
    """Which scenarios do not know the newest market data, and the commands that take it."""
    from aggregation.on_demand import newer_note
    from service.rendering import display

    for request in plan.newer:
        display.say(f"Note: {newer_note(request)}")


def _starts(plans: Sequence[ValuationPlan]) -> dict[str, str]:
    """What a new process takes before it prices anything: of several plans the most."""
    starts = {what: e for p in plans for what, e in sorted(p.start.items()) if e.high}
    return {f"seconds to {_START[what]}": e.range for what, e in starts.items()}


_START = {"kernels": "load kernels first", "spark": "start Spark first"}
_COST = ("expected_core_seconds", "core_seconds_range", "measured")  # told once, above


def _flat(about: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without the tables among them."""
    return {
        k.replace("_", " "): v
        for k, v in about.items()
        if not (isinstance(v, list | tuple) and v and isinstance(v[0], Mapping)) and k not in _COST
    }
