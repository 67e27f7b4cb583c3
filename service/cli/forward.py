"""Commands written with Typer, as commands of the one Click group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def forwarded(name: str, application: Callable[[], Any], prefix: tuple[str, ...], meaning: str) -> click.Command:
    """A command that hands its arguments to the Typer application that has it, behind the words of `prefix`."""

    @click.pass_context
    def forward(context: click.Context) -> None:
        import typer  # noqa: PLC0415 - and what it imports is not needed by the other commands

        found = typer.main.get_command(application())
        found.main([*prefix, *context.args], prog_name=context.command_path.removesuffix(f" {name}" if prefix else ""))

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, callback=forward, context_settings=settings, short_help=meaning)
