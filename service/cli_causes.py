"""Commands that ask why: P&L explained, the drivers of a change of risk, another system's number reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import validated
from service import display
from service.cli_options import (
    ByOption,
    CurrencyOption,
    JsonOption,
    LakeOption,
    WhereOption,
    as_date,
    as_list,
    open_lake,
)

# ruff: noqa: PLC0415 - see service.cli

FromOption = Annotated[str, typer.Option("--from", help="First date.")]
ToOption = Annotated[str, typer.Option("--to", help="Second date.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("pnl-explain")(pnl_explain_command)


def pnl_explain_command(
    from_date: FromOption,
    to_date: ToOption,
    by: ByOption = "",
    where: WhereOption = None,
    currency: CurrencyOption = "USD",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be priced, and the expected time.")] = False,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Why a book is worth what it is: trades, ageing, the market by risk class, currency. Prices what it needs, stores nothing."""
    from aggregation.types import Filter
    from service import operations, reports_causes
    from service.pnl_explain import PnlExplainRequest, plan_pnl_explain, pnl_explain

    settings, opened = open_lake(lake)
    given = {
        "from": as_date(from_date, "--from"),
        "to": as_date(to_date, "--to"),
        "by": as_list(by),
        "where": tuple(Filter.parse(w) for w in where or ()),
        "currency": currency,
    }
    request = validated(PnlExplainRequest, given, "P&L explain")
    cache = operations.vector_cache(settings, opened)
    if plan:
        planned = plan_pnl_explain(opened, request, cache=cache).to_dict()
        display.print_json(planned) if json else reports_causes.show_pnl_plan(planned)
        return
    with display.progress_bar("explaining") as progress:
        result = pnl_explain(opened, request, cache=cache, progress=progress)
    display.print_json(result.to_dict()) if json else reports_causes.show_pnl_explain(result)
    if plot is not None:
        display.say(f"Wrote {reports_causes.plot_pnl_explain(result, plot)}")
