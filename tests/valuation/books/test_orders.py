"""Orders: read as they come, corrected and cancelled, and netted to the positions of an instant; expected by hand."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from order_events import HEADER, MEMBERS, MONDAY, REST, order, order_lake

from lake.committer import Committer, DryRun
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from valuation.books.orders import NettingRequest, ingest_orders, net_orders
from valuation.books.positions import ingest_positions

CLOSE = "2020-03-16T16:00:00-04:00"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return order_lake(tmp_path / "lake")


def bring(lake: Lake, *rows: str, header: str = HEADER, committer: Any = Committer) -> dict[str, Any]:
    path = lake.path.parent / "orders.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with committer(lake, "test") if committer is Committer else DryRunning(lake) as c:
        return ingest_orders(c, path).to_dict()


class DryRunning(DryRun):
    def __enter__(self) -> DryRunning:
        return self

    def __exit__(self, *_: object) -> None: ...


def net(lake: Lake, at: str = CLOSE, **more: Any) -> dict[str, Any]:
    with Committer(lake, "test") as c:
        return net_orders(c, NettingRequest.model_validate({"as_of": at, **more})).to_dict()


def book(lake: Lake, date: dt.date = MONDAY) -> dict[str, float]:
    """Quantity by instrument."""
    rows = [r for r in lake.read("positions").to_pylist() if r["positions_date"] == date]
    assert len({r["trade"] for r in rows}) == len(rows)
    return {r["instrument"]: r["quantity"] for r in rows}


def test_orders_net_to_the_positions_of_an_instant(lake: Lake) -> None:
    told = bring(
        lake,
        order("A", "buy", "1000"),
        order("B", "sell", "400", "15:59:59"),
        order("C", "sell", "900", "16:00:01"),
        order("D", "sell", "7", symbol="EQ:BBB"),
    )
    assert (told["read"], told["new"], told["first"], told["last"]) == (4, 4, MONDAY, MONDAY)
    told = net(lake)
    assert (told["orders"], told["netted"], told["later"], told["lines"]) == (4, 3, 1, 2)
    assert told["positions_date"] == MONDAY
    assert book(lake) == {"EQ:AAA": 600.0, "EQ:BBB": -7.0}
    # a minute later the book has gone through zero
    net(lake, "2020-03-16T16:01:00-04:00")
    assert book(lake) == {"EQ:AAA": -300.0, "EQ:BBB": -7.0}
    # the same instant in another zone
    version = net(lake, "2020-03-16T20:01:00Z")["version"]
    assert version == net(lake, "2020-03-16T16:01:00-04:00")["version"]


def test_a_line_that_nets_to_nothing_is_no_position(lake: Lake) -> None:
    bring(
        lake,
        order("A", "buy", "0.1"),
        order("B", "buy", "0.2"),
        order("C", "sell", "0.3"),
        order("D", "buy", "1", symbol="EQ:BBB"),
    )
    told = net(lake)
    assert book(lake) == {"EQ:BBB": 1.0}  # in doubles 0.1 + 0.2 - 0.3 is 5.6e-17
    assert (told["lines"], told["flat"]) == (1, 1)


def test_a_book_that_is_all_flat_leaves_nothing_of_the_one_before(lake: Lake) -> None:
    bring(lake, order("A", "buy", "5", "10:00:00"), order("B", "sell", "5", "11:00:00"))
    net(lake, "2020-03-16T10:30:00-04:00")
    assert book(lake) == {"EQ:AAA": 5.0}
    net(lake)
    assert book(lake) == {"EQ:AAA": 0.0}


def test_orders_known_by_cancels_alone_are_told_until_they_arrive_in_whichever_file(lake: Lake) -> None:
    alone = bring(lake, "B,2,cancel,,,,,,,,,,,,,")["notes"]
    assert "1 order known by corrections or cancels alone: B." in alone[0]
    assert bring(lake, order("C", "buy", "1"))["notes"] == alone
    assert not bring(lake, order("B", "buy", "9"))["notes"]


def test_corrections_and_cancels_count_by_their_number_however_they_arrive(lake: Lake) -> None:
    told = bring(lake, order("A", "buy", "50", sequence="3", event="correction"), "B,2,cancel,,,,,,,,,,,,,")
    assert told["notes"] == (
        "2 orders known by corrections or cancels alone: A, B. They count as they say; the order itself has not arrived.",
    )
    bring(
        lake, order("A", "buy", "60", sequence="2", event="correction"), order("A", "buy", "70"), order("B", "buy", "9")
    )
    told = net(lake)
    assert book(lake) == {"EQ:AAA": 50.0}
    assert (told["orders"], told["netted"], told["corrected"], told["cancelled"]) == (2, 1, 1, 1)
    # a correction may turn the side, the share and the moment
    bring(lake, order("A", "sell", "8", "17:00:00", sequence="4", event="correction", symbol="EQ:BBB"))
    with pytest.raises(NotFound, match="no order executed up to 2020-03-16T16:00:00-04:00"):
        net(lake)
    net(lake, "2020-03-16T23:00:00-04:00")
    assert book(lake) == {"EQ:BBB": -8.0}


def test_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    rows = [order("A", "buy", "1000"), order("A", "buy", "900", sequence="2", event="correction")]
    first = bring(lake, *rows)
    net(lake)
    versions = {n: lake.version(n) for n in ("orders", "positions", "contracts")}
    again = bring(lake, *rows)
    net(lake)
    assert (first["new"], again["new"], again["unchanged"]) == (2, 0, 2)
    assert versions == {n: lake.version(n) for n in ("orders", "positions", "contracts")}


def test_an_order_is_not_edited(lake: Lake) -> None:
    bring(lake, order("A", "buy", "1000"))
    with pytest.raises(BadInput, match=r"row 2, column sequence: the lake has other content for order A, sequence 1"):
        bring(lake, order("A", "buy", "1001"))
    with pytest.raises(BadInput, match="stands in row 2 with other content"):
        bring(lake, order("E", "buy", "1"), order("E", "buy", "2"))
    assert lake.read("orders").num_rows == 1


def test_netting_in_pieces_gives_what_netting_from_scratch_gives(lake: Lake) -> None:
    """A thousand random orders with corrections and cancels, in random files and random order, against exact decimals."""
    draw = random.Random(7)
    rows, last = [], {}
    for i in range(1000):
        symbol, rest = draw.choice(["EQ:AAA", "EQ:BBB"]), REST.replace("EQ-1", draw.choice(["EQ-1", "EQ-2"]))
        for sequence in range(1, draw.choice([1, 1, 2, 3]) + 1):
            cancel = sequence > 1 and draw.random() < 0.3
            side, units = draw.choice(["buy", "sell"]), f"{draw.randint(1, 10**6)}.{draw.randint(1, 99):02d}"
            event = "cancel" if cancel else "new" if sequence == 1 else "correction"
            rows.append(
                f"O{i},{sequence},cancel,,,,,,,,,,,,,"
                if cancel
                else order(f"O{i}", side, units, sequence=str(sequence), event=event, symbol=symbol, rest=rest)
            )
            last[i] = None if cancel else (symbol, rest, Decimal(units) * (1 if side == "buy" else -1))
    draw.shuffle(rows)
    for start in range(0, len(rows), 400):
        bring(lake, *rows[start : start + 500])  # with a hundred rows twice
        net(lake)
    expected: dict[tuple[str, str], Decimal] = {}
    for symbol, rest, units in filter(None, last.values()):
        key = (symbol, rest.split(",")[4])
        expected[key] = expected.get(key, Decimal(0)) + units
    found = {(r["instrument"], r["book"]): r["quantity"] for r in lake.read("positions").to_pylist()}
    assert found == {k: float(v) for k, v in expected.items()}


def test_other_trades_of_the_date_stay(lake: Lake, tmp_path: Path) -> None:
    members = MEMBERS.replace("portfolio", "portfolio,instrument")
    columns = f"positions_date,trade,quantity,{members},instrument_type,currency,underlying"
    path = tmp_path / "book.csv"
    path.write_text(f"{columns}\n2020-03-16,T1,3,Growth,other,House,H-1,US,EQ-1,Bank,Broker,cash_equity,USD,EQ:AAA\n")
    with Committer(lake, "test") as c:
        ingest_positions(c, path)
    bring(lake, order("A", "buy", "10"))
    net(lake)
    assert book(lake) == {"other": 3.0, "EQ:AAA": 10.0}
    bring(lake, "A,2,cancel,,,,,,,,,,,,,", order("B", "buy", "2", symbol="EQ:BBB"))
    assert net(lake)["removed"] == 1
    assert book(lake) == {"other": 3.0, "EQ:BBB": 2.0}


def test_any_contract_can_be_ordered(lake: Lake) -> None:
    header = (
        HEADER.replace("symbol", "instrument_type") + ",underlying,maturity,strike,discount_curve,attribute.strategy"
    )
    row = order("A", "buy", "10", symbol="equity_forward") + ",EQ:AAA,2020-12-18,60,USD,carry"
    bring(lake, row, header=header)
    net(lake, positions_date="2020-03-17")
    (position,) = lake.read("positions").to_pylist(maps_as_pydicts="strict")
    assert (position["positions_date"], position["instrument_type"]) == (dt.date(2020, 3, 17), "equity_forward")
    assert (position["instrument"], position["attributes"]) == ("equity_forward", {"strategy": "carry"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (order("", "buy", "1"), "column order_id: order_id is empty"),
        (order("A", "long", "1"), "column side: expected buy or sell"),
        (order("A", "buy", "-1"), "column quantity: expected a positive number"),
        (order("A", "buy", "nan"), "column quantity: expected a positive number"),
        (order("A", "buy", "1", "2020-03-16T10:00:00"), "column executed_at: expected an instant with its zone"),
        (order("A", "buy", "1", symbol="EQ:AAC"), "column symbol: Unknown risk factor 'EQ:AAC'. Nearest valid: EQ:AAA"),
        (order("A", "buy", "1", currency="EUR"), "column symbol: EQ:AAA is of type equity_price in USD"),
        (order("A", "buy", "1", symbol=""), "column instrument_type: Unknown instrument type"),
        (order("A", "buy", "1", event="fill"), "column event: expected new, correction, cancel"),
        (order("A", "buy", "1", event="correction"), "column sequence: expected a whole number from 2"),
        (order("A", "buy", "1", sequence="1.5"), "column sequence: expected a whole number from 1"),
        (order("A", "buy", "1", price="dear"), "column price: expected a finite number"),
        (order("A", "buy", "1", rest=REST.replace("US", "")), "column desk: desk is empty"),
        ("A,1", "2 cells where the header has 16"),
    ],
)  # fmt: skip
def test_a_fault_refuses_the_file_and_says_where(lake: Lake, row: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        bring(lake, order("FINE", "buy", "1"), row)
    assert "1 fault; nothing of it is loaded. row 3" in refused.value.message
    assert said in refused.value.message
    assert lake.version("orders") == -1


def test_all_faults_are_told_at_once_and_a_dry_run_stores_nothing(lake: Lake) -> None:
    with pytest.raises(BadInput, match="3 faults") as refused:
        bring(lake, order("A", "long", "0"), order("B", "buy", "x"))
    assert [i.pointer for i in refused.value.issues] == [
        "row 2, column side",
        "row 2, column quantity",
        "row 3, column quantity",
    ]
    told = bring(lake, order("A", "buy", "1"), committer=None)
    assert told["new"] == 1
    assert lake.version("orders") == -1


def test_parquet_is_read_as_csv_is(lake: Lake, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pcsv

    path = tmp_path / "orders.csv"
    path.write_text("\n".join([HEADER, order("A", "buy", "12.5")]) + "\n")
    table = pcsv.read_csv(path)
    instant = pa.array([dt.datetime(2020, 3, 16, 14, 0, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    pq.write_table(
        table.set_column(table.column_names.index("executed_at"), "executed_at", instant), tmp_path / "o.parquet"
    )
    with Committer(lake, "test") as c:
        ingest_orders(c, path)
        told = ingest_orders(c, tmp_path / "o.parquet")
    assert (told.new, told.unchanged) == (0, 1)


def test_the_example_of_the_page_loads_and_nets(lake: Lake) -> None:
    page = (Path(__file__).parents[3] / "docs" / "orders.md").read_text(encoding="utf-8")
    header, *rows = (
        page.partition(":caption: orders.csv\n")[2].partition("```")[0].replace("AAPL", "AAA").strip().splitlines()
    )
    assert bring(lake, *rows, header=header)["new"] == 4
    net(lake)
    assert book(lake) == {"EQ:AAA": -600.0}


def test_an_instant_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="expected an instant with its zone, such as 2020-03-16T15:59:58-04:00"):
        NettingRequest.model_validate({"as_of": "2020-03-16T16:00:00"})
