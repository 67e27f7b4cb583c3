"""The real pages in a real browser, on the real service and a small lake; whatever goes wrong in a page fails its test.

Where the pages are not made or there is no browser these tests are skipped and say why; with VARLAKE_BROWSER=required they fail.
Pictures are kept in the folder that VARLAKE_PICTURES names.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from browser_tab import Tab
from playwright.sync_api import Browser
from server import serving

from lake.committer import Committer
from lake.errors import NotReady
from lake.schemas import MARKET_DATA
from lake.tables import Lake
from service.api.web_pages import BUILT
from service.bench.browser import browser as opened_browser
from service.config import Settings


def cannot(reason: str) -> None:
    if os.environ.get("VARLAKE_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def made() -> None:
    """The pages are made."""
    if not (BUILT / "index.html").is_file():
        cannot("the web pages are not made: `make web` makes them, where npm and its registry are to be had")


@pytest.fixture(scope="session")
def site_lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake that is served: valued on both days; tests may write to it what others do not stumble over."""
    folder = tmp_path_factory.mktemp("site") / "lake"
    shutil.copytree(valued_lake, folder)
    return folder


@pytest.fixture(scope="session")
def site(site_lake: Path) -> Iterator[str]:
    """Address of the service: web and engine."""
    with serving(site_lake, web_only=False, settings={"VARLAKE_LOG_LEVEL": "ERROR"}) as (_, url):
        yield url


# of a module: while Playwright runs, no other test of its process can run an event loop
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with opened_browser(Settings()) as opened:
            yield opened
    except NotReady as error:
        cannot(error.message)


@pytest.fixture
def tab(browser: Browser, site: str) -> Iterator[Tab]:
    """A tab of a browser nobody has used: 1280 x 800, nothing stored."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    opened = Tab(context.new_page(), site)
    yield opened
    context.close()
    assert opened.wrong == []


@pytest.fixture(scope="session")
def bad_day() -> dt.date:
    """Day of a share's price that is hardly right, on the service whose lake tests may change."""
    return dt.date(2020, 3, 4)


@pytest.fixture(scope="session")
def own_site(valued_lake: Path, bad_day: dt.date, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose lake tests may change; one market value of it is hardly right."""
    lake = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("data") / "lake"))
    rows = lake.read("market_data").to_pylist()
    (wrong,) = [r for r in rows if (r["risk_factor_id"], r["as_of_date"]) == ("EQ:AAA", bad_day)]
    wrong |= {name: 10 * wrong[name] for name in ("value_received", "value_used")}
    with Committer(lake, "test") as committer:
        committer.put("market_data", pa.Table.from_pylist(rows, MARKET_DATA.schema), replace=True)
    with serving(lake.path, web_only=False) as (_, url):
        yield url


@pytest.fixture(scope="session")
def idle_site(bare_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service without an engine, on a lake where nothing is valued."""
    lake = shutil.copytree(bare_lake, tmp_path_factory.mktemp("idle") / "lake")
    with serving(lake, web_only=True) as (_, url):
        yield url


def beside(tab: Tab, site: str) -> Iterator[Tab]:
    """A tab on another service."""
    there = Tab(tab.page.context.new_page(), site)
    yield there
    assert there.wrong == []


@pytest.fixture
def own(tab: Tab, own_site: str) -> Iterator[Tab]:
    yield from beside(tab, own_site)


@pytest.fixture
def idle(tab: Tab, idle_site: str) -> Iterator[Tab]:
    yield from beside(tab, idle_site)
