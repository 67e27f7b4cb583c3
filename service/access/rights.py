"""What may be done, and which roles may do it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from service.access.principal import Role

Right = Literal["read", "value", "write", "ingest", "admin"]
RIGHTS: tuple[Right, ...] = get_args(Right)

MEANING: Mapping[Right, str] = {
    "read": "ask questions, and look at what the lake holds",
    "value": "have valued what is missing, and save branches",
    "write": "set what others rely on: scenario sets, standards, market values, releases; and choose the parameters of risk",
    "ingest": "bring files in",
    "admin": "manage users and their tokens, and read the audit trail",
}
HELD_BY: Mapping[Role, tuple[Right, ...]] = {
    "trader": ("read", "value"),
    "risk_controller": ("read", "value", "write"),
    "admin": RIGHTS,
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """All that somebody with these roles may do."""
    return frozenset(right for role in roles for right in HELD_BY[role])


def holders(right: Right) -> tuple[Role, ...]:
    """The roles that have the right."""
    return tuple(role for role, held in HELD_BY.items() if right in held)
