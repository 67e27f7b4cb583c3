"""Substituted market data at every node, counted from the positions themselves; and lakes made before it was kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_valued

from aggregation.risk.query import run_query
from aggregation.types import RiskQuery, RiskResult
from lake import schemas
from lake.committer import Committer
from lake.tables import Lake

P = np.array([-1.0, 0.0, 2.0])
VECTORS = {"real": ("USD", 1.0, P), "proxy": ("USD", 1.0, 2 * P), "euro": ("EUR", 1.0, P)}
HELD = {"EQ:X": "2020-03-13"}
FX = {"EURUSD": (1.1, np.array([1.0, 1.1, 1.2]))}
# desk to its contracts
BOOK = {
    "clean": ["real", "real"],
    "mixed": ["real", "proxy"],
    "holes": ["proxy", "failed"],
    "gone": ["absent"],
    "euro": ["euro"],
}


def ask(folder: Path, valued: Valued, **more: Any) -> RiskResult:
    rows = [position(f"{d}{i}", c, 1.0, desk=d) for d, contracts in BOOK.items() for i, c in enumerate(contracts)]
    return run_query(make_lake(folder, valued, rows), RiskQuery(as_of=DAY, by=("desk",), levels=("0.9",), **more))


def by_desk(result: RiskResult) -> dict[str, tuple[Any, Any]]:
    return {r["desk"]: (r["substituted"], r["status"]) for r in result.rows.to_pylist()}


def hand(**more: Any) -> Valued:
    return Valued(VECTORS, failed={"failed": "matured"}, fx=FX, **more)


def test_each_node_says_what_is_substituted(tmp_path: Path) -> None:
    result = ask(tmp_path, hand(held=HELD, substituted=frozenset({"proxy"})))
    assert by_desk(result) == {
        "clean": (0, "complete"),
        "euro": (0, "complete"),
        "gone": (0, "invalid"),
        "holes": (1, "partial"),
        "mixed": (1, "with substitutes"),
    }
    assert (result.coverage.substituted, result.coverage.status) == (2, "partial")
    assert "2 positions rest on market data that was held or proxied." in result.notes


def test_a_held_exchange_rate_substitutes_what_it_converts(tmp_path: Path) -> None:
    valued = hand(held={"FX:EURUSD": "2020-03-13"}, substituted=frozenset())
    assert by_desk(ask(tmp_path / "usd", valued))["euro"] == (1, "with substitutes")
    in_euro = by_desk(ask(tmp_path / "eur", valued, currency="EUR"))
    assert in_euro["euro"] == (0, "complete")
    assert in_euro["clean"] == (2, "with substitutes")


def test_a_set_that_does_not_say_is_not_called_clean(tmp_path: Path) -> None:
    result = ask(tmp_path / "old", hand(held=HELD))
    assert {s for s, _ in by_desk(result).values()} == {None}
    assert result.coverage.substituted is None
    assert any(n.startswith("Which positions rest on substituted market data is not known") for n in result.notes)
    nothing_held = ask(tmp_path / "sound", hand())
    assert {s for s, _ in by_desk(nothing_held).values()} == {0}
    assert not any("substituted" in n for n in nothing_held.notes)


def test_a_lake_made_before_the_column_takes_new_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = schemas.TABLES["valuation_members"]
    old = dataclasses.replace(new, columns=tuple(c for c in new.columns if c.name != "substituted"))
    lake = Lake.create(tmp_path / "lake")
    row = {"valuation_set_id": "before", "contract_id": "c", "inputs_digest": "i", "unmoved": False}
    with monkeypatch.context() as patch, Committer(lake, "test") as committer:
        patch.setitem(schemas.TABLES, "valuation_members", old)
        committer.put("valuation_members", schemas.pa.Table.from_pylist([row], schema=old.schema))
    put_valued(lake, hand(held=HELD, substituted=frozenset({"proxy"})))
    members = {r["contract_id"]: r["substituted"] for r in lake.read("valuation_members").to_pylist()}
    assert members == {"c": None, "real": False, "proxy": True, "euro": False}
    then = lake.at({"valuation_members": 1}).read("valuation_members")
    assert then["substituted"].to_pylist() == [None]
