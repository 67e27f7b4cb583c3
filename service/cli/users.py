"""Users: who may ask, in which role, and what of the book each sees. Without any the service is for this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import BadInput, validated
from service.cli.given import settings_of, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)
UserArgument = Annotated[str, typer.Argument(help="Name of the user.")]
RoleOption = Annotated[list[str] | None, typer.Option("--role", help="trader, risk_controller or admin; repeatable.")]
DeskOption = Annotated[list[str] | None, typer.Option("--desk", help="A desk whose positions it sees; repeatable.")]
BookOption = Annotated[list[str] | None, typer.Option("--book", help="A book whose positions it sees; repeatable.")]
EntityOption = Annotated[
    list[str] | None, typer.Option("--legal-entity", help="A legal entity whose positions it sees; repeatable.")
]
TotalsOption = Annotated[
    bool, typer.Option("--firm-totals", help="It also sees totals of the whole firm, without what is in them.")
]
EverythingOption = Annotated[bool, typer.Option("--everything", help="It sees all positions, as an admin does.")]
IdentityOption = Annotated[
    str | None, typer.Option("--identity", help="Who it is at the identity provider: the claim VARLAKE_OIDC_CLAIM.")
]


@app.command("add")
def users_add_command(
    name: UserArgument,
    role: RoleOption = None,
    desk: DeskOption = None,
    book: BookOption = None,
    legal_entity: EntityOption = None,
    firm_totals: TotalsOption = False,
    everything: EverythingOption = False,
    identity: IdentityOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Add a user. The first has to be an admin; from then on every request shows whose it is."""
    from service.access.accounts import User

    seen = _entitlement(desk, book, legal_entity, firm_totals, everything)
    if not seen and "admin" not in (role or ()):
        raise BadInput(
            f"What does {name} see? Give --desk, --book or --legal-entity, each as often as needed, --firm-totals, or --everything."
        )
    given = {"name": name, "roles": tuple(role or ()), "entitlement": None, "identity": identity, **seen}
    added = _store(lake).add(validated(User, given, "user"))
    warnings = _warnings(lake, added)
    if json:
        display.print_json({**added.model_dump(), "warnings": warnings})
        return
    display.say(f"{name} is a user now. `varlake tokens make {name}` makes a token to sign in with.")
    for warning in warnings:
        display.say(warning)


@app.command("list")
def users_list_command(lake: LakeOption = None, columns: ColumnsOption = None, json: JsonOption = False) -> None:
    """The users, by name."""
    users = _store(lake, create=False).users()
    none = "There are no users: whoever works on this machine may do everything, and nobody else reaches the service."
    show_list([user.model_dump() for user in users], [_shown(user) for user in users], json, columns, none)


@app.command("change")
def users_change_command(
    name: UserArgument,
    role: RoleOption = None,
    desk: DeskOption = None,
    book: BookOption = None,
    legal_entity: EntityOption = None,
    firm_totals: TotalsOption = False,
    everything: EverythingOption = False,
    identity: IdentityOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Change a user from its next request on: its roles, all that it sees, or its identity. What is not named stays."""
    from service.access.accounts import UserChange

    given: dict[str, Any] = _entitlement(desk, book, legal_entity, firm_totals, everything)
    given |= {"roles": tuple(role)} if role else {}
    given |= {} if identity is None else {"identity": identity or None}
    if not given:
        raise BadInput(f"Say what of {name} becomes otherwise: its roles, what it sees, or its identity.")
    user = _store(lake).change(name, validated(UserChange, given, "change"))
    warnings = _warnings(lake, user)
    if json:
        display.print_json({**user.model_dump(), "warnings": warnings})
        return
    display.print_pairs(_shown(user), title=f"User {name}")
    for warning in warnings:
        display.say(warning)


@app.command("remove")
def users_remove_command(name: UserArgument, lake: LakeOption = None, json: JsonOption = False) -> None:
    """Remove a user, with all tokens and sessions. The last admin stays."""
    removed = _store(lake).remove(name)
    display.print_json(removed.model_dump()) if json else display.say(f"{name} is no user any more.")


def _store(lake: Path | None, *, create: bool = True) -> Any:
    from lake.tables import Lake
    from service.access.store import AccessStore

    settings = settings_of(lake)
    if create and settings.access is None:
        Lake.create(settings.lake)  # the users of a lake stand in its folder
    return AccessStore.of(settings)


def _warnings(lake: Path | None, user: Any) -> list[str]:
    """What of its entitlement nothing in the lake names; none where the users stand apart from a lake that is not made yet."""
    from lake.tables import Lake
    from service.access.granted import grant_warnings

    made = Lake(settings_of(lake).lake)
    return list(grant_warnings(made, user.entitlement)) if made.marker.is_file() else []


def _entitlement(
    desk: list[str] | None, book: list[str] | None, entity: list[str] | None, firm_totals: bool, everything: bool
) -> dict[str, Any]:
    """What is said of it: nothing where nothing is."""
    granted = {k: v for k, v in (("desk", desk), ("book", book), ("legal_entity", entity)) if v}
    if everything:
        if granted or firm_totals:
            raise BadInput("Give either --everything or what of the book is seen, not both.")
        return {"entitlement": None}
    return {"entitlement": {"granted": granted, "firm_totals": firm_totals}} if granted or firm_totals else {}


def _shown(user: Any) -> dict[str, Any]:
    seen = user.entitlement
    granted = None if seen is None else [f"{k} {', '.join(v)}" for k, v in seen.granted.items()]
    return {
        "user": user.name,
        "roles": ", ".join(user.roles),
        "sees": "everything"
        if granted is None
        else "; ".join([*granted, *(["totals of the firm"] if seen.firm_totals else [])]),
        "identity": user.identity,
    }
