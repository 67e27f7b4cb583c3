"""What a command loads before its work: neither Numba nor pandas, which take longer than all else together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_lake import MONDAY

from lake.errors import BadInput
from service.config import Settings


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def loaded_by(*arguments: str) -> set[str]:
    """The packages that a command has loaded when it ends."""
    code = (
        "import sys\nfrom service.cli.main import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        "print(*(name for name in sys.modules if '.' not in name))"
    )
    return set(run(code).splitlines()[-1].split())


def test_help_loads_no_package_of_numbers() -> None:
    assert not loaded_by("--help") & {"numpy", "pyarrow", "numba", "pandas", "rich", "typer"}


def test_a_small_question_loads_neither_kernels_nor_pandas(valued_lake: Path) -> None:
    asked = ("var", "--as-of", str(MONDAY), "--by", "desk", "--lake", str(valued_lake))
    loaded_by(*asked)  # the first of a lake fills the cache of vectors, with a kernel
    loaded = loaded_by(*asked)
    assert "pyarrow" in loaded
    assert not loaded & {"numba", "llvmlite", "scipy", "pandas", "typer", "pydantic_settings"}


def test_pandas_is_found_by_arrow_when_it_is_asked_for() -> None:
    code = (
        "import sys\nfrom lake.runtime.arrow import load_without_pandas\nload_without_pandas()\n"
        "import pyarrow as pa\nassert 'pandas' not in sys.modules\n"
        "print(pa.array([1.5, None]).to_pandas().tolist())\n"
        "import pandas as pd\nprint(pa.array(pd.Series([1.5, float('nan')])).null_count)"
    )
    assert run(code).split("\n")[:2] == ["[1.5, nan]", "1"]


def test_a_setting_that_cannot_be_read_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARLAKE_PORT", "abc")
    monkeypatch.setenv("VARLAKE_ISOLATE", "perhaps")
    with pytest.raises(
        BadInput, match=r"VARLAKE_PORT: .* whole number \(given abc\); VARLAKE_ISOLATE: .*\(given perhaps\)"
    ):
        Settings()
    monkeypatch.setenv("VARLAKE_ISOLATE", "yes")
    assert Settings(port=0).isolate
