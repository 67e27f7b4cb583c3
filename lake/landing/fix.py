"""Messages of FIX 4.4 in a log or a stream: lengths and checksums verified, the fields of market data read where they stand.

A pass over the bytes, for the tags that market data needs; every other field is skipped, and every other message is counted.
Source: FIX Protocol 4.4, volumes 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.arrays import Floats, Ints
from lake.compiled import compiled

Bytes = npt.NDArray[np.uint8]

BEGIN, ENTRY = b"8=FIX", b"\x01269="
# columns of what is read of a message; of a text its place and its length
MESSAGE = (
    *("at", "kind", "number", "resent", "sent", "reset", "next", "gap_fill", "status", "entries"),
    *("sender", "sender_length", "symbol", "symbol_length", "fault", "fault_at"),
)
# the same of an entry of market data; -1 where a field is absent
ENTRIES = (
    *("message", "type", "action", "date", "time", "report", "position"),
    *(
        "symbol",
        "symbol_length",
        "id",
        "id_length",
        "reference",
        "reference_length",
        "price",
        "price_length",
        "size",
        "size_length",
    ),
)
FAULTS = (
    "",
    "is not FIX.4.4",
    "has a body of another length than it says",
    "has another checksum than it says",
    "has a field that is no tag=value",
    "has no number or no sending time (MsgSeqNum, SendingTime)",
    "has a number, time or flag that is none",
    "has another number of entries than it says (NoMDEntries)",
    "has an entry without its type (MDEntryType) or update action (MDUpdateAction)",
    "stands between messages, and is none",
)
_VERSION, _LENGTH, _CHECKSUM, _FIELD, _REQUIRED, _VALUE, _GROUP, _ENTRY, _BETWEEN = range(1, 10)
DAY = 86_400_000_000  # microseconds
W, X, SECURITY_STATUS, LOGON, SEQUENCE_RESET = (ord(c) for c in "WXfA4")


@dataclass(frozen=True)
class Messages:
    """What a log holds: MESSAGE and ENTRIES by name, each (n,); prices and sizes, NaN where absent. rest : bytes of a last message that
    the log ends within."""

    data: Bytes
    message: dict[str, Ints]
    entry: dict[str, Ints]
    price: Floats
    size: Floats
    rest: int

    def texts(self, rows: dict[str, Ints], name: str) -> pa.Array:
        """The texts of a field, empty where it is absent, as a dictionary array."""
        return _texts(self.data, rows[name], rows[f"{name}_length"])


def messages(content: bytes) -> Messages:
    """The messages of a log, in its order. What is wrong with one is its `fault`, a place in FAULTS."""
    data = np.frombuffer(content, dtype=np.uint8)
    # each column in one piece, so that it is used as it stands
    entries = np.full((len(ENTRIES), content.count(ENTRY)), -1, dtype=np.int64).T
    numbers = np.full((2, len(entries)), np.nan).T
    # between messages may stand one piece that is none, and one after the last
    found = np.full((len(MESSAGE), 2 * content.count(BEGIN) + 1), -1, dtype=np.int64).T
    long = np.zeros((len(entries), 2), dtype=np.bool_)
    n, n_entries, rest = _read(data, found, entries, numbers, long)
    by_name = dict(zip(MESSAGE, found[:n].T, strict=True))
    of_entry = dict(zip(ENTRIES, entries[:n_entries].T, strict=True))
    for column, name in enumerate(("price", "size")):  # of more digits than a double's quotient is exact for
        for i in np.flatnonzero(long[:n_entries, column]).tolist():
            at = of_entry[name][i]
            numbers[i, column] = float(content[at : at + of_entry[f"{name}_length"][i]])
    return Messages(data, by_name, of_entry, numbers[:n_entries, 0], numbers[:n_entries, 1], rest)


def _texts(data: Bytes, at: Ints, length: Ints) -> pa.Array:
    lengths = np.where(at >= 0, length, 0)
    offsets = np.zeros(len(at) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    packed = _gathered(data, at, offsets)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(packed)]
    plain = pa.Array.from_buffers(pa.large_binary(), len(at), buffers)
    return plain.dictionary_encode()


@compiled
def _gathered(data: Bytes, at: Ints, offsets: Ints) -> Bytes:
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(at)):
        for k in range(offsets[i + 1] - offsets[i]):
            out[offsets[i] + k] = data[at[i] + k]
    return out


@compiled
def _whole(data: Bytes, at: int, end: int) -> int:
    """The number that the bytes write, -1 where they write none of at most 18 digits."""
    if at == end or end - at > 18:
        return -1
    out = 0
    for i in range(at, end):
        digit: Any = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        out = 10 * out + digit
    return out


@compiled
def _time(data: Bytes, at: int, end: int) -> int:
    """Microseconds of HH:MM:SS and up to nine digits after a point, -1 for anything else; a leap second is the next second."""
    if end - at < 8 or data[at + 2] != 58 or data[at + 5] != 58:
        return -1
    hour, minute, second = _whole(data, at, at + 2), _whole(data, at + 3, at + 5), _whole(data, at + 6, at + 8)
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second <= 60):
        return -1
    out = ((hour * 60 + minute) * 60 + second) * 1_000_000
    if end - at == 8:
        return out
    digits = end - at - 9
    if data[at + 8] != 46 or digits > 9:
        return -1
    part = _whole(data, at + 9, end)
    if part < 0:
        return -1
    for _ in range(6 - digits):
        part *= 10
    for _ in range(digits - 6):
        part //= 10
    return out + part


@compiled
def _date(data: Bytes, at: int, end: int) -> int:
    """Microseconds since 1970 of YYYYMMDD, -1 for anything else."""
    if end - at != 8:
        return -1
    year, month, day = _whole(data, at, at + 4), _whole(data, at + 4, at + 6), _whole(data, at + 6, at + 8)
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31):
        return -1
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    if day > (30 if month in (4, 6, 9, 11) else 31) or (month == 2 and day > 28 + leap):
        return -1
    # days from civil (Hinnant): years begin in March
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return days * DAY


@compiled
def _instant(data: Bytes, at: int, end: int) -> int:
    """Microseconds since 1970 of YYYYMMDD-HH:MM:SS and digits after a point, -1 for anything else."""
    if end - at < 17 or data[at + 8] != 45:
        return -1
    date, time = _date(data, at, at + 8), _time(data, at + 9, end)
    return -1 if date < 0 or time < 0 else date + time


@compiled
def _number(data: Bytes, at: int, end: int) -> tuple[float, int]:
    """The nearest double of digits with a sign and a point, and 0; 1 where it has too many digits for that here; 2 for no number.

    A whole number below 2^53 over a power of ten up to 10^22 are two exact doubles, so that their quotient is the nearest one.
    """
    negative = data[at] == 45
    digits, after, whole, point = 0, 0, 0, False
    for i in range(at + negative, end):
        c: Any = np.int64(data[i])
        if c == 46 and not point:
            point = True
        elif 48 <= c <= 57:
            digits += 1
            after += point
            if digits <= 18:
                whole = 10 * whole + c - 48
        else:
            return np.nan, 2
    if digits == 0:
        return np.nan, 2
    if digits > 15:
        return np.nan, 1
    power = 1.0
    for _ in range(after):
        power *= 10.0
    out = whole / power
    return (-out if negative and whole else out), 0


@compiled
def _begins(data: Bytes, at: int) -> bool:
    """Whether 8=FIX stands there."""
    return (
        at + 5 <= len(data)
        and data[at] == 56
        and data[at + 1] == 61
        and data[at + 2] == 70
        and data[at + 3] == 73
        and data[at + 4] == 88
    )


@compiled
def _is_length(tag: int) -> bool:
    """Whether the field after one of this tag is data of so many bytes, any among them."""
    return tag in (90, 93, 95, 212, 348, 350, 352, 354, 356, 358, 360, 362, 364, 445, 618, 621)


@compiled
def _read(
    data: Bytes,
    found: npt.NDArray[np.int64],
    entries: npt.NDArray[np.int64],
    numbers: Floats,
    long: npt.NDArray[np.bool_],
) -> tuple[int, int, int]:
    n, n_entries, at, size = 0, 0, 0, len(data)
    while at < size:
        if not _begins(data, at):
            first, soh = at, False
            while at < size and not _begins(data, at):
                soh = soh or data[at] == 1
                at += 1
            if soh:  # of fields, not of the log
                found[n, 0], found[n, 14], found[n, 15] = first, _BETWEEN, first
                n += 1
            continue
        # BeginString, BodyLength
        start, version = at, at
        while at < size and data[at] != 1:
            at += 1
        known = (
            at - version == 9
            and data[at - 4] == 46
            and data[at - 3] == 52
            and data[at - 2] == 46
            and data[at - 1] == 52
        )
        at += 1
        length_at = at + 2
        while at < size and data[at] != 1:
            at += 1
        if at >= size:
            return n, n_entries, size - start
        body = at + 1
        length = _whole(data, length_at, at) if data[length_at - 2] == 57 and data[length_at - 1] == 61 else -1
        end = body + length  # of the body; the checksum follows
        message = found[n]
        message[0] = start
        fault, fault_at = 0, start
        if not known:
            fault = _VERSION
        elif length < 0:
            fault = _LENGTH
        elif end + 7 > size:
            # the log may end within it, or the length is wrong: then another begins before
            k = body
            while k < size and not (data[k - 1] == 1 and _begins(data, k)):
                k += 1
            if k >= size:
                return n, n_entries, size - start
            fault = _LENGTH
        elif data[end - 1] != 1 or data[end] != 49 or data[end + 1] != 48 or data[end + 2] != 61 or data[end + 6] != 1:
            fault = _LENGTH
        else:
            total = 0
            for i in range(start, end):
                total += data[i]
            if total % 256 != _whole(data, end + 3, end + 6):
                fault = _CHECKSUM
        if fault:
            message[14], message[15] = fault, fault_at
            n += 1
            at = start + 1
            while at < size and not (_begins(data, at) and (data[at - 1] == 1 or data[at - 1] == 10)):
                at += 1
            continue
        n_before, entry, data_length = n_entries, -1, -1
        at = body
        while at < end:
            field, tag = at, 0
            while at < end and 48 <= data[at] <= 57:
                tag = 10 * tag + data[at] - 48
                at += 1
            if at == field or at >= end or data[at] != 61 or at - field > 9:
                fault, fault_at = _FIELD, field
                break
            at += 1
            value = at
            if data_length >= 0:  # a field of data may hold any byte
                at = min(value + data_length, end)
                data_length = -1
            while at < end and data[at] != 1:
                at += 1
            stop = at
            at += 1
            if stop == value:
                fault, fault_at = _FIELD, field
                break
            if entry >= 0 and (tag == 279 if message[1] == X else tag == 269):
                if n_entries >= len(entries):  # more entries begin than have a type
                    fault, fault_at = _ENTRY, field
                    break
                entry += 1
                row = entries[n_entries]
                row[:] = -1
                row[0] = n
                if tag == 279:
                    row[2] = _whole(data, value, stop)
                    if not 0 <= row[2] <= 2:
                        fault, fault_at = _VALUE, field
                else:
                    row[1] = data[value]
                numbers[n_entries] = np.nan
                long[n_entries] = False
                n_entries += 1
            elif entry == 0 and tag in (269, 270, 271, 272, 273, 278, 280):
                fault, fault_at = _ENTRY, field
            elif entry > 0:
                row = entries[n_entries - 1]
                if tag == 269:
                    row[1] = data[value]
                elif tag == 270 or tag == 271:
                    column = tag - 270
                    numbers[n_entries - 1, column], how = _number(data, value, stop)
                    row[13 + 2 * column], row[14 + 2 * column] = value, stop - value
                    long[n_entries - 1, column] = how == 1
                    if how == 2:
                        fault, fault_at = _VALUE, field
                elif tag == 272:
                    row[3] = _date(data, value, stop)
                    if row[3] < 0:
                        fault, fault_at = _VALUE, field
                elif tag == 273:
                    row[4] = _time(data, value, stop)
                    if row[4] < 0:
                        fault, fault_at = _VALUE, field
                elif tag == 83:
                    row[5] = _whole(data, value, stop)
                elif tag == 290:
                    row[6] = _whole(data, value, stop)
                elif tag == 55:
                    row[7], row[8] = value, stop - value
                elif tag == 278:
                    row[9], row[10] = value, stop - value
                elif tag == 280:
                    row[11], row[12] = value, stop - value
                elif _is_length(tag):
                    data_length = _whole(data, value, stop)
            elif tag == 35:
                message[1] = data[value]
                if stop - value == 2:
                    message[1] += 256 * np.int64(data[value + 1])
            elif tag == 34:
                message[2] = _whole(data, value, stop)
            elif tag == 52:
                message[4] = _instant(data, value, stop)
            elif tag == 43:
                message[3] = data[value] == 89
            elif tag == 49:
                message[10], message[11] = value, stop - value
            elif tag == 141:
                message[5] = data[value] == 89
            elif tag == 36:
                message[6] = _whole(data, value, stop)
            elif tag == 123:
                message[7] = data[value] == 89
            elif tag == 326:
                message[8] = _whole(data, value, stop)
            elif tag == 268:
                message[9] = _whole(data, value, stop)
                entry = 0 if message[9] >= 0 else -1
                if entry < 0:
                    fault, fault_at = _VALUE, field
            elif tag == 55:
                message[12], message[13] = value, stop - value
            elif _is_length(tag):
                data_length = _whole(data, value, stop)
        if fault == 0:
            if message[1] < 0 or message[2] < 0 or message[4] < 0:
                fault = _REQUIRED
            elif message[1] == W or message[1] == X:
                if message[9] != max(entry, 0):
                    fault = _GROUP
                for k in range(n_before, n_entries):
                    if entries[k, 1] < 0:
                        fault = _ENTRY
        if fault:
            message[14], message[15] = fault, fault_at
            n_entries = n_before
        elif message[1] != W and message[1] != X:
            n_entries = n_before
        n += 1
        at = end + 7
    return n, n_entries, 0
