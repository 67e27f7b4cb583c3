"""The first page: the newest valued day, what changed it, exceptions, and what needs attention; every number leads further."""

from __future__ import annotations

import pytest
from browser_tab import Tab
from server import ask
from shown_figures import shown
from small_lake import FRIDAY, MONDAY


def test_the_newest_day_its_change_and_its_exceptions_are_those_of_the_api(tab: Tab, site: str) -> None:
    _, risk = ask(f"{site}api/v1/var?as_of={MONDAY}&by=desk&sort=-var_0.99")
    _, why = ask(f"{site}api/v1/explain?from={FRIDAY}&to={MONDAY}")
    _, tested = ask(f"{site}api/v1/backtest?from={FRIDAY}&to={MONDAY}&calendar=books&simulations=0&levels=0.99")
    page = tab.open()
    assert page.get_by_role("navigation", name="pages").get_by_role("link").first.inner_text() == "Start"
    assert str(MONDAY) in page.locator("main").inner_text()
    by_desk = page.get_by_role("region", name="Risk by desk")
    for name in ("var_0.99", "es_0.99"):
        assert shown(risk["total"][name]) in by_desk.inner_text()
    assert [r["desk"] for r in risk["rows"]] == by_desk.locator("tbody td:first-child").all_inner_texts()
    change = page.get_by_role("region", name=f"Change since {FRIDAY}")
    change.locator(".headline").wait_for()
    assert shown(why["change"]) in change.inner_text()
    largest = max(why["causes"], key=lambda c: abs(c["value"]))
    assert largest["cause"] in change.locator("tbody tr").first.inner_text()
    exceptions = page.get_by_role("region", name="Exceptions")
    exceptions.locator(".headline").wait_for()
    assert f"{tested['nodes'][0]['levels'][0]['exceptions']} exceptions" in exceptions.inner_text()
    for answer in (risk, why, tested):
        assert page.locator(f'a[data-receipt="{answer["receipt"]["receipt_digest"]}"]').count() == 1
    assert tab.inaccessible() == []
    tab.picture("start")


def test_every_number_leads_to_its_question(tab: Tab) -> None:
    page = tab.open("start")
    page.get_by_role("region", name="Risk by desk").locator("tbody a").first.click()
    page.wait_for_url("**/app/ask?question=var*")
    tab.settled()
    assert page.locator("footer.said").count() == 1
    page.go_back()
    page.get_by_role("link", name=f"The valued day before: {FRIDAY}").click()
    page.wait_for_url(f"**/app/start?as_of={FRIDAY}")
    tab.settled()
    assert "No earlier day is valued" in page.locator("main").inner_text()


@pytest.mark.slow
def test_a_lake_where_nothing_is_valued_says_what_to_do(idle: Tab) -> None:
    page = idle.open("start")
    assert "Nothing is valued yet" in page.locator("main").inner_text()
    page.get_by_role("region", name="What needs attention").get_by_text("no engine").wait_for()
    page.get_by_role("link", name="bring files in").click()
    page.get_by_label("What the files hold").wait_for()


@pytest.mark.parametrize("asked", ["2020-01-01", "soon"])
def test_a_day_that_is_not_valued_is_told(tab: Tab, asked: str) -> None:
    page = tab.open(f"start?as_of={asked}")
    assert f"{asked} is not valued" in page.locator("main").inner_text()
