"""A tab of a real browser on the real pages, for tests: whatever goes wrong in it is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request, Response

from service.api.web_pages import BUILT

AXE = BUILT.parent / "node_modules" / "axe-core" / "axe.min.js"
SETTLED = "() => !document.querySelector('[aria-busy=\"true\"], .loading')"


class Tab:
    """A tab of the browser, which keeps all that goes wrong in it; `wrong` must be empty when its test ends."""

    def __init__(self, page: Page, site: str) -> None:
        self.page, self.site = page, site
        self.wrong: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # the browser writes a line for each answer that is no success; `_response` judges these
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.wrong.append(f"left the host: {request.url}")

    def _response(self, response: Response) -> None:
        told = response.status < 500 and "/api/v1/" in response.url  # the API says so in words, which the page shows
        if response.status >= 400 and not told:
            self.wrong.append(f"{response.status}: {response.url}")

    def open(self, address: str = "") -> Page:
        """The page of an address below /app/, once it shows what it was asked for."""
        self.page.goto(f"{self.site}app/{address}")
        return self.settled()

    def settled(self) -> Page:
        self.page.wait_for_selector("main h1")
        self.page.wait_for_function(SETTLED)
        return self.page

    def shown(self) -> str:
        """The address below /app/ that the tab shows now."""
        return self.page.url.removeprefix(f"{self.site}app/")

    def picture(self, name: str) -> None:
        """Keeps a picture of the whole page, where pictures are kept."""
        if folder := os.environ.get("VARLAKE_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    def inaccessible(self) -> list[str]:
        """Findings of axe-core that are serious or critical, each with the element."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{v['id']}: {node['html'][:300]} ({node['failureSummary']})"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"]
        ]
