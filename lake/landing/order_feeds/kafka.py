"""A Kafka topic of orders. Each message is a row of a file of orders: a JSON object by column, or CSV with its header. Its key, where it
has one, is the order.

Offsets are those that the lake has of the rows it holds; none are committed to the broker, so that there is one truth of what was read.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.canonical import refuse_nested
from lake.errors import BadInput, NotFound, NotReady
from lake.landing.order_feeds.portion import REFUSED, Mark, Portion, Resumed
from lake.landing.orders import OrderReader, Row
from lake.landing.rows import listed

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

MOST_MESSAGES = 1000  # of a portion
PREFETCHED_KIB = 8192  # held by the client before they are read
LOOK_SECONDS = 30.0  # between two looks for partitions that were added
ASK_SECONDS = 10.0  # that brokers may take to answer
_OWN = ("bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset")
_ADVICE = "Install the client: pip install 'varlake[kafka]'."


def read_settings(path: Path | None) -> dict[str, str]:
    """Settings of the client from a file, name=value a line: what is secret stands on no command line."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise BadInput(f"{path.name}, line {number}: expected name=value, a setting of librdkafka.")
        if name in _OWN:
            raise BadInput(f"{path.name}, line {number}: {name} is set by the feed; leave it out.")
        found[name] = value
    return found


class KafkaSource:
    """All partitions of a topic, read from where the lake says that each was read to, else from its beginning.

    settings : of librdkafka, beside those of the feed. Raises `NotReady` where the extra is not installed or no broker answers, and
    `NotFound` for a topic that is not there.
    """

    def __init__(
        self, brokers: str, topic: str, reader: OrderReader, settings: Mapping[str, str] | None = None
    ) -> None:
        try:
            import confluent_kafka  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotReady(f"{error}. {_ADVICE}") from None
        self._kafka = confluent_kafka
        self._topic, self._reader = topic, reader
        self._trouble: str | None = None
        try:
            self._consumer: Consumer = confluent_kafka.Consumer(
                {
                    "isolation.level": "read_committed",
                    **(settings or {}),
                    "bootstrap.servers": brokers,
                    "group.id": "varlake",  # has to be given; none is joined, and nothing committed
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "queued.max.messages.kbytes": PREFETCHED_KIB,
                    "log_level": 2,  # the rest comes to error_cb
                    "error_cb": self._told,
                }
            )
        except confluent_kafka.KafkaException as error:
            raise BadInput(f"The Kafka client refuses its settings: {error.args[0].str()}.") from None
        self._positions: dict[int, int] = {}
        self._marks: dict[str, Mark] = {}
        self._ended: set[int] = set()  # partitions read to their end
        self._looked = 0.0

    def _told(self, error: Any) -> None:
        self._trouble = error.str()

    def resume(self, at: Resumed) -> None:
        self._marks = dict(at.marks)
        self._look()

    def _look(self) -> None:
        """Takes up the partitions that there are and are not read yet."""
        self._looked = time.monotonic()
        try:
            found = self._consumer.list_topics(self._topic, timeout=ASK_SECONDS).topics[self._topic]
        except self._kafka.KafkaException as error:
            if self._positions:
                return  # it was there: the client goes on trying
            raise NotReady(f"No broker answers: {self._trouble or error.args[0].str()}.") from None
        if found.error is not None or not found.partitions:
            raise NotFound(f"There is no topic {self._topic} at these brokers; name the one that orders are in.")
        new = sorted(found.partitions.keys() - self._positions.keys())
        for partition in new:
            mark = self._marks.get(self._part(partition))
            self._positions[partition] = 0 if mark is None else mark.position
        if new:
            # what a topic has dropped before it was ever read is no gap of ours: it begins where it begins
            begins = {p: self._kafka.OFFSET_BEGINNING for p in new if self._part(p) not in self._marks}
            self._consumer.incremental_assign([self._at(p, begins.get(p, self._positions[p])) for p in new])

    def _part(self, partition: int) -> str:
        return f"{self._topic}[{partition}]"

    def _at(self, partition: int, offset: int) -> TopicPartition:
        return self._kafka.TopicPartition(self._topic, partition, offset)

    def read(self, seconds: float) -> Portion | None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        messages = self._consumer.consume(MOST_MESSAGES, timeout=seconds)
        portion = Portion()
        for message in messages:
            error, partition = message.error(), message.partition()
            if error is None:
                self._take(portion, message)
            elif error.code() == self._kafka.KafkaError._PARTITION_EOF and partition is not None:
                self._ended.add(partition)
            elif error.code() == self._kafka.KafkaError._AUTO_OFFSET_RESET and partition is not None:
                self._lost(portion, partition)
            elif not error.retriable():
                raise NotReady(f"Topic {self._topic} cannot be read: {error.str()}.")
        return portion if portion.marks else None

    def _take(self, portion: Portion, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        assert partition is not None, "a message without error has a place"
        assert offset is not None, "a message without error has a place"
        place = (self._part(partition), offset)
        text = (message.value() or b"").decode(errors="replace")
        portion.counts["messages"] += 1
        try:
            portion.rows += [(place, text, row) for row in self._rows(message, f"{place[0]}, offset {offset}")]
        except BadInput as error:
            portion.tell(place, REFUSED, listed(error.issues, values=True) or error.message, text)
        self._ended.discard(partition)
        self._mark(portion, partition, offset + 1)

    def _mark(self, portion: Portion, partition: int, position: int, missing: tuple[str, ...] = ()) -> None:
        part = self._part(partition)
        before = self._marks.get(part, Mark(0))
        self._positions[partition] = position
        self._marks[part] = portion.marks[part] = Mark(position, None, (*before.missing, *missing))

    def _rows(self, message: Message, name: str) -> list[Row]:
        """The rows of a message; raises `BadInput` with every fault."""
        value, key = message.value(), message.key()
        if not value:
            raise BadInput("the message is empty; a cancel is a row with event cancel")
        try:
            text = value.decode("utf-8")
            order = None if key is None else key.decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput("the message is no text in UTF-8") from None
        rows = [
            self._reader.message(name, given) for given in (_json(text) if text.lstrip()[:1] == "{" else _csv(text))
        ]
        for row in rows:
            row["file"] = name
            if order is not None and row["order_id"] != order:
                raise BadInput(f"the key of the message is {order}, and its order_id {row['order_id']}")
        return rows

    def _lost(self, portion: Portion, partition: int) -> None:
        """Goes on where the topic begins, which is behind what was read to: what the broker dropped meanwhile is missing."""
        low, _ = self._consumer.get_watermark_offsets(self._at(partition, 0), timeout=ASK_SECONDS)
        position = self._positions[partition]
        if position < low:
            self._mark(portion, partition, low, (f"{position}-{low - 1}" if low - 1 > position else str(position),))
        else:  # there is less than was read: another topic of that name
            portion.counts["topics begun anew"] += 1
            self._mark(portion, partition, low)
        self._consumer.incremental_unassign([self._at(partition, 0)])
        self._consumer.incremental_assign([self._at(partition, low)])
        self._ended.discard(partition)

    def lag(self) -> dict[str, int]:
        """Messages that are in the topic and were not read; as far as was last known where no broker answers."""
        found = 0
        for partition, position in self._positions.items():
            at = self._at(partition, 0)
            try:
                low, high = self._consumer.get_watermark_offsets(at, timeout=1.0)
            except self._kafka.KafkaException:
                low, high = self._consumer.get_watermark_offsets(at, cached=True)
            found += max(0, high - max(position, low))
        return {"messages": found}

    def drained(self) -> bool:
        return self._ended >= self._positions.keys()

    def close(self) -> None:
        self._consumer.close()


def _json(text: str) -> list[dict[str, str | None]]:
    """The columns of a JSON object; numbers stay the digits that they are."""
    try:
        refuse_nested(text.encode())
        pairs = json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=lambda found: found)
    except ValueError as error:
        raise BadInput(f"the message is no JSON: {error}") from None
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise BadInput("the message gives a column twice")
    if wrong := [name for name, value in pairs if not isinstance(value, str | None)]:
        raise BadInput(f"column {wrong[0]} is no text and no number")
    return [dict(pairs)]


def _csv(text: str) -> list[dict[str, str | None]]:
    """The rows of a header and what follows it."""
    try:
        header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    except csv.Error as error:
        raise BadInput(f"the message is no CSV: {error}") from None
    names = [name.strip() for name in header]
    if not rows:
        raise BadInput("the message has no row; it is a JSON object, or CSV with a header and rows")
    if len(set(names)) < len(names):
        raise BadInput("the message gives a column twice")
    if uneven := [row for row in rows if len(row) != len(names)]:
        raise BadInput(f"a row has {len(uneven[0])} cells where the header has {len(names)}")
    return [dict(zip(names, row, strict=True)) for row in rows]
