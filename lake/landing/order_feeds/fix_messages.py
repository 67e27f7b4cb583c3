"""FIX messages of tag=value fields found in a log, with body length and checksum verified.

Between messages may stand whatever the log writes, such as times. Fields end with SOH, or with `|` where the log has put that in its place;
both sum up to the checksum of SOH. Source: FIX 4.4 specification, volume 1, "Message format", and volume 2, "Checksum calculation".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

MOST_BODY = 1 << 20
_SOH, _BAR = b"\x01", b"|"
_START = re.compile(rb"8=(FIXT?\.[0-9]\.[0-9][A-Z0-9]*)(\x01|\|)9=([0-9]{1,9})(\x01|\|)")
_LONGEST_START = 40
_TRAILER = 7  # 10=ddd and what ends it
# the tag of a length and that of the data, which may hold SOH (FIX 4.4, volume 6, data type `data`)
_DATA = {90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359, 360: 361}
_DATA |= {362: 363, 364: 365, 445: 446, 618: 619, 621: 622}


class FixMessage(NamedTuple):
    """A message, or what is wrong with one. start, end : its bytes. fields : the first value of each tag; empty where there is a fault."""

    start: int
    end: int
    fields: dict[int, str]
    fault: str | None = None


def find_messages(data: bytes, *, whole: bool) -> Iterator[FixMessage]:
    """The messages in the order they stand. whole : nothing follows, so that a message without its end is a fault; else it is left out,
    to be found when more is there."""
    at = 0
    while (start := data.find(b"8=FIX", at)) >= 0:
        found = _message(data, start)
        if found is None:
            if not whole:
                return
            found = FixMessage(start, len(data), {}, "the message has no end")
        yield found
        at = found.end


def _message(data: bytes, start: int) -> FixMessage | None:
    """The message that begins there; None where its end is not there yet."""

    def faulty(what: str) -> FixMessage:
        following = data.find(b"8=FIX", start + 5)
        return FixMessage(start, len(data) if following < 0 else following, {}, what)

    head = _START.match(data, start)
    if head is None:
        if len(data) - start < _LONGEST_START and data.find(b"8=FIX", start + 5) < 0:
            return None
        return faulty("BeginString (8) is not followed by BodyLength (9) with a whole number")
    separator = head[2]
    if int(head[3]) > MOST_BODY:
        return faulty(f"BodyLength (9) is {int(head[3]):,}; at most {MOST_BODY:,} bytes are read")
    end = head.end() + int(head[3])
    if len(data) < end + _TRAILER:
        return None if _START.search(data, head.end()) is None else faulty("the message has no end before the next one")
    trailer = re.fullmatch(rb"10=([0-9]{3})" + re.escape(separator), data[end : end + _TRAILER])
    if trailer is None or data[end - 1 : end] != separator:
        return faulty(f"BodyLength (9) is {int(head[3])}, and CheckSum (10) does not stand there")
    summed = sum(data[start:end].replace(_BAR, _SOH) if separator == _BAR else data[start:end]) % 256
    if summed != int(trailer[1]):
        return FixMessage(
            start, end + _TRAILER, {}, f"CheckSum (10) is {int(trailer[1])}, and the bytes sum to {summed}"
        )
    fields = _fields(data[head.end() : end], separator)
    if isinstance(fields, str):
        return FixMessage(start, end + _TRAILER, {}, fields)
    return FixMessage(start, end + _TRAILER, {8: head[1].decode(), **fields})


def _fields(body: bytes, separator: bytes) -> dict[int, str] | str:
    """The first value of each tag, or what is wrong."""
    fields: dict[int, str] = {}
    at, length = 0, None
    while at < len(body):
        equals = body.find(b"=", at)
        tag = body[at:equals] if equals > at else b""
        if not re.fullmatch(b"[0-9]{1,9}", tag):
            return f"a field has no tag: {body[at : at + 20]!r}"
        number = int(tag)
        end = body.find(separator, equals + 1)
        if length is not None and number == length[0]:
            end = equals + 1 + length[1]
            if body[end : end + 1] != separator:
                return f"field {number} is not as long as the field before it says"
        value = body[equals + 1 : end].decode("latin-1")
        fields.setdefault(number, value)
        length = (_DATA[number], int(value)) if number in _DATA and re.fullmatch("[0-9]{1,9}", value) else None
        at = end + 1
    return fields


class SequenceNumbers:
    """Which sequence numbers of a session have arrived: all below `expected` but those of `missing`, ranges in rising order."""

    def __init__(self, expected: int = 1, missing: tuple[str, ...] = ()) -> None:
        self.expected = expected
        self._missing = [_range(text) for text in missing]

    def arrived(self, number: int) -> bool:
        """Takes a number; false where it had arrived before."""
        return self.arrived_up_to(number, number + 1)

    def arrived_up_to(self, first: int, end: int) -> bool:
        """Takes the numbers from `first` to before `end`; false where all of them had arrived."""
        new = end > self.expected
        if first > self.expected:
            self._missing.append((self.expected, first - 1))
        kept = []
        for low, high in self._missing:
            if high < first or low >= end:
                kept.append((low, high))
                continue
            new = True
            kept += [r for r in ((low, first - 1), (end, high)) if r[0] <= r[1]]
        self._missing, self.expected = kept, max(self.expected, end)
        return new

    def lost_up_to(self, end: int) -> None:
        """The next number is `end`: those from the expected one on do not come."""
        if end > self.expected:
            self._missing.append((self.expected, end - 1))
            self.expected = end

    def has(self, number: int) -> bool:
        """Whether a number has arrived."""
        at = bisect_left(self._missing, (number + 1,)) - 1
        return number < self.expected and not (at >= 0 and self._missing[at][1] >= number)

    @property
    def missing(self) -> tuple[str, ...]:
        """As text, such as 17-19 or 25."""
        return tuple(f"{low}-{high}" if high > low else str(low) for low, high in self._missing)


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)
