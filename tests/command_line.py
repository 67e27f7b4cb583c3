"""Runs the command line for tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.cli.main import main


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def in_a_process(*arguments: object, lake: Path) -> Done:
    """Runs the installed command as a user's shell does."""
    command = [str(Path(sys.executable).with_name("varlake")), *map(str, arguments)]
    environment = {**os.environ, "VARLAKE_LAKE": str(lake)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def varlake(*arguments: object, lake: Path | None = None, folder: Path | None = None) -> Done:
    """Runs the entry point in this process: the same code without the seconds that importing takes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["varlake", *map(str, arguments)])
        if lake is not None:
            patch.setenv("VARLAKE_LAKE", str(lake))
        if folder is not None:
            patch.chdir(folder)
        with pytest.raises(SystemExit) as exited:
            main()
    return Done(int(exited.value.code or 0), out.getvalue(), err.getvalue())


SEAL = ("kind", "question", "query_digest", "answer_digest", "receipt_digest")  # what asking by name adds to a receipt


def plain(result: Any) -> Any:
    """An answer as JSON reads it, without the seal of its receipts and without the time it took."""

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            left_out = (*SEAL, "timings_ms") if "table_versions" in value else ()
            return {k: of(v) for k, v in value.items() if k not in left_out}
        return [of(v) for v in value] if isinstance(value, list) else value

    return of(json.loads(json.dumps(result, default=str)))


def answer(*arguments: object, lake: Path) -> dict:
    done = varlake(*arguments, "--json", lake=lake)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments: object, lake: Path | None = None, folder: Path | None = None) -> str:
    """What the command said; it failed as a user's error, in words, and printed no answer."""
    done = varlake(*arguments, lake=lake, folder=folder)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr
