"""GENERATORS: method name to its definition and function. The one place to add a way of making scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from lake.errors import BadInput, Issue, unknown
from lake.tables import Snapshot
from scenarios import historical
from scenarios.types import ScenarioSet


@dataclass(frozen=True)
class Generator:
    """`definition` validates the parameters; `generate(snapshot, definition, name)` returns the set, not yet stored."""

    meaning: str
    definition: type[BaseModel]
    generate: Callable[[Snapshot, Any, str], ScenarioSet]


GENERATORS: dict[str, Generator] = {
    "historical": Generator(
        "the latest n one-day moves of the market, each onto today's levels",
        historical.HistoricalDefinition,
        historical.generate,
    ),
}


def generate(snapshot: Snapshot, method: str, parameters: Mapping[str, Any], name: str) -> ScenarioSet:
    """A scenario set by method name; raises `BadInput` for an unknown method or parameters it does not take."""
    if method not in GENERATORS:
        raise unknown("scenario method", method, GENERATORS)
    generator = GENERATORS[method]
    try:
        definition = generator.definition.model_validate({"method": method, **parameters})
    except ValidationError as error:
        issues = [
            Issue(
                "/" + "/".join(map(str, e["loc"])),
                e["msg"],
                str(e.get("input"))[:80],
                tuple(generator.definition.model_fields),
            )
            for e in error.errors()
        ]
        listed = "; ".join(f"{i.pointer[1:]}: {i.message} (given {i.value})" for i in issues)
        raise BadInput(f"The parameters of method {method} are not valid: {listed}.", issues=issues) from None
    return generator.generate(snapshot, definition, name)
