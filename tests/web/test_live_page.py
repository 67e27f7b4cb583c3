"""The page Live on the small lake, on a day that is not over: figures of the API, what comes meanwhile, snapshots, alarms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from browser_tab import Tab
from live_days import DAY, contracts, level, order
from server import ask, serving
from shown_figures import shown
from small_lake import MONDAY, build_lake, no_spark, request

from aggregation.live.opening import LiveDay
from aggregation.live.snapshot import snapshot_day
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.committer import Committer
from lake.schemas import INTRADAY_LEVELS, ORDERS
from lake.tables import Lake
from valuation.sets.requests import run_valuation

ASKED = f"as_of={DAY}&by=desk&measures=var&measures=es"


def put(lake: Lake, table: str, schema: pa.Schema, *rows: dict[str, Any]) -> None:
    filled = [{**dict.fromkeys(schema.names), **row} for row in rows]
    with Committer(lake, "test") as committer:
        committer.put(table, pa.Table.from_pylist(filled, schema=schema))


def levels(lake: Lake, *rows: dict[str, Any]) -> None:
    more = {"date": DAY, "bucket_seconds": 60, "halted": False, "sequence": 1}
    put(lake, "intraday_levels", INTRADAY_LEVELS.schema, *({**more, **row} for row in rows))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("live") / "lake", copies=2)
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)
    put(made, "orders", ORDERS.schema, {**order("A", 1, contracts(made)["cash_equity USD"], "40"), "file": "f"})
    levels(made, level("EQ:AAA", 90.25))
    return made


@pytest.fixture(scope="module")
def site(lake: Lake) -> Iterator[str]:
    with serving(Path(lake.path), web_only=True) as (_, url):
        yield url


def answer(site: str, question: str) -> Any:
    status, found = ask(f"{site}api/v1/{question}")
    assert status == 200, found
    return found


def test_figures_of_the_day_are_those_of_the_api_and_follow_what_comes(tab: Tab, site: str, lake: Lake) -> None:
    found = answer(site, f"intraday?{ASKED}")
    page = tab.open(f"live?{ASKED}")
    table = page.get_by_role("region", name=f"{DAY} so far, in USD")
    for row in (*found["rows"], found["total"]):
        assert shown(row["var_0.99"]) in table.inner_text()
        assert shown(row["es_0.99_change"]) in table.inner_text()
    assert "1 of 1 orders count" in page.locator("section.answer").inner_text()
    assert page.get_by_role("region", name="Change since the open, by cause").count() == 1
    tab.picture("live")
    levels(lake, level("EQ:AAA", 95.5, 60))
    later = answer(site, f"intraday?{ASKED}")
    digest = later["receipt"]["receipt_digest"]
    assert digest != found["receipt"]["receipt_digest"]
    page.locator(f'a[data-receipt="{digest}"]').wait_for()
    assert shown(later["total"]["var_0.99"]) in table.inner_text()


@pytest.mark.slow
def test_snapshots_are_listed_and_compared(tab: Tab, site: str, lake: Lake) -> None:
    page = tab.open(f"live?tab=snapshots&as_of={DAY}")
    page.get_by_text(f"There is no snapshot of {DAY} yet.").wait_for()
    for seconds in (120, 180):
        levels(lake, level("EQ:AAA", 96.0 + seconds / 60, seconds))
        with Committer(lake, "test") as committer:
            snapshot_day(Session(lake, VectorCache(lake), committer, no_spark), LiveDay(as_of=DAY))  # type: ignore[arg-type]
    page.reload()
    table = page.get_by_role("region", name=f"Snapshots of {DAY}")
    table.wait_for()
    assert table.get_by_role("link", name="Explore").count() == 2
    tab.picture("live-snapshots")
    trade = page.get_by_role("link", name="try a trade").first.get_attribute("href")
    assert trade is not None
    assert "scenario_set=live-" in trade
    assert "as_known=" in trade
    page.get_by_role("link", name="Compare 1 with 2").click()
    page.get_by_role("heading", name="Compare", exact=True).wait_for()
    page.locator("footer.said").first.wait_for()
    assert f"{DAY}" in page.locator("main").inner_text()
    tab.picture("live-compared")


@pytest.mark.slow
def test_alarms_and_bands_are_listed_and_a_day_without_any_says_so(tab: Tab, site: str) -> None:
    page = tab.open(f"live?tab=alarms&as_of={DAY}")
    page.get_by_text(f"No alarm of {DAY} is stored.").wait_for()
    page.get_by_text("No band was set: there are no alarms.").wait_for()
