"""The page Time on a lake with a book on every business day of a month but one: series, gaps, backtests, profiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_tab import Tab
from daily_lake import DAYS, FIRST, LAST, NO_BOOK, SCENARIOS, build_daily_lake
from server import ask, serving
from shown_figures import shown
from small_lake import no_spark

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.committer import Committer
from scenarios.requests import ScenarioRequest
from valuation.sets.daily import value_days

RANGE = f"from={FIRST}&to={LAST}"
EXPOSURE = {"by": ["counterparty"], "grid": ["1M", "6M"], "paths": 64, "path_window": 20}
BACKTEST = f"time?tab=backtest&{RANGE}&levels=0.95&levels=0.9&simulations=0"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lake = build_daily_lake(tmp_path_factory.mktemp("daily") / "lake")
    with Committer(lake, "test") as committer:
        value_days(committer, DAYS, ScenarioRequest(parameters={"scenarios": SCENARIOS}))
        query = questions.read("exposure", {"as_of": LAST, **EXPOSURE})
        questions.value(Session(lake, VectorCache(lake), committer, spark=no_spark), "exposure", query)
    with serving(Path(lake.path), web_only=True) as (_, url):
        yield url


def answer(site: str, question: str) -> Any:
    status, found = ask(f"{site}api/v1/{question}")
    assert status == 200, found
    return found


def test_a_series_shows_the_figures_of_the_api_and_tells_each_gap(tab: Tab, site: str) -> None:
    found = answer(site, f"series?{RANGE}&by=desk&interval=0.95")  # first, so that no page waits for kernels
    page = tab.open(f"time?{RANGE}&by=desk&interval=0.95")
    table = page.get_by_role("region", name="answers, by day")
    for row in found["rows"]:
        if row["status"] != "gap":
            assert shown(row["var_0.99"]) in table.inner_text()
    gaps = page.locator("details.gaps")
    assert str(NO_BOOK) not in table.inner_text()
    gaps.locator("summary").click()
    assert f"No positions on {NO_BOOK}" in gaps.inner_text()
    assert page.get_by_role("img", name="var 0.99 by day").count() == 1
    assert found["receipt"]["receipt_digest"][:12] in page.locator("footer.said").inner_text()
    tab.picture("time-series")


def test_a_range_is_given_where_none_is_asked_for_and_another_figure_is_a_step_back_and_forth(tab: Tab) -> None:
    page = tab.open("time")
    assert page.get_by_label("from", exact=True).input_value() == str(DAYS[0])
    page.get_by_label("Figure", exact=True).select_option("es_0.99")
    page.wait_for_selector('[aria-label^="es 0.99 by day"]')
    assert "show=es_0.99" in tab.shown()
    page.go_back()
    page.wait_for_selector('[aria-label^="var 0.99 by day"]')


def test_an_exception_of_a_backtest_is_chosen_by_keyboard_and_shows_what_lies_behind_it(tab: Tab, site: str) -> None:
    node = answer(site, f"backtest?{RANGE}&levels=0.95&levels=0.9&simulations=0")["nodes"][0]
    page = tab.open(BACKTEST)
    first = node["exceptions"][0]
    assert (
        f"{node['levels'][0]['exceptions']} exceptions on" in page.get_by_role("region", name="level 0.95").inner_text()
    )
    zone = node["levels"][0]["traffic_light"]["zone"]
    assert page.locator(".zone").first.inner_text() == zone
    page.locator(f"#exception-{first['day']}").focus()
    page.keyboard.press("Enter")
    behind = page.get_by_role("region", name="what lies behind the exception")
    behind.get_by_role("heading", name=f"Behind the exception of {first['day']}").wait_for()
    assert page.evaluate("() => document.activeElement?.id") == f"exception-{first['day']}"
    for contributor in first["contributors"]:
        assert contributor["trade"] in behind.inner_text()
    for move in first["moves"]:
        assert move["risk_factor"] in behind.inner_text()
    assert f"day={first['day']}" in tab.shown()
    text = behind.inner_text()
    page.reload()
    tab.settled()
    assert behind.inner_text() == text
    tab.picture("time-backtest")


@pytest.mark.slow
def test_nodes_tests_and_days_of_a_backtest_are_told(tab: Tab, site: str) -> None:
    page = tab.open(f"{BACKTEST}&by=desk&node=1")
    found = answer(site, f"backtest?{RANGE}&levels=0.95&levels=0.9&simulations=0&by=desk")
    assert page.get_by_label("Node", exact=True).input_value() == "1"
    assert page.locator("summary", has_text=f"All {len(found['nodes'][1]['days'])} days").count() == 1
    page.locator("summary", has_text="Tests at 0.95").first.click()
    outcome = found["nodes"][1]["levels"][0]["by_pnl"][0]["outcomes"][0]
    assert outcome["source"] in page.get_by_role("region", name="Tests at 0.95").first.inner_text()


@pytest.mark.slow
def test_a_backtest_from_counts_and_its_faults(tab: Tab, site: str) -> None:
    page = tab.open("time?tab=counts")
    assert "Fill in the form" in page.locator(".answer").inner_text()
    page.get_by_label("exceptions").fill("5")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("region", name="Tests").wait_for()
    light = answer(site, "backtest-counts?exceptions=5")["traffic_light"]
    assert page.locator(".zone").inner_text() == light["zone"]
    assert f"multiplier {light['multiplier']}" in page.locator(".answer").inner_text()
    page.get_by_label("exceptions").fill("five")
    page.get_by_role("button", name="Ask").click()
    page.locator('[aria-invalid="true"]').wait_for()
    assert page.get_by_label("exceptions").input_value() == "five"


@pytest.mark.slow
def test_a_profile_shows_value_and_cash_at_every_horizon(tab: Tab, site: str) -> None:
    question = f"roll-forward?as_of={LAST}&horizons=1D&horizons=1M&by=desk"
    found = answer(site, question)
    page = tab.open(f"time?tab=profile&as_of={LAST}&horizons=1D&horizons=1M&by=desk")
    table = page.get_by_role("region", name="All positions")
    for row in found["totals"]:
        assert shown(row["value"]) in table.inner_text()
    assert page.get_by_role("img", name="value by horizon").count() == 1


def test_exposure_shows_any_figure_by_group_and_what_it_comes_to_over_time(tab: Tab, site: str) -> None:
    asked = f"as_of={LAST}&by=counterparty&grid=1M&grid=6M&paths=64&path_window=20"
    found = answer(site, f"exposure?{asked}")
    page = tab.open(f"time?tab=exposure&{asked}&show=ee")
    table = page.get_by_role("region", name="Over time")
    for row in found["summary"]:
        assert shown(row["ead"]) in table.inner_text()
    by_date = page.get_by_role("region", name="By date").inner_text()
    for row in found["rows"]:
        assert shown(row["ee"]) in by_date
    assert page.get_by_role("img", name="ee over time").count() == 1


def test_a_day_that_cannot_be_is_told_and_nothing_typed_is_lost(tab: Tab) -> None:
    page = tab.open(f"time?from={LAST}&to={FIRST}&by=dsk")
    assert "dsk" in page.locator(".problem").inner_text() or "before" in page.locator(".problem").inner_text()
    assert page.get_by_label("by", exact=True).input_value() == "dsk"


@pytest.mark.slow
def test_every_part_is_accessible(tab: Tab) -> None:
    for part, theme in (("series", "light"), ("backtest", "dark"), ("counts", "light"), ("profile", "dark")):
        tab.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        more = "&levels=0.95&simulations=0" if part == "backtest" else ""
        tab.open(f"time?tab={part}&{RANGE}{more}")
        assert tab.inaccessible() == [], part
