"""The page of the stress language: its examples work, and it names everything there is."""

import json
import re
from pathlib import Path

import pytest
from stress_market import LEVELS, market
from support import factor

from scenarios.stress import forms, language
from scenarios.stress import model as m
from scenarios.stress.apply import IncludedScenario
from scenarios.stress.check import check, check_csv

PAGE = (Path(__file__).parents[3] / "docs" / "stress-language.md").read_text(encoding="utf-8")
MARKET = market({**LEVELS, factor("FX:EURHKD", "fx_rate", "HKD"): 8.7})
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.S)
TABLED = [
    x for x in re.findall(r"^\| .*?\| `([^`]*)`", PAGE, flags=re.M) if re.match(r"(equity|credit|fx|rate|grid)\b.* ", x)
]
SHAPES = re.findall(r"^\| `\w+` \| `(\w+\([^`]*\))`", PAGE, flags=re.M)
INLINE = re.findall(r"`(fx\[[^`]*[%5])`", PAGE)


def stored(step: m.Include) -> IncludedScenario:
    raise AssertionError(step)


@pytest.mark.parametrize("text", [b for kind, b in BLOCKS if kind == "text"] + TABLED + INLINE)
def test_texts_of_the_page_work(text: str) -> None:
    document = language.parse(text)
    report = check(document, MARKET, stored)
    assert report.ok, report
    assert language.parse(language.to_text(document)) == document


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_the_page_work(shape: str) -> None:
    assert check(language.parse(f"rate[USD] {shape}"), MARKET, stored).ok


def test_tables_and_objects_of_the_page_work() -> None:
    (table,) = [b for kind, b in BLOCKS if kind == "none"]
    assert check_csv(table, MARKET, stored).ok
    (data,) = [b for kind, b in BLOCKS if kind == "json"]
    document = forms.from_json(data)
    assert check(document, MARKET, stored).ok
    assert forms.from_json(json.loads(forms.to_json(document))) == document


def test_the_page_names_every_word_of_the_language() -> None:
    assert len(TABLED) >= 4
    assert len(SHAPES) == len(m.SHAPES)
    for word in (*m.CLASSES, *m.UNITS, *m.SHAPES, *forms.COLUMNS, "then", "moving", "label", "parallel", "step"):
        assert re.search(rf"`[^`]*{re.escape(word)}[^`]*`", PAGE), word
