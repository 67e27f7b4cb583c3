"""Market data: values that the gates hold, listed, released, overridden, proxied; the gates run over what is stored; and what a
value was before."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import counted, validated
from service import client
from service.cli.given import as_date, laid_out, open_lake
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.jobs import COVARIANCE, MARKET_ACT, MARKET_CHECK
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(
    add_completion=False,
    help="Market data: the values that gates hold, and the versions of a value.",
    no_args_is_help=True,
)
_FIRST = ("as_of_date", "risk_factor_id", "state", "rules", "value_received", "value_used", "detail", "reason")

Factor = Annotated[str, typer.Argument(help="Risk factor id.")]
Date = Annotated[str, typer.Argument(help="Date of the value, YYYY-MM-DD.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words.")]
Author = Annotated[str | None, typer.Option("--author", help="Who does it; default the user of this machine.")]
First = Annotated[str | None, typer.Option("--first", help="First date of the values.")]


@app.command("issues")
def issues_command(
    first: First = None,
    last: Annotated[str | None, typer.Option("--last", help="Last date of the values.")] = None,
    factor: Annotated[str | None, typer.Option("--factor", help="Risk factor id.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Rule that suspects the value, such as spike.")] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="How it stands: held, missing, released, overridden, proxied or replaced."),
    ] = None,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """Market values that a rule holds, or that somebody has released, overridden or proxied; and runs of missing ones."""
    from scenarios.market.issues import IssueFilter, list_issues

    days = {name: as_date(text, f"--{name}") for name, text in (("first", first), ("last", last)) if text}
    given = {**days, "factor": factor, "rule": rule, "state": state}
    _, opened = open_lake(lake)
    rows = list_issues(opened, validated(IssueFilter, given, "filter"))
    if json:
        display.print_json(rows)
    else:
        _show(rows, columns, "There is no such issue.")


def _show(rows: list[dict[str, Any]], columns: list[str] | None, none: str) -> None:
    if not rows:
        display.say(none)
        return
    with laid_out(columns):
        display.print_table([{**r, "rules": ", ".join(r["rules"])} for r in rows], first=_FIRST)


@app.command("check")
def check_command(
    first: First = None,
    hold: Annotated[bool, typer.Option("--hold", help="Hold what is suspicious; default only list it.")] = False,
    gates: Annotated[
        Path | None, typer.Option("--gates", help="Own parameters, TOML; default the setting VARLAKE_GATES.")
    ] = None,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """Run the gates over the market data that is stored, whenever it came in."""
    from lake.committer import DryRun
    from scenarios.market.issues import CheckRequest, run_check

    settings, opened = open_lake(lake)
    own = gates or settings.gates
    given = {
        "first": as_date(first, "--first") if first else None,
        "hold": hold,
        "gates": str(own.absolute()) if own else None,
    }
    request = validated(CheckRequest, given, "check")
    if hold:
        found = client.done(settings, opened, "market check", MARKET_CHECK, request.model_dump(mode="json"))
    else:
        found = run_check(DryRun(opened), request)
    if json:
        display.print_json(found)
        return
    _show(found["issues"], columns, "No rule suspects a value.")
    suspicious = sum(i["state"] == "held" for i in found["issues"])
    gone = counted(len(found["issues"]) - suspicious, "run")
    done = "all of them held" if hold else f"{found['standing']:,} of them held already; --hold holds all"
    display.say(f"{counted(suspicious, 'suspicious value')}, {done}. {gone} of missing days.")
    if found["cleared"]:
        some = ", ".join(f"{i['risk_factor_id']} {i['as_of_date']}" for i in found["cleared"][:5])
        display.say(
            f"{counted(len(found['cleared']), 'held value')} that no rule suspects any more, such as {some}: release them."
        )


@app.command("release")
def release_command(
    factor: Factor, date: Date, reason: Reason, author: Author = None, lake: LakeOption = None, json: JsonOption = False
) -> None:
    """Use a held value as it was received."""
    _act({"act": "release"}, factor, date, reason, author, lake, json)


@app.command("override")
def override_command(
    factor: Factor,
    date: Date,
    value: Annotated[
        float, typer.Option("--value", help="Level used instead, in the unit of the risk factor: 0.05 is 5%.")
    ],
    reason: Reason,
    author: Author = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Use another value instead; the value received stays beside it."""
    _act({"act": "override", "value": value}, factor, date, reason, author, lake, json)


@app.command("proxy")
def proxy_command(
    factor: Factor,
    date: Date,
    by: Annotated[str, typer.Option("--by", help="Risk factor that it moves with since its last level.")],
    reason: Reason,
    beta: Annotated[float, typer.Option("--beta", help="Its move for one unit of the other's.")] = 1.0,
    author: Author = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Use the last level before, moved as another risk factor has moved since."""
    _act({"act": "proxy", "by": by, "beta": beta}, factor, date, reason, author, lake, json)


def _act(
    what: dict[str, Any], factor: str, date: str, reason: str, author: str | None, lake: Path | None, json: bool
) -> None:
    from scenarios.market.issues import MarketAct

    given = {
        **what,
        "factor": factor,
        "date": as_date(date, "DATE"),
        "reason": reason,
        "author": author or getpass.getuser(),
    }
    request = validated(MarketAct, given, "act")
    settings, opened = open_lake(lake)
    done = client.done(settings, opened, f"market {what['act']}", MARKET_ACT, request.model_dump(mode="json"))
    if json:
        display.print_json(done)
    else:
        display.say(
            f"{factor} on {date} is {done['state']} by {done['author']}: {done['value_used']:.15g} is used, "
            f"{'nothing' if done['value_received'] is None else format(done['value_received'], '.15g')} was received."
        )


@app.command("history")
def market_history_command(
    factor: Annotated[str, typer.Argument(help="Risk factor, such as EQ:AAPL.")],
    date: Annotated[str, typer.Argument(help="Date of the value, YYYY-MM-DD.")],
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The versions of a value, oldest first: what it was, when it was stored, by which file and run."""
    from scenarios.market.value_versions import value_versions

    _, opened = open_lake(lake)
    rows, notes = value_versions(opened, factor, as_date(date, "DATE"))
    told = rows.to_pylist()
    if json:
        display.print_json({"risk_factor_id": factor, "as_of_date": date, "versions": told, "notes": notes})
        return
    with laid_out(columns):
        first = ("version", "stored_at", "change", "value_used", "file")
        for row in told:  # a level is shown to its last digit
            row |= {n: None if row[n] is None else repr(row[n]) for n in ("value_used", "value_received")}
        display.print_table(told, rows.column_names, title=f"{factor} on {date}", first=first)
    for note in notes:
        display.say(f"Note: {note}")


@app.command("arbitrage")
def arbitrage_command(
    surface: Annotated[str, typer.Argument(help="Volatility surface: what its points have as surface or asset.")],
    date: Annotated[str, typer.Argument(help="Date of the market, YYYY-MM-DD.")],
    curve: Annotated[
        str | None,
        typer.Option("--curve", help="Of a surface by strike: curve that forwards are made with, such as USD."),
    ] = None,
    dividend_yield: Annotated[
        float, typer.Option("--dividend-yield", help="Of a surface by strike: continuous, a fraction a year.")
    ] = 0.0,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """Where the stored points of a volatility surface allow arbitrage: butterflies, verticals, calendars. Nothing is changed."""
    from scenarios.market.base_market import load_base
    from scenarios.market.calendars import DATA
    from scenarios.market.history import load_factors
    from valuation.market.arbitrage import not_checked, surface_arbitrages
    from valuation.market.scenario_market import ScenarioMarket

    _, opened = open_lake(lake)
    base = load_base(opened.snapshot(), as_date(date, "DATE"), DATA, 0)
    market = ScenarioMarket(base.market_date, base.index, base.base, base.base[:, None][:, :0])
    known = load_factors(opened.snapshot()).factors
    lacking = not_checked(market, surface, [f for f in known if f.risk_factor_id not in base.index.row])
    found = [a.to_dict() for a in surface_arbitrages(market, surface, curve, dividend_yield)]
    if json:
        display.print_json({"arbitrages": found, "not_checked": lacking})
        return
    if found:
        rows = [{**a, "strikes": ", ".join(f"{s:.4g}%" for s in a["strikes"])} for a in found]
        with laid_out(columns):
            display.print_table(rows, title=f"{surface} on {date}", first=("kind", "expiry", "strikes", "size"))
    else:
        display.say(f"The points of {surface} on {date}{' that have a level' if lacking else ''} allow no arbitrage.")
    for said in lacking:
        display.say(f"Not checked: {said}")


@app.command("covariance")
def covariance_command(
    matrix: Annotated[str, typer.Argument(help="Name of the matrix; one of that name is replaced.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Instant up to which buckets count, with its zone.")],
    window: Annotated[int, typer.Option("--window", help="Moves from bucket to bucket, the latest.")] = 60,
    stale_seconds: Annotated[
        int, typer.Option("--stale-seconds", help="A level carried for longer at the end leaves its factor out.")
    ] = 300,
    factors: Annotated[str | None, typer.Option("--factors", help="Risk factors, with commas; default all.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Make a covariance of intraday levels and store it under a name, as `varlake ingest covariance` does."""
    from scenarios.market.intraday_covariance import IntradayCovarianceRequest
    from service.rendering import tables

    given = {"matrix": matrix, "as_of": as_of, "window": window, "stale_seconds": stale_seconds}
    request = validated(IntradayCovarianceRequest, {**given, **({"factors": factors} if factors else {})}, "covariance")
    settings, opened = open_lake(lake)
    told = client.done(settings, opened, "market covariance", COVARIANCE, request.model_dump(mode="json"))
    display.print_json(told) if json else tables.show_covariance_reports([told])
