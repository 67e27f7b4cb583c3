"""The page on extending, followed to the letter for a question: a module, a line, and every door has it."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import types
from pathlib import Path

import pytest
from command_line import answer, varlake
from small_lake import MONDAY

from aggregation import questions
from aggregation.questions import QUESTIONS, Entry
from aggregation.replay import replay
from aggregation.session import reading
from lake.tables import Lake

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


def test_a_question_of_the_page_has_its_command_plan_receipt_and_replay(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = re.search(r"`aggregation/risk/largest_loss.py`:\n\n +```python\n(.*?)```", PAGE, re.DOTALL)
    line = re.search(r'`"(largest-loss)": Entry\("(\S+)", "(.+?)"\)`', PAGE)
    assert code is not None
    assert line is not None
    module = types.ModuleType("aggregation.risk.largest_loss")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(textwrap.dedent(code.group(1)), "extending.md", "exec", dont_inherit=True), module.__dict__)
    name, place, meaning = line.groups()
    monkeypatch.setitem(QUESTIONS, name, Entry(place, meaning))

    assert meaning in varlake(name, "--help").stdout
    told = answer(name, "--as-of", MONDAY, "--by", "desk", lake=valued_lake)
    worst = answer("pnl", "--as-of", MONDAY, "--by", "desk", "--worst", 1, lake=valued_lake)
    assert {r["desk"]: r["loss"] for r in told["rows"]} == {r["desk"]: -r["pnl"] for r in worst["rows"]}
    assert "largest-loss" in varlake(name, "--as-of", MONDAY, "--by", "desk", lake=valued_lake).stdout
    assert answer(name, "--as-of", MONDAY, "--plan", lake=valued_lake)["ready"]
    lake = Lake.open(valued_lake)
    asked = questions.ask(reading(lake), name, questions.read(name, {"as_of": MONDAY}))
    assert asked.receipt["kind"] == name
    assert replay(lake, asked.receipt).verdict == "same bits"
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(told))
    assert varlake("replay", file, lake=valued_lake).returncode == 0
