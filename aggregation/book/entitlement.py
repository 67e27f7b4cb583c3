"""Whose positions somebody may see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lake.canonical import canonical_json
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
        False, description="whether figures of the whole firm are seen too, without what is in them"
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

    @property
    def reader(self) -> str:
        """What is granted, as `Lake.reader` has it: alike for all who see the same."""
        return canonical_json({n: list(values) for n, values in self.granted.items()})

    @classmethod
    def of(cls, reader: str) -> Entitlement:
        """What a `reader` names."""
        return cls(granted=json.loads(reader))

    def includes(self, other: Entitlement) -> bool:
        """Whether everything that the other grants is granted here, by the same dimension."""
        if other.firm_totals and not self.firm_totals:
            return False
        return all(set(values) <= set(self.granted.get(n, ())) for n, values in other.granted.items())

    def grants(self, row: Mapping[str, Any]) -> bool:
        """Whether a position, or a node, with these members is granted."""
        return any(row.get(n) in values for n, values in self.granted.items())
