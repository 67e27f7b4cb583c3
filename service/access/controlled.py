"""The parameters of risk that a risk controller chooses: confidence, horizon, and how scenarios are made.

Everybody else asks with what is set: the confidence levels of the setting VARLAKE_TRADER_LEVELS, the horizon of the scenarios, and
scenario sets that are stored, which have their window and their number of scenarios. Giving what is the default gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import BaseModel

from lake.errors import BadInput, Issue, NotAllowed
from scenarios.requests import ScenarioRequest
from service.access.rights import Right, holders

CHOSEN_WITH: Right = "write"


def check_parameters(asked: BaseModel, trader_levels: str) -> None:
    """Raises `NotAllowed` for a parameter that only who has the right `CHOSEN_WITH` may give."""
    issues = list(_issues(asked, _levels(trader_levels)))
    if issues:
        raise NotAllowed(
            f"{' '.join(i.message for i in issues)} The parameters of risk are chosen by {' or '.join(holders(CHOSEN_WITH))}.",
            issues=issues,
        )


def _issues(asked: BaseModel, levels: dict[Decimal, str]) -> Iterator[Issue]:
    for name in asked.model_fields_set:
        value = getattr(asked, name)
        if value == type(asked).model_fields[name].get_default(call_default_factory=True):
            continue
        if name in ("level", "levels"):
            for level in value if isinstance(value, tuple) else (value,):
                if Decimal(level) not in levels:
                    allowed = tuple(levels.values())
                    message = f"The confidence level {level} is none of {', '.join(allowed)}."
                    yield Issue(f"/{name}", message, str(level), allowed)
        elif name == "scale_to_days":
            yield Issue(f"/{name}", f"Leave out {name}: the horizon of the scenarios is taken.", str(value))
        elif name in ("windows", "decays", "numbers"):
            yield Issue(f"/{name}", f"Leave out {name}: the standard ones are taken.", str(value))
        elif isinstance(value, ScenarioRequest):
            yield Issue(f"/{name}", f"Leave out {name}: the standard is taken, or a stored set by scenario_set.")


def _levels(text: str) -> dict[Decimal, str]:
    try:
        return {Decimal(part.strip()): part.strip() for part in text.split(",")}
    except ArithmeticError:
        message = f"VARLAKE_TRADER_LEVELS is {text!r}; expected confidence levels by comma, such as 0.95,0.99."
        raise BadInput(message) from None
