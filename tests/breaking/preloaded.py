"""Imported by the process that trials are forked from: all that commands import, and no thread that a fork would lose."""

import gc
import inspect
import os
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # else NumPy starts threads when it is imported
sys.dont_write_bytecode = True

import deltalake.fs  # noqa: E402, F401 - what the product's libraries import when they are first called
import numba.core.ccallback  # noqa: E402, F401
import pyarrow.acero  # noqa: E402, F401
import tzdata  # noqa: E402, F401
from numba.core.registry import cpu_target  # noqa: E402
from small_lake import MONDAY  # noqa: E402

from lake import compiled  # noqa: E402
from scenarios.market.calendars import sessions  # noqa: E402

for _package in ("lake", "scenarios", "valuation", "aggregation", "service"):
    for _module in pkgutil.walk_packages(import_module(_package).__path__, f"{_package}."):
        if not _module.name.startswith("service.bench"):
            import_module(_module.name)
for _of_tests in ("command_line", "operations"):
    import_module(_of_tests)

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
sessions("XNYS", MONDAY, MONDAY)
for _name in [n for n in sys.modules if n.startswith(("lake.", "scenarios.", "valuation.", "aggregation."))]:
    for _kernel in vars(sys.modules[_name]).values():
        if isinstance(_kernel, compiled._Kernel):  # where Numba has kept it; nothing else of Numba is started
            compiled.cache_folder(compiled._ROOT, Path(inspect.unwrap(_kernel).__code__.co_filename))

# jemalloc starts its own thread anew in a forked process
_NAMES = [(Path("/proc/self/task") / task / "comm").read_text().strip() for task in os.listdir("/proc/self/task")]
STARTED = len([name for name in _NAMES if name != "jemalloc_bg_thd"]) - 1
gc.collect()
gc.freeze()
