"""A kernel is compiled anew when a file that it imports has changed, since it may call a kernel of that one."""

from __future__ import annotations

from pathlib import Path

import pytest

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
