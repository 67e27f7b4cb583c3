"""Exposure on a terminal and drawn: every table is there, and every line of the picture is a figure of the answer."""

import pytest
from exposure_lake import made_up
from small_lake import MONDAY

from aggregation import questions
from aggregation.exposure import scope
from aggregation.session import reading
from lake.tables import Lake
from service.rendering import answers, pictures

ASKED = {"as_of": MONDAY, "grid": ["1M", "6M", "1Y"], "paths": 70, "trades": "all"}


@pytest.fixture
def ask(bare_lake, monkeypatch):
    monkeypatch.setattr(scope, "open_paths", made_up)
    lake = Lake.open(bare_lake)

    def asked(name, **more):
        query = questions.read(name, {**ASKED, **more})
        return questions.ask(reading(lake), name, query), query

    return asked


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn, in place of a picture of it."""
    kept = {}

    def keep(path, dates, lines, **about):
        kept.update(dates=dates, lines=lines, **about)
        return path

    monkeypatch.setattr(pictures, "time_line", keep)
    return kept


@pytest.mark.slow
def test_tables_of_every_question_of_exposure(ask, capsys):
    result, query = ask("exposure", by=["counterparty"])
    answers.show("exposure", result, query)
    told = capsys.readouterr().out
    for word in ("counterparty-0", "counterparty-1", "Total", "Over time", "2020-09-16", "basel@2023"):
        assert word in told
    result, query = ask("exposure-what-if", by=["counterparty"], scale=["*2"])
    answers.show("exposure-what-if", result, query)
    assert "before" in capsys.readouterr().out
    result, query = ask("exposure-drill", date="2020-09-16")
    answers.show("exposure-drill", result, query)
    told = capsys.readouterr().out
    assert "Paths of the greatest exposure" in told
    assert "T00000-0" in told


def test_lines_of_one_group_are_its_figures(ask, drawn, tmp_path):
    result, _ = ask("exposure", where=["counterparty=counterparty-0"])
    answers._function(answers.PICTURES["exposure"])(result, tmp_path / "x.svg")
    rows = result.rows.to_pylist()
    assert drawn["dates"] == [r["date"] for r in rows]
    assert drawn["lines"]["EE"] == [r["ee"] for r in rows]
    assert drawn["lines"]["ENE, of us to them"] == [-r["ene"] for r in rows]
    assert drawn["lines"]["99% PFE"] == [r["pfe_0.99"] for r in rows]
    assert drawn["lines"]["EPE"] == [result.total["epe"]] * 4
    assert drawn["unit"] == "USD, owed to us positive"


def test_lines_of_several_groups_and_of_contributions(ask, drawn, tmp_path):
    result, _ = ask("exposure", by=["counterparty"])
    draw = answers._function(answers.PICTURES["exposure"])
    draw(result, tmp_path / "x.svg")
    assert set(drawn["lines"]) == {"counterparty-0", "counterparty-1"}
    of = [r["pfe_0.95"] for r in result.rows.to_pylist() if r["counterparty"] == "counterparty-1"]
    assert drawn["lines"]["counterparty-1"] == of
    assert drawn["title"] == "95% PFE by counterparty over time"
    result, _ = ask("exposure", by=["desk"])
    draw(result, tmp_path / "x.svg")
    assert drawn["title"] == "Contributions to EE by desk over time"
    assert "(none) / collateral" in drawn["lines"]


def test_a_picture_is_made(ask, tmp_path, bare_lake):
    result, query = ask("exposure", by=["counterparty"])
    path = answers.draw("exposure", result, query, tmp_path / "profile.svg", reading(Lake.open(bare_lake)))
    assert "95% PFE by counterparty over time" in path.read_text()
