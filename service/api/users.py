"""Users, their tokens and the sessions of their browsers; and who asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from flask import Response, request
from pydantic import ConfigDict, Field

from aggregation.book.entitlement import Entitlement
from lake.errors import Conflict, NotAllowed
from service.access.accounts import BrowserSession, Token, TokenRequest, User, UserChange
from service.access.granted import grant_warnings
from service.access.principal import Role
from service.access.rights import RIGHTS, Right
from service.access.secrets import csrf_token
from service.access.store import ANYBODY_HERE
from service.api.access import fresh_until, session_cookie
from service.api.context import caller, context, principal
from service.api.document import blueprint
from service.api.models import Answer
from service.api.requests import Body, Parameters
from service.api.responses import json_answer

api = blueprint("access", __name__, __doc__)


class Me(Answer):
    """Who asks, and what it may do."""

    name: str
    roles: list[Role]
    rights: list[Right] = Field(description="of the roles, and of the token where one is used")
    entitlement: Entitlement | None = Field(description="what of the book is seen; null for everything")
    by: Literal["single-user mode", "token", "session"] = Field(description="how it is known who asks")
    expires_at: dt.datetime | None = Field(description="of the token or the session")
    fresh_until: dt.datetime | None = Field(
        description="until when a session may change users, tokens and sessions and approve; null without a session"
    )
    csrf_token: str | None = Field(
        description="of a session: to send as X-CSRF-Token with everything but GET; null without a session"
    )


class UserBody(Body, User):
    """A user to add."""

    model_config = ConfigDict(title="UserRequest")


class UserChangeBody(Body, UserChange):
    """What of a user becomes otherwise; what is left out stays."""

    model_config = ConfigDict(title="UserChange")


class UserPath(Parameters):
    name: str = Field(description="name of the user")


class UserAnswer(User):
    """A user, and what of its entitlement nothing in the lake names."""

    warnings: list[str] = Field(
        description="of each granted desk, book or legal entity that no position names yet, with the nearest names; empty for none"
    )


class Users(Answer):
    rows: list[User] = Field(description="by name")


class OfUser(Parameters):
    user: str | None = Field(None, description="whose, where an admin asks; default one's own")


class TokenBody(Body, TokenRequest):
    """A token to make."""

    model_config = ConfigDict(title="TokenRequest")

    user: str | None = Field(None, description="for whom, where an admin asks; default oneself")


class NewToken(Token):
    """A token that was made, with its secret."""

    token: str = Field(description="the secret: shown now, and kept nowhere")


class Tokens(Answer):
    rows: list[Token] = Field(description="the newest first; those that are no longer valid too")


class RevokeParameters(Parameters):
    alone: bool = Field(False, description="whether tokens that were made with it stay valid")


class TokenPath(Parameters):
    token_id: str = Field(description="id of the token, as the list has it")


class Sessions(Answer):
    rows: list[BrowserSession] = Field(description="those that last, the newest first")


class SessionPath(Parameters):
    session_id: str = Field(description="id of the session, as the list has it")


@api.get("/me", responses={200: Me})
def me(query: Parameters) -> Response:
    """Who asks, what it may do, and what it sees."""
    asks = caller()
    return _unkept(
        {
            "name": asks.principal.name,
            "roles": asks.principal.roles,
            "rights": [right for right in RIGHTS if right in asks.rights],
            "entitlement": None if asks.principal.entitlement is None else asks.principal.entitlement.model_dump(),
            "by": asks.by,
            "expires_at": asks.expires_at,
            "fresh_until": fresh_until(asks),
            "csrf_token": csrf_token(request.cookies[session_cookie()]) if asks.by == "session" else None,
        }
    )


@api.get("/users", responses={200: Users})
def users(query: Parameters) -> Response:
    """The users."""
    return _unkept({"rows": [u.model_dump() for u in context().access.users()]})


@api.post("/users", responses={200: UserAnswer})
def add_user(body: UserBody) -> Response:
    """Add a user. Single-user mode ends with the first one, who has to be an admin."""
    return _user(context().own_access.add(User(**dict(body))))


@api.get("/users/<name>", responses={200: UserAnswer})
def user(path: UserPath, query: Parameters) -> Response:
    """A user: roles, entitlement, identity."""
    return _user(context().access.user(path.name))


@api.patch("/users/<name>", responses={200: UserAnswer})
def change_user(path: UserPath, body: UserChangeBody) -> Response:
    """Change a user; it holds from the next request on."""
    return _user(context().own_access.change(path.name, body))


@api.delete("/users/<name>", responses={200: User})
def remove_user(path: UserPath) -> Response:
    """Remove a user with all tokens and sessions. The last admin stays."""
    return _unkept(context().own_access.remove(path.name).model_dump())


@api.get("/tokens", responses={200: Tokens})
def tokens(query: OfUser) -> Response:
    """One's own tokens, without their secrets; those of a user where an admin asks."""
    return _unkept({"rows": [t.model_dump() for t in context().access.tokens(_whose(query.user))]})


@api.post("/tokens", responses={200: NewToken})
def make_token(body: TokenBody) -> Response:
    """Make a token. With a token only one that may no more, which is revoked together with it."""
    whose, asks = _whose(body.user), caller()
    if asks is ANYBODY_HERE:
        raise Conflict("There are no users here, and nobody needs a token. Add a user first: varlake users add.")
    own = whose == asks.principal.name
    if own and (beyond := [right for right in body.rights if right not in asks.rights]):
        raise NotAllowed(
            f"The token at hand has not the right {', '.join(beyond)}, so one made with it cannot have it."
        )
    asked = TokenRequest(**{name: getattr(body, name) for name in TokenRequest.model_fields})
    token, secret = context().own_access.make_token(whose, asked, asks.token_id if own else None)
    return _unkept({**token.model_dump(), "token": secret})


@api.delete("/tokens/<token_id>", responses={200: Token})
def revoke_token(path: TokenPath, query: RevokeParameters) -> Response:
    """Revoke a token, and the tokens made with it: no request is taken with them from now on."""
    return _unkept(context().own_access.revoke(path.token_id, _own(), alone=query.alone).model_dump())


@api.get("/sessions", responses={200: Sessions})
def sessions(query: OfUser) -> Response:
    """The browsers that one is signed in with; those of a user where an admin asks."""
    here = context()
    return _unkept({"rows": [s.model_dump() for s in here.access.sessions(_whose(query.user), here.settings)]})


@api.delete("/sessions/<session_id>", responses={200: Sessions})
def end_session(path: SessionPath) -> Response:
    """End a session, wherever its browser is; the answer is those that are left."""
    here = context()
    here.own_access.end_session(path.session_id, _own())
    return _unkept({"rows": [s.model_dump() for s in here.access.sessions(principal().name, here.settings)]})


def _user(user: User) -> Response:
    return _unkept({**user.model_dump(), "warnings": grant_warnings(context().lake, user.entitlement)})


def _unkept(body: Mapping[str, Any]) -> Response:
    """An answer that no cache keeps, for what is in it opens doors."""
    return json_answer(body, headers={"Cache-Control": "no-store"})


def _own() -> str | None:
    """Whose things may be ended: one's own; an admin may end all."""
    return None if "admin" in caller().rights else principal().name


def _whose(user: str | None) -> str:
    """Raises `NotAllowed` where somebody asks about another, and is no admin, and `NotFound` for a user that there is not."""
    own = principal().name
    if user is None or user == own:
        return own
    if "admin" not in caller().rights:
        raise NotAllowed(f"Tokens and sessions of {user} are shown to {user} and to admins; {own} may leave out user.")
    return context().access.user(user).name
