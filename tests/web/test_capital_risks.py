"""The page Capital by risk: each tab shows the figures of its question, values what is missing on a click, and opens a row."""

from __future__ import annotations

from typing import Any

import pytest
from browser_tab import Tab
from playwright.sync_api import Locator
from server import ask
from shown_figures import shown
from small_lake import FRIDAY, MONDAY

PATHS = "grid=1M&grid=6M&paths=64&path_window=20"
VALUED = 90_000  # milliseconds that a valuation may take on a busy machine


def answer(site: str, question: str) -> Any:
    status, found = ask(f"{site}api/v1/{question}")
    assert status == 200, found
    return found


def answered(tab: Tab, name: str) -> Locator:
    """The panel with its answer, valued on a click where it was not."""
    panel = tab.page.get_by_role("region", name=name, exact=True)
    button = panel.get_by_role("button", name="Value it now")
    button.or_(panel.locator("footer.said")).first.wait_for()
    if button.count():
        assert "Not valued yet" in panel.inner_text()
        button.click()
    panel.locator("footer.said").wait_for(timeout=VALUED)
    tab.settled()
    return panel


def told(panel: Locator, found: Any) -> None:
    """Regime, notes and receipt of the answer stand in the panel."""
    text = panel.inner_text()
    named = found["receipt"].get("regime") or " to ".join(dict.fromkeys(found["receipt"]["regimes"]))
    assert f"Regime {named}" in text
    for note in found["notes"]:
        assert note in text
    assert panel.locator(f'a[data-receipt="{found["receipt"]["receipt_digest"]}"]').count() == 1


def accessible(tab: Tab) -> None:
    for theme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=theme)
        tab.page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        tab.settled()
        assert tab.inaccessible() == [], theme


@pytest.mark.slow
def test_counterparties_open_to_netting_sets_and_trades(tab: Tab, site: str) -> None:
    page = tab.open("capital?tab=counterparties")
    panel = answered(tab, "Exposure at default and credit RWA")
    found = answer(site, f"credit-rwa?as_of={MONDAY}&by=counterparty")
    told(panel, found)
    assert "Coverage: positions" in panel.inner_text()
    for row in found["rows"]:
        for figure in ("ead", "rwa", "capital") if row["covered"] else ():
            assert shown(row[figure]) in panel.inner_text()
    panel.get_by_role("button", name="counterparty-0", exact=True).click()
    sets = page.get_by_role("region", name="Netting sets: counterparty counterparty-0", exact=True)
    trades = page.get_by_role("region", name="Trades: counterparty counterparty-0", exact=True)
    for behind in (sets, trades):
        behind.locator("footer.said").wait_for()
    of = f"as_of={MONDAY}&where=counterparty%3Dcounterparty-0"
    by_set, by_trade = answer(site, f"sa-ccr?{of}&by=netting_set"), answer(site, f"sa-ccr-trades?{of}")
    told(sets, by_set)
    told(trades, by_trade)
    assert "CSA-0" in {r["netting_set"] for r in by_set["rows"]}
    for row in by_set["rows"]:
        assert row["netting_set"] in sets.inner_text()
        assert shown(row["ead"]) in sets.inner_text()
    assert sets.get_by_role("button", name="CSA-0").count() == 0  # nothing is behind what is behind
    for row in by_trade["rows"]:
        assert row["trade"] in trades.inner_text()
    text = page.locator("main").inner_text()
    page.reload()
    tab.settled()
    assert page.locator("main").inner_text() == text
    tab.picture("capital-counterparties")
    accessible(tab)
    page.get_by_role("button", name="Close", exact=True).click()
    trades.wait_for(state="detached")
    assert "cell" not in tab.shown()


@pytest.mark.slow
def test_market_risk_by_desk_and_by_class(tab: Tab, site: str) -> None:
    page = tab.open("capital?tab=market")
    panel = answered(tab, "Market risk, standardised approach")
    found = answer(site, f"frtb-sa?as_of={MONDAY}&by=desk")
    told(panel, found)
    by_desk = panel.get_by_role("region", name="By desk", exact=True).inner_text()
    for row in found["rows"]:
        for figure in ("sbm", "drc", "rrao", "capital"):
            assert shown(row[figure]) in by_desk
    by_class = panel.get_by_role("region", name="By class, in each correlation scenario").inner_text()
    for row in found["classes"]:
        assert shown(row["medium"]) in by_class
    panel.get_by_role("button", name="Options", exact=True).click()
    alone = page.get_by_role("region", name="By instrument type, by itself: desk Options", exact=True)
    alone.locator("footer.said").wait_for()
    one = answer(site, f"frtb-sa?as_of={MONDAY}&by=instrument_type&where=desk%3DOptions")
    assert shown(one["total"]["capital"]) in alone.inner_text()
    tab.picture("capital-market")
    accessible(tab)


@pytest.mark.slow
def test_cva_has_figures_where_there_is_a_curve_and_reasons_where_not(tab: Tab, site: str) -> None:
    page = tab.open(f"capital?tab=cva&{PATHS}")
    charge, cva = answered(tab, "Capital for CVA risk, basic approach"), answered(tab, "CVA and DVA")
    found = answer(site, f"ba-cva?as_of={MONDAY}&by=counterparty")
    told(charge, found)
    for row in found["rows"]:
        if row["capital"] is not None:
            assert shown(row["capital"]) in charge.inner_text()
    own = answer(site, f"cva?as_of={MONDAY}&by=counterparty&{PATHS}")
    assert cva.locator(f'a[data-receipt="{own["receipt"]["receipt_digest"]}"]').count() == 1
    # the lake has no credit curves: no figure may stand there, and the reason must
    assert {r["cva"] for r in own["rows"]} == {None}
    for row in own["rows"]:
        assert row["reason"] in cva.inner_text()
    charge.get_by_role("button", name="counterparty-0", exact=True).click()
    alone = page.get_by_role(
        "region", name="Capital by netting set, by itself: counterparty counterparty-0", exact=True
    )
    alone.locator("footer.said").wait_for()
    one = answer(site, f"ba-cva?as_of={MONDAY}&by=netting_set&where=counterparty%3Dcounterparty-0")
    assert shown(one["total"]["capital"]) in alone.inner_text()
    tab.picture("capital-cva")
    accessible(tab)


def test_the_report_has_every_risk_and_what_is_in_no_figure(tab: Tab, site: str) -> None:
    page = tab.open("capital?tab=report")
    panel = answered(tab, "RWA and capital")
    found = answer(site, f"capital?as_of={MONDAY}&by=legal_entity")
    told(panel, found)
    by_risk = panel.get_by_role("region", name="By risk, each the answer of its own question").inner_text()
    for part in found["parts"]:
        assert part["question"] in by_risk
        assert shown(part["rwa"]) in by_risk
    rows = panel.get_by_role("region", name="By legal entity", exact=True).inner_text()
    for row in found["rows"]:
        assert shown(row["rwa"]) in rows
    panel.get_by_role("button", name="legal_entity-0", exact=True).click()
    desks = page.get_by_role("region", name="By desk, by itself: legal entity legal_entity-0", exact=True)
    desks.locator("footer.said").wait_for()
    one = answer(site, f"capital?as_of={MONDAY}&by=desk&where=legal_entity%3Dlegal_entity-0")
    for row in one["rows"]:
        assert shown(row["rwa"]) in desks.inner_text()
    tab.picture("capital-report")
    accessible(tab)


@pytest.mark.slow
def test_two_points_and_a_plan_show_every_cause_and_cell(tab: Tab, site: str) -> None:
    for part, name, asked in (
        ("compare", "capital-compare", f"from={FRIDAY}&to={MONDAY}&parts=credit&by=desk"),
        ("plan", "capital-plan", f"as_of={MONDAY}&parts=credit&horizons=1M&scenarios=equity+-20%25&by=desk"),
    ):
        tab.open(f"capital?tab={part}&{asked}")
        panel = answered(tab, "answer")
        found = answer(site, f"{name}?{asked}")
        told(panel, found)
        for row in found["rows"]:
            for figure in ("change", "rwa_from", "rwa_to", "rwa"):
                if row.get(figure) is not None:
                    assert shown(row[figure]) in panel.inner_text()
        tab.picture(f"capital-{part}")
        accessible(tab)
    assert tab.page.get_by_role("img", name="Change of RWA by scenario and horizon").count() == 1


@pytest.mark.parametrize("part", ["report", "counterparties", "cva", "market"])
def test_a_regime_that_is_not_there_is_told_at_its_field(tab: Tab, part: str) -> None:
    page = tab.open(f"capital?tab={part}&regime=basle&{PATHS if part == 'cva' else ''}")
    page.locator(".problem").first.wait_for()
    assert "basle" in page.locator(".problem").first.inner_text()
    assert page.get_by_label("regime", exact=True).input_value() == "basle"
