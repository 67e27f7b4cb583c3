"""Ticks of a log of FIX 4.4 market data: snapshots (W), incremental refreshes (X) and halts (f) as ticks of their instruments.

Messages count by session and number: one that is sent again is taken once, a number that never came is told. From one message to the next
nothing is remembered but which tick an entry id means, so that a log may be cut between any two messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pyarrow as pa

from lake.arrays import Bools, Floats, Ints
from lake.compiled import compiled
from lake.errors import BadInput, Issue
from lake.landing import fix
from lake.landing.fix import DAY, LOGON, SECURITY_STATUS, SEQUENCE_RESET, Messages, W, X
from lake.landing.mapping import FileMapping, mapped
from lake.landing.rows import refuse_columns, refuse_whole
from lake.landing.sheet import Sheet, first_bytes
from lake.landing.ticks import EVENTS, TickRows
from lake.words import first_of

Take = Literal["both", "trades", "quotes"]
ENDINGS = (".fix", ".fixlog")
SYMBOL = "Symbol"  # the column that a mapping makes risk factors of
# a tick's number is that of its session, its message and its place in it: the third of message 4 of session 1 is 1 0000000004 00002
PLACES, NUMBERS, SESSIONS = 10**5, 10**10, 10**3
_HALT, _RESUME = 2, 3  # SecurityTradingStatus
_NEW, _CORRECTION, _CANCEL, _NO_BID, _NO_ASK = (
    EVENTS.index(e) for e in ("new", "correction", "cancel", "no_bid", "no_ask")
)
_BID, _OFFER, _TRADE = (ord(c) for c in "012")
_TYPES = {"W": "snapshots", "X": "refreshes", "f": "security_status"}


def is_fix(path: Path) -> bool:
    """Whether the name of a file says that it is a log of FIX."""
    name = path.name.lower().removesuffix(".gz").removesuffix(".zip")
    return PurePosixPath(name).suffix in ENDINGS


def read_fix(path: Path, mapping: FileMapping | None, take: Take = "both", session: int = 0) -> TickRows:
    """The ticks of a log, `line` the number of their message in it.

    mapping : makes risk factors of the column Symbol; without one a symbol is a risk factor. session : number, in its day, of the session
    that the log begins in. Raises `BadInput` for a log with a message that is not as the standard has it, with every such message.
    """
    _, content = first_bytes(path, -1)
    return ticks_of(path, fix.messages(content), content, mapping, take, session)


def ticks_of(
    path: Path,
    log: Messages,
    content: bytes,
    mapping: FileMapping | None,
    take: Take,
    session: int,
    places: Sequence[int] | None = None,
) -> TickRows:
    """As `read_fix`, of messages that are read. places : where each begins in the file, when `content` is not what the file has."""
    told: Counter[str] = Counter()
    stream = _stream(path, log, content, places)
    number_of, kept, notes = _numbers(path, log, stream, session, told)
    symbols, of_entry, of_message = _symbols(log)
    rows = _rows(log, number_of, kept, of_entry, of_message, take, told)
    unknown = rows.factor < 0
    told["entries_without_symbol"] = int(unknown.sum())
    rows = rows.take(~unknown)
    rows.factors, rows.told = _factors(path, symbols, mapping), {k: n for k, n in told.items() if n}
    if log.rest:
        notes.append(
            f"{path.name} ends within a message of {log.rest:,} bytes so far; bring it again when it is whole."
        )
    rows.notes, rows.place = tuple(notes), "message"
    return rows


def _stream(path: Path, log: Messages, content: bytes, places: Sequence[int] | None) -> Bools:
    """The messages of whoever sends the market data; raises `BadInput` with what is wrong with any message."""
    message = log.message
    issues = []
    for i in np.flatnonzero(message["fault"] > 0).tolist():
        at = message["fault_at"][i]
        place = at if places is None else places[i]
        issues.append(
            Issue(f"message {i + 1}", f"{fix.FAULTS[message['fault'][i]]}, at byte {place:,}", _shown(content, at))
        )
    refuse_whole(path.name, issues)
    kinds = message["kind"]
    data = np.isin(kinds, (W, X, SECURITY_STATUS))
    if not data.any():
        found = ", ".join(f"{n:,} of type {_type(k)}" for k, n in Counter(kinds.tolist()).most_common(5)) or "none"
        hint = " Its fields end with | where the standard has the byte 1." if b"|9=" in content[:4096] else ""
        raise BadInput(f"{path.name} has no message of market data (W, X or f); messages: {found}.{hint}")
    senders = log.texts(message, "sender")
    code = senders.indices.to_numpy()
    if len(used := np.unique(code[data])) > 1:
        names = first_of(senders.dictionary[int(s)].as_py().decode("ascii", "replace") for s in used)
        raise BadInput(
            f"{path.name} has market data of several senders, each with numbers of its own: {names}. Divide it by SenderCompID."
        )
    return np.asarray(code == used[0])


def _shown(content: bytes, at: int) -> str:
    return content[at : at + 60].decode("ascii", "replace").replace("\x01", "|")


def _type(kind: int) -> str:
    return chr(kind % 256) + (chr(kind // 256) if kind >= 256 else "") if kind >= 0 else "?"


def _numbers(path: Path, log: Messages, stream: Bools, first: int, told: Counter[str]) -> tuple[Ints, Bools, list[str]]:
    """The number of each message among those of its day (-1 for other senders), which messages count, and what is missing in words."""
    message, rows = log.message, np.flatnonzero(stream)
    kind, number, resent = (message[c][rows] for c in ("kind", "number", "resent"))
    begins = ((kind == LOGON) & (message["reset"][rows] == 1)) | ((number == 1) & (resent != 1))
    begins[0] = False
    session = np.cumsum(begins)
    starts = np.flatnonzero(np.append(True, begins[1:]))
    days = message["sent"][rows][starts] // DAY
    in_day = np.arange(len(days)) - np.maximum.accumulate(
        np.where(np.append(True, days[1:] != days[:-1]), np.arange(len(days)), 0)
    )
    in_day[days == days[0]] += first
    order = np.lexsort((np.arange(len(rows)), number, session))
    again = np.zeros(len(rows), dtype=bool)
    again[order[1:]] = (session[order[1:]] == session[order[:-1]]) & (number[order[1:]] == number[order[:-1]])
    issues = [
        Issue(
            f"message {rows[i] + 1}",
            "has a number that a message before it has, and is not sent again (PossDupFlag)",
            str(number[i]),
        )
        for i in np.flatnonzero(again & (resent != 1)).tolist()
    ]
    if (number >= NUMBERS).any() or in_day.max() >= SESSIONS:
        issues.append(Issue("log", f"has a number above {NUMBERS - 1:,}, or more than {SESSIONS:,} sessions a day"))
    refuse_whole(path.name, issues)
    kept = np.zeros(len(stream), dtype=bool)
    kept[rows[~again]] = True
    out = np.full(len(stream), -1)
    out[rows] = in_day[session] * NUMBERS + number
    for k, n in Counter(kind.tolist()).items():
        told[_TYPES.get(_type(k), f"messages_of_type_{_type(k)}")] += n
    told["messages_of_others"], told["messages_sent_again"] = int((~stream).sum()), int(again.sum())
    # a reset of the sequence stands for the numbers up to its next one
    last = np.where(kind == SEQUENCE_RESET, np.maximum(message["next"][rows] - 1, number), number)
    reach = np.maximum.accumulate((session * NUMBERS + last)[order])
    holes = np.flatnonzero((session[order[1:]] == session[order[:-1]]) & (number[order[1:]] > reach[:-1] % NUMBERS + 1))
    gaps = [(int(reach[h] % NUMBERS + 1), int(number[order[h + 1]] - 1)) for h in holes]
    told["messages_missing"] = sum(b - a + 1 for a, b in gaps)
    notes = (
        [f"Numbers of messages that never came: {first_of(f'{a}' if a == b else f'{a} to {b}' for a, b in gaps)}."]
        if gaps
        else []
    )
    return out, kept, notes


def _symbols(log: Messages) -> tuple[list[str], Ints, Ints]:
    """The symbols, and which of them each entry and each message has, -1 where it has none."""
    entry, message = log.entry, log.message
    own = entry["symbol"] >= 0
    at = np.concatenate([np.where(own, entry["symbol"], message["symbol"][entry["message"]]), message["symbol"]])
    length = np.where(own, entry["symbol_length"], message["symbol_length"][entry["message"]])
    texts = log.texts({"symbol": at, "symbol_length": np.concatenate([length, message["symbol_length"]])}, "symbol")
    codes = np.where(at >= 0, texts.indices.to_numpy(), -1).astype(np.int64)
    names = [t.decode("utf-8", "replace") for t in texts.dictionary.to_pylist()]
    return names, codes[: len(own)], codes[len(own) :]


def _factors(path: Path, symbols: list[str], mapping: FileMapping | None) -> list[str]:
    if mapping is None:
        return symbols
    if strange := [c for c in mapping.columns if c != "risk_factor_id"]:
        raise BadInput(
            f"A log of FIX has the fields of the standard: a mapping makes risk_factor_id of {SYMBOL}, and not {strange[0]}."
        )
    cells = pa.table({"0": pa.array([s or None for s in symbols], pa.string())})
    done = mapped(Sheet(path.name, [SYMBOL], cells, np.arange(len(symbols))), mapping, {})
    refuse_columns(path.name, done.issues)
    if "risk_factor_id" not in done.columns:
        raise BadInput(
            f'The mapping makes no risk factor of the symbols; say risk_factor_id = {{ from = "{SYMBOL}", prefix = "EQ:" }}.'
        )
    return [t or "" for t in done.columns["risk_factor_id"].to_pylist()]


def _rows(
    log: Messages, number: Ints, kept: Bools, of_entry: Ints, of_message: Ints, take: Take, told: Counter[str]
) -> TickRows:
    entry, message = log.entry, log.message
    count = len(log.price)
    two = {f"id{end}": np.concatenate([entry[f"id{end}"], entry[f"reference{end}"]]) for end in ("", "_length")}
    ids = log.texts(two, "id")
    code = ids.indices.to_numpy().astype(np.int64)
    own = np.where(entry["id"] >= 0, code[:count], -1)
    meant = np.where(entry["reference"] >= 0, code[count:], own)
    date, time, sent = entry["date"], entry["time"], message["sent"][entry["message"]]
    # a time without its date is of the day that brings it nearest to the sending
    on_day = sent // DAY * DAY + time
    on_day += DAY * ((on_day < sent - DAY // 2).astype(np.int64) - (on_day > sent + DAY // 2))
    at = np.where(time < 0, sent, np.where(date >= 0, date + time, on_day))
    numbers, texts, left = _ticks(
        entry["message"], entry["type"], entry["action"], entry["position"], of_entry, own, meant, at, log.price, log.size,
        message["kind"], number, kept, len(ids.dictionary), take != "quotes", take != "trades",
    )  # fmt: skip
    told["entries_of_other_types"], told["entries_below_the_top"], told["entries_not_taken"] = left.tolist()
    status = np.flatnonzero(kept & (message["kind"] == SECURITY_STATUS))
    halts = status[np.isin(message["status"][status], (_HALT, _RESUME))]
    told["security_status_without_halt"] = len(status) - len(halts)
    none, n = np.full(len(halts), np.nan), len(halts)
    events = np.where(message["status"][halts] == _HALT, EVENTS.index("halt"), EVENTS.index("resume"))

    def both(column: int, of_halts: Ints) -> Ints:
        return np.concatenate([numbers[:, column], of_halts])

    price, bid, ask, size = (np.concatenate([texts[:, c], none]) for c in range(4))
    return TickRows(
        [],
        both(1, of_message[halts]),
        both(0, halts) + 1,
        both(2, number[halts] * PLACES),
        both(3, message["sent"][halts]),
        both(4, events),
        both(5, np.full(n, -1)),
        price,
        bid,
        ask,
        size,
    )


@compiled
def _ticks(
    message: Ints,
    kind: Ints,
    action: Ints,
    position: Ints,
    symbol: Ints,
    own: Ints,
    meant: Ints,
    time: Ints,
    price: Floats,
    size: Floats,
    message_kind: Ints,
    number: Ints,
    kept: Bools,
    n_ids: int,
    trades: bool,
    quotes: bool,
) -> tuple[Ints, Floats, Ints]:
    """Ticks of entries: (n, 6) message, symbol, number, time, event and number corrected; (n, 4) price, bid, ask, size; and how many
    entries are of another type, below the top of the book, and of a type not asked for."""
    n_entries = len(message)
    out, values, left = (
        np.empty((4 * n_entries, 6), np.int64),
        np.full((4 * n_entries, 4), np.nan),
        np.zeros(3, np.int64),
    )
    tick_of, symbol_of = np.full(n_ids, -1, np.int64), np.full(n_ids, -1, np.int64)
    n, e = 0, 0
    while e < n_entries:
        m = message[e]
        end = e
        while end < n_entries and message[end] == m:
            end += 1
        if not kept[m]:
            e = end
            continue
        snapshot = message_kind[m] == W
        place = 0
        while e < end:
            s = symbol[e] if symbol[e] >= 0 or meant[e] < 0 else symbol_of[meant[e]]
            bid, ask, quoted, gone_bid, gone_ask, at = np.nan, np.nan, False, False, False, time[e]
            while e < end:
                here = symbol[e] if symbol[e] >= 0 or meant[e] < 0 else symbol_of[meant[e]]
                if here != s:
                    break
                if own[e] >= 0:
                    symbol_of[own[e]] = s
                if kind[e] == _TRADE and trades:
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = m, s, number[m] * PLACES + place, time[e]
                    out[n, 4], out[n, 5] = _NEW, -1
                    values[n, 0], values[n, 3] = price[e], size[e]
                    if not snapshot and action[e] != 0:
                        out[n, 4] = _CORRECTION if action[e] == 1 else _CANCEL
                        out[n, 5] = tick_of[meant[e]] if meant[e] >= 0 else -1
                        if action[e] == 2:
                            values[n, 0] = values[n, 3] = np.nan
                    if own[e] >= 0 and action[e] != 2:
                        tick_of[own[e]] = out[n, 2]
                    if meant[e] >= 0 and action[e] == 1:
                        tick_of[meant[e]] = out[n, 2]
                    n += 1
                    place += 1
                elif (kind[e] == _BID or kind[e] == _OFFER) and quotes:
                    if position[e] > 1:
                        left[1] += 1
                    else:
                        quoted, at = True, time[e]
                        gone = not snapshot and action[e] == 2
                        if kind[e] == _BID:
                            best = max(bid, price[e]) if snapshot and not np.isnan(bid) else price[e]
                            bid, gone_bid = (np.nan, True) if gone else (best, False)
                        else:
                            best = min(ask, price[e]) if snapshot and not np.isnan(ask) else price[e]
                            ask, gone_ask = (np.nan, True) if gone else (best, False)
                elif kind[e] == _TRADE or kind[e] == _BID or kind[e] == _OFFER:
                    left[2] += 1
                else:
                    left[0] += 1
                e += 1
            if not quoted:
                continue
            if snapshot:
                gone_bid, gone_ask = np.isnan(bid), np.isnan(ask)
            for event, told in (
                (_NO_BID, gone_bid),
                (_NO_ASK, gone_ask),
                (_NEW, not (np.isnan(bid) and np.isnan(ask))),
            ):
                if told:
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = m, s, number[m] * PLACES + place, at
                    out[n, 4], out[n, 5] = event, -1
                    if event == _NEW:
                        values[n, 1], values[n, 2] = bid, ask
                    n += 1
                    place += 1
    return out[:n], values[:n], left
