"""The page Stress: the editor proposes and marks at the character, previews and results are the API's, nothing typed is lost."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import pytest
from browser_tab import Tab
from figures_shown import assert_shows, table_of
from playwright.sync_api import Locator, Page, expect
from server import ask
from small_lake import MONDAY

BOOK = {"as_of": str(MONDAY), "by": "desk"}
FALL = "equity -20%; vol +10pt"


def address(*scenarios: str, **more: str) -> str:
    return f"stress?{urlencode([*BOOK.items(), *(('scenarios', s) for s in scenarios), *more.items()])}"


def post(tab: Tab, route: str, **body: Any) -> dict[str, Any]:
    status, answer = ask(f"{tab.site}api/v1/{route}", body)
    assert status == 200, answer
    return answer  # type: ignore[no-any-return]


def editor(page: Page) -> Locator:
    return page.get_by_label("Scenario in the stress language")


def valued(tab: Tab) -> None:
    """Has what is missing valued, where it is, by the button of the page."""
    panel = tab.page.get_by_role("tabpanel")
    expect(panel.locator(".plan, .said").first).to_be_visible()
    if panel.locator(".plan").count():
        panel.get_by_role("button", name="Value it now").click()
        expect(panel.locator(".said").first).to_be_visible(timeout=90_000)
    tab.settled()


def test_a_scenario_is_written_with_what_is_proposed_by_keyboard_alone(tab: Tab) -> None:
    page = tab.open("stress")
    assert tab.shown() == f"stress?{urlencode(BOOK)}"
    editor(page).focus()
    page.keyboard.type("eq")
    options = page.get_by_role("listbox", name="what may stand here").get_by_role("option")
    expect(options).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(editor(page)).to_have_attribute("aria-activedescendant", options.first.get_attribute("id") or "")
    page.keyboard.press("Enter")
    page.keyboard.type("[BB")
    expect(options.first).to_contain_text("BBB")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("] -20")
    expect(options.first).to_contain_text("%")
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    page.keyboard.press("Control+Space")
    expect(options.first).to_contain_text("%")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(editor(page)).to_have_value("equity[BBB] -20%")
    expect(page.get_by_text("The text is sound on this market.")).to_be_visible()
    page.keyboard.press("Tab")
    expect(editor(page)).not_to_be_focused()


def test_what_is_wrong_is_marked_at_its_character_and_mended_by_the_nearest_name(tab: Tab) -> None:
    page = tab.open("stress")
    editor(page).fill("# 𝛿 first\nequity[AAB] -20%\nvol +10pt; rate[USD] +10bq")
    expect(page.locator(".marks .bad")).to_have_text("bq")
    expect(editor(page)).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Put bp").click()
    expect(page.locator(".marks .bad")).to_have_text("AAB")
    page.get_by_role("button", name="line 2, column 8").click()
    assert editor(page).evaluate("f => f.value.slice(f.selectionStart, f.selectionEnd)") == "AAB"
    page.get_by_role("button", name="Put AAA").click()
    expect(editor(page)).to_have_value("# 𝛿 first\nequity[AAA] -20%\nvol +10pt; rate[USD] +10bp")
    expect(page.locator(".marks .bad")).to_have_count(0)
    assert tab.inaccessible() == []
    tab.picture("stress-editor")


def test_the_preview_is_the_api_s_with_curves_before_and_after(tab: Tab) -> None:
    text = "equity -20%; rate[USD] +25bp; assert equity > 5"
    page = tab.open(address(text))
    panel = page.get_by_role("tabpanel")
    answer = post(tab, "scenario-sets/preview", as_of=str(MONDAY), text=text)
    moved = [f for f in answer["scenarios"][0]["factors"] if f["status"] != "unchanged"]
    rows = table_of(panel, "Risk factors that move")
    assert [r["risk factor id"] for r in rows] == [f["risk_factor_id"] for f in moved]
    for row, factor in zip(rows, moved, strict=True):
        assert_shows(row["base"], factor["base"])
        assert_shows(row["level"], factor["level"])
        assert row["change"] == factor["change"]
    expect(panel.locator(".chart[aria-label^='Curve USD']")).to_have_count(1)
    expect(
        panel.get_by_text("No plausibility: 500 scenarios up to")
    ).to_be_visible()  # the history of this lake is short
    expect(panel.get_by_text("Assertions")).to_be_visible()
    expect(panel.get_by_text("Unchanged:")).to_be_visible()
    assert tab.inaccessible() == []
    tab.picture("stress-preview")


def test_one_scenario_is_valued_on_a_press_and_shown_without_a_reload(tab: Tab) -> None:
    page = tab.open(address(FALL, tab="result"))
    valued(tab)
    answer = post(tab, "stress", **{**BOOK, "by": ["desk"]}, scenario=FALL)
    label = next(c for c in answer["total"] if c.startswith("pnl_"))
    panel = page.get_by_role("tabpanel")
    rows = table_of(panel, "By desk")
    for row, expected in zip(rows, answer["rows"], strict=True):
        assert row["desk"] == expected["desk"]
        assert_shows(row[label.removeprefix("pnl_").replace("_", " ").replace("-", " ")], expected[label])
    expect(page.locator(".coverage.partial")).to_contain_text("failed 1")
    assert page.locator(".chart svg").count() == 1
    assert tab.inaccessible() == []


@pytest.mark.slow
def test_several_scenarios_stand_side_by_side_under_what_was_written(tab: Tab) -> None:
    page = tab.open(address("equity -20%"))
    page.get_by_role("button", name="Add a scenario").click()
    editor(page).fill("equity +20%")
    page.keyboard.press("Control+Enter")
    tab.settled()
    assert parse_qs(tab.shown())["scenarios"] == ["equity -20%", "equity +20%"]
    valued(tab)
    answer = post(tab, "stress-compare", **{**BOOK, "by": ["desk"]}, scenarios=["equity -20%", "equity +20%"])
    columns = [c for c in answer["total"] if c not in ("positions", "base_value")]
    row = table_of(page.get_by_role("tabpanel"), "All together")[0]
    for title, column in zip(("equity -20%", "equity +20%"), columns, strict=True):
        assert_shows(row[title], answer["total"][column])
    assert "Coverage 2:" in page.locator(".said").inner_text()
    before = page.locator("main").inner_text()
    page.reload()
    tab.settled()
    assert page.locator("main").inner_text() == before
    page.get_by_role("button", name="Take this one out").click()
    tab.settled()
    assert len(parse_qs(tab.shown())["scenarios"]) == 1
    tab.picture("stress-side-by-side")


@pytest.mark.slow
def test_ladders_are_heat_maps_of_one_axis_or_two(tab: Tab) -> None:
    axes = ["equity -20%..+20% step 20%", "vol -5pt..+5pt step 5pt"]
    page = tab.open(f"stress?{urlencode([*BOOK.items(), ('tab', 'ladder'), *(('axes', a) for a in axes)])}")
    valued(tab)
    answer = post(tab, "ladder", **{**BOOK, "by": ["desk"]}, axes=axes)
    panel = page.get_by_role("tabpanel")
    for row, expected in zip(table_of(panel, "All together"), answer["total"], strict=True):
        assert row["rung"] == expected["rung"]
        assert_shows(row["pnl"], expected["pnl"])
    chart = panel.locator(".chart")
    expect(chart).to_have_attribute("aria-label", f"pnl of all together: {axes[0]} down, {axes[1]} across")
    panel.get_by_label("of", exact=True).select_option("Options")
    expect(chart).to_have_attribute("aria-label", f"pnl of Options: {axes[0]} down, {axes[1]} across")
    assert tab.inaccessible() == []
    panel.get_by_label("axes").fill(axes[0])
    panel.get_by_role("button", name="Ask").click()
    tab.settled()
    valued(tab)
    expect(chart).to_have_attribute("aria-label", f"pnl over {axes[0]}")


@pytest.mark.slow
def test_other_questions_of_stress_ask_for_what_they_lack(tab: Tab) -> None:
    page = tab.open(address(FALL, tab="reverse-stress"))
    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_text("Give loss and press the button.")).to_be_visible()
    panel.get_by_label("loss").fill("1000")
    panel.get_by_role("button", name="Ask").click()
    tab.settled()
    assert parse_qs(tab.shown())["loss"] == ["1000"]
    expect(panel.locator(".said, .plan, .problem").first).to_be_visible()
    for name in ("Stressed VaR", "Stress period"):
        page.get_by_role("tab", name=name).click()
        tab.settled()
        expect(panel.locator(".said, .plan, .problem").first).to_be_visible()
        assert tab.inaccessible() == []


def test_a_scenario_is_saved_and_opened_again(tab: Tab) -> None:
    page = tab.open(address("equity -7%"))
    page.get_by_text("Open or save a scenario set").click()
    page.get_by_label("name (empty").fill("seven down")
    page.get_by_role("button", name="Save as a scenario set").click()
    expect(page.get_by_label("name (empty")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("name (empty").fill("seven-down")
    page.get_by_role("button", name="Save as a scenario set").click()
    expect(page.get_by_text("Saved as seven-down, version 1")).to_be_visible(timeout=60_000)
    editor(page).fill("")
    page.get_by_label("stored scenario").select_option("seven-down")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(editor(page)).to_have_value("equity -7%")


@pytest.mark.slow
def test_what_is_typed_outlives_a_reload_and_a_long_text_is_kept_in_the_tab(tab: Tab) -> None:
    page = tab.open(address("equity -20%"))
    editor(page).fill("equity -21%")
    page.reload()
    tab.settled()
    expect(editor(page)).to_have_value("equity -21%")
    expect(page.get_by_text("What was typed here and not run is back.")).to_be_visible()
    long = "equity -20% # " + "x" * 4000
    editor(page).fill(long)
    page.get_by_role("button", name="Preview", exact=True).click()
    tab.settled()
    assert parse_qs(tab.shown())["scenarios"][0].startswith("kept:")
    expect(page.get_by_text("too long for an address: the link opens them in this tab alone")).to_be_visible()
    page.reload()
    tab.settled()
    expect(editor(page)).to_have_value(long)
    expect(page.get_by_role("tabpanel").get_by_text("Risk factors that move")).to_be_visible()
    page.goto(f"{tab.site}app/stress?as_of={MONDAY}&scenarios={quote('kept:0123')}")
    tab.settled()
    expect(page.get_by_text("was kept in another tab")).to_be_visible()
