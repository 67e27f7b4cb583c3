"""Groups of commands, and commands written with Typer as commands of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class Group(click.Group):
    """A group that names the nearest command to one it does not have."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from lake.errors import unknown  # noqa: PLC0415 - see service.cli.main

            raise unknown("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def forwarded(name: str, application: Callable[[], Any], prefix: tuple[str, ...], meaning: str) -> click.Command:
    """A command that hands its arguments to the Typer application that has it, behind the words of `prefix`."""

    @click.pass_context
    def forward(context: click.Context) -> None:
        import typer  # noqa: PLC0415 - and what it imports is not needed by the other commands

        # an application with one command is that command, unless it is asked for as a group
        found = (typer.main.get_group if prefix else typer.main.get_command)(application())
        found.main([*prefix, *context.args], prog_name=context.command_path.removesuffix(f" {name}" if prefix else ""))

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, callback=forward, context_settings=settings, short_help=meaning)


def joined(found: Group, application: Any) -> Group:
    """The group with the commands of a Typer application as well."""
    for command in application.registered_commands:
        meaning = (command.callback.__doc__ or "") if command.callback is not None else ""
        found.add_command(forwarded(str(command.name), lambda: application, (str(command.name),), meaning))
    return found
