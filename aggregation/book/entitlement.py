"""Whose positions somebody may see. The one place where a book is cut to what its reader is entitled to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lake.errors import unknown

GRANTED_BY = ("desk", "book", "legal_entity")  # dimensions by which positions are granted


class Entitlement(BaseModel):
    """The positions that are granted: those which hold a granted value in any of the dimensions. None granted means none seen.

    Where a session has no entitlement, everything is seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    granted: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description=f"values by dimension: {', '.join(GRANTED_BY)}"
    )
    firm_totals: bool = Field(
        False, description="whether totals of the whole firm are seen too, without what is in them"
    )

    @field_validator("granted", mode="before")
    @classmethod
    def _sorted(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for name in value:
            if name not in GRANTED_BY:
                raise ValueError(unknown("dimension of an entitlement", str(name), GRANTED_BY).message)
        return {n: tuple(sorted(set(value[n]))) for n in GRANTED_BY if value.get(n)}
