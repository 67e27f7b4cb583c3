"""Logs of FIX 4.4: against simplefix on generated messages, by hand against the fields of the standard, and each fault with its place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import simplefix
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import BadInput
from lake.landing import fix
from lake.landing.fix_ticks import PLACES, read_fix
from lake.landing.mapping import FileMapping
from lake.landing.ticks import EVENTS, TickRows

Fields = Sequence[tuple[int, object]]
SENT = "20200316-13:30:00.500"


def message(
    kind: str,
    number: int,
    *fields: tuple[int, object],
    sent: str = SENT,
    sender: str = "EXCHANGE",
    resent: bool = False,
) -> bytes:
    made = simplefix.FixMessage()
    for tag, value in ((8, "FIX.4.4"), (35, kind), (49, sender), (56, "US"), (34, number), (52, sent)):
        made.append_pair(tag, value, header=tag != 8)
    if resent:
        made.append_pair(43, "Y", header=True)
    for tag, value in fields:
        made.append_pair(tag, value)
    return bytes(made.encode())


def snapshot(number: int, symbol: str, *entries: Fields, **more: object) -> bytes:
    inside = [field for entry in entries for field in entry]
    return message("W", number, (55, symbol), (268, len(entries)), *inside, **more)  # type: ignore[arg-type]


def refresh(number: int, *entries: Fields, **more: object) -> bytes:
    return message("X", number, (268, len(entries)), *(f for entry in entries for f in entry), **more)  # type: ignore[arg-type]


def read(folder: Path, *parts: bytes, **more: object) -> TickRows:
    path = folder / "log.fix"
    path.write_bytes(b"".join(parts))
    return read_fix(path, more.pop("mapping", None), **more)  # type: ignore[arg-type]


def told(rows: TickRows) -> list[tuple[object, ...]]:
    """Symbol, message and place, event, number of the tick corrected, price or bid and ask; in the order of the numbers."""
    out = []
    for i in np.argsort(rows.sequence, kind="stable"):
        values = [v for v in (rows.price[i], rows.bid[i], rows.ask[i]) if not np.isnan(v)]
        number = divmod(int(rows.sequence[i]), PLACES)
        out.append((rows.factors[rows.factor[i]], number, EVENTS[rows.event[i]], rows.corrects[i], *values))
    return out


def micros(text: str) -> int:
    return round(dt.datetime.fromisoformat(text + "+00:00").timestamp() * 1_000_000)


BID, OFFER, TRADE = (269, "0"), (269, "1"), (269, "2")
NEW, CHANGE, DELETE = (279, "0"), (279, "1"), (279, "2")


def test_entries_become_ticks(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        snapshot(2, "AAA", [BID, (270, "9.5"), (271, 100)], [BID, (270, "9.25")], [OFFER, (270, "10.5")], [TRADE, (270, "10")]),
        refresh(3, [NEW, BID, (55, "AAA"), (270, "9.75")], [NEW, OFFER, (55, "BBB"), (270, "4")]),
        refresh(4, [NEW, TRADE, (278, "t1"), (55, "AAA"), (270, "10.25"), (271, "300"), (273, "13:29:59.123")]),
        refresh(5, [CHANGE, TRADE, (278, "t1"), (270, "10.75")], [DELETE, BID, (55, "AAA")]),
        refresh(6, [DELETE, TRADE, (278, "t1"), (55, "AAA")], [NEW, (269, "4"), (55, "AAA"), (270, "9")]),
        snapshot(7, "BBB", [OFFER, (270, "5"), (290, 1)], [OFFER, (270, "6"), (290, 2)]),
    )  # fmt: skip
    assert told(rows) == [
        ("AAA", (2, 0), "new", -1, 10.0),
        ("AAA", (2, 1), "new", -1, 9.5, 10.5),
        ("AAA", (3, 0), "new", -1, 9.75),
        ("BBB", (3, 1), "new", -1, 4.0),
        ("AAA", (4, 0), "new", -1, 10.25),
        ("AAA", (5, 0), "correction", 4 * PLACES, 10.75),
        ("AAA", (5, 1), "no_bid", -1),
        ("AAA", (6, 0), "cancel", 5 * PLACES),
        ("BBB", (7, 0), "no_bid", -1),
        ("BBB", (7, 1), "new", -1, 5.0),
    ]
    trade = rows.sequence == 4 * PLACES
    assert (rows.time[trade][0], rows.size[trade][0]) == (micros("2020-03-16T13:29:59.123"), 300)
    assert rows.told == {"snapshots": 2, "refreshes": 4, "entries_of_other_types": 1, "entries_below_the_top": 1}
    quotes = read_fix(tmp_path / "log.fix", None, "quotes")
    assert {len(t) for t in told(quotes)} == {4, 5, 6}
    assert quotes.told["entries_not_taken"] == 4


def test_halts_and_times_around_midnight(tmp_path: Path) -> None:
    after = "20200317-00:00:00.100000"
    rows = read(
        tmp_path,
        message("f", 1, (55, "AAA"), (326, 2)),
        message("f", 2, (55, "AAA"), (326, 17)),
        message("f", 3, (55, "AAA"), (326, 3)),
        snapshot(4, "AAA", [TRADE, (270, 1), (273, "23:59:59.9")], [TRADE, (270, 1), (272, "20200229"), (273, "00:00:01")], sent=after),
        message("0", 5),
    )  # fmt: skip
    assert [t[2] for t in told(rows)] == ["halt", "resume", "new", "new"]
    assert sorted(rows.time.tolist())[::3] == [micros("2020-02-29T00:00:01"), micros("2020-03-16T23:59:59.9")]
    assert rows.told == {
        "security_status": 3, "snapshots": 1, "messages_of_type_0": 1, "security_status_without_halt": 1,
    }  # fmt: skip


def test_messages_count_once_by_number_and_gaps_are_told(tmp_path: Path) -> None:
    def trade(number: int, price: int, **more: object) -> bytes:
        return snapshot(number, "AAA", [TRADE, (270, price)], **more)

    parts = [
        message("A", 1, (141, "Y")),
        trade(2, 10),
        trade(7, 70),
        message("V", 2, sender="US"),
        trade(3, 30, resent=True),
        trade(2, 10, resent=True),
        message("4", 4, (36, 6), (123, "Y"), resent=True),
        message("A", 1, (141, "Y"), sent="20200316-15:00:00"),
        trade(2, 20, sent="20200316-15:00:01"),
        message("A", 1, sent="20200317-00:00:00"),
        trade(2, 21, sent="20200317-00:00:01"),
    ]
    rows = read(tmp_path, *parts)
    second = 10**10
    assert [(t[1][0], t[4]) for t in told(rows)] == [(2, 10), (2, 21), (3, 30), (7, 70), (second + 2, 20)]  # type: ignore[index]
    assert rows.told["messages_sent_again"] == 1
    assert rows.told["messages_missing"] == 1
    assert rows.notes == ("Numbers of messages that never came: 6.",)
    # a log that is cut at the second session of the day says so
    later = read(tmp_path, *parts[7:9], session=1)
    assert later.sequence.tolist() == [(second + 2) * PLACES]
    with pytest.raises(BadInput, match=r"message 2: has a number that a message before it has"):
        read(tmp_path, trade(2, 10), trade(2, 11))
    with pytest.raises(BadInput, match="several senders, each with numbers of its own: EXCHANGE, OTHER"):
        read(tmp_path, trade(2, 10), trade(3, 11, sender="OTHER"))


def damaged(old: bytes, new: bytes) -> bytes:
    whole = snapshot(2, "AAA", [TRADE, (270, "10"), (273, "13:30:00")])
    assert old in whole
    return whole.replace(old, new)


def resummed(part: bytes) -> bytes:
    """The message with the length and the checksum that it has."""
    body = part[part.index(b"\x01", 10) + 1 : -7]
    start = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
    return start + b"10=%03d\x01" % (sum(start) % 256)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (damaged(b"270=10", b"270=11"), "another checksum"),
        (damaged(b"270=10", b"270=100"), "a body of another length"),
        (damaged(b"FIX.4.4", b"FIX.4.2"), "is not FIX.4.4"),
        (resummed(damaged(b"270=10", b"270=1O")), "a number, time or flag that is none"),
        (resummed(damaged(b"273=13:30:00", b"273=13:61:00")), "a number, time or flag that is none"),
        (resummed(damaged(b"268=1", b"268=2")), "another number of entries"),
        (resummed(damaged(b"34=2", b"34=x")), "no number or no sending time"),
        (resummed(damaged(b"269=2\x01", b"")), "without its type"),
        (resummed(damaged(b"270=10\x01", b"270=10\x01\x01")), "a field that is no tag=value"),
        (b"35=W\x0134=2\x01", "stands between messages"),
    ],
)
def test_what_is_not_as_the_standard_has_it_is_a_fault_with_its_place(part: bytes, said: str, tmp_path: Path) -> None:
    good = snapshot(1, "AAA", [TRADE, (270, "10")])
    with pytest.raises(BadInput) as error:
        read(tmp_path, good, part, snapshot(3, "AAA", [TRADE, (270, "10")]))
    (issue,) = error.value.issues
    assert issue.pointer == "message 2"
    assert said in issue.message
    at = int(issue.message.rpartition(" ")[2].replace(",", ""))
    assert len(good) <= at < len(good) + len(part)


def test_a_log_has_lines_of_its_own_and_may_end_within_a_message(tmp_path: Path) -> None:
    whole = snapshot(1, "AAA", [TRADE, (270, "10")])
    rows = read(tmp_path, b"2020-03-16 13:30:00 in: ", whole, b"\n2020-03-16 13:30:01 in: ", whole[:-20])
    assert len(rows) == 1
    assert rows.notes[0].startswith("log.fix ends within a message of")
    with pytest.raises(BadInput, match=r"no message of market data .* end with \|"):
        read(tmp_path, whole.replace(b"\x01", b"|"))
    with pytest.raises(BadInput, match="1 of type 0"):
        read(tmp_path, message("0", 1))


def test_symbols_become_risk_factors_by_a_mapping(tmp_path: Path) -> None:
    mapping = FileMapping.model_validate({"columns": {"risk_factor_id": {"from": "Symbol", "prefix": "EQ:"}}})
    rows = read(tmp_path, snapshot(1, "AAA", [TRADE, (270, "10")]), mapping=mapping)
    assert rows.factors == ["EQ:AAA"]
    wrong = FileMapping.model_validate({"columns": {"price": {"from": "Symbol", "unit": "pence"}}})
    with pytest.raises(BadInput, match="and not price"):
        read(tmp_path, snapshot(1, "AAA", [TRADE, (270, "10")]), mapping=wrong)


PRICES = st.decimals(-(10**12), 10**12, places=6, allow_nan=False).map(str) | st.from_regex(
    r"-?[0-9]{1,25}(\.[0-9]{0,9})?", fullmatch=True
)
SYMBOLS = st.sampled_from(["", "AAA", "B.B", "längs"])
ENTRY = st.tuples(
    st.sampled_from("0127B"), PRICES, st.integers(0, 10**6), SYMBOLS, st.booleans(), st.binary(max_size=9)
)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 10**9), st.lists(ENTRY, max_size=4)), min_size=1, max_size=6))
def test_every_field_is_that_of_simplefix(
    made: list[tuple[bool, int, list[tuple[str, str, int, str, bool, bytes]]]],
) -> None:
    parts = []
    for is_snapshot, number, entries in made:
        inside: list[tuple[int, object]] = []
        for kind, price, size, symbol, more, data in entries:
            inside += [(269, kind)] if is_snapshot else [(279, "0"), (269, kind)]
            inside += [(55, symbol)] if symbol and not is_snapshot else []
            inside += [(270, price), (271, size)]
            # a field of data holds any byte, the end of a field among them
            inside += [(354, len(data)), (355, data)] if more and data else []
        head = [(55, "ZZZ")] if is_snapshot else []
        parts.append(message("W" if is_snapshot else "X", number, *head, (268, len(entries)), *inside))
    log = fix.messages(b"".join(parts))
    assert log.rest == 0
    assert log.message["fault"].max() <= 0
    parser = simplefix.FixParser()
    parser.add_raw(354, 355)
    parser.append_buffer(b"".join(parts))
    symbols = log.texts(log.entry, "symbol").to_pylist()
    at = 0
    for i in range(len(parts)):
        theirs = parser.get_message()
        assert (log.message["number"][i], chr(log.message["kind"][i])) == (int(theirs.get(34)), theirs.get(35).decode())
        for k in range(int(theirs.get(268))):
            assert log.entry["message"][at] == i
            assert chr(log.entry["type"][at]) == theirs.get(269, k + 1).decode()
            assert log.price[at] == float(theirs.get(270, k + 1))
            assert log.size[at] == float(theirs.get(271, k + 1))
            at += 1
    assert at == len(log.price)
    given_symbols = ["" if w else e[3] for w, _, entries in made for e in entries]
    assert [s.decode() for s in symbols] == given_symbols
