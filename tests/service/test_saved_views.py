"""Saved views: one's own and those that are shared, kept within bounds, and told in words where that fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from lake.errors import Busy, Conflict, NotFound, NotReady
from service import saved_views
from service.access.principal import LOCAL, Principal
from service.api.app import create_app
from service.config import Settings
from service.saved_views import NewView, SavedViews, ViewChange

ANNE, BOB = (Principal(name=name, roles=("trader",)) for name in ("anne", "bob"))
MORNING = NewView(name="Morning", page="ask", address="question=var&by=desk")


@pytest.fixture
def kept(tmp_path: Path) -> SavedViews:
    return SavedViews(tmp_path / "state" / "views.sqlite", make=False)


def test_a_view_is_its_owners_until_it_is_shared(kept: SavedViews) -> None:
    saved = kept.save(MORNING, ANNE)
    assert (saved.owner, saved.own, saved.shared, saved.address) == ("anne", True, False, MORNING.address)
    assert kept.seen_by(ANNE) == [saved]
    assert kept.seen_by(BOB) == []
    kept.change(saved.view_id, ViewChange(shared=True), ANNE)
    (seen,) = kept.seen_by(BOB)
    assert (seen.name, seen.owner, seen.own) == ("Morning", "anne", False)
    for refused in (
        lambda: kept.change(saved.view_id, ViewChange(name="Mine"), BOB),
        lambda: kept.remove(saved.view_id, BOB),
    ):
        with pytest.raises(NotFound, match="its owner alone"):
            refused()
    assert kept.remove(saved.view_id, ANNE).name == "Morning"
    assert kept.seen_by(BOB) == kept.seen_by(ANNE) == []


def test_a_name_is_one_view_of_its_owner(kept: SavedViews) -> None:
    first = kept.save(MORNING, ANNE)
    again = kept.save(MORNING.model_copy(update={"address": "question=pnl"}), ANNE)
    assert (again.view_id, again.address) == (first.view_id, "question=pnl")
    kept.save(MORNING, BOB)
    evening = kept.save(MORNING.model_copy(update={"name": "Evening"}), ANNE)
    with pytest.raises(Conflict, match="'Morning' already"):
        kept.change(evening.view_id, ViewChange(name="Morning"), ANNE)
    assert [v.name for v in kept.seen_by(ANNE)] == ["Evening", "Morning"]


def test_one_owner_keeps_so_many_and_no_more(kept: SavedViews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST_OF_ONE", 2)
    for name in ("one", "two"):
        kept.save(MORNING.model_copy(update={"name": name}), ANNE)
    with pytest.raises(Busy, match="Delete some"):
        kept.save(MORNING, ANNE)
    kept.save(MORNING.model_copy(update={"name": "two", "page": "data"}), ANNE)
    kept.save(MORNING, BOB)


def test_a_damaged_file_is_told_and_nothing_is_lost(kept: SavedViews) -> None:
    kept.save(MORNING, ANNE)
    before = b"damaged" * 1000
    kept.path.write_bytes(before)
    with pytest.raises(NotReady, match="move it away"):
        kept.seen_by(ANNE)
    assert kept.path.read_bytes() == before


@pytest.fixture
def api(valued_lake: Path, tmp_path: Path) -> FlaskClient:
    shutil.copytree(valued_lake, tmp_path / "lake")
    return create_app(Settings(lake=tmp_path / "lake")).test_client()


def test_over_http(api: FlaskClient) -> None:
    assert api.get("/api/v1/views").json == {"rows": []}
    saved = api.post("/api/v1/views", json=MORNING.model_dump()).json
    assert saved["owner"] == LOCAL.name
    address = f"/api/v1/views/{saved['view_id']}"
    assert api.put(address, json={"name": "Évening", "shared": True}).json["name"] == "Évening"
    assert [v["name"] for v in api.get("/api/v1/views").json["rows"]] == ["Évening"]
    assert api.delete(address).json["shared"] is True
    assert api.delete(address).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", v) for v in ("", " ", " x", "a\nb", "x" * 81)),
        *(("page", v) for v in ("", "Ask", "../ask", "a b")),
        *(("address", v) for v in ("question", "a=b c", "a=ü", "a=" + "b" * 8_000, "a=b&c")),
    ],
)
def test_what_is_no_view_is_refused_at_its_field(api: FlaskClient, field: str, value: str) -> None:
    refused = api.post("/api/v1/views", json={**MORNING.model_dump(), field: value})
    assert refused.status_code == 422
    assert [e["pointer"] for e in refused.json["errors"]] == [f"/{field}"]
    assert api.get("/api/v1/views").json == {"rows": []}


def test_who_asks_is_the_owner(valued_lake: Path, tmp_path: Path) -> None:
    shutil.copytree(valued_lake, tmp_path / "lake")
    app: Flask = create_app(Settings(lake=tmp_path / "lake"))
    asking = [ANNE]
    app.before_request(lambda: setattr(g, "principal", asking[0]))
    client = app.test_client()
    client.post("/api/v1/views", json=MORNING.model_dump())
    asking[0] = BOB
    assert client.get("/api/v1/views").json == {"rows": []}
