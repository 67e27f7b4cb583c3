"""Writers killed with -9 at twenty named points and moments, while a reader polls; `make crash-test` does it a thousand times."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_crash_states import TABLES, begin, fault, rows, states

from lake.tables import Lake

# runs the steps, says which are done, and is killed before or after the nth call of a function
PROGRAM = """
import os, signal, sys
import deltalake
from lake.tables import Lake
from test_crash_states import work

when, of, name, nth = sys.argv[2:]
owner, count = {"os": os, "delta": deltalake.DeltaTable}.get(of), 0
if owner is not None:
    call = getattr(owner, name)
    def made(*given, **named):
        global count
        count += 1
        if count == int(nth) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        told = call(*given, **named)
        if count == int(nth) and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return told
    setattr(owner, name, made)
for table in work(Lake.open(sys.argv[1])):
    print(table, flush=True)
"""
POINTS = [
    *(("before", "os", "fsync", n) for n in (2, 9, 17, 30)),
    *(("after", "os", "fsync", n) for n in (5, 24)),
    *(("before", "os", "link", n) for n in (1, 2)),
    *(("before", "os", "replace", n) for n in (1, 2, 4)),
    ("after", "os", "replace", 3),
    ("before", "os", "unlink", 2),
    *(("before", "delta", "create_write_transaction", n) for n in (1, 2, 4)),
    *(("after", "delta", "create_write_transaction", n) for n in (1, 4)),
    ("after", "delta", "create_checkpoint", 1),
    ("at", "random", "moment", 0),
]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[str]]]]:
    """A lake, and the rows of its tables after each step of a whole run."""
    folder = tmp_path_factory.mktemp("kills")
    lake = begin(folder / "start").path
    return lake, states(Lake.open(shutil.copytree(lake, folder / "whole")))


@pytest.mark.parametrize(
    "point",
    [p if i % 4 == 0 else pytest.param(p, marks=pytest.mark.slow) for i, p in enumerate(POINTS)],
    ids=lambda p: "-".join(map(str, p)),
)
def test_a_writer_that_is_killed_loses_nothing_and_a_run_again_completes(
    point: tuple[str, str, str, int], start: tuple[Path, dict[str, list[list[str]]]], tmp_path: Path
) -> None:
    path, wanted = Path(shutil.copytree(start[0], tmp_path / "lake")), start[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), str(Path(__file__).parents[1]))),
    }
    over, wrong = threading.Event(), list[str]()

    def poll() -> None:
        at, lake = dict.fromkeys(TABLES, 0), Lake.open(path)
        while not over.wait(0.01):
            for name in TABLES:
                found = rows(lake, name)
                later = [i for i, state in enumerate(wanted[name]) if i >= at[name] and state == found]
                if not later:
                    wrong.append(f"{name}: rows that no step leaves, or that were there before: {found}")
                    return
                at[name] = later[0]

    reader = threading.Thread(target=poll)
    reader.start()
    command = [sys.executable, "-c", PROGRAM, str(path), *map(str, point)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        if point[0] == "at":
            writer.stdout.readline()
            time.sleep(random.Random(1).uniform(0, 0.2))
            writer.kill()
        said = writer.stdout.read()
    over.set()
    reader.join()
    assert wrong == []
    assert writer.returncode == -signal.SIGKILL, "the point was not reached"
    done = said.split() if point[0] != "at" else ["positions", *said.split()]
    assert fault(path, done, wanted) is None
