"""P&L vectors from files: every layout gives the same vectors, and every fault is told with its row."""

from __future__ import annotations

import csv
import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import BadInput
from lake.landing.pnl_vectors import read_vectors

DAY = "2020-03-16"
SCENARIOS = ["2019-01-02", "2019-01-03", "2019-01-04"]


def write(path: Path, header: str, *lines: str) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def faults(path: Path, **given: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(BadInput) as caught:
        read_vectors(path, **given)
    return [(i.pointer, i.value) for i in caught.value.issues]


def told(path: Path, scenarios: str | None = None) -> dict[Any, Any]:
    """Everything a file says: by date the scenarios, and by node its currency, base value and numbers."""
    file = read_vectors(path, scenarios)
    nodes = file.nodes.to_pylist()
    found: dict[Any, Any] = {
        date: (s.labels, None if s.weights is None else s.weights.tolist()) for date, s in file.scenarios.items()
    }
    for rows, numbers, holes in file.blocks():
        for k, i in enumerate(rows.tolist()):
            n = nodes[i]
            vector = None if i in holes or np.isnan(numbers[k]).any() else numbers[k].tolist()
            found[n["date"], n["trade"]] = (n["currency"], n["desk"], n["base_value"], vector)
    return found


NUMBERS = st.floats(-1e15, 1e15).filter(lambda x: x != 0) | st.none()


@st.composite
def books(draw: st.DrawFn) -> tuple[list[str], list[dict[str, Any]]]:
    """Scenario ids in their order, and nodes with a number, or none, under each; no scenario is without any number."""
    n = draw(st.integers(1, 5))
    ids = draw(st.sampled_from([["2019-01-0" + str(i) for i in range(1, n + 1)], [str(i * 5) for i in range(n)]]))
    nodes = []
    for day in draw(st.sampled_from([[DAY], [DAY, "2020-03-17"]])):
        whole = [1.5] * n  # one node has every scenario, so that a long file knows them all
        others = draw(st.lists(st.lists(NUMBERS, min_size=n, max_size=n).filter(any), max_size=4))
        for i, pnl in enumerate([whole, *others]):
            base = draw(st.floats(-1e15, 1e15).filter(lambda x: x != 0))
            nodes.append(
                {"date": day, "trade": f"T{i}", "desk": "D1", "currency": "EUR", "base_value": base, "pnl": pnl}
            )
    return ids, nodes


@settings(max_examples=40)
@given(book=books(), seed=st.integers(0, 9))
def test_long_wide_and_lists_are_the_same_vectors(
    book: tuple[list[str], list[dict[str, Any]]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids, nodes = book
    folder, shuffled = tmp_path_factory.mktemp("layouts"), np.random.default_rng(seed)
    keys = ["date", "trade", "desk", "currency", "base_value"]
    long = [
        {**{k: r[k] for k in keys}, "scenario": s, "pnl": x} for r in nodes for s, x in zip(ids, r["pnl"], strict=True)
    ]
    long = [row for row in long if row["pnl"] is not None]  # a hole of a long file is a row that is not there
    long = [long[i] for i in shuffled.permutation(len(long))]
    wide = [{**{k: r[k] for k in keys}, **dict(zip(ids, r["pnl"], strict=True))} for r in nodes]
    columns = [*keys, *(ids[i] for i in shuffled.permutation(len(ids)))]
    found = []
    for name, rows, header in (("long", long, [*keys, "scenario", "pnl"]), ("wide", wide, columns)):
        with (folder / f"{name}.csv").open("w", newline="") as out:
            writer = csv.DictWriter(out, header)
            writer.writeheader()
            writer.writerows({k: repr(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema(header)), folder / f"{name}.parquet")
        found += [told(folder / f"{name}.csv"), told(folder / f"{name}.parquet")]
    lists = pa.table(
        {k: [r[k] for r in nodes] for k in keys} | {"pnl": pa.array([r["pnl"] for r in nodes], pa.list_(pa.float64()))}
    )
    pq.write_table(lists, folder / "lists.parquet", row_group_size=2)
    write(folder / "scenarios.csv", "scenario", *ids)
    found.append(told(folder / "lists.parquet", str(folder / "scenarios.csv")))
    assert all(f == found[0] for f in found)
    for r in nodes:
        vector = None if None in r["pnl"] else r["pnl"]
        assert found[0][dt.date.fromisoformat(r["date"]), r["trade"]] == ("EUR", "D1", r["base_value"], vector)


def _schema(header: list[str]) -> pa.Schema:
    texts = ("date", "trade", "desk", "currency", "scenario")
    return pa.schema([(c, pa.string() if c in texts else pa.float64()) for c in header])


def test_scenarios_stand_by_date_and_by_number_unless_a_file_orders_them(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.csv", "date,trade,currency,10,9,pnl.x", f"{DAY},T,USD,1,2,3")
    assert told(wide)[dt.date(2020, 3, 16)][0] == ("9", "10", "x")
    order = write(tmp_path / "order.csv", "scenario,weight", "x,0.5", "10,0.25", "9,0.25")
    assert told(wide, str(order)) == {
        dt.date(2020, 3, 16): (("x", "10", "9"), [0.5, 0.25, 0.25]),
        (dt.date(2020, 3, 16), "T"): ("USD", None, None, [3.0, 1.0, 2.0]),
    }


def test_labels_and_weights_of_a_long_file(tmp_path: Path) -> None:
    header = "date,trade,currency,scenario,label,weight,pnl"
    path = write(tmp_path / "l.csv", header, f"{DAY},T,USD,2,2019-01-03,0.75,5", f"{DAY},T,USD,1,2019-01-02,0.25,4")
    assert told(path)[dt.date(2020, 3, 16)] == (("2019-01-02", "2019-01-03"), [0.25, 0.75])
    path = write(tmp_path / "l.csv", header, f"{DAY},T,USD,2,a,0.75,5", f"{DAY},U,USD,2,b,0.7,4")
    assert faults(path) == [("row 3, column label", "b"), ("row 3, column weight", "0.7")]
    path = write(tmp_path / "l.csv", header, f"{DAY},T,USD,2,a,0.75,5", f"{DAY},T,USD,1,b,0.7,4")
    with pytest.raises(BadInput, match="sum 1"):
        read_vectors(path)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "bad.csv",
        "date,trade,currency,base_value,2019-01-02",
        "2020-02-30,T1,USD,1,1",
        f"{DAY},T2,usd,1,1",
        f"{DAY},T3,USD,1e99,1",
        f"{DAY},,USD,1,1",
        f"{DAY},T4,USD,1,1",
        f"{DAY},T4,USD,1,2",
        f"{DAY},T5,USD,1",
    )
    assert faults(path) == [
        ("row 2, column date", "2020-02-30"),
        ("row 3, column currency", "usd"),
        ("row 4, column base_value", "1e99"),
        ("row 5, column trade", None),
        ("row 7", "T4"),
        ("row 8", f"{DAY},T5,USD,1"),
    ]
    path = write(
        tmp_path / "bad.csv",
        "date,trade,currency,scenario,pnl",
        f"{DAY},T1,USD,a,1",
        f"{DAY},T1,USD,a,1",
        f"{DAY},T1,EUR,b,1",
        f"{DAY},T1,USD,,1",
    )
    assert faults(path) == [
        ("row 3, column scenario", "a"),
        ("row 4, column currency", "EUR"),
        ("row 5, column scenario", None),
    ]


@pytest.mark.parametrize(
    ("header", "pointer"),
    [
        ("date,trade,currency,basevalue,2019-01-02", "basevalue"),
        ("date,trade,2019-01-02", "currency"),
        ("date,currency,2019-01-02", "trade"),
        ("date,trade,currency", "pnl"),
        ("date,trade,currency,pnl", "pnl"),
        ("date,trade,currency,scenario", "pnl"),
    ],
)
def test_a_header_that_says_too_little_or_too_much(header: str, pointer: str, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", header, ",".join(["1"] * header.count(",")) + ",1")
    assert pointer in [p for p, _ in faults(path)]


def test_a_node_is_called_by_its_path_or_its_members_and_counted_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.csv", "date,path,currency,2019-01-02", f"{DAY},Bank/Rates/EM,USD,1", f"{DAY},Bank/FX,USD,2"
    )
    nodes = read_vectors(path).nodes.to_pylist()
    assert [n["trade"] for n in nodes] == ["Bank/Rates/EM", "Bank/FX"]
    assert [n["attribute.level2"] for n in nodes] == ["Rates", "FX"]
    assert [n["attribute.level3"] for n in nodes] == ["EM", None]
    path = write(
        tmp_path / "p.csv", "date,path,currency,2019-01-02", f"{DAY},Bank/Rates,USD,1", f"{DAY},Bank/Rates/EM,USD,2"
    )
    assert faults(path) == [("row 3, column path", "Bank/Rates/EM")]
    path = write(
        tmp_path / "d.csv", "date,desk,book,currency,2019-01-02", f"{DAY},Rates,EM,USD,1", f"{DAY},FX,EM,USD,2"
    )
    assert read_vectors(path).nodes["trade"].to_pylist() == ["Rates/EM", "FX/EM"]
    path = write(
        tmp_path / "d.csv", "date,desk,book,currency,2019-01-02", f"{DAY},Rates,EM,USD,1", f"{DAY},Rates,,USD,2"
    )
    assert faults(path) == [("row 3", None)]


def test_a_number_that_is_none_is_a_hole(tmp_path: Path) -> None:
    path = write(
        tmp_path / "w.csv", "date,trade,currency,a.b".replace("a.b", ",".join(SCENARIOS)), f"{DAY},T,USD,1,x,1e17"
    )
    ((_, numbers, _),) = read_vectors(path).blocks()
    assert [math.isnan(x) for x in numbers[0]] == [False, True, True]
    lists = pa.table(
        {
            "date": [DAY] * 4,
            "trade": list("ABCD"),
            "currency": ["USD"] * 4,
            "pnl": [[1.0, 2.0], [3.0, 4.0], [5.0], None],
        }
    )
    pq.write_table(lists, tmp_path / "l.parquet")
    ((_, numbers, holes),) = read_vectors(tmp_path / "l.parquet").blocks()
    assert holes == {2: "1 number for 2 scenarios", 3: "0 numbers for 2 scenarios"}
    assert numbers[:2].tolist() == [[1, 2], [3, 4]]


def test_a_scenario_stands_once(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.csv", "date,trade,currency,1,2", f"{DAY},T,USD,1,2")
    for lines in (("scenario", "1", "2", "2"), ("scenario,label", "1,a", "2,b", "3,b")):
        order = write(tmp_path / "s.csv", *lines)
        with pytest.raises(BadInput, match=f"Scenario {lines[-1][-1]} stands twice"):
            read_vectors(wide, str(order))


def test_what_is_no_file_of_vectors(tmp_path: Path) -> None:
    for name, content in (("a.txt", "x"), ("a.parquet", "x"), ("a.csv", "date,trade,currency,1\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(BadInput):
            read_vectors(tmp_path / name)
    with pytest.raises(BadInput, match="no file"):
        read_vectors(tmp_path / "b.csv")
