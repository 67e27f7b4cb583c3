"""Ticks of a recording of FAST market data: its messages decoded and written as those of a FIX log, which has the rules of ticks.

A template gives the field's tag as its id, and the type of message as the field 35. Fields that ticks are not made of are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa

from lake.errors import BadInput
from lake.landing import fix
from lake.landing.child import one_in_child
from lake.landing.decoded import Bound, open_decoded
from lake.landing.fast import CHECK, Decoder, Ends, Values
from lake.landing.fast_templates import Field, read_templates
from lake.landing.fix_ticks import Take, ticks_of
from lake.landing.mapping import FileMapping
from lake.landing.ticks import TickRows

# how messages follow each other: at once, or in blocks after their length in bytes: a stop-bit integer, or four bytes, the highest first
Framing = Literal["consecutive", "stop_bit", "uint32"]
ENDINGS = (".fast",)
MOST_BLOCK = 1 << 24  # bytes
_ENTRIES, _KIND = 268, 35  # NoMDEntries, MsgType
_OF_MESSAGE = frozenset((_KIND, 34, 43, 49, 52, 55, 36, 123, 141, 326, 8))
_OF_ENTRY = frozenset((55, 83, 269, 270, 271, 272, 273, 278, 279, 280, 290))
_FLAGS = frozenset((43, 123, 141))
_SENDING, _TIME = 52, 273
_TABLE = pa.schema(
    [("log", pa.large_binary()), ("at", pa.list_(pa.int64())), ("without_type", pa.int64()), ("rest", pa.int64())]
)


def is_fast(path: Path) -> bool:
    """Whether the name of a file says that it is a recording of FAST."""
    name = path.name.lower().removesuffix(".gz").removesuffix(".zip")
    return PurePosixPath(name).suffix in ENDINGS


def read_fast(
    path: Path,
    templates: Path,
    mapping: FileMapping | None,
    take: Take = "both",
    session: int = 0,
    framing: Framing = "consecutive",
) -> TickRows:
    """The ticks of a recording of FAST 1.1; the rest as `lake.landing.fix_ticks.read_fix`."""
    table = one_in_child(fast_as_fix, path, templates, framing)
    content = table["log"][0].as_py()
    log = replace(fix.messages(content), rest=table["rest"][0].as_py())
    rows = ticks_of(path, log, content, mapping, take, session, table["at"][0].as_py())
    if without := table["without_type"][0].as_py():
        rows.told["messages_without_type"] = without
    return rows


def fast_as_fix(path: Path, templates: Path, framing: Framing) -> Iterator[pa.Table]:
    """A row: the messages as a `log` of FIX 4.4, where each begins in the file (`at`), how many have no type, and the bytes of a last one
    that the file ends within (`rest`)."""
    decoder, bound = Decoder(read_templates(templates), path.name), Bound(path)
    with open_decoded(path, None) as (_, stream):
        data = stream.read()
    log, places, without_type, done = bytearray(), [], 0, 0
    try:
        for at, end, last in _blocks(path.name, data, framing):
            begin = at
            while begin < end:
                try:
                    _, values, after = decoder.message(data, begin, end)
                except Ends:
                    if last:
                        raise
                    raise BadInput(
                        f"{path.name}: the block of {end - at:,} bytes at byte {at:,} ends within the message at byte {begin:,}. {CHECK}"
                    ) from None
                text = _as_fix(values, path.name, begin)
                if text is None:
                    without_type += 1
                else:
                    bound.add(len(text))
                    log += text
                    places.append(begin)
                begin = done = after
    except Ends:
        pass
    row = {"log": [bytes(log)], "at": [places], "without_type": [without_type], "rest": [len(data) - done]}
    yield pa.table(row, _TABLE)


def _blocks(name: str, data: bytes, framing: Framing) -> Iterator[tuple[int, int, bool]]:
    """Begin and end of each block, and whether the file may end within its last message. Raises `Ends` where the file ends within one."""
    if framing == "consecutive":
        yield 0, len(data), True
        return
    at, size = 0, len(data)
    while at < size:
        start = at
        if framing == "uint32":
            length, at = int.from_bytes(data[at : at + 4], "big"), at + 4
        else:
            length = 0
            while at < size and at - start < 5:
                length, at = length << 7 | (data[at] & 0x7F), at + 1
                if data[at - 1] & 0x80:
                    break
            if at <= size and not data[at - 1] & 0x80 and at - start == 5:
                raise BadInput(f"{name}, byte {start:,}: the length of a block has no end (framing {framing}).")
        if at > size or (framing == "stop_bit" and not data[at - 1] & 0x80):
            raise Ends
        if not 0 < length <= MOST_BLOCK:
            raise BadInput(
                f"{name}, byte {start:,}: a block of {length:,} bytes (framing {framing}); expected 1 to {MOST_BLOCK:,}. Check the framing."
            )
        if at + length > size:
            raise Ends
        yield at, at + length, False
        at += length


def _as_fix(values: Values, name: str, at: int) -> bytes | None:
    """The message as FIX writes it, None where it has no type."""
    own: list[tuple[int, bytes]] = []
    entries: list[Values] | None = None
    for item, value in values:
        if isinstance(item, Field):
            if item.id in _OF_MESSAGE:
                _add(own, item.id, value, name, at)
        elif item.length is not None and item.length.id == _ENTRIES:
            if entries is not None:
                raise BadInput(f"{name}, message at byte {at:,}: has two sequences of entries (NoMDEntries).")
            entries = value
    by_tag = dict(own)
    if len(by_tag) < len(own):
        raise BadInput(
            f"{name}, message at byte {at:,}: has a field twice, of tags {', '.join(str(t) for t, _ in own)}."
        )
    kind = by_tag.pop(_KIND, None)
    if kind is None:
        return None
    version = by_tag.pop(8, b"FIX.4.4")
    if version != b"FIX.4.4":
        raise BadInput(
            f"{name}, message at byte {at:,}: is of version {version.decode('ascii', 'replace')}; FIX.4.4 is read, or a template without "
            "BeginString."
        )
    parts = [b"35=%b\x01" % kind, *(b"%d=%b\x01" % field for field in by_tag.items())]
    if entries is not None:
        parts.append(b"268=%d\x01" % len(entries))
        first = 279 if kind == b"X" else 269  # what an entry begins with in FIX
        for entry in entries:
            fields: list[tuple[int, bytes]] = []
            for item, value in entry:
                if isinstance(item, Field) and item.id in _OF_ENTRY:
                    _add(fields, item.id, value, name, at)
            fields.sort(key=lambda field: field[0] != first)
            parts += [b"%d=%b\x01" % field for field in fields]
    body = b"".join(parts)
    whole = b"8=FIX.4.4\x019=%d\x01%b" % (len(body), body)
    return b"%b10=%03d\x01" % (whole, sum(whole) % 256)


def _add(fields: list[tuple[int, bytes]], tag: int, value: Any, name: str, at: int) -> None:
    """Adds a field as its tag and text; an empty text is an absent field, which FIX cannot tell from it."""
    text = text_of_field(tag, value)
    if b"\x01" in text:
        raise BadInput(f"{name}, message at byte {at:,}: the field {tag} has the byte 1, which ends a field of FIX.")
    if text:
        fields.append((tag, text))


def text_of_field(tag: int, value: int | bytes | tuple[int, int]) -> bytes:
    """A value as FIX writes it: decimals with all their digits; whole numbers YYYYMMDDHHMMSSsss of the sending time and HHMMSSsss of an
    entry's time as times; 1 and 0 of flags as Y and N."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple):
        mantissa, exponent = value
        if exponent >= 0:
            return b"%d" % (mantissa * 10**exponent)
        digits = f"{abs(mantissa):0{1 - exponent}d}"
        return f"{'-' if mantissa < 0 else ''}{digits[:exponent]}.{digits[exponent:]}".encode()
    text = str(value)
    if tag in _FLAGS and value in (0, 1):
        return b"NY"[value : value + 1]
    if tag == _SENDING and len(text) == 17:
        return f"{text[:8]}-{text[8:10]}:{text[10:12]}:{text[12:14]}.{text[14:]}".encode()
    if tag == _TIME and 0 <= value < 10**9:
        text = text.zfill(9)
        return f"{text[:2]}:{text[2:4]}:{text[4:6]}.{text[6:]}".encode()
    return text.encode()
