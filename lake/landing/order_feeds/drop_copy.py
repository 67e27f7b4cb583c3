"""A FIX drop copy read into orders: each fill is one, which a trade correction or a trade cancel follows; the rest is told as what it is.

Source: FIX 4.4, volume 4, "Execution report", and appendix D; of FIX 4.2 ExecTransType (20) is read too.

Of a fill the `order_id` is SenderCompID:ExecID and the sequence 1. A correction or cancel belongs to the fill that its ExecRefID (19) leads
to, through any corrections between; its sequence follows from MsgSeqNum (34) and the number of the session's start, so that it is the
same in whatever order messages arrive, and however often.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
import zoneinfo
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lake.errors import BadInput, unknown, validated
from lake.landing.order_feeds.fix_messages import FixMessage, SequenceNumbers, find_messages
from lake.landing.order_feeds.portion import (
    INCOMPLETE,
    MOST_TEXT,
    OPEN,
    REFUSED,
    WAITING,
    Execution,
    Mark,
    Place,
    Portion,
    Resumed,
)
from lake.landing.orders import OrderReader, Row
from lake.landing.rows import listed

SEQUENCES_A_START = 10_000_000
_MOST_SEQUENCE = 2**31 - 1
_SIDES = {"1": "buy", "3": "buy", "2": "sell", "4": "sell", "5": "sell", "6": "sell"}  # 54: plus, minus, short as well
_EVENTS = {"fill": "new", "trade correction": "correction", "trade cancel": "cancel"}  # of orders
_FILLS = ("F", "1", "2")  # 150: trade; of FIX 4.2 partial fill and fill
_TYPES = {
    "0": "new",
    "3": "done for day",
    "4": "cancelled",
    "5": "replaced",
    "6": "pending cancel",
    "7": "stopped",
    "8": "rejected",
    "9": "suspended",
    "A": "pending new",
    "B": "calculated",
    "C": "expired",
    "D": "restated",
    "E": "pending replace",
    "I": "order status",
}
_STATUS = _TYPES | {"1": "partially filled", "2": "filled"}  # 39
_OVER = ("2", "3", "4", "8", "C")  # 39: nothing more is filled
_OF_REPORT = ("order_id", "sequence", "event", "executed_at", "side", "quantity", "price")
_PART = re.compile(r"(?P<session>.+>.+)#(?P<start>[0-9]+)")
_TAG = re.compile(r"\{([0-9]+)\}")

Columns = dict[str, str]


class Rules(BaseModel):
    """Of which contract and members the fills are: columns of a file of orders, in which {55} stands for the value of tag 55."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = Field("UTC", description="time zone of trade dates, where a report has no TradeDate (75)")
    columns: Columns = Field(description="columns of every fill, such as account = '{1}'")
    symbols: dict[str, Columns] = Field({}, description="columns of the fills of one Symbol (55), in place of those")
    accounts: dict[str, Columns] = Field({}, description="columns of the fills of one Account (1), in place of those")

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise ValueError("expected a time zone such as America/New_York") from None
        return value

    def of(self, fields: dict[int, str]) -> Columns:
        """The columns of a fill; a tag that it has not is empty."""
        given = self.columns | self.symbols.get(fields.get(55, ""), {}) | self.accounts.get(fields.get(1, ""), {})
        return {name: _TAG.sub(lambda tag: fields.get(int(tag[1]), ""), text) for name, text in given.items()}


def read_rules(path: Path) -> Rules:
    """The rules of a TOML file; raises `BadInput` where it is none."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}. It says of which contracts fills are.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is no TOML: {error}.") from None
    return validated(Rules, given, path.name)


class _Report(NamedTuple):
    """An execution report where it stands: session, number of its start, MsgSeqNum."""

    session: str
    start: int
    number: int
    fields: dict[int, str]
    text: str

    @property
    def part(self) -> str:
        return f"{self.session}#{self.start}"

    @property
    def place(self) -> Place:
        return self.part, self.number

    @property
    def order(self) -> str:
        return f"{self.fields[49]}:{self.fields.get(37, '')}"

    def execution(self, tag: int) -> str:
        return f"{self.fields[49]}:{self.fields.get(tag, '')}"


class _Refused(Exception):
    """Why a report makes no row."""


class DropCopy:
    """What is known of the sessions of a drop copy, and the reports that still matter.

    Raises `BadInput` where the rules name a column that orders have not.
    """

    def __init__(self, reader: OrderReader, rules: Rules) -> None:
        self._reader, self._rules = reader, rules
        self._zone = zoneinfo.ZoneInfo(rules.zone)
        allowed = [c for c in reader.columns if c not in _OF_REPORT]
        for given in (rules.columns, *rules.symbols.values(), *rules.accounts.values()):
            for name in given:
                if name not in allowed and not name.startswith("attribute."):
                    raise unknown("column", name, allowed)
        self._starts: dict[str, int] = {}
        self._numbers: dict[str, SequenceNumbers] = {}
        self._executions: dict[str, Execution] = {}
        self._units: dict[str, dict[str, tuple[int, Fraction]]] = defaultdict(dict)  # by order and fill
        self._waiting: dict[str, list[_Report]] = defaultdict(list)  # by the execution they refer to
        self._last: dict[str, _Report] = {}  # of each order that is told

    def resume(self, at: Resumed) -> None:
        for part, mark in at.marks.items():
            if found := _PART.fullmatch(part):
                start = int(found["start"])
                self._starts[found["session"]] = max(start, self._starts.get(found["session"], 1))
                self._numbers[part] = SequenceNumbers(mark.position, mark.missing)
        self._executions = dict(at.executions)
        for execution in at.executions.values():
            self._count(execution.parent_order_id, execution.order_id, execution.sequence, execution.units)
        for (part, number), told in at.told.items():
            found = _PART.fullmatch(part)
            if found is None or told.status == REFUSED:
                continue
            (message,) = find_messages(told.text.encode("latin-1"), whole=True)
            if message.fault is not None:  # longer than what is kept: it stays as it was told
                continue
            report = _Report(found["session"], int(found["start"]), number, message.fields, told.text)
            if told.status == WAITING:
                self._waiting[report.execution(19)].append(report)
            else:
                self._last[report.order] = report

    def file(self, path: Path) -> Portion:
        """All messages of a file that is whole."""
        portion = Portion()
        self.take(portion, path.name, 0, path.read_bytes(), whole=True)
        return portion

    def take(self, portion: Portion, part: str, offset: int, data: bytes, *, whole: bool) -> int:
        """Takes the messages of a piece of a file, which begins at that byte of it; returns the byte after the last of them."""
        end = offset
        for message in find_messages(data, whole=whole):
            text = data[message.start : message.end].decode("latin-1")
            self._message(portion, (part, offset + message.start), message, text)
            end = offset + message.end
        return offset + len(data) if whole else end

    def _message(self, portion: Portion, place: Place, message: FixMessage, text: str) -> None:
        fields = message.fields
        portion.counts["messages"] += 1
        if message.fault is None and not all(fields.get(tag) for tag in (35, 49, 56)):
            message = message._replace(fault="MsgType (35), SenderCompID (49) or TargetCompID (56) is missing")
        if message.fault is None and not re.fullmatch("[1-9][0-9]{0,17}", fields.get(34, "")):
            message = message._replace(fault="MsgSeqNum (34) is missing, or no whole number from 1")
        if message.fault is not None:
            portion.tell(place, REFUSED, message.fault, text)
            return
        session, number = f"{fields[49]}>{fields[56]}", int(fields[34])
        report = _Report(session, self._start(session, number, fields), number, fields, text)
        numbers = self._numbers.setdefault(report.part, SequenceNumbers())
        new = self._arrived(numbers, number, fields)
        portion.marks[report.part] = Mark(numbers.expected, None, numbers.missing)
        if fields[35] != "8":
            portion.counts[f"messages of type {fields[35]}"] += 1
            return
        if not new:
            portion.counts["messages that had arrived"] += 1
        self._report(portion, report)

    def _start(self, session: str, number: int, fields: dict[int, str]) -> int:
        """The number of the session's start that a message belongs to."""
        start = self._starts.setdefault(session, 1)
        logon = fields[35] == "A" and fields.get(43) != "Y"
        known = self._numbers.get(f"{session}#{start}")
        if logon and known is not None and (fields.get(141) == "Y" or (number == 1 and known.has(1))):
            self._starts[session] = start + 1
        return self._starts[session]

    @staticmethod
    def _arrived(numbers: SequenceNumbers, number: int, fields: dict[int, str]) -> bool:
        """Takes the number of a message; false where it had arrived."""
        following = fields.get(36, "")
        if fields[35] == "4" and re.fullmatch("[0-9]{1,18}", following):
            if fields.get(123) == "Y":  # the numbers up to there were messages of the session alone
                return numbers.arrived_up_to(number, max(int(following), number + 1))
            numbers.lost_up_to(int(following))
            return True
        return numbers.arrived(number)

    def _report(self, portion: Portion, report: _Report) -> None:
        fields = report.fields
        kind = _kind(fields)
        if kind not in _EVENTS:
            portion.counts[f"orders {kind}"] += 1
            self._tell_order(portion, report)
            return
        try:
            row = self._row(portion, report, _EVENTS[kind])
        except _Refused as error:
            portion.tell(report.place, REFUSED, str(error), report.text)
            return
        except BadInput as error:
            portion.tell(report.place, REFUSED, listed(error.issues, values=True) or error.message, report.text)
            return
        if row is None:
            return
        portion.rows.append((report.place, report.text, row))
        portion.told.setdefault(report.place, None)
        units = Fraction(row["quantity"] or 0)
        parent, order, sequence = row["parent_order_id"], row["order_id"], row["sequence"]
        self._executions[row["execution_id"]] = Execution(order, sequence, parent, report.part, units)
        self._count(parent, order, sequence, units)
        self._tell_order(portion, report)
        for waiting in self._waiting.pop(row["execution_id"], ()):
            portion.told[waiting.place] = None
            self._report(portion, waiting)

    def _row(self, portion: Portion, report: _Report, event: str) -> Row | None:
        """The row of a fill, a correction or a cancel; None where it has to wait, or was there before."""
        fields = report.fields
        if not fields.get(17) or fields[17] == "0":
            raise _Refused("ExecID (17) is missing")
        own = report.execution(17)
        known = self._executions.get(own)
        if event == "new":
            order, sequence = own, 1
        else:
            if not fields.get(19):
                raise _Refused("ExecRefID (19) is missing, the execution that is corrected or cancelled")
            referred = self._executions.get(report.execution(19))
            if referred is None:
                if len(report.text) > MOST_TEXT:
                    raise _Refused(f"it is longer than the {MOST_TEXT:,} characters that are kept of one that waits")
                reason = f"ExecRefID (19) {fields[19]} has not arrived"
                portion.tell(report.place, WAITING, reason, report.text)
                if report not in self._waiting[report.execution(19)]:
                    self._waiting[report.execution(19)].append(report)
                return None
            order, sequence = referred.order_id, self._sequence(report, self._executions[referred.order_id])
        if known is not None and (known.order_id, known.sequence) != (order, sequence):
            if "Y" in (fields.get(43), fields.get(97)):
                portion.counts["executions sent again"] += 1
                return None
            raise _Refused(
                f"ExecID (17) {fields[17]} is known, and neither PossDupFlag (43) nor PossResend (97) is set"
            )
        cells = {"order_id": order, "sequence": str(sequence), "event": event}
        if event != "cancel":
            cells |= self._rules.of(fields) | self._traded(fields)
        row = self._reader.message(report.part, cells)
        if event != "cancel" and 75 in fields:
            try:
                if len(fields[75]) != len("YYYYMMDD"):
                    raise ValueError
                row["trade_date"] = dt.datetime.strptime(fields[75], "%Y%m%d").date()
            except ValueError:
                raise _Refused(f"TradeDate (75) is {fields[75]}; expected such as 20200316") from None
        parent = self._executions[order].parent_order_id if event != "new" else report.order
        return row | {
            "execution_id": own,
            "parent_order_id": parent,
            "session": report.part,
            "file": f"{report.part}, message {report.number}",
        }

    def _sequence(self, report: _Report, fill: Execution) -> int:
        """The number of a correction or cancel within its fill."""
        found = _PART.fullmatch(fill.session or "")
        if found is None or found["session"] != report.session:
            raise _Refused(f"the fill came in session {fill.session}, and numbers of two sessions have no order")
        sequence = 1 + (report.start - int(found["start"])) * SEQUENCES_A_START + report.number
        if report.number >= SEQUENCES_A_START or not 1 < sequence <= _MOST_SEQUENCE:
            raise _Refused(f"MsgSeqNum (34) {report.number:,} is beyond what is told apart within a fill")
        return sequence

    def _traded(self, fields: dict[int, str]) -> Columns:
        side = _SIDES.get(fields.get(54, ""))
        if side is None:
            raise _Refused(f"Side (54) is {fields.get(54, 'missing')}; expected one of {', '.join(_SIDES)}")
        return {
            "executed_at": self._instant(fields.get(60, "")).isoformat(),
            "side": side,
            "quantity": fields.get(32, ""),
            "price": fields.get(31, ""),
        }

    def _instant(self, text: str) -> dt.datetime:
        """A UTCTimestamp in the zone of trade dates; what is finer than a microsecond is cut off."""
        try:
            if not re.fullmatch(r"\d{8}-\d\d:\d\d:\d\d(\.\d{1,12})?", text):
                raise ValueError
            whole, _, fraction = text.partition(".")
            found = dt.datetime.strptime(whole, "%Y%m%d-%H:%M:%S")
        except ValueError:
            raise _Refused(
                f"TransactTime (60) is {text or 'missing'}; expected such as 20200316-14:30:00.123"
            ) from None
        at = found.replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=dt.UTC)
        return at.astimezone(self._zone)

    def _count(self, parent: str | None, fill: str, sequence: int, units: Fraction) -> None:
        if parent is not None and sequence >= self._units[parent].get(fill, (0, units))[0]:
            self._units[parent][fill] = (sequence, units)

    def _tell_order(self, portion: Portion, report: _Report) -> None:
        """What the last report says of its order, where it is open or its fills do not add up."""
        if not report.fields.get(37):
            return
        if report.order not in self._last and report.number + 1 < self._numbers[report.part].expected:
            return  # late: a report after it may have said already that the order is done
        last = self._last.setdefault(report.order, report)
        if (report.start, report.number) > (last.start, last.number):
            portion.told[last.place] = None
            last = self._last[report.order] = report
        filled, arrived = _units(last.fields.get(14)), sum((u for _, u in self._units[last.order].values()), Fraction())
        status, left = last.fields.get(39, ""), _units(last.fields.get(151))
        said = _STATUS.get(status, f"status {status}")
        if filled is not None and filled != arrived:
            reason = f"order {last.order}, {said}: CumQty (14) is {_text(filled)}, and fills of {_text(arrived)} have arrived"
            portion.tell(last.place, INCOMPLETE, reason, last.text)
        elif status in _OVER or left == 0:
            portion.told[last.place] = None
        else:
            of = f"{_text(filled or Fraction())} filled, {'?' if left is None else _text(left)} left"
            portion.tell(last.place, OPEN, f"order {last.order}, {said}: {of}", last.text)


def _kind(fields: dict[int, str]) -> str:
    """What an execution report says: a key of `_EVENTS`, or what became of an order."""
    kind, of_42 = fields.get(150, ""), fields.get(20)
    if of_42 == "3":
        return "order status"
    if kind == "H" or of_42 == "1":
        return "trade cancel"
    if kind == "G" or of_42 == "2":
        return "trade correction"
    return "fill" if kind in _FILLS else _TYPES.get(kind, f"of ExecType {kind or 'missing'}")


def _units(text: str | None) -> Fraction | None:
    return Fraction(text) if text is not None and re.fullmatch(r"\d{1,18}(\.\d{0,18})?|\.\d{1,18}", text) else None


def _text(units: Fraction) -> str:
    return f"{float(units):.15g}"
