"""What the web pages weigh, and how soon they are there: the real server on the loopback address, and a real browser."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from service.api.web_pages import BUILT
from service.bench.browser import browser, check_pages
from service.bench.harness import Row, row
from service.bench.http import server
from service.config import Settings

RUNS = 9
_LIMIT_MS = 1000.0
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_PAGES = """links => links.map(a => a.getAttribute('href'))"""


def bench_pages(lake: Path, runs: int = RUNS) -> list[Row]:
    """Megabytes of all parts compressed, and milliseconds to the first paint and to each page, with a browser that holds nothing."""
    check_pages()
    made = json.loads((BUILT / "made.json").read_text())
    weight = made["compressed_bytes"] / 1e6
    rows = [
        row(
            "web pages, all parts compressed",
            weight,
            "MB",
            "the stated limit",
            made["limit"] / 1e6,
            "<= 1",
            better="lower",
        )
    ]
    with server(lake) as url, browser(Settings()) as opened:

        def visit(address: str) -> tuple[float, float, list[str]]:
            """Milliseconds to the first paint and to the heading of the page, and the pages that the navigation has."""
            with opened.new_context(viewport={"width": 1280, "height": 800}) as context:
                page = context.new_page()
                started = time.perf_counter()
                page.goto(f"{url}app/{address}", wait_until="commit")
                page.wait_for_selector("main h1")
                stands = (time.perf_counter() - started) * 1e3
                page.wait_for_function(_PAINT)
                return page.evaluate(_PAINT), stands, page.eval_on_selector_all('nav[aria-label="pages"] a', _PAGES)

        pages = visit("")[2]
        for name in pages:
            times = [visit(name)[:2] for _ in range(runs)]
            for what, figures in zip(("first paint", "its heading stands"), zip(*times, strict=True), strict=True):
                figure = statistics.median(figures)
                rows.append(
                    row(f"web page {name}, {what}", figure, "ms", "the stated limit", _LIMIT_MS, "<= 1", better="lower")
                )
    return rows
