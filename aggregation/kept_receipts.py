"""What a receipt keeps to itself: the table versions that its reader may not know, kept on the server under its digest.

The receipt of whoever sees a part of the book names what they saw by its content. The versions of the tables tell how often others have
written, and stand in a file of the lake's state folder, so that the answer is asked again of the very lake it was made from.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregation.book.entitled_lake import EntitledLake, entitled
from aggregation.book.entitlement import Entitlement
from lake.errors import BadInput, DiskFull, NotReady, validated
from lake.storage import write_durable
from lake.tables import Lake

_FOLDER = "receipts"
_DIGEST = re.compile(r"[0-9a-f]{32,64}")


def pinned(lake: Lake) -> Lake:
    """The lake at its present versions, where a receipt cannot say them."""
    return lake.at(lake.snapshot().versions) if lake.reader else lake


def keep_versions(lake: Lake, receipt: Mapping[str, Any]) -> None:
    """Keeps the versions of a lake that is `pinned`, for a receipt that does not say them; where the disk is full nothing is kept."""
    if lake.reader and not _file(lake, receipt["receipt_digest"]).exists():
        with contextlib.suppress(DiskFull, NotReady, OSError):
            write_durable(_file(lake, receipt["receipt_digest"]), json.dumps(lake.snapshot().versions).encode())


def kept_versions(lake: Lake, receipt_digest: Any) -> dict[str, int]:
    """The versions that were kept under the digest of a receipt; empty where there are none."""
    found: dict[str, int] = {}
    if isinstance(receipt_digest, str) and _DIGEST.fullmatch(receipt_digest):
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(_file(lake, receipt_digest).read_bytes())
    return found


def _file(lake: Lake, receipt_digest: str) -> Path:
    return lake.state / _FOLDER / f"{receipt_digest}.json"


def seen_by_receipt(lake: Lake, receipt: Mapping[str, Any]) -> Lake:
    """The lake as whoever got the receipt saw it; raises `BadInput` where whoever asks now does not see all of that."""
    own = lake.entitlement if isinstance(lake, EntitledLake) else None
    told, question = receipt.get("entitlement"), receipt["question"]
    total = receipt.get("firm_totals") is True or (isinstance(question, Mapping) and question.get("whole_firm") is True)
    made_for = None if told is None else validated(Entitlement, {"granted": told, "firm_totals": total}, "receipt")
    if own is not None and (made_for is None or not own.includes(made_for)):
        raise BadInput("This receipt is of an answer about positions that you do not see; who sees them can replay it.")
    return entitled(lake.whole(), made_for)
