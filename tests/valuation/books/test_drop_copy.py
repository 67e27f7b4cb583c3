"""A FIX drop copy read into orders. Messages are encoded by simplefix; what they mean is expected by hand, from FIX 4.4, appendix D."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import simplefix
from order_events import order_lake

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.order_feeds.drop_copy import DropCopy, Rules, read_rules
from lake.landing.order_feeds.feed import FeedReport, OrderFeed, committing
from lake.landing.order_feeds.fix_log import FixLog
from lake.landing.order_feeds.fix_messages import SequenceNumbers, find_messages
from lake.landing.order_feeds.folder import FolderSource
from lake.landing.order_feeds.portion import Portion
from lake.tables import Lake
from valuation.books.orders import order_reader
from valuation.books.running_positions import RunningPositions

RULES = """
zone = "America/New_York"

[columns]
symbol = "EQ:{55}"
currency = "{15}"
portfolio = "Growth"
client = "House"
account = "{1}"
desk = "US"
book = "EQ-1"
legal_entity = "Bank"
counterparty = "{49}"

[accounts.H-2]
desk = "Asia"
"""


def message(number: int, kind: str = "8", **tags: Any) -> bytes:
    """tags : by `t55` for tag 55; those of an execution report have defaults."""
    made = simplefix.FixMessage()
    made.append_pair(8, "FIX.4.4")
    given = {"t35": kind, "t49": "BROKER", "t56": "BANK", "t34": number, "t52": "20200316-14:30:00.000"}
    if kind == "8":
        given |= {"t37": "O1", "t39": "1", "t54": "1", "t55": "AAA", "t15": "USD", "t1": "H-1", "t31": "62.5"}
        given |= {"t60": "20200316-14:30:00.123456", "t32": "100", "t150": "F"}
    for tag, value in (given | tags).items():
        if value is not None:
            made.append_pair(int(tag[1:]), value)
    return bytes(made.encode())


def fill(number: int, execution: str, quantity: str, **tags: Any) -> bytes:
    return message(number, t17=execution, t32=quantity, **tags)


def correct(number: int, execution: str, of: str, quantity: str, **tags: Any) -> bytes:
    return message(number, t17=execution, t19=of, t32=quantity, t150="G", **tags)


def bust(number: int, execution: str, of: str, **tags: Any) -> bytes:
    return message(number, t17=execution, t19=of, t150="H", **tags)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return order_lake(tmp_path / "lake")


def run(lake: Lake, log: Path, *more: bytes) -> FeedReport:
    """Adds the messages to the log, and follows it with a feed that has just started."""
    with log.open("ab") as end:
        for one in more:
            end.write(b"2020-03-16 10:30:00 in  " + one + b"\n")
    reader = order_reader(lake)
    rules = log.with_name("rules.toml")
    rules.write_text(RULES)
    feed = OrderFeed(
        lake,
        "broker",
        FixLog(log, DropCopy(reader, read_rules(rules))),
        reader,
        committing(lambda: Committer(lake, "test")),
    )
    feed.run(lambda seconds: False, once=True)
    return feed.report()


def net(lake: Lake) -> dict[tuple[str, str], Fraction]:
    """Net units by instrument and desk."""
    running = RunningPositions()
    for row in lake.read("orders").to_pylist(maps_as_pydicts="strict"):
        running.apply(row)
    found: dict[tuple[str, str], Fraction] = {}
    for (_, members, _), units in running.lines.items():
        found[members[1], members[4]] = units
    return found


def test_fills_become_orders_of_their_account_and_trade_date(lake: Lake, tmp_path: Path) -> None:
    told = run(
        lake,
        tmp_path / "a.log",
        message(1, "A", t98="0", t108="30"),
        message(2, t17="N1", t150="0", t39="0", t32="0", t14="0", t151="300"),
        fill(3, "E1", "100.5", t14="100.5", t151="199.5"),
        fill(4, "E2", "199.5", t39="2", t14="300", t151="0"),
        fill(5, "E3", "7", t54="5", t1="H-2", t37="O2", t14="7", t151="3", t60="20200317-02:00:00"),
        fill(6, "E4", "1", t55="BBB", t75="20200318", t37=None),
        message(7, "0"),
    )
    assert (told.rows, told.refused, told.waiting, told.open, told.incomplete, told.gaps) == (4, 0, 0, 1, 0, ())
    assert told.counts == {"messages": 7, "messages of type A": 1, "messages of type 0": 1, "orders new": 1}
    assert net(lake) == {("EQ:AAA", "US"): 300, ("EQ:AAA", "Asia"): -7, ("EQ:BBB", "US"): 1}
    rows = {r["order_id"]: r for r in lake.read("orders").to_pylist()}
    first = rows["BROKER:E1"]
    assert (first["side"], first["quantity"], first["price"], first["account"]) == ("buy", "100.5", 62.5, "H-1")
    assert (first["executed_at"].isoformat(), str(first["trade_date"])) == (
        "2020-03-16T14:30:00.123456+00:00",
        "2020-03-16",
    )
    assert (first["execution_id"], first["parent_order_id"], first["session"]) == (
        "BROKER:E1",
        "BROKER:O1",
        "BROKER>BANK#1",
    )
    assert str(rows["BROKER:E3"]["trade_date"]) == "2020-03-16"  # ten in the evening in New York
    assert str(rows["BROKER:E4"]["trade_date"]) == "2020-03-18"
    (open_order,) = lake.read("order_feed_messages").to_pylist()
    assert open_order["reason"] == "order BROKER:O2, partially filled: 7 filled, 3 left"


def test_corrections_and_cancels_follow_their_fill_through_one_another(lake: Lake, tmp_path: Path) -> None:
    told = run(
        lake,
        tmp_path / "a.log",
        fill(1, "E1", "100", t14=None),
        correct(2, "C1", "E1", "90"),
        correct(3, "C2", "C1", "80"),  # of the correction
        correct(4, "C3", "E1", "70"),  # of the fill
        fill(5, "E2", "5"),
        bust(6, "B1", "E2"),
    )
    assert (told.rows, told.refused, told.waiting) == (6, 0, 0)
    assert net(lake) == {("EQ:AAA", "US"): 70}


def test_of_fix_4_2_the_transaction_type_counts(lake: Lake, tmp_path: Path) -> None:
    told = run(
        lake,
        tmp_path / "a.log",
        message(1, t17="E1", t32="100", t150="1", t20="0"),
        message(2, t17="E2", t32="50", t150="2", t20="0"),
        message(3, t17="E3", t19="E1", t32="60", t150="1", t20="2"),
        message(4, t17="E4", t19="E2", t32="0", t150="2", t20="1"),
        message(5, t17="0", t32="60", t150="1", t20="3"),
    )
    assert (told.rows, told.counts["orders order status"]) == (4, 1)
    assert net(lake) == {("EQ:AAA", "US"): 60}


def test_what_became_of_orders_moves_no_position_and_is_told(lake: Lake, tmp_path: Path) -> None:
    kinds = {"0": "new", "4": "cancelled", "5": "replaced", "8": "rejected", "C": "expired", "A": "pending new"}
    sent = [message(n, t17=f"S{n}", t150=kind, t32="0") for n, kind in enumerate(kinds, 1)]
    told = run(lake, tmp_path / "a.log", *sent, message(7, "j", t372="D"), message(8, "j", t372="D"))
    assert told.rows == 0
    assert told.counts == {"messages": 8, "messages of type j": 2} | {f"orders {k}": 1 for k in kinds.values()}


def test_a_gap_is_told_until_the_messages_are_sent_again(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    told = run(lake, log, fill(1, "E1", "1", t14="1"), fill(5, "E5", "5", t14="8"), fill(8, "E8", "8", t14="16"))
    assert told.gaps == (
        "BROKER>BANK#1: 2-4, 6-7 missing",
        "order BROKER:O1, partially filled: CumQty (14) is 16, and fills of 14 have arrived",
    )
    told = run(lake, log, fill(3, "E3", "2", t43="Y", t122="20200316-14:30:00.000", t14="3"))
    assert told.gaps == ("BROKER>BANK#1: 2, 4, 6-7 missing",)
    assert (told.open, told.incomplete) == (1, 0)
    # the rest were messages of the session alone
    told = run(lake, log, message(2, "4", t36="3", t43="Y", t123="Y"), message(4, "4", t36="8", t43="Y", t123="Y"))
    assert told.gaps == ()
    assert net(lake) == {("EQ:AAA", "US"): 16}


def test_a_correction_waits_for_its_fill_across_a_restart(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    told = run(lake, log, correct(3, "C2", "C1", "80"), bust(4, "B1", "E9"))
    assert (told.rows, told.waiting) == (0, 2)
    told = run(lake, log, correct(2, "C1", "E1", "90", t43="Y"))
    assert (told.rows, told.waiting) == (0, 3)
    told = run(lake, log, fill(1, "E1", "100", t43="Y"))
    assert (told.rows, told.waiting, told.gaps) == (3, 1, ())
    assert net(lake) == {("EQ:AAA", "US"): 80}


def test_what_is_sent_again_counts_once(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    sent = [fill(1, "E1", "100"), correct(2, "C1", "E1", "90")]
    run(lake, log, *sent)
    told = run(lake, log, *sent)  # the same bytes again
    assert (told.rows, told.duplicates, told.counts["messages that had arrived"]) == (0, 2, 2)
    again = [fill(3, "E1", "100", t97="Y"), correct(4, "C1", "E1", "90", t97="Y")]  # with numbers of their own
    told = run(lake, log, *again)
    assert (told.rows, told.duplicates, told.refused, told.counts["executions sent again"]) == (0, 1, 0, 1)
    told = run(lake, log, correct(5, "C1", "E1", "10"), fill(6, "E1", "7"))
    assert (told.rows, told.refused) == (0, 2)
    assert net(lake) == {("EQ:AAA", "US"): 90}


def test_the_next_start_of_a_session_counts_anew(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    run(lake, log, message(1, "A", t141="Y"), fill(5, "E1", "100"))
    told = run(lake, log, message(1, "A", t141="Y"), correct(2, "C1", "E1", "90"), correct(3, "C2", "E1", "80"))
    assert told.gaps == ("BROKER>BANK#1: 2-4 missing",)
    assert (told.rows, net(lake)) == (2, {("EQ:AAA", "US"): 80})
    told = run(lake, log, message(9, "4", t36="20"))  # a reset that gives messages up
    assert told.gaps == ("BROKER>BANK#1: 2-4 missing", "BROKER>BANK#2: 4-19 missing")


def test_whatever_order_messages_arrive_in_the_fold_is_the_same(lake: Lake, tmp_path: Path) -> None:
    sent = [
        fill(1, "E1", "100"),
        correct(2, "C1", "E1", "90"),
        fill(3, "E2", "0.1", t54="2"),
        correct(4, "C2", "C1", "80.3"),
        bust(5, "B1", "E2"),
        fill(6, "E3", "5", t55="BBB"),
        correct(7, "C3", "E1", "70.7"),
    ]
    expected = {("EQ:AAA", "US"): Fraction("70.7"), ("EQ:BBB", "US"): 5}
    for seed in range(2):
        draws = random.Random(seed)
        arriving = draws.sample(sent, len(sent)) + draws.sample(sent, 3)
        parts = draws.randrange(len(arriving))
        other = order_lake(tmp_path / f"lake{seed}")
        log = tmp_path / f"{seed}.log"
        run(other, log, *arriving[:parts])
        told = run(other, log, *arriving[parts:])
        assert (net(other), told.waiting, told.gaps) == (expected, 0, ())


def test_faulty_messages_are_refused_with_their_place_and_the_rest_goes_on(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    good = fill(3, "E3", "3")
    changed = fill(1, "E1", "100").replace(b"32=100", b"32=900")
    short = fill(2, "E2", "100").replace(b"\x019=", b"\x019=9")
    told = run(
        lake, log, changed, short, good, fill(4, "E4", "-1"), fill(5, "E5", "1", t54="9"), fill(6, "E6", "1", t60="x")
    )
    assert (told.rows, told.refused) == (1, 5)
    kept = {
        r["position"]: r["reason"] for r in lake.read("order_feed_messages").to_pylist() if r["status"] == "refused"
    }
    reasons = list(kept.values())
    assert any("CheckSum (10) is" in r and "the bytes sum to" in r for r in reasons)
    assert "the message has no end before the next one" in reasons
    assert any("expected a positive number" in r for r in reasons)
    assert "Side (54) is 9; expected one of 1, 3, 2, 4, 5, 6" in reasons
    assert "TransactTime (60) is x; expected such as 20200316-14:30:00.123" in reasons
    assert told.gaps[0] == "BROKER>BANK#1: 1-2 missing"


def test_a_checksum_that_is_wrong_is_found_in_every_byte() -> None:
    whole = fill(1, "E1", "100")
    (found,) = find_messages(whole, whole=True)
    assert found.fault is None
    for at in range(len(b"8=FIX.4.4\x019=")):
        assert not [m for m in find_messages(whole[:at] + b"#" + whole[at + 1 :], whole=True) if m.fault is None]
    for at in range(20, len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        assert not [m for m in find_messages(changed, whole=True) if m.fault is None], at


def test_bars_in_place_of_soh_and_data_that_holds_soh_are_read() -> None:
    (found,) = find_messages(b"x" + fill(1, "E1", "100").replace(b"\x01", b"|"), whole=True)
    assert (found.fault, found.fields[17], found.start) == (None, "E1", 1)
    made = simplefix.FixMessage()
    made.append_pair(8, "FIX.4.4")
    made.append_pair(35, "B")
    made.append_data(95, 96, "a\x01b=c")
    made.append_pair(58, "text")
    (found,) = find_messages(bytes(made.encode()), whole=True)
    assert (found.fault, found.fields[96], found.fields[58]) == (None, "a\x01b=c", "text")


def test_a_message_is_read_when_its_end_is_there(lake: Lake, tmp_path: Path) -> None:
    log, whole = tmp_path / "a.log", fill(1, "E1", "100")
    for at in (0, 5, 30, len(whole) - 1):
        assert list(find_messages(whole[:at], whole=False)) == []
    log.write_bytes(whole[:40])
    assert run(lake, log).rows == 0
    with log.open("ab") as end:
        end.write(whole[40:])
    assert run(lake, log).rows == 1
    log.write_bytes(fill(2, "E2", "1"))  # another log of the name
    told = run(lake, log)
    assert (told.rows, told.counts["logs begun anew"]) == (1, 1)


def test_logs_in_a_folder_are_read_whole(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.fix").write_bytes(fill(1, "E1", "100") + correct(2, "C1", "E1", "90"))
    reader = order_reader(lake)

    def go(copy: DropCopy | None) -> FeedReport:
        source = FolderSource(folder, reader, settle_seconds=0, drop_copy=copy)
        feed = OrderFeed(lake, "in", source, reader, committing(lambda: Committer(lake, "test")))
        feed.run(lambda seconds: False, once=True)
        return feed.report()

    copy = DropCopy(
        reader, Rules.model_validate({"columns": {"symbol": "EQ:{55}", "currency": "USD", "account": "{1}"}})
    )
    assert (told := go(copy)).refused == 1  # of the fill, for want of its members; the correction waits
    assert told.waiting == 1
    (folder / "b.fix").write_bytes(fill(3, "E2", "1"))
    assert go(None).refused == 2


def test_whatever_stands_in_a_field_is_told_and_ends_no_feed(lake: Lake, tmp_path: Path) -> None:
    reader = order_reader(lake)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    copy = DropCopy(reader, read_rules(rules))
    number = 0
    for tag in (
        "t1",
        "t14",
        "t15",
        "t17",
        "t19",
        "t20",
        "t31",
        "t32",
        "t36",
        "t37",
        "t39",
        "t54",
        "t55",
        "t60",
        "t75",
        "t95",
        "t150",
    ):
        for value in ("\xb2", "9" * 5000, "-1", "x", "20209999", "0", "1e5"):
            for kind in ("8", "4", "A"):
                number += 1
                sent, portion = message(number, kind, **{"t17": f"E{number}", tag: value.encode("latin-1")}), Portion()
                assert copy.take(portion, "a.log", 0, sent, whole=True) == len(sent)
                assert portion.counts["messages"] == 1
                assert kind != "8" or portion.rows or portion.told or portion.counts.total() > 1


def test_rules_are_checked(lake: Lake, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    reader = order_reader(lake)
    with pytest.raises(BadInput, match="cannot be read"):
        read_rules(rules)
    rules.write_text('zone = "Mars"\n[columns]\n')
    with pytest.raises(BadInput, match="expected a time zone such as America/New_York"):
        read_rules(rules)
    rules.write_text('[columns]\nacount = "{1}"\n')
    with pytest.raises(BadInput, match="account"):
        DropCopy(reader, read_rules(rules))
    rules.write_text('[columns]\nquantity = "{38}"\n')
    with pytest.raises(BadInput, match="quantity"):
        DropCopy(reader, read_rules(rules))
    with pytest.raises(NotFound, match="There is no log"):
        FixLog(tmp_path / "none.log", DropCopy(reader, Rules(columns={})))


def test_numbers_that_have_arrived() -> None:
    numbers = SequenceNumbers()
    draws, seen = random.Random(3), set[int]()
    for _ in range(2000):
        n = draws.randrange(1, 400)
        assert numbers.arrived(n) == (n not in seen)
        seen.add(n)
        lacking = [m for m in range(1, max(seen)) if m not in seen]
        assert [m for m in range(1, numbers.expected) if not numbers.has(m)] == lacking
    again = SequenceNumbers(numbers.expected, numbers.missing)
    assert (again.expected, again.missing) == (numbers.expected, numbers.missing)
