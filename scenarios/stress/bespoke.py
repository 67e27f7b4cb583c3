"""Bespoke scenarios as the command line and the API carry them: checked in any of their three forms, and written out again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from lake.errors import BadInput, Issue, VarlakeError
from lake.tables import Snapshot
from scenarios.market.base_market import BaseMarket, load_base
from scenarios.store import find_scenario_set, ids_by_name, load_stored
from scenarios.stress import forms, language
from scenarios.stress.check import Report, check, check_csv, check_text
from scenarios.stress.completion import Completion, complete
from scenarios.stress.generate import METHODS, StoredScenarios, StressDefinition, text_of
from scenarios.stress.model import Document
from scenarios.stress.select import Universe

WRITERS: dict[str, Callable[[Document], str]] = {
    "text": language.to_text,
    "json": forms.to_json,
    "csv": forms.to_csv,
}


def check_bespoke(snapshot: Snapshot, as_of: dt.date, form: str, content: str | Mapping[str, Any]) -> Report:
    """Everything that is wrong with a scenario given as `text`, `csv` or `json`, on the market of a date."""
    market = _market(snapshot, as_of)
    stored = StoredScenarios(snapshot, market, {})
    if form == "json":
        try:
            document = forms.from_json(content)
        except VarlakeError as error:
            return Report(error.issues or (Issue("document", error.message),))
        return check(document, market, stored)
    return (check_csv if form == "csv" else check_text)(str(content), market, stored)


def complete_bespoke(snapshot: Snapshot, as_of: dt.date, text: str, at: int) -> Completion:
    """What may be written at an offset of a text, on the market of a date."""
    market = _market(snapshot, as_of)
    return complete(text, at, Universe(market.index, market.excluded), ids_by_name(snapshot))


def _market(snapshot: Snapshot, as_of: dt.date) -> BaseMarket:
    empty = StressDefinition(market_date=as_of, text="")  # for the defaults of the market
    return load_base(snapshot, as_of, empty.calendar, empty.max_held_days)


def bespoke_document(snapshot: Snapshot, name_or_id: str, market_date: dt.date | None) -> tuple[str, Document]:
    """Name and scenario of a stored bespoke set; raises `BadInput` for a set of another method."""
    found = find_scenario_set(snapshot, name_or_id, market_date)
    stored = load_stored(snapshot, found)
    if stored.method not in METHODS:
        raise BadInput(
            f"{name_or_id} is a {stored.method} set; only bespoke scenarios ({', '.join(METHODS)}) have a text."
        )
    return stored.name, language.parse(text_of(stored.definition))
