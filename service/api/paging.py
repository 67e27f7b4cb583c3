"""Pages of a table by a cursor: the version that was read and the key where the page ends.

The version is pinned by the first page, so that rows committed meanwhile shift no later page. To whoever sees a part of the book no version
is told: a page goes on behind its key in the newest.
"""

from __future__ import annotations

import base64
import binascii
import json

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from lake.errors import BadInput, Issue
from lake.tables import Lake
from service.api.requests import TableParameters

MOST_ROWS = 10_000


class PageParameters(TableParameters):
    """Base of the query parameters of a list that comes in pages."""

    limit: int = Field(1_000, ge=1, le=MOST_ROWS, description="rows a page")
    cursor: str | None = Field(None, pattern="^[A-Za-z0-9_-]{8,}$", description="next_cursor of the page before")


def encode_cursor(version: int | None, key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, key]).encode()).decode().rstrip("=")


def pinned(lake: Lake, table: str, version: int) -> int | None:
    """The version that a cursor says."""
    return version if lake.shows_version(table) else None


def start_of_page(lake: Lake, table: str, cursor: str | None) -> tuple[int, str | None]:
    """The version of the table to read and the key to begin after; raises `BadInput` for a cursor no page gave."""
    newest = lake.version(table)
    if cursor is None:
        return newest, None
    try:
        version, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        told = pinned(lake, table, newest) is not None
        if isinstance(key, str) and (isinstance(version, int) and 0 <= version <= newest if told else version is None):
            return version if told else newest, key
    except (binascii.Error, ValueError, TypeError):
        pass
    message = (
        "This is not a cursor of this list. Leave it out for the first page, then give the next_cursor of each page."
    )
    raise BadInput(message, issues=(Issue("/cursor", message, cursor[:80]),))


def cut_page(
    rows: pa.Table, key: str, limit: int, version: int | None, after: str | None
) -> tuple[pa.Table, str | None]:
    """The first `limit` rows whose `key` (a unique text column) is greater than `after`, and the cursor of the next page."""
    if after is not None:
        rows = rows.filter(pc.greater(rows[key], after))
    first = pc.select_k_unstable(rows, k=min(limit, rows.num_rows), sort_keys=[(key, "ascending")])
    page = rows.take(first)
    return page, encode_cursor(version, page[key][-1].as_py()) if rows.num_rows > limit else None
