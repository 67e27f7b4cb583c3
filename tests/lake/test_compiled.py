"""A kernel is compiled anew when a file that it imports has changed, since it may call a kernel of that one."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake import compiled
from lake.compiled import cache_folder
from valuation.kernels import cashflows

KERNEL = "from lake.compiled import compiled\n{}\n\n\n@compiled\ndef f(x: float) -> float:\n    return x + {}\n"


@pytest.mark.parametrize(
    "imports",
    [
        "from valuation.kernels.b import g",
        "from valuation.kernels import c, b",
        "from valuation.kernels import (\n    c,\n    b,\n)",
    ],
)
def test_the_folder_of_a_kernel_is_that_of_the_files_it_imports(tmp_path: Path, imports: str) -> None:
    kernels = tmp_path / "valuation" / "kernels"
    kernels.mkdir(parents=True)
    a, b, c, constant = (kernels / f"{name}.py" for name in ("a", "b", "d", "constant"))
    a.write_text(KERNEL.format(imports, 1))
    b.write_text(KERNEL.format("from valuation.kernels.constant import D", 1))
    c.write_text(KERNEL.format("", 1))
    constant.write_text("D = 1\n")

    def folder() -> Path:
        cache_folder.cache_clear()
        compiled._source.cache_clear()
        return cache_folder(tmp_path, a)

    first = folder()
    c.write_text(KERNEL.format("", 2))  # not imported
    assert folder() == first
    for file in (a, b, constant):
        before = file.read_text()
        file.write_text(before + "\n# another\n")
        assert folder() != first
        file.write_text(before)
        assert folder() == first


def test_numba_keeps_them_there() -> None:
    file = Path(cashflows.__file__)
    kept: str = cashflows.discounted_sums.dispatcher()._cache.cache_path  # type: ignore[attr-defined]
    assert kept.startswith(str(cache_folder(file.parents[2], file)))


ANOTHER_PROCESS = """
from kernel_of_a_test import f
made = f.dispatcher()
print("ready", flush=True)
print(f(1.0), made.stats.cache_hits.total(), made.stats.cache_misses.total(), flush=True)
"""


def test_a_process_waits_for_one_that_compiles_the_kernel_and_takes_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernel_of_a_test.py").write_text(KERNEL.format("", 1))
    monkeypatch.syspath_prepend(tmp_path)
    kernel = importlib.import_module("kernel_of_a_test").f
    lock = Path(kernel.dispatcher()._cache.cache_path) / "kernel_of_a_test.f.lock"
    with contextlib.ExitStack() as held:
        held.enter_context(compiled._alone(lock.parent, "kernel_of_a_test.f"))
        other = subprocess.Popen(
            [sys.executable, "-c", ANOTHER_PROCESS],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert kernel(1.0) == 2.0
        assert kernel.dispatcher().stats.cache_misses.total() == 1
        with lock.open() as file_again, pytest.raises(BlockingIOError):
            fcntl.flock(file_again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert other.communicate()[0] == "2.0 1 0\n"


def test_a_folder_that_takes_no_lock_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with compiled._alone(tmp_path / "file", "f"):
        assert not compiled._compiling
