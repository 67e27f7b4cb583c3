"""What is built once a run, by whichever process of pytest-xdist comes first; the others wait for it and copy it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.tables import Lake


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], Lake]) -> Path:
    """A copy, of this process alone, of the lake that `build` makes in an empty folder; a build that fails is tried again."""
    run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    kept, made = run / f"once-{name}", run / f"once-{name}.made"
    with (run / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            made.write_text(str(build(kept).path.relative_to(kept)))
    return Path(shutil.copytree(kept / made.read_text(), factory.mktemp(name) / "lake"))
