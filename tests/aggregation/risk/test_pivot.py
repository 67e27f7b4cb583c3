"""Cross tables: every cell and every total against DuckDB's cube of the same positions and vectors."""

from __future__ import annotations

from typing import Any

import pytest
from reduce_lake import DAY
from test_query import figures, oracle, rich, rich_lake, some_positions
from test_table import close

from aggregation.risk.pivot import PivotQuery, PivotResult, run_pivot
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput
from lake.tables import Lake

assert rich_lake  # a fixture of this module too
RATING = "attribute.rating"


def ask(lake: Lake, **more: Any) -> PivotResult:
    given = {"rows": ("desk",), "columns": (RATING,), "measures": ("var", "worst"), "currency": "JPY"}
    return run_pivot(lake, PivotQuery(as_of=DAY, **{**given, **more}))


@pytest.mark.parametrize(("rows", "columns"), [(("desk",), (RATING,)), (("currency", "desk"), (RATING, "book"))])
def test_every_cell_and_total_is_a_group_of_its_own(
    rich_lake: Lake, rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    result = ask(rich_lake, rows=rows, columns=columns, measures=("var", "worst"))
    cells = result.cells.to_pylist()
    for part, by in (("cell", (*rows, *columns)), ("row", rows), ("column", columns), ("total", ())):
        expected = oracle(rich(), some_positions(), by, "true", "JPY")
        found = {tuple(c[d] for d in by): c for c in cells if c["part"] == part}
        assert {k for k, c in found.items() if c["covered"]} == expected.keys()
        for key, pnl in expected.items():
            if not (part == "cell" and "hedged" in key):
                close({**found[key], "desk": None}, pnl)
    assert {c["part"] for c in cells} == {"cell", "row", "column", "total"}
    assert result.total == {k: v for k, v in cells[-1].items() if k in result.total}


def test_the_table_as_it_is_read_is_the_cells(rich_lake: Lake) -> None:
    result = ask(rich_lake, measures=("var", "worst"))
    table, cells = result.rows.to_pylist(), result.cells.to_pylist()
    assert [r["part"] for r in table] == ["row"] * 5 + ["total"]
    for cell in cells:
        (row,) = (
            r for r in table if (r["part"], r["desk"]) == (("row", cell["desk"]) if cell["desk"] else ("total", None))
        )
        name = "total" if cell["part"] in ("row", "total") else f"{RATING}={cell[RATING] or ''}"
        for figure in ("var_0.99", "worst"):
            assert row[f"{name} {figure}"] == cell[figure]
    # an empty cell is empty, not zero
    held = {(c["desk"], c[RATING]) for c in cells if c["part"] == "cell"}
    assert ("hedged", "A") not in held
    (hedged,) = (r for r in table if r["desk"] == "hedged")
    assert hedged[f"{RATING}=A worst"] is None
    assert hedged[f"{RATING}= worst"] == 0.0


def test_sorted_by_the_row_totals_with_the_rest_as_one_row(rich_lake: Lake) -> None:
    where = (Filter.parse("desk!=hedged"),)
    result = ask(rich_lake, rows=("counterparty",), sort=("-worst",), limit=4, measures=("worst",), where=where)
    table = result.rows.to_pylist()
    plain = run_query(
        rich_lake, RiskQuery(as_of=DAY, by=("counterparty",), measures=("worst",), currency="JPY", where=where)
    )
    ordered = sorted(plain.rows.to_pylist(), key=lambda r: -r["worst"])
    assert [r["counterparty"] for r in table] == [*(r["counterparty"] for r in ordered[:4]), None, None]
    assert [r["total"] for r in table[:4]] == [r["worst"] for r in ordered[:4]]
    shown = ", ".join(f"'{r['counterparty']}'" for r in ordered[:4])
    rest = f"desk <> 'hedged' and counterparty not in ({shown})"
    assert table[4]["part"] == "others"
    assert table[4]["total"] == pytest.approx(figures(oracle(rich(), some_positions(), (), rest, "JPY")[()])["worst"])
    for (rating,), pnl in oracle(rich(), some_positions(), (RATING,), rest, "JPY").items():
        assert table[4][f"{RATING}={rating or ''}"] == pytest.approx(figures(pnl)["worst"], rel=1e-11)
    assert table[5]["total"] == result.total["worst"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"columns": ("desk",)}, "desk cannot stand down and across at once"),
        ({"columns": ("dsk",)}, "Nearest valid: desk"),
        ({"columns": ("trade",)}, "1,580 columns of 2 measures were asked for; a cross table has 1,000 at most"),
        ({"sort": ("-var",)}, "Unknown column to sort by 'var'"),
    ],
)
def test_what_is_refused(rich_lake: Lake, more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        ask(rich_lake, **more)
    assert says in refused.value.message


def test_by_is_left_out() -> None:
    with pytest.raises(ValueError, match="a cross table is by its rows and columns"):
        PivotQuery(as_of=DAY, by=("desk",), rows=("desk",), columns=("book",))
