"""Saved views of the web pages: a page and its address under a name, of whoever saved it or shared with all.

An SQLite file in the lake's state folder. A view holds no figure: whoever opens it sees what it asks for, as far as he may.
"""

from __future__ import annotations

import datetime as dt
import secrets
import sqlite3
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lake.errors import Busy, Conflict, NotFound, NotReady, VarlakeError
from lake.tables import Lake
from service.access.principal import Principal
from service.database import Database

MOST_OF_ONE = 200  # views that one owner may keep
_SCHEMA = """
CREATE TABLE views (
    view_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    page TEXT NOT NULL,
    address TEXT NOT NULL,
    shared INTEGER NOT NULL,
    changed_at TEXT NOT NULL,
    UNIQUE (owner, name)
)
"""


Name = Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]{0,78}[^\x00-\x20\x7f])?$")]
# pairs of name and value, as a browser writes them
Address = Annotated[str, Field(max_length=8_000, pattern=r"^([!-%'-<>-~]*=[!-%'-~]*(&[!-%'-<>-~]*=[!-%'-~]*)*)?$")]


class NewView(BaseModel):
    """A view to save."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(
        description="its name among the views of its owner, up to 80 characters; one that is there is replaced"
    )
    page: str = Field(pattern="^[a-z][a-z0-9-]{0,39}$", description="name of the page")
    address: Address = Field(
        "", description="the parameters of the page, as its address has them after the question mark"
    )
    shared: bool = Field(False, description="whether everybody sees it who may use the service")


class ViewChange(BaseModel):
    """What to change of a saved view; what is not given stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name | None = Field(None, description="new name")
    shared: bool | None = Field(None, description="whether everybody sees it who may use the service")


class SavedView(BaseModel):
    """A saved view, as one who may see it sees it."""

    model_config = ConfigDict(extra="forbid")

    view_id: str
    name: str
    page: str
    address: str = Field(description="the parameters of the page, as its address has them after the question mark")
    owner: str = Field(description="who saved it")
    shared: bool = Field(description="whether everybody sees it who may use the service")
    own: bool = Field(description="whether whoever asks saved it, and so may change it")
    changed_at: dt.datetime = Field(description="UTC")


class SavedViews(Database):
    """The saved views of a lake. Safe for threads and processes."""

    called = "file of saved views"
    schema = _SCHEMA
    when_full = "no view is saved until there is room; questions are answered."

    @classmethod
    def of(cls, lake: Lake) -> SavedViews:
        return cls(lake.state / "views.sqlite", make=False)

    def damaged(self, error: sqlite3.Error) -> VarlakeError:
        return NotReady(
            f"The file of saved views {self.path} is damaged ({error}). Bring it back from a backup; or move it away, which leaves no "
            "view. Nothing else rests on it."
        )

    def seen_by(self, reader: Principal) -> list[SavedView]:
        """Those of the reader and those that are shared, by name."""
        with self.reading() as db:
            rows = db.execute("SELECT * FROM views WHERE owner = ?1 OR shared ORDER BY name, owner", (reader.name,))
            return [_view(row, reader) for row in rows]

    def save(self, view: NewView, owner: Principal) -> SavedView:
        """Keeps the view under its name, in place of the owner's of that name; raises `Busy` where he keeps as many as may be."""
        with self.acting("save_view", view.model_dump(), owner.name) as db:
            kept = db.execute(
                "SELECT count(*) FROM views WHERE owner = ? AND name <> ?", (owner.name, view.name)
            ).fetchone()[0]
            if kept >= MOST_OF_ONE:
                raise Busy(f"You keep {kept} views, the most that may be. Delete some first.")
            row = db.execute(
                "INSERT INTO views VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner, name) DO UPDATE SET "
                "page = excluded.page, address = excluded.address, shared = excluded.shared, changed_at = excluded.changed_at "
                "RETURNING *",
                (secrets.token_hex(8), owner.name, view.name, view.page, view.address, view.shared, _now()),
            ).fetchone()
            return _view(row, owner)

    def change(self, view_id: str, change: ViewChange, owner: Principal) -> SavedView:
        """Raises `NotFound` for a view that is not the owner's, `Conflict` for a name of another of his."""
        with self.acting("change_view", {"view_id": view_id, **change.model_dump()}, owner.name) as db:
            _owned(db, view_id, owner)
            try:
                row = db.execute(
                    "UPDATE views SET name = coalesce(?, name), shared = coalesce(?, shared), changed_at = ? WHERE view_id = ? RETURNING *",
                    (change.name, change.shared, _now(), view_id),
                ).fetchone()
            except sqlite3.IntegrityError:
                raise Conflict(
                    f"You keep a view named {change.name!r} already; give another name, or delete that one."
                ) from None
            return _view(row, owner)

    def remove(self, view_id: str, owner: Principal) -> SavedView:
        """The view as it was; raises `NotFound` for one that is not the owner's."""
        with self.acting("delete_view", {"view_id": view_id}, owner.name) as db:
            _owned(db, view_id, owner)
            return _view(db.execute("DELETE FROM views WHERE view_id = ? RETURNING *", (view_id,)).fetchone(), owner)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


def _owned(db: sqlite3.Connection, view_id: str, owner: Principal) -> None:
    if db.execute("SELECT 1 FROM views WHERE view_id = ? AND owner = ?", (view_id, owner.name)).fetchone() is None:
        raise NotFound(
            f"You keep no view {view_id!r}. List the views to find its id; a shared one is changed by its owner alone."
        )


def _view(row: sqlite3.Row, reader: Principal) -> SavedView:
    fields: dict[str, Any] = dict(row)
    return SavedView.model_validate({**fields, "own": row["owner"] == reader.name})
