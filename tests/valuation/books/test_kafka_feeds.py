"""A feed of orders from a real Kafka broker: nothing is lost or doubled by kills, outages, bursts and pauses. `make kafka-test` runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kafka_broker import Broker, broker
from order_events import HEADER, order, order_lake

from lake.committer import Committer
from lake.errors import BadInput, NotFound, NotReady
from lake.landing.order_feeds.feed import FeedReport, OrderFeed, committing
from lake.landing.order_feeds.kafka import KafkaSource, read_settings
from lake.tables import Lake
from valuation.books.orders import order_reader
from valuation.books.running_positions import RunningPositions

kafka = pytest.importorskip("confluent_kafka")
TOPICS = count()
ROW = {
    "executed_at": "2020-03-16T10:00:00-04:00",
    "symbol": "EQ:AAA",
    "currency": "USD",
    "side": "buy",
    **dict.fromkeys(("portfolio", "client", "account", "desk", "book", "legal_entity", "counterparty"), "X"),
}


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


class Topic:
    """A topic of the test's own."""

    def __init__(self, broker: Broker, partitions: int = 2) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        self.broker, self.name = broker, f"orders{next(TOPICS)}"
        self.admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 2})
        (made,) = self.admin.create_topics([NewTopic(self.name, partitions, 1)]).values()
        made.result(30)
        self._producer = kafka.Producer({"bootstrap.servers": broker.address, "acks": "all", "log_level": 2})

    def put(self, *values: tuple[str | None, Any], partition: int = -1) -> None:
        for key, value in values:
            text = value if isinstance(value, str | bytes | None) else json.dumps(value)
            self._producer.produce(self.name, text, key, partition)
            self._producer.poll(0)
        assert self._producer.flush(60) == 0

    def drop(self, partition: int, offset: int) -> None:
        """Has the broker forget the messages before an offset."""
        (done,) = self.admin.delete_records([kafka.TopicPartition(self.name, partition, offset)]).values()
        done.result(30)


@pytest.fixture
def topic(brokers: Broker) -> Topic:
    return Topic(brokers)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return order_lake(tmp_path / "lake")


def run(lake: Lake, topic: Topic, **options: Any) -> FeedReport:
    reader = order_reader(lake)
    source = KafkaSource(topic.broker.address, topic.name, reader)
    feed = OrderFeed(lake, topic.name, source, reader, committing(lambda: Committer(lake, "test")), **options)
    feed.run(lambda seconds: False, once=True)
    report = feed.report()
    source.close()
    return report


def event(name: str, quantity: str, sequence: int = 1, kind: str = "new", **more: str) -> tuple[str, Any]:
    if kind == "cancel":
        return name, {"order_id": name, "sequence": sequence, "event": kind}
    return name, {**ROW, "order_id": name, "quantity": quantity, "sequence": str(sequence), "event": kind, **more}


def units(lake: Lake) -> Fraction:
    running = RunningPositions()
    rows = Lake.open(lake.path).read("orders").to_pylist(maps_as_pydicts="strict")
    assert len({(r["order_id"], r["sequence"]) for r in rows}) == len(rows), "an event stands twice"
    for row in rows:
        running.apply(row)
    return sum(running.lines.values(), Fraction(0))


def feed(lake: Lake, topic: Topic, *options: str) -> subprocess.Popen[str]:
    """`varlake feed orders` in a process of its own."""
    command = [str(Path(sys.executable).with_name("varlake")), "feed", "orders", "--kafka", topic.broker.address]
    command += ["--topic", topic.name, "--lake", str(lake.path), "--json", *options]
    path = os.pathsep.join(p for p in sys.path if p)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def stopped(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a feed says when it is asked to stop, which takes less than 2 s of its own."""
    process.send_signal(signal.SIGTERM)
    said, wrong = process.communicate(timeout=30)
    assert process.returncode == 0, wrong
    told: dict[str, Any] = json.loads(said)
    return told


def until(holds: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.1)


def test_rows_come_as_json_and_as_csv_and_what_is_wrong_is_told_with_its_place(lake: Lake, topic: Topic) -> None:
    topic.put(
        event("A", "0.1"),
        ("B", '{"order_id":"B","quantity":0.3000000000000001,' + json.dumps(ROW)[1:]),  # digits, not a double
        (None, f"{HEADER}\n{order('C', 'sell', '0.4')}\n{order('D', 'buy', '5', sequence='1')}\n"),
        event("A", "0.1"),
        event("D", "", 2, "cancel"),
        partition=0,
    )
    topic.put(
        ("E", "not json"),
        ("F", {**ROW, "order_id": "G", "quantity": "1"}),
        ("H", {**ROW, "order_id": "H", "quantity": "-1"}),
        ("I", {**ROW, "order_id": "I", "quantity": "1", "qty": "2"}),
        ("J", {**ROW, "order_id": "J", "quantity": ["1"]}),
        (None, None),
        (None, b"\xff"),
        ("K", '{"order_id":"K",'),
        ("L", '{"order_id":"L","order_id":"L"}'),
        partition=1,
    )
    told = run(lake, topic)
    assert (told.rows, told.duplicates, told.refused, told.lag) == (5, 1, 9, {"messages": 0})
    assert units(lake) == Fraction("0.0000000000000001")  # in doubles it is 1.1e-16
    kept = {r["position"]: r["reason"] for r in lake.read("order_feed_messages").to_pylist()}
    begin = (
        "the message has no row",
        "the key of the message is F, and its order_id G",
        "row 1, column quantity: expected a positive number",
        "qty: Unknown column 'qty'. ",
        "column quantity is no text and no number",
        "the message is empty",
        "the message is no text in UTF-8",
        "the message is no JSON: ",
        "the message gives a column twice",
    )
    assert [n for n, text in enumerate(begin) if not kept[n].startswith(text)] == []
    assert run(lake, topic).counts == {}


def test_messages_that_the_broker_dropped_before_they_were_read_are_a_gap(lake: Lake, topic: Topic) -> None:
    topic.put(*(event(f"A{n}", "1") for n in range(5)), partition=0)
    topic.drop(0, 2)
    told = run(lake, topic)
    assert (told.rows, told.gaps) == (3, ())  # a topic begins where it begins
    topic.put(*(event(f"B{n}", "1") for n in range(6)), partition=0)
    topic.drop(0, 9)
    told = run(lake, topic)
    assert (told.rows, told.gaps) == (2, (f"{topic.name}[0]: 5-8 missing",))
    assert run(lake, topic).gaps == told.gaps  # for good


def test_a_feed_that_is_killed_between_batches_loses_and_doubles_nothing(lake: Lake, topic: Topic) -> None:
    draws, expected = random.Random(1), dict[str, Fraction]()
    killed = 0
    for batch in range(6):
        for n in range(60):
            name, quantity = f"A{draws.randrange(200)}", str(draws.randrange(1, 100) / 10)
            sequence = 1 + batch * 60 + n if name in expected else 1
            topic._producer.produce(
                topic.name,
                json.dumps(event(name, quantity, sequence, "new" if sequence == 1 else "correction")[1]),
                name,
            )
            expected[name] = Fraction(quantity)
        assert topic._producer.flush(60) == 0
        running = feed(lake, topic, "--every-seconds", "0.1", "--rows", "20")
        before = lake.version("orders")
        until(lambda before=before: Lake.open(lake.path).version("orders") > before)
        time.sleep(draws.uniform(0, 0.3))
        running.kill()
        killed += running.wait() == -signal.SIGKILL
        running.communicate()
    assert killed == 6
    told = run(lake, topic)
    assert told.lag == {"messages": 0}
    assert units(lake) == sum(expected.values())


def test_a_broker_that_is_killed_and_comes_back_is_read_on(lake: Lake, topic: Topic) -> None:
    topic.put(*(event(f"A{n}", "1") for n in range(50)))
    running = feed(lake, topic, "--every-seconds", "0.2")
    until(lambda: Lake.open(lake.path).version("orders") >= 0)
    topic.broker.kill()
    time.sleep(1)
    assert running.poll() is None
    topic.broker.start()
    topic.put(*(event(f"B{n}", "1") for n in range(50)))
    until(lambda: Lake.open(lake.path).count("orders") == 100)
    told = stopped(running)
    assert (told["rows"], told["lag"], units(lake)) == (100, {"messages": 0}, 100)


def test_a_burst_while_the_feed_is_paused_is_caught_up_in_bounded_memory(lake: Lake, topic: Topic) -> None:
    running = feed(lake, topic, "--every-seconds", "0.5", "--rows", "2000")
    topic.put(*(event(f"A{n}", "1") for n in range(1000)))
    until(lambda: Lake.open(lake.path).count("orders") == 1000)
    before = memory(running.pid, "VmRSS")
    running.send_signal(signal.SIGSTOP)
    burst = 20_000
    topic.put(*(event(f"B{n}", "1") for n in range(burst)))
    time.sleep(2)
    running.send_signal(signal.SIGCONT)
    began = time.monotonic()
    until(lambda: Lake.open(lake.path).count("orders") == 1000 + burst, 120)
    most = memory(running.pid, "VmHWM")
    print(
        f"caught up {burst:,} messages in {time.monotonic() - began:.1f} s; {before:.0f} MiB before, {most:.0f} at most"
    )
    told = stopped(running)
    assert (told["rows"], told["duplicates"], told["lag"]) == (1000 + burst, 0, {"messages": 0})
    assert units(lake) == 1000 + burst
    assert most - before < 100, "memory follows the burst"


def memory(pid: int, which: str) -> float:
    """MiB that a process has in memory: now, VmRSS, or at most so far, VmHWM."""
    line = next(n for n in Path(f"/proc/{pid}/status").read_text().splitlines() if n.startswith(which))
    return int(line.split()[1]) / 1024


def test_a_feed_that_stops_says_how_far_behind_it_is(lake: Lake, topic: Topic) -> None:
    topic.put(*(event(f"A{n}", "1") for n in range(500)))
    reader = order_reader(lake)
    source = KafkaSource(topic.broker.address, topic.name, reader)
    stopping = OrderFeed(lake, topic.name, source, reader, committing(lambda: Committer(lake, "test")))
    assert stopping.report().lag == {"messages": 500}
    source.close()


def test_what_is_not_there_is_told(lake: Lake, topic: Topic, tmp_path: Path) -> None:
    reader = order_reader(lake)

    def opened(address: str, name: str, settings: dict[str, str] | None = None) -> OrderFeed:
        return OrderFeed(
            lake,
            name,
            KafkaSource(address, name, reader, settings),
            reader,
            committing(lambda: Committer(lake, "test")),
        )

    with pytest.raises(NotFound, match="There is no topic none"):
        opened(topic.broker.address, "none")
    with pytest.raises(BadInput, match="The Kafka client refuses its settings: No such configuration property"):
        opened(topic.broker.address, topic.name, {"nothing": "1"})


def test_settings_of_the_client_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# of the test\nsasl.username = me\nsasl.password=a=b\n")
    assert read_settings(file) == {"sasl.username": "me", "sasl.password": "a=b"}
    for text, told in (("nothing", "expected name=value"), ("group.id=x", "group.id is set by the feed")):
        file.write_text(text)
        with pytest.raises(BadInput, match=told):
            read_settings(file)
    with pytest.raises(BadInput, match="cannot be read"):
        read_settings(tmp_path / "none")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(NotReady, match=r"pip install 'varlake\[kafka\]'"):
        KafkaSource("localhost:1", "t", None)  # type: ignore[arg-type]
