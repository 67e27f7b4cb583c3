"""The main job, whole, on a small book: real Spark, real Delta tables, the synthetic market."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.errors import BadInput
from lake.tables import Lake
from service import demo
from service.cli import commands
from service.processes import serve
from valuation.sets.store import list_valuation_sets


@pytest.mark.spark
def test_the_main_job(
    tmp_path: Path, spark: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the session of the test run goes on after the demo
    monkeypatch.setattr(type(spark), "stop", lambda self: None)
    demo.run_demo(None, 300, tmp_path / "demo")
    shown = capsys.readouterr()
    assert "synthetic" in shown.out + shown.err
    assert "Where the time went" in shown.out
    assert "none: nothing was missing" in shown.out
    sets = list_valuation_sets(Lake.open(tmp_path / "demo" / "lake"))
    assert [str(s.valuation_date) for s in sets] == ["2020-02-14", "2020-03-16", "2020-03-16"]
    assert all(s.submitted == s.valued + s.reused + s.failed for s in sets)
    assert sets[0].runner.startswith("local")
    assert sets[2].reused == sets[1].valued > 0


def test_a_demo_that_is_there_is_kept_unless_its_deletion_is_asked_for(tmp_path: Path) -> None:
    folder = demo.fresh_folder(tmp_path / "demo", anew=False)
    (folder / "work.txt").write_text("mine")
    assert demo.fresh_folder(folder, anew=False) == tmp_path / "demo-2"
    assert demo.fresh_folder(folder, anew=False) == tmp_path / "demo-3"
    assert (folder / "work.txt").read_text() == "mine"
    assert demo.fresh_folder(folder, anew=True) == folder
    assert not (folder / "work.txt").exists()


def test_a_demo_is_served_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(tmp_path / "lake")
    served: list[Path] = []
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: lake)
    monkeypatch.setattr(serve, "main", lambda settings, **_: served.append(settings.lake) or 0)
    assert CliRunner().invoke(commands.app, ["demo"]).exit_code == 0
    assert served == []
    assert CliRunner().invoke(commands.app, ["demo", "--serve"]).exit_code == 0
    assert served == [lake.path]


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="something else"):
        demo.run_demo(None, 300, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(BadInput, match="not there"):
        demo.run_demo(tmp_path / "nowhere", 300, tmp_path / "demo")
