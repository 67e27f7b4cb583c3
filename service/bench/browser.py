"""The machine's Chromium, without a window: what tests, measures and pictures of the web pages are made with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lake.errors import NotReady
from service.api.web_pages import INDEX
from service.config import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium(settings: Settings) -> str:
    """Path of the program; raises `NotReady` where there is none."""
    named = () if settings.chromium is None else (str(settings.chromium),)
    for name in named or _NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    raise NotReady(
        f"There is no browser: {' or '.join(named or _NAMES)} is not a program here. Debian's package is chromium (`make browser`); "
        "VARLAKE_CHROMIUM names another."
    )


def check_pages() -> None:
    """Raises `NotReady` where there are no web pages to drive."""
    if not INDEX.is_file():
        raise NotReady("The web pages are not made; `make web` makes them.")


@contextmanager
def browser(settings: Settings) -> Iterator[Browser]:
    """A browser of its own, ended with the block."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for developers alone
    except ImportError:
        raise NotReady("Playwright is not installed, through which the browser is driven; `make setup` does.") from None
    program = chromium(settings)
    # within a container, where this is root, Chromium's own sandbox cannot be made
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=arguments)
        try:
            yield opened
        finally:
            opened.close()


if __name__ == "__main__":
    sys.stdout.write(f"{chromium(Settings())}\n")
