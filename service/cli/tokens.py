"""Personal access tokens: what a program, a notebook, Excel or a browser shows to say whose it is."""

from __future__ import annotations

from typing import Annotated

import typer

from lake.errors import validated
from service.cli.given import settings_of, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)


@app.command("make")
def tokens_make_command(
    user: Annotated[str, typer.Argument(help="Name of the user it is for.")],
    label: Annotated[str, typer.Option("--label", help="What it is for, such as Excel.")] = "made on the command line",
    right: Annotated[
        list[str] | None,
        typer.Option("--right", help="read, value, write, ingest or admin; repeatable; default all that the user may."),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="It is valid for so many days, 366 at most.")] = 90,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Make a token. It is shown once and kept nowhere: whoever has it is taken for the user."""
    from service.access.accounts import TokenRequest
    from service.access.rights import RIGHTS, rights_of
    from service.access.store import AccessStore

    store = AccessStore.of(settings_of(lake))
    has = rights_of(store.user(user).roles)
    given = {"label": label, "days": days, "rights": tuple(right or (r for r in RIGHTS if r in has))}
    token, secret = store.make_token(user, validated(TokenRequest, given, "token"))
    if json:
        display.print_json({**token.model_dump(), "token": secret})
        return
    display.stdout().print(secret)
    display.say(f"Token {token.token_id} of {user} for {', '.join(token.rights)}, until {token.expires_at:%Y-%m-%d}.")


@app.command("list")
def tokens_list_command(
    user: Annotated[str | None, typer.Option("--user", help="Only those of this user.")] = None,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The tokens, the newest first, without their secrets."""
    from service.access.store import AccessStore

    store = AccessStore.of(settings_of(lake))
    tokens = store.tokens(None if user is None else store.user(user).name)
    told = [{**token.model_dump(), "state": token.state} for token in tokens]
    rows = [
        {
            "token": token.token_id,
            "user": token.user,
            "label": token.label,
            "rights": ", ".join(token.rights),
            "state": token.state,
            "expires": f"{token.expires_at:%Y-%m-%d}",
            "last used": token.last_used_at,
        }
        for token in tokens
    ]
    show_list(told, rows, json, columns, "There are no tokens.")


@app.command("revoke")
def tokens_revoke_command(
    token: Annotated[str, typer.Argument(help="Id of the token, as the list has it.")],
    alone: Annotated[bool, typer.Option("--alone", help="Tokens that were made with it stay valid.")] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke a token, and those made with it: from the next request on none is taken with them."""
    from service.access.store import AccessStore

    revoked = AccessStore.of(settings_of(lake)).revoke(token, alone=alone)
    display.print_json(revoked.model_dump()) if json else display.say(f"Token {token} of {revoked.user} is revoked.")
