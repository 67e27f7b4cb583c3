"""The real pages in a real browser, on the real service and a small lake."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_tab import Tab
from playwright.sync_api import Browser, sync_playwright
from server import serving

from service.api.web_pages import BUILT

# nobody reads the log: a pipe that is full would stop the service
NO_LOG = "import os\nos.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"


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
        pytest.skip("the web pages are not made: `make web` makes them")
    with serving(site_lake, web_only=False, before=NO_LOG) as (_, url):
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Browser, site: str) -> Iterator[Tab]:
    """A tab of a browser nobody has used: 1280 x 800, nothing stored."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(20_000)
    opened = Tab(context.new_page(), site)
    yield opened
    context.close()
    assert opened.wrong == []
