"""What a command costs before and beside its work: CPU of whole processes, from start to exit.

CPU and not seconds: a command that starts is at the mercy of whatever else the machine does. The least of many
runs counts, and the runs of all commands take turns, so that a change of the machine's clock meets all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lake.errors import NotReady
from service.bench.harness import VALUATION_DATE, Row, row

RUNS = 15
_VARLAKE = (sys.executable, "-c", "from service.cli.main import main; main()")
_LIBRARIES = (sys.executable, "-c", "import numpy, pyarrow.parquet")
_PEER = 'python -c "import numpy, pyarrow.parquet"'


def bench_start(lake: Path, runs: int = RUNS) -> list[Row]:
    """CPU of `--help`, and of `var` by desk on a lake valued at `VALUATION_DATE`, beside the libraries alone."""
    var = (*_VARLAKE, "var", "--as-of", str(VALUATION_DATE), "--by", "desk", "--lake", str(lake))
    commands = {"import": _LIBRARIES, "help": (*_VARLAKE, "--help"), "var": var}
    for command in commands.values():
        cpu_seconds(command)  # compiles kernels and modules, fills the vector cache
    rounds = [{name: cpu_seconds(command) for name, command in commands.items()} for _ in range(runs)]
    least = {name: min(r[name] for r in rounds) for name in commands}
    return [
        row("varlake --help", least["help"], "CPU s", _PEER, least["import"], "<= 1.5", better="lower"),
        row("varlake var by desk, cache warm", least["var"], "CPU s", _PEER, least["import"], "<= 5", better="lower"),
    ]


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time of the process and of those it waited for; raises `NotReady` where it fails."""
    # Python keeps what it compiles, as where varlake is installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotReady(f"`{' '.join(command[2:])}` ended with code {process.returncode}; it cannot be measured.")
    return used.ru_utime + used.ru_stime
