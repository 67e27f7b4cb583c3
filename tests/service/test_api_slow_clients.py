"""Clients that send slowly, or do not read what they asked for, keep nobody else waiting; every refusal is a problem detail."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from server import ask
from small_lake import MONDAY, book_csv

from service.config import Settings
from service.processes import web

_LARGE = 64 << 20
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n"
VAR = f"GET /api/v1/var?as_of={MONDAY}&by=trade HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
BODY = b"POST /api/v1/var HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@contextmanager
def server(lake: Path, **settings: object) -> Iterator[tuple[tuple[str, int], str]]:
    """The web server in a thread of this process: where it listens, as a socket and as an address."""
    made = web.web_server(Settings.model_validate({"lake": lake, "port": 0, "threads": 2, **settings}))
    stop = threading.Event()
    thread = threading.Thread(target=made.serve, args=(stop,))
    thread.start()
    place = ("127.0.0.1", int(made.effective_port))
    try:
        yield place, f"http://127.0.0.1:{place[1]}/api/v1/"
    finally:
        stop.set()
        made.pull_trigger()
        thread.join()
        for channel in list(made.active_channels.values()):
            channel.handle_close()
        made.close()


def exchanged(place: tuple[str, int], sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes back before the server closes the connection."""
    with socket.create_connection(place, timeout=20) as client:
        client.sendall(sent)
        received = b""
        while part := client.recv(1 << 16):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


@pytest.mark.parametrize("count", [8, 80])
@pytest.mark.parametrize("stage", ["headers", "body", "answer"])
def test_others_are_answered_beside_clients_that_are_slow(valued_lake: Path, stage: str, count: int) -> None:
    sent = {"headers": HEALTH, "body": BODY, "answer": VAR * 50}[stage]
    with server(valued_lake) as (place, url), ExitStack() as slow:
        for _ in range(count):
            client = slow.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(place)
            client.sendall(sent)
        assert ask(f"{url}health")[0] == 200
        assert ask(f"{url}var?as_of={MONDAY}")[0] == 200


@pytest.mark.parametrize("sent", [HEALTH, BODY])
def test_a_request_that_does_not_come_in_time_is_let_go_though_bytes_come(valued_lake: Path, sent: bytes) -> None:
    with (
        patch.object(web, "REQUEST_SECONDS", 0.5),
        server(valued_lake) as (place, _),
        socket.create_connection(place, timeout=20) as client,
    ):
        client.sendall(sent)
        assert any(_hung_up(lambda: client.send(b"a")) for _ in range(200))


def _hung_up(step: Callable[[], object]) -> bool:
    """Whether the server has ended the connection by the time of this step, one of many."""
    time.sleep(0.1)
    try:
        step()
    except ConnectionError:
        return True
    return False


def test_an_answer_that_is_not_taken_is_let_go_though_bytes_go(valued_lake: Path) -> None:
    def large(_: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(_LARGE))])
        return [bytes(_LARGE)]

    parts: list[bytes] = []
    with (
        patch.object(web, "ANSWER_SECONDS", 0.5),
        patch.object(web, "create_app", lambda _: large),
        server(valued_lake) as (place, _),
        socket.socket() as client,
    ):
        client.settimeout(20)
        client.connect(place)
        client.sendall(VAR)
        received = sum(not _hung_up(lambda: client.recv(1)) for _ in range(30))
        while not _hung_up(lambda: parts.append(client.recv(_LARGE))) and parts[-1]:
            received += len(parts[-1])
    assert 0 < received < _LARGE


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", 400),
        (b"GET /api/v1/var?as_of=" + b"1" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 414),
        (HEALTH + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (BODY.replace(b": 100", b": 99999999999"), 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_is_no_request_is_answered_with_a_problem(valued_lake: Path, sent: bytes, status: int) -> None:
    with server(valued_lake) as (place, _):
        given, headers, body = exchanged(place, sent)
    assert given == status
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert (problem["status"], bool(problem["detail"]), len(problem["error_id"])) == (status, True, 16)


CSV = "POST /api/v1/positions?dry_run=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n"


def test_a_file_of_40_mib_is_read_and_one_beyond_the_setting_is_refused(valued_lake: Path) -> None:
    header, row = book_csv().splitlines()[:2]
    rows = [f"{row.replace('T00000-0', f'T{i:05}-0')},{'x' * 8000}" for i in range(5100)]
    lines = "\n".join([f"{header},attribute.note", *rows, ""]).encode()
    assert 41 << 20 > len(lines) > 39 << 20
    with server(valued_lake, upload_mib=41) as (place, _):
        status, _, body = exchanged(
            place, CSV.format(len(lines)).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode() + lines
        )
        assert status == 200, body[:500]
        (report,) = json.loads(body)["reports"]
        assert (report["read"], report["rejected"]) == (5100, 0)
    with server(valued_lake, upload_mib=1) as (place, _):
        status, headers, body = exchanged(place, CSV.format((1 << 20) + 2).encode())
        assert (status, headers["content-type"]) == (413, "application/problem+json")
        assert json.loads(body)["status"] == 413


def test_a_file_that_drips_is_cut_off(valued_lake: Path) -> None:
    with (
        patch.multiple(web, REQUEST_SECONDS=1),
        server(valued_lake) as (place, _),
        socket.create_connection(place, timeout=20) as client,
    ):
        client.sendall(CSV.format(1 << 20).encode())
        with pytest.raises(OSError):
            _drip(client)


def _drip(client: socket.socket) -> None:
    while True:  # a byte now and then
        client.sendall(b"a")
        time.sleep(0.1)
