"""Incremental CVA: the change of the whole computed anew, on values that are given and contracts that are there."""

import pytest
from cva_lake import GRID, PATHS, build_cva_lake, drawn_paths
from small_lake import MONDAY, SHARE_A

from aggregation.book.changes import Changes, changed_book
from aggregation.exposure import cva_what_if
from aggregation.exposure.cva import CvaQuery, answer_from
from aggregation.exposure.cva_query import open_cva
from aggregation.exposure.cva_what_if import CvaWhatIfQuery, run_cva_what_if
from aggregation.exposure.scope import open_book
from aggregation.session import reading
from aggregation.whatif.request import parse_removal, parse_scaling
from aggregation.whatif.trades import trades_of_rows
from lake.errors import BadInput, Conflict

ADD = {
    "trade": "NEW",
    "quantity": 700,
    "counterparty": "counterparty-0",
    "legal_entity": "legal_entity-0",
    "desk": "Options",
    **SHARE_A,
}
FIGURES = ("cva", "dva", "cva_bilateral", "dva_bilateral", "bcva")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return build_cva_lake(tmp_path_factory.mktemp("cva") / "lake")


@pytest.fixture
def ask(lake, monkeypatch):
    session = reading(lake)

    def opened(session, query):
        return open_cva(session, query, paths=drawn_paths(session, query))

    monkeypatch.setattr(cva_what_if, "open_cva", opened)

    def run(**more):
        asked = {"as_of": MONDAY, "grid": GRID, "paths": PATHS, "trades": "all", **more}
        return run_cva_what_if(session, CvaWhatIfQuery.model_validate(asked))

    return run


def whole(lake, changes, collateral):
    """CVA by netting set of the changed book as a whole, on the same paths."""
    session = reading(lake)
    query = CvaQuery(as_of=MONDAY, grid=GRID, paths=PATHS, by=("netting_set",), collateral=collateral, trades="all")
    paths = drawn_paths(session, query)
    book = session.cache.book(lake.snapshot(), MONDAY)
    held = open_book(session, query, book=changed_book(book, changes, "changed"))
    return {r["netting_set"]: r for r in answer_from(open_cva(session, query, held=held, paths=paths)).rows.to_pylist()}


@pytest.mark.parametrize("collateral", [True, False])
@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        ({"add": [ADD]}, lambda: Changes((), (), *trades_of_rows([ADD], MONDAY))),
        ({"scale": ["desk=Options*3"]}, lambda: Changes((), (parse_scaling("desk=Options*3"),))),
        ({"remove": ["T00000-2"]}, lambda: Changes((parse_removal("T00000-2"),))),
    ],
)
def test_after_is_the_whole_computed_anew(lake, ask, asked, changes, collateral):
    found = ask(**asked, collateral=collateral)
    anew = whole(lake, changes(), collateral)
    assert found.rows.num_rows > 0
    for row in found.rows.to_pylist():
        for name in FIGURES:
            if row[f"{name}_after"] is not None:
                assert row[f"{name}_after"] == pytest.approx(anew[row["netting_set"]][name], rel=1e-9, abs=1e-9)


def test_a_trade_without_an_agreement_nets_with_nothing(ask):
    found = ask(add=[{**ADD, "counterparty": "counterparty-1"}])
    (row,) = found.rows.to_pylist()
    assert (row["netting_set"], row["change"]) == ("trade:NEW", "new")
    assert row["cva_before"] == 0.0
    assert row["cva_difference"] == row["cva_after"] >= 0.0


def test_a_counterparty_without_a_curve_is_told(ask):
    found = ask(add=[{**ADD, "counterparty": "counterparty-9"}])
    (row,) = found.rows.to_pylist()
    assert row["cva_difference"] is None
    assert "counterparty-9" in row["reason"]
    assert found.total["status"] == "partial"


def test_asking_again_gives_the_same_bits(ask):
    one, two = ask(add=[ADD]), ask(add=[ADD])
    assert one.rows.equals(two.rows)


def test_bad_changes_are_told(ask):
    with pytest.raises(BadInput, match="No change"):
        ask()
    with pytest.raises(Conflict, match="T00000-1"):
        ask(add=[{**ADD, "trade": "T00000-1"}])
