"""Benchmark of the HTTP API: the real server on the loopback address, and clients in a process of their own."""

from __future__ import annotations

import contextlib
import http.client
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lake.errors import NotReady
from service.bench.harness import VALUATION_DATE, Row, p95, row
from service.bench.reduce import make_lake, unmeasured

CLIENTS = 8
_LIGHT, _PAUSE = 10, 0.05  # clients beside those who ask much, and their seconds between two requests
_WARM = 20  # requests a client before the ones that count
_STARTED = 120  # seconds within which the server must answer


def bench_http(n_contracts: int, n_scenarios: int, n_positions: int, requests: int) -> list[Row]:
    """Until an impossible question is refused; VaR by desk with one client, with eight without a pause, and beside heavy ones; in a lake
    made for it."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = make_lake(Path(folder), n_contracts, n_scenarios, n_positions)
        path = f"/api/v1/var?as_of={VALUATION_DATE}&by=desk"
        rows = []
        with server(lake.path) as url:
            rows.append(refusal(url, n_positions))
            for clients in (1, CLIENTS):
                times = _in_another_process(url, path, clients, requests)
                work = (
                    f"HTTP, VaR by desk, {clients} {'client' if clients == 1 else 'clients'}: {n_positions:,} positions"
                )
                for name, figure in (("p50", statistics.median(times)), ("p95", p95(times))):
                    rows.append(row(f"{work}, {name}", figure * 1e3, "ms", "the stated limit", 50.0, "<= 1"))
            alone = p95(_in_another_process(url, path, _LIGHT, requests, _PAUSE))
            for heavy in (1, 2):
                over = threading.Event()
                users = [threading.Thread(target=_ask_much, args=(url, over)) for _ in range(heavy)]
                for user in users:
                    user.start()
                beside = p95(_in_another_process(url, path, _LIGHT, requests, _PAUSE))
                over.set()
                for user in users:
                    user.join()
                work = (
                    f"HTTP, VaR by desk, {_LIGHT} clients beside {heavy} who ask much: {n_positions:,} positions, p95"
                )
                rows.append(row(work, beside * 1e3, "ms", "the same without them", alone * 1e3, "<= 2"))
        return rows


def refusal(url: str, n_positions: int) -> Row:
    """Seconds until a question far too dear is refused, the first of all of a server that has opened nothing of its lake."""
    path = f"/api/v1/var?as_of={VALUATION_DATE}&by=trade&where=desk!=desk-001&interval=0.95&measures=skewness"
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)) as connection:
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        taken = time.perf_counter() - started
    work = f"HTTP, an impossible question refused, the first about its book: {n_positions:,} positions"
    if b"problem:too-much" not in body:
        return unmeasured(work, taken, "a book on which it is refused", "<= 1")
    return row(work, taken, "s", "the stated limit", 0.2, "<= 1")


def _ask_much(url: str, over: threading.Event) -> None:
    """Asks for intervals of very many groups again and again until `over`; sent away for a while, it waits as long."""
    path = f"/api/v1/var?as_of={VALUATION_DATE}&by=book&by=counterparty&interval=0.95&measures=es&limit=10"
    while not over.is_set():
        with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        over.wait(float(answer.headers.get("Retry-After", 0)))


@contextmanager
def server(lake: Path) -> Iterator[str]:
    """`varlake serve --web-only` on a free port; gives the address it says it answers at."""
    command = [sys.executable, "-c", "from service.cli.main import main; main()", "serve", "--web-only"]
    settings = {"VARLAKE_LAKE": str(lake), "VARLAKE_PORT": "0", "VARLAKE_LOG_LEVEL": "ERROR"}
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    watch = threading.Timer(_STARTED, server.kill)
    watch.start()
    try:
        line = server.stdout.readline()
        watch.cancel()
        if "answers at" not in line:
            raise NotReady("The server did not start. `varlake serve --web-only` on any lake says why.")
        yield line.split()[-1]
    finally:
        watch.cancel()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        server.stdout.close()


def _in_another_process(url: str, path: str, clients: int, requests: int, pause: float = 0.0) -> list[float]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as process:
        return process.apply(ask, (url, path, clients, requests, pause))


def ask(url: str, path: str, clients: int, requests: int, pause: float = 0.0) -> list[float]:
    """Seconds of each of `requests` requests by each client, all clients at the same time, each on one connection.

    pause : seconds between two requests of a client.
    """
    host = urlsplit(url).netloc
    together = threading.Barrier(clients)
    times: list[float] = []
    errors: list[str] = []

    def client() -> None:
        mine = []
        with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
            for i in range(_WARM + requests):
                if i == _WARM:
                    together.wait()
                started = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                mine.append(time.perf_counter() - started)
                time.sleep(pause)
                if answer.status != 200:
                    errors.append(f"{answer.status}: {body[:500]!r}")
                    together.abort()
                    return
        times.extend(mine[_WARM:])

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise NotReady(f"The server did not answer the benchmark's question: {errors[0]}")
    return times
