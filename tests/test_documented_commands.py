"""Every command line of the README and the documentation, as it is printed, on the demo lake: it runs to the exit code it announces."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import varlake

from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from service.processes.engine import run_engine

ROOT = Path(__file__).parents[1]
SERVER = "http://127.0.0.1:8050"
ELSEWHERE = {  # what stands here is run elsewhere
    "varlake serve": "tests/service/test_api_process.py",
    "varlake mcp": "tests/service/test_agents.py",
    "varlake engine": "tests/service/test_engine.py",
    "varlake doctor --spark": "tests/service/test_doctor.py",
    "varlake demo": "tests/service/test_demo.py, and make demo",
    "varlake bench": "make bench",
    "varlake check --against ore": "tests/aggregation/test_ore_check.py, where ORE is at hand",
    "varlake jobs show": "tests/service/test_client.py",
    "varlake jobs cancel": "tests/service/test_client.py",
    "varlake tokens revoke TOKEN": "tests/service/test_cli_users.py",
    "varlake audit verify --head": "tests/service/test_audited.py",
    **{
        f"varlake proposals {act} PROPOSAL": "tests/service/test_proposals.py"
        for act in ("show", "approve", "reject", "withdraw")
    },
    "varlake var --as-of 2020-03-16 --by desk --as-known": "tests/aggregation/opened/test_as_known.py",
    "varlake var --as-of 2020-03-16 --as-known": "tests/aggregation/opened/test_as_known.py",
    "varlake compare --from 2020-03-16 --from-as-known": "tests/aggregation/change/test_restatement.py",
    "varlake sample book books --positions 500 --dates 2019-01-02:2020-12-31": "its two years take minutes",
    "varlake ingest positions books/*": "the same two years",
    "varlake backtest --from 2019-01-02": "the same two years",
    "varlake feed orders --kafka": "tests/valuation/books/test_kafka_feeds.py, by make kafka-test",
    "varlake ingest regime rules/house/": "tests/aggregation/regulatory, a folder of sections",
}
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.parent.name != "tutorials"  # test_tutorials.py follows them
}

LONG = [
    f"docs/{name}.md"
    for name in (
        *("api", "capital", "cli", "cva", "explain", "exposure", "frtb-ima"),
        *("greeks", "market-data", "market-quality", "pnl-explain", "scenarios"),
    )
]

FILES = {  # those the commands read, as the pages show them
    name: content
    for text in PAGES.values()
    for name, content in re.findall(
        r"^```\{code-block\} \w+\n:caption: (\S+)\n((?:.|\n)*?)^```", text, flags=re.MULTILINE
    )
}


def commands(text: str) -> Iterator[str]:
    """The commands of a page in order: those of its blocks, with what they go on to, and those in its sentences that name a date."""
    for block, inline in re.findall(
        r"^ *```.*\n((?:.|\n)*?)^ *```|`(varlake [^`\n]* 20\d\d-[^`\n]*)`", text, flags=re.MULTILINE
    ):
        if inline:
            yield inline
        else:  # a quoted body of a request goes over several lines
            yield from re.findall(r"^(?:\$ )?(varlake .*|curl (?:'[^']*'|[^'\n])*)$", block, flags=re.MULTILINE)


class Idle(threading.Event):
    """Set once every job of the lake has ended."""

    def __init__(self, table: JobTable) -> None:
        super().__init__()
        self.table = table

    def is_set(self) -> bool:
        return all(job.state not in ("queued", "running") for job in self.table.newest())


def run(line: str, lake: Path, folder: Path) -> str | None:
    """Runs one line as a shell would; what it said where it did not end as it announces."""
    announced = re.search(r"# exit code (\d+)$", line)
    for command in re.split(r" && ", line):
        words = shlex.split(command, comments=True)
        if words[0] == "curl":
            return request(words[1:], lake, folder)
        words, to = (words[:-2], folder / words[-1]) if words[-2] == ">" else (words, None)
        done = varlake(*words[1:], lake=lake, folder=folder)
        if done.returncode != (int(announced[1]) if announced else 0):
            return f"exit code {done.returncode}: {done.stderr}{done.stdout}"
        if to is not None:
            to.write_text(done.stdout, encoding="utf-8")
    return None


def upload(words: list[str], options: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The files that `curl` would send: one as it is, or several in a form."""
    if "--data-binary" in options:
        kind = options["-H"].removeprefix("Content-Type: ")
        return {"data": (folder / options["--data-binary"].removeprefix("@")).read_bytes(), "content_type": kind}
    names = [w.removeprefix("file=@") for w in words if w.startswith("file=@")]
    return {"data": {"file": [(io.BytesIO((folder / n).read_bytes()), n) for n in names]}} if names else {}


def request(words: list[str], lake: Path, folder: Path) -> str | None:
    """Sends what `curl` would send. A question that follows a job is asked once the engine has run it."""
    client, table = create_app(Settings(lake=lake)).test_client(), JobTable.of(Lake.open(lake))
    options = {o: words[words.index(o) + 1] for o in ("-d", "-X", "-H", "--data-binary") if o in words}
    (url,) = (w for w in words if w.startswith(SERVER))
    sent = upload(words, options, folder)
    body = json.loads(options["-d"]) if "-d" in options else None
    if "/jobs/" in url:
        url = url.replace("JOB", table.newest(limit=1)[0].job_id)
    elif not (idle := Idle(table)).is_set():
        run_engine(Settings(lake=lake), idle)
    url = url.removeprefix(SERVER)
    answer = client.open(
        url, method=options.get("-X", "POST" if body is not None or sent else "GET"), **(sent or {"json": body})
    )
    return None if answer.status_code < 400 else f"status {answer.status_code}: {answer.get_data(as_text=True)}"


def follow(text: str, lake: Path, folder: Path) -> list[str]:
    """Runs all commands of a page; those that did not end as they announce."""
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    faults = []
    for line in commands(text):
        if line.startswith(tuple(ELSEWHERE)):
            continue
        said = run(line, lake, folder)
        if said:
            faults.append(f"{line}\n  {said}")
    return faults


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name, text in PAGES.items()
        if any(commands(text))
    ],
)
def test_every_command_runs_as_it_is_printed(name: str, demo_lake: Path, tmp_path: Path) -> None:
    lake = Path(shutil.copytree(demo_lake, tmp_path / "lake"))
    assert follow(PAGES[name], lake, tmp_path) == []
