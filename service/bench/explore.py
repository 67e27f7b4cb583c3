"""Benchmark of the Explore page: a real browser on the real service over loopback, on a lake made for it.

An action is timed in the page, from the key or the choice to the frame that shows what it asked for.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from service.bench.browser import browser, check_pages
from service.bench.harness import VALUATION_DATE, Row, p95, row
from service.bench.http import server
from service.bench.reduce import make_lake
from service.config import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FIRST_MS, ACTION_MS = 1500.0, 150.0  # the stated limits
_LOADS, _WARM = 11, 3
_ROWS = ("desk", "book", "counterparty")
_MEASURES = (
    "es",
    "volatility",
    "mean",
    "worst",
    "es_beyond",
    "var_normal",
    "skewness",
    "kurtosis",
    "es_worst_k",
    "es_normal",
)
_GRID = "document.querySelector('table[role=treegrid]')"
_SHOWN = (
    f"() => {_GRID}?.getAttribute('aria-busy') === 'false' && !document.querySelector('[aria-busy=\"true\"], .loading')"
)

# milliseconds from the action to the frame in which what is waited for stands in the page
_TIMED = """
(argument) => new Promise((resolve) => {
  const grid = document.querySelector('table[role=treegrid]');
  const row = () => grid.querySelector(`tr[data-key='${argument}']`);
  let started = 0;
  const watch = new MutationObserver(() => look());
  const look = () => {
    if (grid.getAttribute('aria-busy') !== 'false' || !(SHOWS)) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
  };
  watch.observe(document.querySelector('main'), { subtree: true, childList: true, attributes: true });
  started = performance.now();
  ACTS;
  look();
})
"""


def _timed_by(acts: str, shows: str) -> str:
    return _TIMED.replace("ACTS", acts).replace("SHOWS", shows)


_OPEN = _timed_by(
    "row().querySelector('.toggle').click()",
    "row()?.getAttribute('aria-expanded') === 'true' && "
    "Number(row().nextElementSibling?.getAttribute('aria-level')) === JSON.parse(argument).length + 2",
)
_ADD = _timed_by(
    "const list = document.querySelector('[data-zone=measures] select'); list.value = argument; "
    "list.dispatchEvent(new Event('change'))",
    "!document.querySelector('.sources [aria-busy]') && [...grid.querySelectorAll('thead tr:last-child th')]"
    ".some((h) => h.textContent.startsWith(argument.replaceAll('_', ' ')))",
)


def bench_explore(
    n_contracts: int, n_scenarios: int, n_positions: int, actions: int = 100, opened: Browser | None = None
) -> list[Row]:
    """Milliseconds of the first pivot after a load, of opening a node and of adding a measure, beside their limits.

    opened : the browser; default one of its own.
    """
    check_pages()
    with (
        tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder,
        browser(Settings()) if opened is None else contextlib.nullcontext(opened) as driven,
    ):
        lake = make_lake(Path(folder), n_contracts, n_scenarios, n_positions)
        return explore(lake.path, driven, f"{n_positions:,} positions", actions)


def explore(lake: Path, driven: Browser, size: str, actions: int) -> list[Row]:
    """As `bench_explore`, on a lake like the one it makes."""
    with server(lake) as url, contextlib.closing(driven.new_page(viewport={"width": 1280, "height": 900})) as page:
        page.set_default_timeout(180_000)
        first = [_load(page, url) for _ in range(_WARM + _LOADS)][_WARM:]
        figures = [
            ("first pivot after a load", first, FIRST_MS),
            ("opening a node", _expansions(page, actions), ACTION_MS),
            ("adding a measure", _measures(page, url, actions), ACTION_MS),
        ]
    rows = []
    for work, times, limit in figures:
        named = f"Explore, {work}: {size}"
        rows.append(
            row(f"{named}, p50 of {len(times)}", statistics.median(times), "ms", "the stated limit", limit, "<= 1")
        )
        rows.append(row(f"{named}, p95 of {len(times)}", p95(times), "ms", "the stated limit", limit, "<= 1"))
    return rows


def _load(page: Page, url: str, **more: object) -> float:
    """Loads the page; milliseconds from the start of the navigation to the frame with the pivot."""
    parameters = {"as_of": VALUATION_DATE, "rows": _ROWS, "measures": ("var", "es"), **more}
    page.goto(f"{url}app/explore?{urlencode(parameters, doseq=True)}", wait_until="commit")
    page.wait_for_function(f"() => {_GRID}?.querySelectorAll('tbody tr[data-key]').length > 1")
    shown: float = page.evaluate(
        "() => new Promise((go) => requestAnimationFrame(() => setTimeout(() => go(performance.now()))))"
    )
    page.wait_for_function(_SHOWN)
    return shown


def _timed(page: Page, script: str, argument: str) -> float:
    taken: float = page.evaluate(script, argument)
    page.wait_for_load_state("networkidle")  # a person reads what is shown; the page asks ahead meanwhile
    return taken


def _expansions(page: Page, actions: int) -> list[float]:
    """Opens nodes of both levels, as somebody looks around: a desk, then some of its books."""
    times: list[float] = []
    page.wait_for_load_state("networkidle")
    desks = page.eval_on_selector_all("tr[aria-level='2']", "rows => rows.map((r) => r.dataset.key)")
    for desk in desks:
        times.append(_timed(page, _OPEN, desk))
        books = page.eval_on_selector_all("tr[aria-level='3']", "rows => rows.slice(0, 4).map((r) => r.dataset.key)")
        for book in books:
            times.append(_timed(page, _OPEN, book))
            page.locator(f"tr[data-key='{book}'] .toggle").click()
        if len(times) >= actions:
            break
        page.get_by_role("button", name="Collapse all").click()
    return times[:actions]


def _measures(page: Page, url: str, actions: int) -> list[float]:
    """Adds one measure after another, with a node open, at one level after another, so that no answer is one that was kept."""
    times: list[float] = []
    level = 0
    while len(times) < actions:
        level += 1
        _load(page, url, levels=f"0.9{level:02}", open='["desk-000"]', measures=("var",))
        page.wait_for_load_state("networkidle")
        times += [_timed(page, _ADD, measure) for measure in _MEASURES]
    return times[:actions]
