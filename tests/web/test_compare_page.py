"""The page Compare: its figures are the API's, its waterfall filters its tables, and what is wrong is said at the field."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlencode

import pytest
from browser_tab import Tab
from figures_shown import assert_shows, table_of
from playwright.sync_api import expect
from server import ask
from small_lake import FRIDAY, MONDAY

POINTS = {"from": str(FRIDAY), "to": str(MONDAY), "by": "desk", "interval": "0.95"}
ADDRESS = f"compare?{urlencode(POINTS)}"


def api(tab: Tab, question: str, **asked: str) -> dict:  # type: ignore[type-arg]
    status, answer = ask(f"{tab.site}api/v1/{question}?{urlencode({**POINTS, **asked})}")
    assert status == 200, answer
    return answer  # type: ignore[no-any-return]


def test_it_begins_with_the_newest_two_dates_and_shows_the_figures_of_the_api(tab: Tab) -> None:
    page = tab.open("compare")
    assert tab.shown() == ADDRESS
    answer = api(tab, "compare")
    together = {r["figure"]: r for r in table_of(page.get_by_role("tabpanel"), "All together")}
    for name in ("var 0.99", "es 0.99", "base value", "positions"):
        for side in ("from", "to", "change"):
            assert_shows(together[name][side], answer["total"][f"{name.replace(' ', '_')}_{side}"])
    assert_shows(together["var 0.99"]["low"], answer["total"]["var_0.99_change_low"])
    assert together["var 0.99"]["sure"].endswith("sampling error")
    rows = table_of(page.get_by_role("tabpanel"), "By desk")
    assert [r["desk"] for r in rows] == [r["desk"] for r in answer["rows"]]
    for row, expected in zip(rows, answer["rows"], strict=True):
        assert_shows(row["var 0.99 change"], expected["var_0.99_change"])
    assert "Coverage before: positions 4 · covered 3 · failed 1" in page.locator(".said").inner_text()
    expect(page.locator(".coverage.partial")).to_have_count(2)
    expect(page.locator(f'[data-receipt^="{answer["receipt"]["receipt_digest"][:12]}"]')).to_have_count(1)


def test_causes_add_up_and_a_press_opens_a_cell_to_its_trades(tab: Tab) -> None:
    page = tab.open(f"{ADDRESS}&tab=causes")
    answer = api(tab, "explain")
    panel = page.get_by_role("tabpanel")
    shown = {r["cause"]: r for r in table_of(panel, "Causes of the change")}
    for cause in answer["causes"]:
        assert_shows(shown[cause["cause"]]["value"], cause["value"])
        assert shown[cause["cause"]]["sure"].startswith("within" if cause["within_error"] else "beyond")
    assert "residual" in shown
    assert_shows(shown["change"]["value"], answer["change"])
    assert panel.locator(".chart svg").count() == 1
    # by keyboard: a cause, then a member
    page.locator("tr.press", has_text="amended").first.focus()
    page.keyboard.press("Enter")
    tab.settled()
    assert parse_qs(tab.shown())["cell"] == ['{"cause":"amended"}']
    members = table_of(panel, "By desk and cause")
    assert list(members[0]) == ["desk", "before", "after", "change", "amended"]
    page.locator("tr.press", has_text="Options").first.focus()
    page.keyboard.press("Enter")
    tab.settled()
    drill = api(tab, "explain-drill", cell="desk=Options,cause=amended", limit="100", measures="var", levels="0.99")
    expect(page.get_by_text(f"of {drill['parts']} parts")).to_be_visible()
    for row, expected in zip(table_of(panel, "The largest parts first"), drill["rows"], strict=True):
        assert row["trade"] == expected["trade"]
        assert_shows(row["value"], expected["value"])
    page.go_back()
    tab.settled()
    assert parse_qs(tab.shown())["cell"] == ['{"cause":"amended"}']
    page.get_by_role("button", name="Show all").click()
    tab.settled()
    assert "revaluation" in table_of(panel, "By desk and cause")[0]
    assert tab.inaccessible() == []


@pytest.mark.slow
def test_a_press_in_the_waterfall_filters_the_table(tab: Tab) -> None:
    page = tab.open(f"{ADDRESS.replace('&interval=0.95', '')}&tab=causes")
    largest = max(api(tab, "explain")["causes"], key=lambda c: abs(c["value"]))
    bar = page.locator(f'.chart svg path[fill="{"#c65b58" if largest["value"] > 0 else "#3f9272"}"]')
    sizes = [b.bounding_box() or {"height": 0.0} for b in bar.all()]
    bar.nth(max(range(len(sizes)), key=lambda i: sizes[i]["height"])).click(force=True)
    tab.settled()
    assert json.loads(parse_qs(tab.shown())["cell"][0]) == {"cause": largest["cause"]}


@pytest.mark.slow
def test_drivers_pnl_and_reconcile_show_the_figures_of_the_api(tab: Tab) -> None:
    page = tab.open(f"{ADDRESS}&tab=drivers&from_positions_date={MONDAY}")
    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_text(f"Not part of this question: from positions date {MONDAY}.")).to_be_visible()
    status, answer = ask(f"{tab.site}api/v1/drivers?from={FRIDAY}&to={MONDAY}")
    assert status == 200
    rows = table_of(panel, "Drivers of the change")
    assert [r["driver"] for r in rows] == [*(d["driver"] for d in answer["drivers"]), "the rest"]
    for row, expected in zip(rows, [*answer["drivers"], answer["rest"]], strict=True):
        assert_shows(row["change"], expected["change"])
    page.get_by_label("measure", exact=True).focus()
    page.keyboard.press("ArrowDown")
    tab.settled()
    expect(page.get_by_label("measure", exact=True)).to_be_focused()
    expect(panel.get_by_text("es 0.99 from")).to_be_visible()
    page.go_back()
    tab.settled()
    expect(page.get_by_label("measure", exact=True)).to_have_value("var")
    page = tab.open(f"{ADDRESS}&tab=pnl")
    status, answer = ask(f"{tab.site}api/v1/pnl-explain?from={FRIDAY}&to={MONDAY}&by=desk")
    assert status == 200
    lines = {r["line"]: r["value"] for r in table_of(panel, "All together")}
    assert_shows(lines["value to"], answer["total"]["value_to"])
    assert_shows(lines["amended"], answer["total"]["amended"])
    page = tab.open(f"{ADDRESS}&tab=reconcile")
    expect(panel.get_by_text("Give theirs above.")).to_be_visible()
    ours = api(tab, "compare")["total"]["var_0.99_to"]
    page.get_by_label("theirs").fill(f"{ours:.2f}")
    page.get_by_role("tabpanel").get_by_role("button", name="Ask").click()
    tab.settled()
    assert table_of(panel, "Conventions")[0]["convention"] == "as ours"


@pytest.mark.slow
def test_tabs_are_moved_through_by_the_arrows_and_all_are_accessible(tab: Tab) -> None:
    page = tab.open(ADDRESS)
    page.get_by_role("tab", name="Change").focus()
    for name in ("Causes", "Drivers", "P&L explain", "Reconcile", "Change"):
        page.keyboard.press("ArrowRight")
        tab.settled()
        expect(page.get_by_role("tab", name=name, exact=True)).to_be_focused()
        expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        assert tab.inaccessible() == []
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        tab.picture(f"compare-{name}")


def test_what_is_wrong_is_said_at_the_field_with_the_nearest_name(tab: Tab) -> None:
    page = tab.open(ADDRESS)
    page.get_by_label("by", exact=True).fill("dsk")
    page.get_by_role("button", name="Compare", exact=True).click()
    tab.settled()
    field = page.get_by_label("by", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert "Nearest valid: desk" in page.locator(f"#{field.get_attribute('id')}-fault").inner_text()
    assert field.input_value() == "dsk"


@pytest.mark.slow
def test_the_address_is_the_page_and_the_points_are_swapped(tab: Tab) -> None:
    page = tab.open(f"{ADDRESS}&tab=causes&measure=es&level=0.9&cell=%7B%22desk%22%3A%22Options%22%7D")
    before = page.locator("main").inner_text()
    page.reload()
    tab.settled()
    assert page.locator("main").inner_text() == before
    assert "es 0.9" in before
    page.get_by_role("button", name="Swap the two points").click()
    tab.settled()
    assert [parse_qs(tab.shown().partition("?")[2])[n] for n in ("from", "to")] == [[str(MONDAY)], [str(FRIDAY)]]
    expect(page.get_by_label("from", exact=True)).to_have_value(str(MONDAY))


@pytest.mark.slow
def test_a_way_between_the_points_is_valued_as_a_job_on_a_press(tab: Tab) -> None:
    page = tab.open(f"{ADDRESS}&tab=causes&method=sequential")
    panel = page.get_by_role("tabpanel")
    if panel.get_by_text("Not valued yet").count():
        page.get_by_role("button", name="Value it now").click()
    expect(panel.get_by_role("table").first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Causes of the change of")).to_be_visible(timeout=60_000)
    answer = api(tab, "explain", method="sequential")
    shown = {r["cause"]: r for r in table_of(panel, "Causes of the change")}
    for cause in answer["causes"]:
        assert_shows(shown[cause["cause"].replace("_", " ")]["value"], cause["value"])


@pytest.mark.parametrize("question", ["compare", "explain"])
def test_a_date_without_a_book_is_told(tab: Tab, question: str) -> None:
    page = tab.open(f"compare?from=2019-01-02&to={MONDAY}&tab={'change' if question == 'compare' else 'causes'}")
    expect(page.get_by_role("tabpanel").locator(".problem, .plan")).to_contain_text("2019-01-02")
