"""The notebook tutorials, executed from top to bottom as a user does; they assert what their prose says."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))


@pytest.mark.marketdata
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.slow
def test_it_runs(path: Path, tmp_path: Path, market_data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_DATA", str(market_data_dir))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("VARLAKE_LAKE", raising=False)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any("same bits" in str(o) for c in notebook.cells if c.cell_type == "code" for o in c.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_reader_sees_its_answers_and_no_place_of_whoever_ran_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    shown = [c for c in notebook.cells if c.cell_type == "code" and c.execution_count]
    assert shown == [c for c in notebook.cells if c.cell_type == "code"]
    text = path.read_text(encoding="utf-8")
    assert "Traceback" not in text
    for place in ("/tmp/", "/home/", "/root/", str(Path.home())):
        assert place not in text
