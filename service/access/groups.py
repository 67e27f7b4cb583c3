"""Groups of the identity provider as roles and entitlements: who is in which is kept there, and what a group may do here in one file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.book.entitlement import GRANTED_BY, Entitlement
from lake.errors import BadInput, NotReady, validated
from service.access.accounts import Roles
from service.access.principal import Role


class GroupGrant(BaseModel):
    """What the members of a group may do and see here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: Roles = Field(description="trader, risk_controller or admin; several have the rights of each")
    everything: bool = Field(False, description="whether all positions are seen, as an admin sees them")
    granted: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description=f"what is seen, values by dimension: {', '.join(GRANTED_BY)}"
    )
    firm_totals: bool = Field(False, description="whether figures of the whole firm are seen too")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        Entitlement(granted=self.granted, firm_totals=self.firm_totals)
        if self.everything and (self.granted or self.firm_totals):
            raise ValueError("give either everything or what of the book is seen, not both")
        if "admin" in self.roles and not self.everything:
            raise ValueError("an admin sees everything: set everything = true")
        return self


class Groups(BaseModel):
    """The groups that count here, by the name that the identity provider gives them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Mapping[str, GroupGrant] = Field(min_length=1, description="what each group may do and see")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `NotReady` for a file that cannot be read, `BadInput` for one that is no such mapping."""
        try:
            told = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise NotReady(f"The file of groups {path} (VARLAKE_OIDC_GROUPS) cannot be read: {error}.") from None
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"The file of groups {path} (VARLAKE_OIDC_GROUPS) is no TOML: {error}.") from None
        return validated(cls, told, "file of groups")

    def of(self, names: Iterable[str]) -> tuple[tuple[Role, ...], Entitlement | None] | None:
        """The roles and the entitlement of a member of all these groups, which add up; None where no group counts here."""
        grants = [self.groups[name] for name in sorted(set(names)) if name in self.groups]
        if not grants:
            return None
        roles = tuple(sorted({role for grant in grants for role in grant.roles}))
        if any(grant.everything for grant in grants):
            return roles, None
        granted = {n: tuple(v for grant in grants for v in grant.granted.get(n, ())) for n in GRANTED_BY}
        return roles, Entitlement(granted=granted, firm_totals=any(grant.firm_totals for grant in grants))


def named(claim: Any) -> tuple[str, ...]:
    """The groups of a claim: a list of names, or one name."""
    return (claim,) if isinstance(claim, str) else tuple(g for g in claim or () if isinstance(g, str))
