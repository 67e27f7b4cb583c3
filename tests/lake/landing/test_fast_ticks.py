"""A recording of FAST gives the ticks that the same messages give as a log of FIX, cut messages and blocks told with their place."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fast_encoder import Encoder, F, integer, templates_xml
from test_fix import SENT, snapshot

from lake.errors import BadInput
from lake.landing.fast_ticks import Framing, read_fast
from lake.landing.fix_ticks import read_fix

FIELDS = (
    F("MsgType", "ascii", 35, operator="constant", initial=b"W"),
    F("SenderCompID", "ascii", 49, operator="constant", initial=b"EXCHANGE"),
    F("MsgSeqNum", "uInt32", 34, operator="increment"),
    F("SendingTime", "uInt64", 52, operator="copy"),
    F("Symbol", "ascii", 55, operator="copy"),
    F(
        "NoMDEntries",
        "sequence",
        268,
        inside=(
            F("MDEntryType", "ascii", 269, operator="copy"),
            F("MDEntryPx", "decimal", 270, operator="delta"),
            F("MDEntrySize", "uInt32", 271, optional=True),
        ),
    ),
)
# number, symbol, and the entries: type, price as mantissa and exponent, size
MESSAGES = (
    (1, b"AAA", [(b"2", (10125, -2), 300)]),
    (2, b"AAA", [(b"0", (1012, -1), 5), (b"1", (1014, -1), None)]),
    (4, b"BBB", [(b"2", (7, 0), 1), (b"2", (-5, -3), 2)]),
)


def recording(framing: Framing) -> bytes:
    encoder, out = Encoder(), b""
    for number, symbol, entries in MESSAGES:
        inside = [{"MDEntryType": t, "MDEntryPx": p, "MDEntrySize": s} for t, p, s in entries]
        values: dict[str, Any] = {
            "MsgSeqNum": number,
            "SendingTime": 20200316133000500,
            "Symbol": symbol,
            "NoMDEntries": inside,
        }
        one = encoder.message(7, FIELDS, {"MsgType": b"W", "SenderCompID": b"EXCHANGE", **values})
        out += {"consecutive": b"", "stop_bit": integer(len(one), False), "uint32": len(one).to_bytes(4, "big")}[
            framing
        ] + one
    return out


def files(folder: Path, content: bytes) -> tuple[Path, Path]:
    (folder / "templates.xml").write_text(templates_xml(("W", 7, FIELDS)))
    (folder / "day.fast").write_bytes(content)
    return folder / "day.fast", folder / "templates.xml"


@pytest.mark.parametrize("framing", ["consecutive", "stop_bit", "uint32"])
def test_a_recording_has_the_ticks_of_the_log(tmp_path: Path, framing: Framing) -> None:
    rows = read_fast(*files(tmp_path, recording(framing)), None, framing=framing)
    text = {(10125, -2): "101.25", (1012, -1): "101.2", (1014, -1): "101.4", (7, 0): "7", (-5, -3): "-0.005"}
    log = b"".join(
        snapshot(
            number,
            symbol.decode(),
            *([(269, t.decode()), (270, text[p]), *(((271, s),) if s is not None else ())] for t, p, s in entries),
            sent=SENT,
        )
        for number, symbol, entries in MESSAGES
    )
    (tmp_path / "day.fix").write_bytes(log)
    expected = read_fix(tmp_path / "day.fix", None)
    assert len(rows.factor) > 3
    for f in dataclasses.fields(expected):
        one, other = getattr(rows, f.name), getattr(expected, f.name)
        if isinstance(one, np.ndarray) and f.name != "line":
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), f.name
        elif f.name in ("factors", "told"):
            assert one == other, f.name
    assert rows.told["messages_missing"] == 1


def test_a_recording_that_ends_within_a_message_has_the_ticks_before(tmp_path: Path) -> None:
    whole = read_fast(*files(tmp_path, recording("consecutive")), None)
    cut = read_fast(*files(tmp_path, recording("consecutive")[:-1]), None)
    assert 0 < len(cut.factor) < len(whole.factor)


def test_another_framing_than_was_said_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"day\.fast, .*byte 0"):
        read_fast(*files(tmp_path, recording("uint32")), None, framing="consecutive")
