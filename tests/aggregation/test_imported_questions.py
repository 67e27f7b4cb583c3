"""Our own vectors, written out and brought into an empty lake as those of another system, give every answer to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from imported_lake import imported_lake, own_lake
from small_lake import FRIDAY, MONDAY, base

from aggregation.measures import MEASURES
from aggregation.questions import ask, read
from aggregation.session import reading
from lake.errors import NotFound
from lake.tables import Lake

# what an imported position has otherwise: a quantity of one, a contract without terms, its source; and what only describes the answer
_OF_IT = (
    "contract_id",
    "terms",
    "instrument_type",
    "quantity",
    "attribute.source",
    "reason",
    "message",
    "query",
    "receipt",
    "notes",
)
_BY_DAY = {"from": str(FRIDAY), "to": str(MONDAY), "calendar": "books"}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "measures": ("var", {"as_of": MONDAY, "by": ["desk"], "levels": ["0.9"]}),
    "gains": ("var", {"as_of": MONDAY, "by": ["desk", "book"], "levels": ["0.9"], "tail": "gain", "currency": "EUR"}),
    "subtotals": ("var", {"as_of": FRIDAY, "by": ["desk", "client", "attribute.rating"], "subtotals": True}),
    **{
        name: (name, base(name))
        for name in ("pivot", "pnl", "drill", "contributions", "compare", "drivers", "scenario-pnl", "reconcile")
    },
    "series": ("series", {**base("series"), **_BY_DAY}),
}


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Lake]:
    folder: Path = tmp_path_factory.mktemp("imported")
    own = own_lake(folder)
    return own, imported_lake(own, folder)


def said(answer: Any) -> Any:
    """All an answer says but what an imported position has otherwise."""
    if isinstance(answer, dict):
        return {k: said(v) for k, v in answer.items() if k not in _OF_IT}
    return [said(v) for v in answer] if isinstance(answer, list | tuple) else answer


@pytest.mark.parametrize("name", ASKED)
def test_every_figure_has_the_same_bits(name: str, lakes: tuple[Lake, Lake]) -> None:
    question, given = ASKED[name]
    given = {k: v for k, v in given.items() if k != "where"}
    if name in ("measures", "gains"):
        every = [m for m, measure in MEASURES.items() if not measure.needs_threshold]
        given["measures"] = every
    own, brought = (ask(reading(lake), question, read(question, given)) for lake in lakes)
    assert said(brought.to_dict()) == said(own.to_dict())
    assert own.rows.num_rows
    assert "brought in, not made here" in " ".join(brought.notes)
    assert "brought in" not in " ".join(own.notes)


def test_an_explanation_adds_up_to_the_same_change(lakes: tuple[Lake, Lake]) -> None:
    own, brought = (ask(reading(lake), "explain", read("explain", base("explain"))) for lake in lakes)
    for one, two in zip(own.rows.to_pylist(), brought.rows.to_pylist(), strict=True):
        assert two["change"] == pytest.approx(one["change"], rel=1e-9, abs=1e-6)
        assert two["amended"] == 0  # the other system gave no quantities: what changed is the vector


def test_actual_pnl_is_held_against_the_same_var(lakes: tuple[Lake, Lake]) -> None:
    given = {**_BY_DAY, "by": ["desk"], "simulations": 100}
    own, brought = (ask(reading(lake), "backtest", read("backtest", given)) for lake in lakes)
    for one, two in zip(own.nodes, brought.nodes, strict=True):
        for level, other in zip(one.levels, two.levels, strict=True):
            (actual,) = (j for j in level.by_pnl if j.pnl == "actual")
            assert [actual] == list(other.by_pnl)
        for day, same in zip(one.days, two.days, strict=True):
            assert {k: v for k, v in same.items() if k != "remark" and not k.startswith("exceptions_in")} == {
                k: v for k, v in day.items() if k in same and k != "remark" and not k.startswith("exceptions_in")
            }
    assert any("Nothing is revalued" in n for n in brought.notes)


def test_without_pnl_there_is_nothing_to_hold_it_against(lakes: tuple[Lake, Lake], tmp_path: Path) -> None:
    own, _ = lakes
    from imported_lake import exported

    from lake.committer import Committer
    from valuation.sets.imported import ingest_vectors

    lake = Lake.create(tmp_path / "lake")
    with Committer(lake, "test") as committer:
        ingest_vectors(committer, exported(own, tmp_path), source="risksys")
    with pytest.raises(NotFound, match="ingest pnl"):
        ask(reading(lake), "backtest", read("backtest", _BY_DAY))
