"""Positions in, where the files meet the instruments: term columns come from the catalogue, contracts from its terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lake.committer import Committer
from lake.errors import unknown
from lake.landing import positions
from lake.landing.positions import PositionsReport
from valuation.books.contracts import contract_notes
from valuation.catalogue import INSTRUMENTS, all_term_fields, parse_terms
from valuation.types import Contract


def ingest_positions(
    committer: Committer,
    path: str | Path,
    *,
    replace_dates: bool = False,
    force: bool = False,
    rejects: str | Path | None = None,
) -> PositionsReport:
    """Loads a positions file (docs/positions.md) into the lake; unusable rows are in the report, the others load.

    The file's row of a trade wins over the lake's row of that date. With `replace_dates` each date of the file becomes
    exactly its usable rows, else other trades of the date stay; where rows are rejected and trades would go, only with
    `force`. `rejects` names a CSV for the rejected rows. Raises `BadInput` when the file as a whole is unusable: not
    readable, unknown or missing columns, no rows.
    """
    with_calendar: list[Contract] = []

    def row(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
        made = contract_row(instrument_type, terms)
        if "calendar" in terms:
            with_calendar.append(Contract(made["contract_id"], instrument_type, made["terms"]))
        return made

    report = positions.ingest(
        committer, path, all_term_fields(), row, replace_dates=replace_dates, force=force, rejects=rejects
    )
    notes = contract_notes(with_calendar, report.dates[0].positions_date) if report.dates else ()
    return dataclasses.replace(report, notes=(*report.notes, *notes))


def contract_row(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
    """The row of `contracts` for terms as texts; raises `BadInput` whose issues point at columns."""
    if instrument_type not in INSTRUMENTS:
        raise unknown("instrument type", instrument_type, INSTRUMENTS, pointer="instrument_type")
    parsed = parse_terms(instrument_type, terms)
    return {
        "contract_id": parsed.contract_id(),
        "instrument_type": instrument_type,
        "currency": parsed.currency,
        "terms": parsed.to_json(),
    }
