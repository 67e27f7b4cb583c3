"""Whoever asks: a name, roles, and what of the book they are entitled to."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.entitlement import Entitlement

Role = Literal["trader", "risk_controller", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class Principal(BaseModel):
    """A person or program that has shown who it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="unique; stands in the audit trail")
    roles: tuple[Role, ...] = Field(description="what it may do is the union of what its roles may")
    entitlement: Entitlement | None = Field(None, description="what it may see; null for everything")


# whoever is on this machine, where no users are set up: single-user mode
LOCAL = Principal(name="local", roles=ROLES)
