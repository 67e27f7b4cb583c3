"""The questions for agents, over the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.given import settings_of
from service.cli.options import LakeOption

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("mcp")
def mcp_command(
    lake: LakeOption = None,
    address: Annotated[
        str | None,
        typer.Option("--address", help="Answer from the service there, and not from a lake of this machine."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Personal token for that service; better the setting VARLAKE_TOKEN.")
    ] = None,
) -> None:
    """Answer an agent on standard input and output: every question is a tool that only reads."""
    from service.agents import Desk, serve
    from service.python.in_process import LakeInProcess
    from service.python.remote import RemoteLake

    settings = settings_of(lake)
    serve(
        Desk(
            LakeInProcess(settings.lake) if address is None else RemoteLake(address, token or settings.token), settings
        )
    )
