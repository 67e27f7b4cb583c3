"""The real server on the loopback address, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SERVE = """
import sys
from service.processes import serve
from service.config import Settings
from service.process import configure_logs
configure_logs("INFO")
sys.exit(serve.main(Settings(), web_only={}))
"""


@contextmanager
def serving(
    lake: Path, *, web_only: bool, port: str = "0", before: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The processes on a port, by default a free one, and their address once the web answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + SERVE.format(web_only)],
        env={**os.environ, "VARLAKE_LAKE": str(lake), "VARLAKE_PORT": port, **(settings or {})},
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


def engine_of(url: str) -> int | None:
    """The process of an engine that is alive."""
    with contextlib.suppress(OSError):
        engine = ask(f"{url}api/v1/health")[1]["engine"]
        return engine["process"] if engine["alive"] else None
    return None
