"""The Explore page in a real browser: every figure is the service's, by mouse and by keyboard, and its address is all of it."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas
import pytest
from browser_tab import SETTLED, Tab
from playwright.sync_api import Browser, Locator, Page, expect
from server import ask, serving
from small_lake import FRIDAY, MONDAY, build_lake, no_spark, request

from lake.committer import Committer
from service.api.web_pages import BUILT
from service.bench.explore import bench_explore
from valuation.sets.requests import run_valuation

COPIES = 600  # of four trades, one of which cannot be valued


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on a lake of 2,400 positions, valued on Monday alone."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("the web pages are not made: `make web` makes them, where npm and its registry are to be had")
    lake = build_lake(tmp_path_factory.mktemp("explore") / "lake", COPIES)
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    with serving(Path(lake.path), web_only=False, settings={"VARLAKE_LOG_LEVEL": "ERROR"}) as (_, url):
        yield url


def address(**parameters: Any) -> str:
    return "explore?" + urlencode({"as_of": MONDAY, "measures": ["var", "es"], **parameters}, doseq=True)


def path(*members: str | None) -> str:
    """A node as addresses name it."""
    return json.dumps(members, separators=(",", ":"))


def settled(page: Page) -> None:
    page.wait_for_function(SETTLED)
    page.wait_for_function(
        "() => document.querySelector('table[role=treegrid]')?.getAttribute('aria-busy') === 'false'"
    )


def row(page: Page, *members: str | None) -> Locator:
    return page.locator(f"table[role=treegrid] tr[data-key={json.dumps(path(*members))}]")


def grid(page: Page) -> Locator:
    return page.locator("table[role=treegrid]")


def copied(page: Page) -> list[dict[str, str]]:
    """The rows of the grid as the clipboard has them: all of them, in full."""
    page.get_by_role("button", name="Copy table").click()
    text: str = page.evaluate("() => navigator.clipboard.readText()")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def node(rows: list[str], line: dict[str, str]) -> list[dict[str, Any]]:
    """The filters of the node that a copied row is of."""
    members = [(d, line[d]) for d in rows if line[d]]
    return [{"dimension": d, "values": [m]} for d, m in members]


def told(site: str, question: str, **body: Any) -> dict[str, Any]:
    status, answer = ask(f"{site}api/v1/{question}", {"as_of": str(MONDAY), **body})
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


@pytest.mark.slow
def test_every_figure_of_random_pivots_is_the_answer_of_the_api_for_that_node_alone(tab: Tab) -> None:
    draw = random.Random(13)
    dimensions = ["desk", "book", "client", "legal_entity", "instrument_type", "currency", "attribute.rating"]
    for _ in range(5):
        rows = draw.sample(dimensions, draw.choice([1, 2, 3]))
        measures = draw.sample(["var", "es", "volatility", "mean", "worst", "base_value"], 2)
        scope: dict[str, Any] = {"levels": [draw.choice(["0.9", "0.975"])], "currency": draw.choice(["USD", "EUR"])}
        page = tab.open(address(**scope, rows=rows, measures=measures))
        for _ in rows[1:]:
            page.get_by_role("button", name="Expand all").click()
            settled(page)
        lines = copied(page)
        assert len(lines) > 2
        for line in lines:
            asked = [m for m in measures if m != "base_value"]
            total = told(tab.site, "var", **scope, where=node(rows, line), measures=asked)["total"]
            shown = {k: v for k, v in line.items() if k not in (*rows, "covered")}
            assert len(shown) == len(measures)
            for title, figure in shown.items():
                value = total[title.replace(" ", "_")]
                assert figure == "" if value is None else float(figure) == value, (line, title)


def test_what_is_shown_is_exported_with_all_open_nodes_in_their_order(tab: Tab) -> None:
    rows = ["desk", "instrument_type"]
    page = tab.open(address(rows=rows, columns="currency", sort="-var:var_0.99", open=path("Options")))
    settled(page)
    lines = copied(page)
    assert any(line["instrument_type"] for line in lines)
    assert sum(1 for line in lines if line["desk"] and not line["instrument_type"]) > 1
    for kind, read in (("CSV", pandas.read_csv), ("Parquet", pandas.read_parquet), ("Excel", pandas.read_excel)):
        page.locator(".pivot-tools summary", has_text="Export what is shown").click()
        with page.expect_download() as got:
            page.locator(".pivot-tools").get_by_role("button", name=kind, exact=True).click()
        how = {"Excel": {"engine": "calamine"}, "CSV": {"float_precision": "round_trip"}}.get(kind, {})
        table = read(got.value.path(), **how)
        assert [*table.columns] == ["level", *lines[0]]
        assert table["level"].tolist() == [sum(bool(line[d]) for d in rows) for line in lines]
        for column in lines[0]:
            for shown, kept in zip((line[column] for line in lines), table[column].tolist(), strict=True):
                if isinstance(kept, float):
                    assert shown == "" if math.isnan(kept) else float(shown) == kept, (kind, column)
                else:
                    assert shown == ("" if kept is None else str(kept)), (kind, column)


@pytest.mark.slow
def test_columns_have_the_figures_of_their_cells_and_totals(tab: Tab) -> None:
    page = tab.open(
        address(
            rows=["desk", "book"],
            columns="currency",
            open=path("Equities"),
            measures=["var", "pnl", "component"],
            scenarios="2020-03-16",
        )
    )
    lines = copied(page)
    assert [x["desk"] for x in lines][:2] == ["", "Equities"]
    compared = 0
    for line in lines:
        for title, figure in line.items():
            member, _, name = title.rpartition(" · ")
            if name not in ("var 0.99", "pnl 2020-03-16") or figure == "":
                continue
            where = node(["desk", "book"], line)
            where += [{"dimension": "currency", "values": [member]}] if member else []
            if name == "var 0.99":
                value = told(tab.site, "var", where=where, measures=["var"])["total"]["var_0.99"]
            else:
                value = told(tab.site, "pnl", where=where, scenarios=["2020-03-16"])["rows"][0]["pnl"]
            assert float(figure) == value
            compared += 1
    assert compared >= 14
    # components are of the whole, and so the same wherever they stand
    parts = told(tab.site, "contributions", by=["desk", "book"], figures=["component"])["rows"]
    parts = {(p["desk"], p["book"]): p["component"] for p in parts if p["desk"] == "Equities"}
    shown = {(x["desk"], x["book"]): float(x["component of var"]) for x in lines if x["book"]}
    assert shown == parts


def test_the_grid_is_walked_by_keyboard_alone(tab: Tab) -> None:
    page = tab.open(address(rows=["desk", "instrument_type", "book"]))
    grid(page).focus()

    def here() -> tuple[str, int]:
        cell = page.locator(f"[id='{grid(page).get_attribute('aria-activedescendant')}']")
        return cell.locator("xpath=..").get_attribute("data-key") or "", int(cell.get_attribute("aria-colindex") or 0)

    press = page.keyboard.press
    assert here() == ("[]", 1)
    press("ArrowDown")
    assert here() == (path("Equities"), 1)
    press("ArrowRight")  # opens
    settled(page)
    expect(row(page, "Equities")).to_have_attribute("aria-expanded", "true")
    press("ArrowRight")  # to the figures
    press("ArrowRight")
    assert here() == (path("Equities"), 3)
    press("Control+End")
    assert here() == (path("Options"), 4)
    press("Home")
    assert here() == (path("Options"), 1)
    press("Control+Home")
    assert here() == ("[]", 1)
    press("c")  # the next row that begins so
    assert here() == (path("Equities", "cash_equity"), 1)
    press("Enter")
    settled(page)
    expect(row(page, "Equities", "cash_equity")).to_have_attribute("aria-expanded", "true")
    assert row(page, "Equities", "cash_equity", "book-0").get_attribute("aria-level") == "4"
    press("ArrowDown")
    press("ArrowLeft")  # to the parent, which it then closes
    assert here() == (path("Equities", "cash_equity"), 1)
    press("ArrowLeft")
    settled(page)
    expect(row(page, "Equities", "cash_equity")).to_have_attribute("aria-expanded", "false")
    press("End")
    press("Shift+Enter")
    settled(page)
    assert grid(page).locator("th[aria-sort=descending]").inner_text() == "es 0.99"
    press("Shift+Enter")
    settled(page)
    first = page.locator("table[role=treegrid] tr[aria-level='2']").first
    expect(first.locator("th")).to_have_text("▸Options")
    press("Enter")
    expect(page.locator("aside.panel h2")).to_have_text("desk Equities › instrument type cash_equity")
    press("Tab")
    page.locator("aside.panel [role=tab]").first.focus()
    press("Escape")
    expect(page.locator("aside.panel")).to_be_hidden()
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "treegrid"


@pytest.mark.slow
def test_chips_are_dragged_and_moved_by_keys_and_taken_from_a_list(tab: Tab) -> None:
    page = tab.open(address(rows="desk"))
    zone = {name: page.locator(f"[data-zone={name}]") for name in ("rows", "columns", "measures")}
    page.locator("[data-field=currency]").drag_to(zone["columns"])
    settled(page)
    assert "columns=currency" in page.url
    expect(grid(page).locator("th.member")).to_have_text(["EUR", "USD", "Total"])
    page.locator("[data-field=book]").drag_to(zone["rows"].locator(".chip").first, target_position={"x": 2, "y": 5})
    settled(page)
    assert "rows=book&rows=desk" in page.url
    page.locator('[data-chip="rows book"]').focus()
    page.keyboard.press("Shift+ArrowRight")
    settled(page)
    assert "rows=desk&rows=book" in page.url
    assert page.evaluate("() => document.activeElement.dataset.chip") == "rows book"
    page.locator('[data-chip="columns currency"]').focus()
    page.keyboard.press("Shift+ArrowUp")
    settled(page)
    assert "rows=desk&rows=book&rows=currency" in page.url
    page.keyboard.press("Delete")
    settled(page)
    assert "currency" not in page.url.split("?")[1].replace("currency=", "")
    zone["measures"].get_by_label("add to measures").select_option("volatility")
    settled(page)
    expect(grid(page).locator("thead tr:last-child th")).to_have_text(
        ["desk › book", "covered", "var 0.99", "es 0.99", "volatility"]
    )
    page.locator("[data-field=currency]").drag_to(zone["measures"])  # which takes no dimension
    assert "measures=currency" not in page.url
    zone["measures"].get_by_label("take var out of measures").click()
    settled(page)
    page.go_back()  # Back is undo
    settled(page)
    expect(zone["measures"].locator(".chip")).to_have_count(3)


@pytest.mark.slow
def test_a_link_shows_the_same_again(tab: Tab) -> None:
    page = tab.open(
        address(
            rows=["desk", "book"], columns="client", levels=["0.9", "0.95"], where="currency=USD", heat="true",
            open=[path("Options"), path("Equities")], sort="-var:var_0.95", at=path("Options", "book-0"), panel="scenarios",
        )
    )  # fmt: skip
    expect(page.locator("aside.panel table").first).to_be_attached()
    settled(page)
    where, shown, lines = page.url, page.locator("main").inner_text(), copied(page)
    page.reload()
    tab.settled()
    expect(page.locator("aside.panel table").first).to_be_attached()
    settled(page)
    assert (page.url, page.locator("main").inner_text(), copied(page)) == (where, shown, lines)
    assert row(page, "Options", "book-0").get_attribute("aria-selected") == "true"


def test_behind_a_node_are_its_trades_scenarios_and_causes_each_with_a_receipt(tab: Tab) -> None:
    page = tab.open(address(rows=["desk", "book"]))
    row(page, "Options").locator("td").last.click()
    panel = page.locator("aside.panel")
    expect(panel.get_by_role("tab", name="trades")).to_have_attribute("aria-selected", "true")
    drill = told(tab.site, "drill", where=[{"dimension": "desk", "values": ["Options"]}], measures=["var"])
    expect(panel.locator("tbody tr")).to_have_count(100)
    expect(panel.locator("tbody tr").first.locator("td").first).to_have_text(drill["rows"][0]["trade"])
    digest = drill["receipt"]["receipt_digest"]
    expect(panel.locator(f"[role=tabpanel] a[data-receipt='{digest}']")).to_be_visible()
    panel.get_by_role("button", name="Next").click()
    expect(panel).to_contain_text("trades 101 to 200 of 1,200")
    panel.get_by_role("tab", name="scenarios").click()
    expect(panel.locator("[role=tabpanel] a[data-receipt]")).to_have_count(2)
    expect(panel.locator(".chart")).to_have_attribute("aria-label", f"P&L by scenario: {panel_range(tab)}")
    panel.get_by_role("tab", name="explain").click()
    panel.get_by_label("Against").fill(str(MONDAY))
    panel.get_by_label("Against").blur()
    expect(panel).to_contain_text("a change of 0")
    assert f"against={MONDAY}" in page.url
    panel.get_by_role("button", name="Only this").click()
    settled(page)
    assert "where=desk%3DOptions" in page.url
    assert "rows=book" in page.url
    tab.picture("explore-panel")


def panel_range(tab: Tab) -> str:
    rows = told(tab.site, "pnl", where=[{"dimension": "desk", "values": ["Options"]}], histogram=40)["rows"]
    return f"{rows[0]['low']:,.0f} to {rows[-1]['high']:,.0f}"


def test_a_filter_that_names_nothing_is_an_error_at_its_field_with_the_nearest(tab: Tab) -> None:
    page = tab.open(address(rows="desk"))
    page.get_by_label("where", exact=True).fill("desk=Equitys")
    page.get_by_role("button", name="Show").click()
    fault = page.locator(".field:has([name=where]) .fault")
    expect(fault).to_contain_text("Equities")
    expect(page.get_by_label("where", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("where", exact=True)).to_have_value("desk=Equitys")  # nothing typed is lost
    expect(grid(page)).to_be_hidden()
    page.get_by_label("where", exact=True).fill("desk=Equities")
    page.get_by_role("button", name="Show").click()
    settled(page)
    expect(fault).to_be_hidden()
    expect(row(page, "Equities")).to_be_visible()
    expect(row(page, "Options")).to_have_count(0)


@pytest.mark.slow
def test_holes_are_told_at_the_node_and_below(tab: Tab) -> None:
    page = tab.open(address(rows=["desk", "book"], open=path("Options")))
    half = f"{COPIES:,} of {2 * COPIES:,}"
    covered = row(page, "Options").locator("td").first
    expect(covered).to_have_text(half)
    expect(covered).to_have_attribute("title", f"{half} positions are in the figures: {COPIES:,} failed")
    expect(row(page, "Equities").locator("td").first).to_have_text(f"{2 * COPIES:,}")
    empty = row(page, "Options", "book-1").locator("td")
    expect(empty.first).to_have_text(f"0 of {COPIES:,}")
    assert set(empty.all_inner_texts()[1:]) == {"–"}  # nothing missing is zero
    expect(page.locator(".sources .coverage")).to_contain_text("partial")
    expect(page.locator(".sources .notes")).to_contain_text("are not in the numbers")
    assert tab.inaccessible() == []


@pytest.mark.slow
def test_2400_trades_scroll_and_few_of_them_are_in_the_page(tab: Tab) -> None:
    page = tab.open(address(rows=["trade"], sort="label"))
    assert grid(page).get_attribute("aria-rowcount") == str(4 * COPIES + 2)
    assert grid(page).locator("tbody tr").count() < 100
    grid(page).focus()
    page.keyboard.press("Control+End")
    last = row(page, f"T{COPIES - 1:05}-3")
    expect(last).to_be_visible()
    expect(last).to_be_in_viewport()
    assert last.get_attribute("aria-posinset") == last.get_attribute("aria-setsize") == str(4 * COPIES)
    page.locator(".pivot-scroll").evaluate("box => { box.scrollTop = box.scrollHeight / 2 }")
    expect(grid(page).locator("tbody tr[data-row='1200']")).to_be_in_viewport()
    assert len(copied(page)) == 4 * COPIES + 1


@pytest.mark.slow
def test_of_many_rows_the_first_few_and_one_row_of_the_rest(tab: Tab) -> None:
    page = tab.open(address(rows="trade", limit=5, sort="-var:var_0.99"))
    assert grid(page).get_attribute("aria-rowcount") == str(1 + 1 + 5 + 1)
    expect(grid(page).locator("tbody tr[data-row] th").last).to_have_text(f"{4 * COPIES - 5:,} others")
    asked = told(tab.site, "var", by=["trade"], limit=5, sort=["-var_0.99"])["rows"][-1]
    assert float(copied(page)[-1]["var 0.99"]) == asked["var_0.99"]


@pytest.mark.slow
def test_sensitivities_and_days_that_are_not_valued_are_priced_and_valued_on_a_click(tab: Tab) -> None:
    page = tab.open(address(as_of=FRIDAY, rows="desk", measures=["var", "delta"]))
    for source in ("var", "greeks"):
        plan = page.locator(f".source[aria-label={source}]")
        expect(plan).to_contain_text("Not valued yet")
        plan.get_by_role("button", name="Value it now").click()
        expect(plan.locator("a[data-receipt]")).to_be_visible(timeout=60_000)
    settled(page)
    lines = copied(page)
    rows = told(tab.site, "greeks", as_of=str(FRIDAY), by=["desk"], per="class", greeks=["delta"])["rows"]
    shown = {x["desk"]: x["delta equity"] for x in lines}
    assert {d: float(shown[d]) for d in ("Equities", "Options")} == {
        r["desk"]: r["value"] for r in rows if r["risk_class"] == "equity"
    }


@pytest.mark.slow
def test_the_page_is_accessible_in_the_dark_and_fits_the_screen(tab: Tab) -> None:
    page = tab.open(address(rows=["desk", "book"], columns="currency", at=path("Options"), panel="trades", heat="true"))
    page.evaluate("() => { document.documentElement.dataset.theme = 'dark' }")
    expect(page.locator("aside.panel tbody tr").first).to_be_visible()
    assert tab.inaccessible() == []
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        tab.picture(f"explore-{width}")


@pytest.mark.slow
def test_the_benchmark_measures_each_kind_of_action(browser: Browser) -> None:
    rows = bench_explore(60, 30, 2000, actions=3, opened=browser)
    assert [r["work"].split(": ")[0] for r in rows[::2]] == [
        "Explore, first pivot after a load",
        "Explore, opening a node",
        "Explore, adding a measure",
    ]
    assert all(r["figure"] > 0 for r in rows)
