"""Subtotals, order, limits and others, each row against DuckDB's grouping sets of the same positions and vectors."""

from __future__ import annotations

import math
from typing import Any

import duckdb
import numpy as np
import pytest
from reduce_lake import DAY
from test_query import N, figures, oracle, rich, rich_lake, some_positions

from aggregation.risk.query import run_query
from aggregation.risk.table import run_table
from aggregation.types import Filter, RiskResult, TableQuery
from lake.errors import BadInput
from lake.tables import Lake

assert rich_lake  # a fixture of this module too
BY = ("desk", "attribute.rating", "currency")


def ask(lake: Lake, **more: Any) -> RiskResult:
    return run_table(
        lake, TableQuery(as_of=DAY, measures=("var", "es", "worst"), levels=("0.99", "0.95"), currency="EUR", **more)
    )


def close(row: dict[str, Any], pnl: Any) -> None:
    wide = max(1.0, float(np.abs(pnl).max()))
    hedged = row.get("desk") in ("hedged", None)
    for name, value in figures(pnl).items():
        if name in row:
            assert row[name] == pytest.approx(value, rel=1e-11, abs=1e-3 if hedged else 1e-12 * wide), (name, row)


def grouping_sets() -> dict[tuple[int, Any], int]:
    """Positions by level and members, by DuckDB's own rollup."""
    rows = [
        {"desk": r["desk"], "rating": dict(r["attributes"]).get("rating"), "currency": r["currency"]}
        for r in some_positions()
    ]
    values = ", ".join(
        f"('{r['desk']}', {repr(r['rating']) if r['rating'] else 'null'}, '{r['currency']}')" for r in rows
    )
    with duckdb.connect() as db:
        found = db.sql(
            f"""select 3 - (grouping(desk) + grouping(rating) + grouping(currency)), desk, rating, currency, count(*)
                from (values {values}) t(desk, rating, currency) group by rollup (desk, rating, currency)"""
        ).fetchall()
    return {(level, (d, r, c)): n for level, d, r, c, n in found}


def test_every_prefix_has_its_own_rows_from_positions(rich_lake: Lake) -> None:
    result = ask(rich_lake, by=BY, subtotals=True)
    rows = result.rows.to_pylist()
    counts = {(r["level"], tuple(r[b] for b in BY)): r["positions"] for r in rows}
    assert counts == grouping_sets()
    for level in range(4):
        expected = oracle(rich(), some_positions(), BY[:level], "true", "EUR")
        found = {tuple(r[b] for b in BY[:level]): r for r in rows if r["level"] == level}
        assert {k for k, r in found.items() if r["covered"]} == expected.keys()
        for key, pnl in expected.items():
            close(found[key], pnl)
    alone = {r["desk"]: r["var_0.99"] for r in rows if r["level"] == 1}
    assert not math.isclose(sum(alone.values()), result.total["var_0.99"], rel_tol=1e-3)  # no sum of rows
    assert {k: rows[0][k] for k in ("positions", "var_0.99", "es_0.95")} == {
        k: result.total[k] for k in ("positions", "var_0.99", "es_0.95")
    }


def test_a_row_stands_before_those_below_it(rich_lake: Lake) -> None:
    rows = ask(rich_lake, by=BY, subtotals=True, sort=("-es_0.95",)).rows.to_pylist()
    path: list[Any] = []
    seen: dict[tuple[Any, ...], float] = {}
    for r in rows:
        path = [*path[: r["level"] - 1], r[BY[r["level"] - 1]]] if r["level"] else []
        assert [r[b] for b in BY] == path + [None] * (3 - r["level"])
        above = tuple(path[:-1])
        if r["level"] and r["es_0.95"] is not None:
            assert r["es_0.95"] <= seen.get((r["level"], *above), math.inf)
            seen[(r["level"], *above)] = r["es_0.95"]


@pytest.mark.parametrize("where", [(), ("desk!=desk 2", "attribute.rating=A,B")])
@pytest.mark.parametrize(
    ("sort", "limit"), [(("-var_0.99",), 5), (("worst", "-book"), 24), ((), 1), (("-positions",), 99)]
)
def test_the_others_are_a_group_of_their_own(
    rich_lake: Lake, sort: tuple[str, ...], limit: int, where: tuple[str, ...]
) -> None:
    filters = tuple(Filter.parse(w) for w in where)
    rows = ask(rich_lake, by=("book",), sort=sort, limit=limit, where=filters).rows.to_pylist()
    plain = ask(rich_lake, by=("book",), where=filters).rows.to_pylist()
    ordered = list(plain)
    for column in reversed(sort):  # Python's sort is stable: the last key first
        name = column.removeprefix("-")
        ordered.sort(key=lambda r, c=name: r[c], reverse=column.startswith("-"))
    shown = [{k: v for k, v in r.items() if k != "others"} for r in rows if not r["others"]]
    assert shown == ordered[:limit]  # to the bit
    rest = [r["book"] for r in ordered[limit:]]
    if not rest:
        assert len(rows) == len(plain)
        return
    assert (rows[-1]["others"], rows[-1]["book"]) == (len(rest), None)
    names = ", ".join(f"'{b}'" for b in rest)
    sql = f"book in ({names})" + (" and desk <> 'desk 2' and \"attribute.rating\" in ('A', 'B')" if where else "")
    close(rows[-1], oracle(rich(), some_positions(), (), sql, "EUR")[()])
    assert rows[-1]["positions"] == sum(r["positions"] for r in ordered[limit:])


def test_a_limit_is_of_each_parent(rich_lake: Lake) -> None:
    rows = ask(rich_lake, by=("desk", "counterparty"), subtotals=True, sort=("-worst",), limit=3).rows.to_pylist()
    desks = [r["desk"] for r in rows if r["level"] == 1 and not r["others"]]
    assert len(desks) == 3
    for desk in desks:
        below = [r for r in rows if r["level"] == 2 and r["desk"] == desk]
        assert [bool(r["others"]) for r in below] == [False] * 3 + [True]
        shown = ", ".join(f"'{r['counterparty']}'" for r in below[:3])
        expected = oracle(rich(), some_positions(), (), f"desk = '{desk}' and counterparty not in ({shown})", "EUR")
        close(below[-1], expected[()])
        (parent,) = (r for r in rows if r["level"] == 1 and r["desk"] == desk)
        assert sum(r["positions"] for r in below) == parent["positions"]
    last = rows[-1]
    assert (last["level"], last["others"], last["desk"]) == (1, 2, None)
    assert sum(r["positions"] for r in rows if r["level"] == 1) == 1580


def test_rows_that_tie_stand_in_the_order_of_their_members(rich_lake: Lake) -> None:
    for sort in (("status",), ("-status",)):
        with pytest.raises(BadInput, match="Unknown column to sort by"):
            ask(rich_lake, by=("desk",), sort=sort)
    rows = ask(rich_lake, by=("counterparty",), sort=("-failed",)).rows.to_pylist()
    keys = [(-r["failed"], r["counterparty"]) for r in rows]
    assert keys == sorted(keys)


def test_a_plain_table_is_the_query_itself(rich_lake: Lake) -> None:
    query = TableQuery(as_of=DAY, by=("desk",))
    one, two = run_table(rich_lake, query).to_dict(), run_query(rich_lake, query.plain()).to_dict()
    for answer in (one, two):
        answer["receipt"].pop("timings_ms")
    assert one == two


def test_the_receipt_has_the_layout_and_the_same_digest_again(rich_lake: Lake) -> None:
    one, two = (ask(rich_lake, by=("desk",), sort=("-worst",), limit=2).receipt for _ in range(2))
    other = ask(rich_lake, by=("desk",), sort=("-worst",), limit=3).receipt
    assert one["receipt_digest"] == two["receipt_digest"] != other["receipt_digest"]
    assert (one["kind"], one["question"]["limit"]) == ("table", 2)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"by": ("desk",), "sort": ("-vra_0.99",)}, "Unknown column to sort by 'vra_0.99'. Nearest valid: var_0.99"),
        ({"subtotals": True}, "name dimensions to group by"),
        ({"limit": 3}, "name dimensions to group by"),
        ({"by": ("dsk",), "limit": 3}, "Nearest valid: desk"),
        ({"by": ("desk",), "sort": ("-var",)}, "var_0.9"),
    ],
)
def test_what_is_refused(rich_lake: Lake, more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says.replace(".", r"\.")):
        ask(rich_lake, **more)


def test_a_limit_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        TableQuery(as_of=DAY, by=("desk",), limit=0)
    assert N == 250
