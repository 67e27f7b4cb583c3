"""A Kafka broker of the test's own, in KRaft mode, from the jars that `make kafka-test` fetches."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

SETTING = "VARLAKE_KAFKA_JARS"


class Broker:
    """One process that is broker and controller. `address` stays the same when it is started again."""

    def __init__(self, folder: Path, jars: Path, java: str) -> None:
        self._folder, self._java = folder, java
        self._classes = f"{jars}/*"
        port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._settings = folder / "server.properties"
        self._settings.write_text(
            "\n".join(
                [
                    "process.roles=broker,controller",
                    "node.id=1",
                    f"controller.quorum.voters=1@127.0.0.1:{controller}",
                    f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                    f"advertised.listeners=PLAINTEXT://{self.address}",
                    "controller.listener.names=CONTROLLER",
                    f"log.dirs={folder / 'data'}",
                    "offsets.topic.replication.factor=1",
                    "transaction.state.log.replication.factor=1",
                    "transaction.state.log.min.isr=1",
                    "auto.create.topics.enable=false",
                    "log.retention.check.interval.ms=500",
                    "num.partitions=1",
                ]
            )
        )
        identifier = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._call("kafka.tools.StorageTool", "format", "-t", identifier, "-c", str(self._settings))
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, *arguments: str) -> list[str]:
        return [self._java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self._classes, *arguments]

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command("kafka.Kafka", str(self._settings)), stdout=log, stderr=log)
        host, _, port = self.address.partition(":")
        until = time.monotonic() + 90
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            assert time.monotonic() < until, "the broker does not listen"
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """Skips where the jars or Java are not here."""
    jars, java = os.environ.get(SETTING), shutil.which("java")
    if not jars or not list(Path(jars).glob("kafka_*.jar")):
        pytest.skip(f"No Kafka broker here: `make kafka-test` fetches one, and names its folder in {SETTING}")
    if java is None:
        pytest.skip("A Kafka broker needs Java on the path")
    started = Broker(folder, Path(jars), java)
    started.start()
    try:
        yield started
    finally:
        started.kill()
