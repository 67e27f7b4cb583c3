"""The real pages in a real browser, on the real service and a small lake; whatever goes wrong in a page fails its test.

Where the pages are not made or there is no browser these tests are skipped and say why; with VARLAKE_BROWSER=required they fail.
Pictures are kept in the folder that VARLAKE_PICTURES names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_tab import Tab
from playwright.sync_api import Browser
from server import serving

from lake.errors import NotReady
from service.api.web_pages import BUILT
from service.bench.browser import browser as opened_browser
from service.config import Settings


def cannot(reason: str) -> None:
    if os.environ.get("VARLAKE_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site_lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake that is served: valued on both days; tests may write to it what others do not stumble over."""
    folder = tmp_path_factory.mktemp("site") / "lake"
    shutil.copytree(valued_lake, folder)
    return folder


@pytest.fixture(scope="session")
def site(site_lake: Path) -> Iterator[str]:
    """Address of the service: web and engine."""
    if not (BUILT / "index.html").is_file():
        cannot("the web pages are not made: `make web` makes them, where npm and its registry are to be had")
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
