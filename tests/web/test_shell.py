"""What works on every page: finding, undoing, pinning, saving, taking along, and losing nothing."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from browser_tab import Tab
from playwright.sync_api import Locator, Page, Route, expect
from python_calamine import CalamineWorkbook
from server import ask
from small_lake import FRIDAY, MONDAY, SHARE_A

from lake.schemas import DIMENSION_COLUMNS

VAR = f"ask?question=var&as_of={MONDAY}&by=desk"


def figures(page: Page) -> list[str]:
    """The cells of the table of rows."""
    return page.locator(".answer table", has_text="rows").locator("td").all_inner_texts()


def field(page: Page, name: str) -> Locator:
    """A field of the form, seen."""
    page.evaluate("() => document.querySelectorAll('.question-form details').forEach(d => d.open = true)")
    return page.locator(f".question-form [name='{name}']")


def told(page: Page) -> Any:
    return expect(page.locator("#told"))


def choose(page: Page, menu: str, entry: str) -> None:
    page.locator("summary", has_text=re.compile(f"^{menu}$")).click()
    page.get_by_role("button", name=entry, exact=True).click()


def test_the_palette_goes_anywhere_by_keyboard_alone(tab: Tab) -> None:
    page = tab.open(VAR)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Command palette")
    palette.get_by_role("combobox").type("incremental what")
    tab.picture("palette")
    assert tab.inaccessible() == []
    page.keyboard.press("Escape")
    expect(palette).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("contributions")
    expect(page.locator("#palette-0")).to_contain_text("question")
    page.keyboard.press("Enter")
    expect(page.locator(".two-columns h2", has_text="contributions")).to_be_visible()
    assert tab.shown() == "ask?question=contributions"
    page.keyboard.press("Control+k")
    page.keyboard.type("no such thing at all")
    expect(palette.get_by_text("Nothing is called so.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(palette).to_be_visible()
    palette.get_by_role("combobox").fill("dark colours")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")


@pytest.mark.slow
def test_arrows_move_in_the_palette_and_help_lists_the_keys(tab: Tab) -> None:
    page = tab.open(VAR)
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="command")
    expect(page.locator("#palette-0")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[role=option]").filter(has_text="question")).not_to_have_count(0)  # questions come after pages
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "palette-1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("[role=option]").last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    page.locator("main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Ctrl-Shift-Z")
    tab.picture("keys")
    assert tab.inaccessible() == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_step_is_undone_and_done_again(tab: Tab) -> None:
    page = tab.open(VAR)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    field(page, "by").fill("book")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("th", has_text="book")).to_be_visible()
    expect(undo).to_be_enabled()
    page.locator("main").focus()
    page.keyboard.press("Control+z")
    expect(page.locator("th", has_text="desk")).to_be_visible()
    expect(field(page, "by")).to_have_value("desk")
    expect(undo).to_be_disabled()
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("th", has_text="book")).to_be_visible()
    page.reload()
    tab.settled()
    page.locator("main").focus()
    page.keyboard.press("Control+z")
    expect(page.locator("th", has_text="desk")).to_be_visible()
    field(page, "by").focus()
    page.keyboard.press("Control+z")  # in a field it is the field's own
    expect(page.locator("th", has_text="desk")).to_be_visible()


def test_the_colours_that_were_chosen_are_kept(tab: Tab) -> None:
    page = tab.open(VAR)
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.get_by_role("button", name="Dark", exact=True).click()
    page.reload()
    assert page.evaluate(theme) == "dark"
    page.get_by_role("button", name="Light", exact=True).click()
    page.emulate_media(color_scheme="dark")  # back to what the system has, which is followed again
    page.wait_for_function(f"{theme} === 'dark'")


def test_a_page_that_is_not_there_is_told(tab: Tab) -> None:
    page = tab.open("nothing")
    expect(page.locator("main")).to_contain_text("There is no page nothing")
    page.get_by_role("link", name="All questions").click()
    expect(page.locator("h1", has_text="All questions")).to_be_visible()
    assert page.evaluate("() => document.activeElement.id") == "main"
    expect(page.locator(".unseen")).to_have_text("All questions")


def test_typed_text_outlives_a_reload_until_it_is_sent(tab: Tab) -> None:
    page = tab.open(VAR)
    field(page, "where").fill("desk=Opt")
    page.reload()
    tab.settled()
    assert field(page, "where").input_value() == "desk=Opt"
    field(page, "where").fill("desk=Options")
    page.get_by_role("button", name="Ask", exact=True).click()
    tab.settled()
    assert "where=desk%3DOptions" in tab.shown()
    tab.open(VAR)
    assert field(page, "where").input_value() == ""


def test_a_lost_connection_is_told_and_found_again(tab: Tab) -> None:
    page = tab.open(VAR)
    shown = figures(page)
    page.route("**/api/v1/**", lambda route: route.abort("connectionrefused"))
    field(page, "by").fill("book")
    page.get_by_role("button", name="Ask", exact=True).click()
    banner = page.get_by_role("alert").filter(has_text="The connection to varlake is lost").first
    expect(banner).to_be_visible()
    tab.picture("connection-lost")
    assert tab.inaccessible() == []
    expect(field(page, "by")).to_have_value("book")
    page.unroute("**/api/v1/**")
    page.locator(".banner").get_by_role("button", name="Try again").click()
    expect(page.locator("th", has_text="book")).to_be_visible()
    expect(page.locator(".banner")).to_be_hidden()
    page.go_back()
    expect(page.locator("th", has_text="desk")).to_be_visible()
    tab.settled()
    assert figures(page) == shown


def test_a_session_that_ends_is_signed_in_again_and_nothing_is_lost(tab: Tab) -> None:
    """The service of this test has no users: what one with users answers is put in its place."""
    signed_in = [True]

    def guard(route: Route) -> None:
        if not signed_in[0]:
            problem = {
                "type": "about:blank",
                "title": "Not signed in",
                "status": 401,
                "detail": "Who asks is not known.",
                "errors": [],
            }
            route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))
        elif route.request.url.endswith("/me"):
            route.fulfill(json={"name": "anne", "roles": ["trader"], "csrf_token": "token-of-this-session"})
        else:
            route.continue_()

    page = tab.page
    page.route("**/api/v1/**", guard)
    tab.open(VAR)
    expect(page.locator(".who")).to_have_text("anne")
    signed_in[0] = False
    field(page, "by").fill("book")
    page.get_by_role("button", name="Ask", exact=True).click()
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog.get_by_role("link", name="Sign in")).to_have_attribute("target", "_blank")
    tab.picture("session-ended")
    assert tab.inaccessible() == []
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog).to_contain_text("not signed in yet")
    signed_in[0] = True
    with page.expect_request("**/api/v1/var?*") as again:
        dialog.get_by_role("button", name="Go on").click()
    assert again.value.headers["x-csrf-token"] == "token-of-this-session"
    expect(page.locator("th", has_text="book")).to_be_visible()
    signed_in[0] = False
    field(page, "by").fill("client")
    page.get_by_role("button", name="Ask", exact=True).click()
    dialog.get_by_role("button", name="Not now").click()
    expect(page.locator(".answer")).to_contain_text("Who asks is not known")
    expect(field(page, "by")).to_have_value("client")


def test_views_are_saved_opened_renamed_shared_and_deleted(tab: Tab) -> None:
    page = tab.open(VAR)
    choose(page, "Views", "Save this view …")
    page.get_by_role("dialog").get_by_label("name").fill("Morning")
    tab.picture("save-view")
    assert tab.inaccessible() == []
    page.keyboard.press("Enter")
    told(page).to_contain_text("Morning is saved")
    tab.open("ask?question=pnl")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="Morning").click()
    expect(page.locator(".two-columns h2", has_text="var")).to_be_visible()
    assert tab.shown() == VAR
    choose(page, "Views", "Rename Morning")
    page.get_by_role("dialog").get_by_label("name").fill("Evening")
    page.keyboard.press("Enter")
    page.locator("summary", has_text="Views").click()
    expect(page.get_by_role("link", name="Evening")).to_be_visible()
    tab.picture("views")
    assert tab.inaccessible() == []
    page.get_by_role("button", name="Share Evening").click()
    told(page).to_contain_text("shared with all")
    page.keyboard.press("Control+k")
    page.keyboard.type("evening")
    expect(page.locator("#palette-0")).to_contain_text("Evening")
    page.keyboard.press("Escape")
    choose(page, "Views", "Delete Evening")
    told(page).to_contain_text("is deleted")
    assert ask(f"{tab.site}api/v1/views")[1] == {"rows": []}


def test_an_answer_is_taken_along_as_it_is_shown(tab: Tab, tmp_path: Path) -> None:
    page = tab.open(f"{VAR}&measures=var&measures=es")
    shown = [float(c.replace(",", "")) for c in figures(page) if re.fullmatch(r"-?[\d,.]+", c)]
    read = {
        "CSV": lambda p: pacsv.read_csv(p).to_pylist(),
        "Parquet": lambda p: pq.read_table(p).to_pylist(),
        "Arrow": lambda p: pa.ipc.open_stream(p).read_all().to_pylist(),
        "Excel": lambda p: _of_workbook(p),
    }
    kept: dict[str, list[dict[str, Any]]] = {}
    for label, reader in read.items():
        page.locator(".said summary").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=label, exact=True).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        kept[label] = reader(path)
    assert [r["desk"] for r in kept["CSV"]] == ["Equities", "Options"]
    columns = [n for n, v in kept["CSV"][0].items() if isinstance(v, (int, float))]
    assert shown == pytest.approx([r[n] for r in kept["CSV"] for n in columns], rel=1e-3)
    for label in ("Parquet", "Arrow", "Excel"):
        assert [[r[n] for n in columns] for r in kept[label]] == [
            [pytest.approx(r[n]) for n in columns] for r in kept["CSV"]
        ], label
    choose(page, "Export", "Copy as a table")
    told(page).to_contain_text("2 rows are on the clipboard")
    text = page.evaluate("() => navigator.clipboard.readText()")
    copied = pacsv.read_csv(io.BytesIO(text.encode()), parse_options=pacsv.ParseOptions(delimiter="\t"))
    assert copied.select(columns).to_pylist() == [{n: r[n] for n in columns} for r in kept["CSV"]]


def test_a_link_to_exactly_an_answer_is_copied_and_shows_it(tab: Tab) -> None:
    page = tab.open(VAR)
    shown = figures(page)
    for _ in range(2):  # of the page, and of the page that is pinned already
        choose(page, "Export", "Copy link to exactly this")
        told(page).to_contain_text("The link is copied")
        link = page.evaluate("() => navigator.clipboard.readText()")
        tab.open(link.removeprefix(f"{tab.site}app/"))
        assert figures(page) == shown
        expect(page.get_by_role("button", name="Pinned")).to_be_visible()
        assert "as_known" in link
    page.get_by_role("button", name="Pinned").click()
    tab.settled()
    assert tab.shown() == VAR


@pytest.mark.slow
def test_a_menu_that_cannot_be_filled_says_why(tab: Tab) -> None:
    page = tab.open(VAR)
    page.route("**/api/v1/views", lambda route: route.abort("connectionrefused"))
    page.locator("summary", has_text="Views").click()
    expect(page.locator(".tools .menu-items")).to_contain_text("The connection to varlake is lost")
    page.unroute("**/api/v1/views")
    expect(page.locator(".banner")).to_be_hidden(timeout=15_000)


def _of_workbook(path: Path) -> list[dict[str, Any]]:
    book = CalamineWorkbook.from_path(path)
    head, *rows = book.get_sheet_by_index(0).to_python()
    return [dict(zip(head, r, strict=True)) for r in rows]


@pytest.mark.slow
def test_a_picture_of_an_answer_is_taken_along(tab: Tab) -> None:
    page = tab.open(f"ask?question=explain&from={FRIDAY}&to={MONDAY}&by=desk")
    page.locator(".said summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture, SVG").click()
    assert download.value.suggested_filename == "explain.svg"
    assert "<svg" in Path(download.value.path()).read_text()


def test_a_pinned_link_shows_the_same_digits_after_a_correction(tab: Tab) -> None:
    page = tab.open(VAR)
    shown = figures(page)
    pin = page.get_by_role("button", name=re.compile("^Pin"))
    expect(pin).to_have_attribute("aria-pressed", "false")
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "true")
    tab.settled()
    assert figures(page) == shown
    link = tab.shown()
    assert "positions%40" in link
    names = [*DIMENSION_COLUMNS, *SHARE_A]
    row = {**{d: f"{d}-0" for d in DIMENSION_COLUMNS}, **SHARE_A, "trade": "T00000-0", "desk": "Equities"}
    book = f"positions_date,quantity,{','.join(names)}\n{MONDAY},5000,{','.join(row[n] for n in names)}\n"
    answer = page.request.post(f"{tab.site}api/v1/positions", data=book, headers={"Content-Type": "text/csv"})
    job = answer.headers["location"]
    while (state := ask(f"{tab.site.rstrip('/')}{job}")[1]["state"]) in ("queued", "running"):
        time.sleep(0.05)
    assert state == "done"
    tab.open(link)
    assert figures(page) == shown
    pin.click()
    tab.settled()
    assert tab.shown() == VAR
    assert figures(page) != shown
