"""A user, and a change of one."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from aggregation.book.entitlement import Entitlement
from service.access.principal import LOCAL, Principal, Role
from service.access.rights import Right

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.@-]{0,63}$")]
Identity = Annotated[str, Field(min_length=1, max_length=200)]


def _some(given: tuple[Any, ...]) -> tuple[Any, ...]:
    if not given:
        raise ValueError("expected at least 1 of them")
    return given


# by Field's own min_length a wrong one would count as none, and be told twice
_Some = AfterValidator(_some), Field(json_schema_extra={"minItems": 1})
Roles = Annotated[tuple[Role, ...], *_Some]

_NAME = "of the user: letters, digits and . _ @ -"
_ROLES = "trader, risk_controller or admin; several have the rights of each"
_ENTITLEMENT = "what of the book is seen; null for everything, which an admin always sees"
_IDENTITY = "who it is at the identity provider: the claim VARLAKE_OIDC_CLAIM; null where it signs in with tokens alone"


class User(BaseModel):
    """Somebody who may ask, or a program that may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description=_NAME)
    roles: Roles = Field(description=_ROLES)
    entitlement: Entitlement | None = Field(description=_ENTITLEMENT)
    identity: Identity | None = Field(None, description=_IDENTITY)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.name == LOCAL.name:
            raise ValueError(f"the name {LOCAL.name!r} is of whoever works on the machine itself; choose another")
        if "admin" in self.roles and self.entitlement is not None:
            raise ValueError(
                "an admin sees everything, since it could grant itself the rest: leave the entitlement null"
            )
        return self

    @property
    def principal(self) -> Principal:
        return Principal(name=self.name, roles=self.roles, entitlement=self.entitlement)


class UserChange(BaseModel):
    """What of a user becomes otherwise; what is left out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: Roles | None = Field(None, description=_ROLES)
    entitlement: Entitlement | None = Field(None, description=_ENTITLEMENT)
    identity: Identity | None = Field(None, description=_IDENTITY)

    def of(self, user: User) -> User:
        """The user as it is then; raises pydantic's error where that is no sound user."""
        changed = {name: getattr(self, name) for name in self.model_fields_set}
        if changed.get("roles", ...) is None:
            del changed["roles"]
        return User(**{**dict(user), **changed})


class TokenRequest(BaseModel):
    """A personal access token to make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1, max_length=80, description="what it is for, such as Excel at home")
    rights: Annotated[tuple[Right, ...], *_Some] = Field(
        ("read", "value"),
        description="what may be done with it, of what its user may: read, value, write, ingest, admin",
    )
    days: int = Field(90, ge=1, le=366, description="days after which it is no longer valid")


class Token(BaseModel):
    """A personal access token, without its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_id: str
    user: str
    label: str
    rights: tuple[Right, ...]
    made_with: str | None = Field(description="the token that it was made with; revoked with that one")
    created_at: dt.datetime
    expires_at: dt.datetime
    last_used_at: dt.datetime | None = Field(description="to the minute")
    revoked_at: dt.datetime | None

    @property
    def state(self) -> Literal["valid", "revoked", "expired"]:
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.expires_at > dt.datetime.now(dt.UTC) else "expired"


class BrowserSession(BaseModel):
    """A browser that is signed in, without its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_id: str
    user: str
    token_id: str | None = Field(description="the token it signed in with; null for the identity provider")
    created_at: dt.datetime
    last_seen_at: dt.datetime = Field(description="to the minute")
    expires_at: dt.datetime
