"""The page Capital: figures at regulatory levels as the API gives them, what is missing valued on a click, the multiplier."""

from __future__ import annotations

from typing import Any

import pytest
from browser_tab import Tab
from server import ask
from shown_figures import shown
from small_lake import FRIDAY, MONDAY


def answer(site: str, question: str) -> Any:
    status, found = ask(f"{site}api/v1/{question}")
    assert status == 200, found
    return found


def test_the_figures_are_those_of_the_api_each_with_its_question_and_receipt(tab: Tab, site: str) -> None:
    page = tab.open("capital?by=desk")
    for title, question, column in (
        ("VaR 99%, 10 days", "measures=var&levels=0.99&scale_to_days=10", "var_0.99_10d"),
        ("ES 97.5%, 10 days", "measures=es&levels=0.975&scale_to_days=10", "es_0.975_10d"),
        ("VaR 99% and ES 97.5%, 1 day", "measures=var&measures=es&levels=0.975&levels=0.99", "es_0.975"),
    ):
        found = answer(site, f"var?as_of={MONDAY}&by=desk&{question}")
        panel = page.get_by_role("region", name=title, exact=True)
        text = panel.inner_text()
        for name in (column, f"{column}_diversification", f"{column}_standalone_sum"):
            assert shown(found["total"][name]) in text, name
        assert panel.locator(f'a[data-receipt="{found["receipt"]["receipt_digest"]}"]').count() == 1
        href = panel.get_by_role("link", name="the question var").get_attribute("href")
        assert href is not None
        again = answer(site, f"var?{href.partition('&')[2]}")
        assert again["receipt"]["receipt_digest"] == found["receipt"]["receipt_digest"]
    assert tab.inaccessible() == []
    tab.picture("capital")


@pytest.mark.slow
def test_what_is_not_valued_says_its_price_and_is_valued_on_a_click_without_a_reload(tab: Tab, site: str) -> None:
    page = tab.open("capital")
    panel = page.get_by_role("region", name="Risk classes, VaR 99% and ES 97.5%", exact=True)
    panel.get_by_text("Not valued yet", exact=True).wait_for()
    panel.get_by_role("button", name="Value it now").click()
    panel.locator("footer.said").wait_for(timeout=60_000)
    found = answer(site, f"risk-classes?as_of={MONDAY}&measures=var&measures=es&levels=0.975&levels=0.99")
    for risk_class, total in found["totals"].items():
        assert risk_class in panel.inner_text()
        assert shown(total["var_0.99"]) in panel.inner_text()
    assert shown(found["diversification"]["es_0.975"]) in panel.inner_text()
    assert panel.locator(f'a[data-receipt="{found["receipt"]["receipt_digest"]}"]').count() == 1


@pytest.mark.slow
def test_the_multiplier_is_tested_when_asked_for_and_leads_to_its_days(tab: Tab, site: str) -> None:
    found = answer(site, f"backtest?from={FRIDAY}&to={MONDAY}&levels=0.99&simulations=0")
    page = tab.open("capital")
    page.get_by_role("button", name="Test the last 250 days").wait_for()
    page = tab.open(f"capital?from={FRIDAY}&to={MONDAY}")
    panel = page.get_by_role("region", name="Traffic light and multiplier", exact=True)
    light = found["nodes"][0]["levels"][0]["traffic_light"]
    assert panel.locator(".zone").inner_text() == light["zone"]
    panel.get_by_role("link", name="The days, the tests").click()
    page.wait_for_url("**/app/time?tab=backtest*")


def test_the_form_changes_all_figures_and_a_fault_is_told(tab: Tab, site: str) -> None:
    page = tab.open("capital")
    page.get_by_label("currency").fill("EUR")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**currency=EUR*")
    found = answer(site, f"var?as_of={MONDAY}&currency=EUR&measures=var&levels=0.99&scale_to_days=10")
    panel = page.get_by_role("region", name="VaR 99%, 10 days", exact=True)
    panel.get_by_text(shown(found["total"]["var_0.99_10d"])).wait_for()
    page.get_by_label("currency").fill("EURO")
    page.keyboard.press("Enter")
    panel.locator(".problem").wait_for()
    assert page.get_by_label("currency").input_value() == "EURO"
