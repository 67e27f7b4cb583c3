"""Users of a lake, for tests: one of each role, and their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.access.accounts import TokenRequest, User
from service.access.rights import RIGHTS, rights_of
from service.access.store import AccessStore
from service.config import Settings

EVERYBODY = (
    User(name="ada", roles=("admin",), entitlement=None),
    User(
        name="rita",
        roles=("risk_controller",),
        entitlement={"granted": {"legal_entity": ["legal_entity-0", "legal_entity-1"]}},
        identity="rita@bank",
    ),
    User(name="tom", roles=("trader",), entitlement={"granted": {"desk": ["Options"]}}),
)


def with_users(lake: Path, **settings: Any) -> tuple[AccessStore, Mapping[str, str]]:
    """The users of a lake, and a token with all rights of each, by name."""

    store = AccessStore.of(Settings(lake=lake, **settings))
    tokens = {}
    for user in EVERYBODY:
        store.add(user)
        rights = tuple(r for r in RIGHTS if r in rights_of(user.roles))
        tokens[user.name] = store.make_token(user.name, TokenRequest(label="test", rights=rights))[1]
    return store, tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
