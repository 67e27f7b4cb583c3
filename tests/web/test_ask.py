"""The page of all questions: forms that know the lake, errors at their fields, plans that are valued, pictures."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from browser_tab import Tab
from playwright.sync_api import Locator, Page, expect
from small_lake import MONDAY, SHOCK

VAR = f"ask?question=var&as_of={MONDAY}&by=desk"


def field(page: Page, name: str) -> Locator:
    """A field of the form, seen."""
    page.evaluate("() => document.querySelectorAll('.question-form details').forEach(d => d.open = true)")
    return page.locator(f".question-form [name='{name}']")


def suggested(page: Page, name: str) -> list[str]:
    found: list[str] = field(page, name).evaluate("f => [...f.list.options].map(o => o.value)")
    return found


def test_what_the_lake_has_is_suggested_for_the_last_of_several_values(tab: Tab) -> None:
    page = tab.open(VAR)
    field(page, "as_of").focus()
    assert str(MONDAY) in suggested(page, "as_of")
    field(page, "by").fill("desk, ")
    assert {"desk, book", "desk, attribute.rating"} <= set(suggested(page, "by"))
    field(page, "measures").fill("var,")
    assert "var, es" in suggested(page, "measures")


def test_the_example_fills_the_form_in_and_is_sent_on_a_press(tab: Tab) -> None:
    page = tab.open("ask?question=contributions")
    expect(page.locator(".answer")).to_contain_text("Fill in as of")
    page.get_by_role("button", name="Example").click()
    assert field(page, "by").input_value() == "desk, book"
    assert tab.shown() == "ask?question=contributions"
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer th", has_text="book")).to_be_visible()
    assert "by=desk&by=book" in tab.shown()


def test_what_is_wrong_is_said_at_its_field_with_what_is_right(tab: Tab) -> None:
    page = tab.open(f"{VAR}&measures=vaar&levels=0.9&levels=0.99")
    wrong = field(page, "measures")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    assert wrong.evaluate("f => f === document.activeElement")
    expect(page.locator(".fault").filter(has_text="var")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="vaar").first).to_be_visible()
    tab.picture("error-at-field")
    assert tab.inaccessible() == []
    wrong.fill("var")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer th", has_text="var 0.9").first).to_be_visible()
    expect(wrong).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.slow
def test_objects_are_json_that_is_checked_as_it_is_sent(tab: Tab) -> None:
    moves = [{"trade": "T00000-2", "cost": 1}]
    page = tab.open(f"ask?question=limit-hedge&as_of={MONDAY}&limit=30000")
    expect(page.locator(".answer")).to_contain_text("Fill in moves")
    for text, fault in (
        ("[{", "This is no JSON"),
        ('{"cost": 1}', "no list of objects"),
        ("[1]", "no list of objects"),
    ):
        field(page, "moves").fill(text)
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".fault", has_text=fault)).to_be_visible()
    assert "moves" not in tab.shown()
    field(page, "moves").fill(json.dumps(moves))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer .said")).to_be_visible()
    tab.open(tab.shown())
    expect(page.locator(".answer .said")).to_be_visible()
    assert json.loads(field(page, "moves").input_value()) == moves


@pytest.mark.slow
def test_what_is_not_valued_is_planned_valued_on_a_press_and_shown_without_a_reload(tab: Tab) -> None:
    asked = {"question": "stress", "as_of": str(MONDAY), "scenario": f"{SHOCK}; rate +7bp", "by": "desk"}
    page = tab.open(f"ask?{urlencode(asked)}")
    page.evaluate("() => { window.here = true }")
    plan = page.locator(".plan")
    expect(plan).to_contain_text("seconds of one core")
    tab.picture("plan")
    assert tab.inaccessible() == []
    plan.get_by_role("button", name="Value it now").click()
    expect(page.locator(".answer td", has_text="Equities")).to_be_visible(timeout=60_000)
    assert page.evaluate("() => window.here")


@pytest.mark.slow
def test_the_picture_of_an_answer_is_drawn_when_it_is_opened(tab: Tab) -> None:
    page = tab.open(VAR)
    page.locator(".picture summary").click()
    page.wait_for_function("() => document.querySelector('.picture img')?.naturalWidth > 100")
    tab.picture("picture")
    assert tab.inaccessible() == []


def test_a_question_that_is_not_there_is_told(tab: Tab) -> None:
    page = tab.open("ask?question=vaar")
    expect(page.get_by_role("alert").filter(has_text="There is no question vaar")).to_be_visible()
    page.get_by_role("link", name="pivot").click()
    expect(page.locator(".two-columns h2", has_text="pivot")).to_be_visible()
