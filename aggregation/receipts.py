"""Receipts: every input of an answer by name and digest, enough to ask again and compare the bits.

A receipt is plain data (JSON). `varlake replay` reads it: it opens the lake at the table versions named here, asks the same
question, and compares `answer_digest`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.book.book import Book
from aggregation.book.entitled_lake import EntitledLake
from aggregation.opened.inputs import Inputs
from lake.canonical import canonical_json, digest
from lake.compaction import uncompacted
from lake.errors import counted
from lake.tables import NEVER_WRITTEN, Lake, Snapshot, code_version
from lake.words import sentences
from scenarios.market.corporate_actions import TABLE
from scenarios.types import IMPORTED

_PACKAGES = ("lake", "scenarios", "valuation", "aggregation")  # whose code decides numbers
_HERE = "valued here"  # beside the sources of vectors
_LIBRARIES = ("numpy", "numba", "scipy", "pyarrow", "QuantLib")  # whose arithmetic stands in them
VOLATILE = ("timings_ms", "reduce", "receipt_digest")  # not part of what a receipt vouches for


def make_receipt(
    kind: str, question: Mapping[str, Any], inputs: Inputs, result_digest: str, **more: Any
) -> dict[str, Any]:
    """The receipt of an answer that rests on one valuation set and one book; see `receipt_of`."""
    return receipt_of(kind, question, result_digest, name_inputs(inputs), **more)


def receipt_of(
    kind: str, question: Mapping[str, Any], result_digest: str, named: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """The receipt of any answer. `kind` names the function that answers, `question` its parameters as JSON values, `named` the
    inputs; of several books or sets each by itself, and `table_versions` beside them."""
    return sealed(
        {
            **named,
            **more,
            "kind": kind,
            "question": dict(question),
            "query_digest": digest(canonical_json(question)),
            "result_digest": result_digest,
        }
    )


def sealed(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt with the digest of all it says: a figure changed by hand shows."""
    return {**receipt, "receipt_digest": own_digest(receipt)}


def own_digest(receipt: Mapping[str, Any]) -> str:
    """Digest of what a receipt vouches for."""
    return digest(canonical_json({k: v for k, v in receipt.items() if k not in VOLATILE}))


def name_inputs(inputs: Inputs) -> dict[str, Any]:
    """What the numbers rest on: sets, dates, counts, code and the digests of positions, vectors, scenarios and market."""
    seal, scenarios, lake = inputs.valuation_set, inputs.scenarios, inputs.snapshot.lake
    market_version = scenarios.market_data_version
    return {
        "valuation_set_id": seal.valuation_set_id,
        "valuation_set_digest": valuation_set_digest(lake, seal.valuation_set_id),
        "valuation_date": str(seal.valuation_date),
        "market_date": str(seal.market_date),
        "risk_classes": list(seal.shocked_classes),
        "pricer_version": seal.pricer_version,
        "scenario_set_id": seal.scenario_set_id,
        "scenario_set_name": seal.scenario_set_name,
        "scenario_set_version": scenarios.version,
        "standard": inputs.standard.to_dict() if seal.sample else None,  # chosen scenarios are asked for by name
        "method": scenarios.method,
        "scenario_count": inputs.vectors.n_scenarios,
        "horizon_days": scenarios.horizon_days,
        "window": scenarios.window,
        **({"dropped_days": dict(scenarios.dropped)} if scenarios.dropped else {}),
        "weighted": scenarios.weights is not None,
        "synthetic": scenarios.synthetic,
        "market_data_version": market_version,
        "market_data_digest": market_data_digest(lake, market_version),
        **name_actions(lake, scenarios.corporate_actions_version, inputs.book.said),
        "reduce": inputs.vectors.reduce,
        "positions_date": str(inputs.book.positions_date),
        "positions_files": list(inputs.book.files),
        "hierarchies": dict(inputs.book.hierarchies),
        **({"imports": _imports(inputs)} if seal.imports else {}),
        "table_versions": inputs.snapshot.named,
        **name_code(),
    }


def _imports(inputs: Inputs) -> dict[str, Any]:
    """Sources of vectors that were not made here, each with what came with it and its positions of the book; and our own."""
    columns, held = inputs.book.columns, dict[str | None, int]()
    sources = columns.get("attribute.source")
    if sources is not None:
        kinds = columns["instrument_type"]
        brought = np.array([kind == IMPORTED for kind in kinds.members.to_pylist()])[kinds.codes]
        counts = np.bincount(sources.codes[brought], minlength=len(sources.members))
        held = dict(zip(sources.members.to_pylist(), counts.tolist(), strict=True))
    told = {name: {"positions": held.get(name, 0), **about} for name, about in inputs.valuation_set.imports.items()}
    return {**told, _HERE: {"positions": inputs.book.n_positions - sum(held.values())}}


def import_notes(receipt: Mapping[str, Any]) -> list[str]:
    """What an answer says of vectors that were not made here: how much of which book, of which source, on which rates."""
    found: dict[tuple[str, str], list[str]] = {}
    for part in parts_of(receipt):
        imports = part.get("imports", {})
        total = sum(about["positions"] for about in imports.values())
        for source, about in imports.items():
            if source == _HERE or not about["positions"]:
                continue
            rates = {"constant at spot": " Exchange rates stay at spot in every scenario.", "none": ""}
            said = rates.get(about["exchange_rates"], f" Exchange rates are those {about['exchange_rates']}.")
            if not about["base_values"]:
                said += " Not all base values are known; where they are shown, those are left out."
            book = f"{about['positions']:,} of the {total:,} positions of {part['positions_date']}"
            found.setdefault((source, said), []).append(book)
    notes = []
    for (source, said), books in found.items():
        others = f", and of {counted(len(books) - 1, 'more book')}" if len(books) > 1 else ""
        notes.append(f"P&L vectors of {source} were brought in, not made here: {books[0]}{others}.{said}")
    return notes


def dropped_days(receipt: Mapping[str, Any]) -> dict[str, str]:
    """Days that are no scenario, with the reason, of all sets that a receipt names."""
    found = dict(receipt.get("dropped_days", {}))
    for name, part in receipt.items():
        for named in part if isinstance(part, list) else [part]:
            if isinstance(named, Mapping) and name not in ("dropped_days", "question"):
                found |= dropped_days(named)
    return found


def parts_of(receipt: Any) -> list[Mapping[str, Any]]:
    """A receipt and all parts of it: the sides of a comparison, the days of a series."""
    if not isinstance(receipt, Mapping):
        return []
    return [receipt, *(part for value in receipt.values() for part in parts_of(value))]


def name_both(one: Inputs, two: Inputs) -> dict[str, Any]:
    """What a comparison of two points rests on."""
    # the later of both: a point that is as known earlier finds its own versions below it
    versions = [i.snapshot.named for i in (one, two)]
    latest = {n: max(v[n] for v in versions if n in v) for n in {**versions[0], **versions[1]}}
    return {"from": name_inputs(one), "to": name_inputs(two), "table_versions": latest}


def name_code() -> dict[str, Any]:
    """What computes the numbers, by version and digest."""
    return {"code_version": code_version(), "code_digest": code_digest(), "libraries": libraries()}


def valuation_set_digest(lake: Lake, valuation_set_id: str) -> str:
    """Digest of the fingerprints and failures of a sealed set, by the names of its data files, which are their digests; of a part of it
    by their content.

    A fingerprint stands for the levels of every factor a contract reads and for the pricer, so it fixes the vector.
    """
    if isinstance(lake, EntitledLake):
        return lake.set_digest(valuation_set_id)
    return _files_digest(*identity(lake), ("valuation_members", "valuation_failures"), valuation_set_id, None)


def market_data_digest(lake: Lake, at_version: int | None) -> str | None:
    """Digest of all market data at a version of its table, whichever files hold it since; None where a scenario set names none."""
    if at_version is None or at_version == NEVER_WRITTEN:
        return None
    return _files_digest(*identity(lake), ("market_data",), None, uncompacted(lake, "market_data", at_version))


def name_actions(lake: Lake, version: int | None, said: Sequence[str] = ()) -> dict[str, Any]:
    """The corporate actions that history was read with, and those applied to a book; nothing in a lake that never had any."""
    applied = {"corporate_actions_applied": list(said)} if said else {}
    if version is None or version == NEVER_WRITTEN:
        return applied
    named = {"corporate_actions_version": version, "corporate_actions_digest": table_digest(lake, TABLE, version)}
    return {**named, **applied}


def table_digest(lake: Lake, name: str, version: int) -> str:
    """Digest of a table at a version."""
    return _files_digest(*identity(lake), (name,), None, version)


def applied_actions(receipt: Mapping[str, Any]) -> list[str]:
    """What corporate actions have made of the books that a receipt names, a line a book."""
    lines: dict[str, None] = {}
    for part in parts_of(receipt):
        if said := part.get("corporate_actions_applied"):
            lines[f"Corporate actions applied to the book of {part['positions_date']}: {sentences(said)}"] = None
    return list(lines)


def identity(lake: Lake) -> tuple[Path, int]:
    """Names this lake, and not one made later in the same place."""
    return lake.path, (lake.state / "lake.json").stat().st_mtime_ns


@functools.lru_cache(maxsize=1024)
def _files_digest(
    path: Path, made: int, tables: tuple[str, ...], valuation_set_id: str | None, at_version: int | None
) -> str:
    where = None if valuation_set_id is None else {"valuation_set_id": [valuation_set_id]}
    lake = Lake(path)
    return digest(*(f.relative_to(path).as_posix() for t in tables for f in lake.data_files(t, where, at_version)))


@functools.cache
def code_digest() -> str:
    """Digest of the source of every package that decides numbers."""
    root = Path(__file__).parent.parent
    files = []
    for package in _PACKAGES:
        for folder, folders, names in os.walk(root / package):
            folders[:] = [f for f in folders if f != "__pycache__"]
            files += [Path(folder, name) for name in names if name.endswith((".py", ".toml"))]
    return digest(*(part for f in sorted(files) for part in (f.relative_to(root).as_posix(), f.read_bytes())))


@functools.cache
def libraries() -> dict[str, str]:
    """Versions of the libraries whose arithmetic stands in the numbers."""
    return {name: version(name) for name in _LIBRARIES}


def name_book(book: Book, snapshot: Snapshot) -> dict[str, Any]:
    """What an answer rests on that is priced for itself: the book, the market data, the pricers and the code."""
    from valuation.sets.plan import all_pricers_version  # noqa: PLC0415 - with every instrument, which most answers need not

    version = snapshot.versions.get("market_data", NEVER_WRITTEN)
    return {
        "positions_date": str(book.positions_date),
        "positions_files": list(book.files),
        "market_data_version": version,
        "market_data_digest": market_data_digest(snapshot.lake, version),
        **name_actions(snapshot.lake, snapshot.versions.get(TABLE), book.said),
        "pricer_version": all_pricers_version(),
        "table_versions": snapshot.named,
        **name_code(),
    }
