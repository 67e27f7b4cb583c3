"""A kernel is compiled anew when a kernel in another file has changed, since it may call that one."""

from __future__ import annotations

from pathlib import Path

import numba

import lake
from lake.compiled import cache_folder

KERNEL = "from lake.compiled import compiled\n\n\n@compiled\ndef f(x: float) -> float:\n    return x + {}\n"


def test_the_folder_of_kernels_is_that_of_all_their_sources(tmp_path: Path) -> None:
    for package in ("lake", "valuation"):
        (tmp_path / package / "kernels").mkdir(parents=True)
    kernel, other = tmp_path / "valuation" / "kernels" / "a.py", tmp_path / "lake" / "plain.py"
    kernel.write_text(KERNEL.format(1))
    other.write_text("x = 1\n")
    first = cache_folder(tmp_path)
    other.write_text("x = 2\n")
    assert cache_folder(tmp_path) == first
    kernel.write_text(KERNEL.format(2))
    assert cache_folder(tmp_path) != first
    kernel.write_text(KERNEL.format(1))
    assert cache_folder(tmp_path) == first


def test_numba_keeps_them_there() -> None:
    assert Path(numba.config.CACHE_DIR) == cache_folder(Path(lake.__file__).parents[1])
