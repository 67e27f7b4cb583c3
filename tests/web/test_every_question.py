"""Every question on its page: asked in the browser, valued on a press where it lacks something, pinned, and the same digits again."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from browser_tab import Tab
from small_lake import base

from aggregation.questions import QUESTIONS

ANSWER = """() => document.querySelector('.answer .said') ? [...document.querySelectorAll('.answer table')].map(t => t.innerText) : null"""


def as_texts(value: object) -> list[str]:
    """As an address has it: several values one by one, objects as one text."""
    several = value if isinstance(value, list) else [value]
    return [json.dumps(value)] if any(isinstance(v, dict) for v in several) else [str(v) for v in several]


@pytest.mark.slow
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_asked_valued_and_pinned(tab: Tab, name: str) -> None:
    asked = base(name)
    given = [(k, text) for k, value in asked.items() for text in as_texts(value)]
    tab.page.set_default_timeout(60_000)
    page = tab.open(f"ask?{urlencode([('question', name), *given])}")
    if (value := page.get_by_role("button", name="Value it now")).count():
        value.click()
        page.wait_for_selector(".answer .said, .answer .problem", timeout=60_000)
    shown = tab.settled().evaluate(ANSWER)
    assert shown, page.locator(".answer").inner_text()
    tab.picture(f"question-{name}")
    assert tab.inaccessible() == []
    if name == "backtest-counts":  # rests on nothing in the lake
        return
    page.get_by_role("button", name="Pin", exact=True).click()
    assert "as_known=" in tab.settled().url
    assert page.evaluate(ANSWER) == shown, page.locator(".answer").inner_text()
