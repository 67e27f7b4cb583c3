"""The page What-if: trades typed, pasted and uploaded, what is wrong said in its cell; figures are the API's; branches; limit hedge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from browser_tab import Tab
from figures_shown import assert_shows, table_of
from playwright.sync_api import expect
from server import ask
from small_lake import MONDAY

BOOK = {"as_of": str(MONDAY), "by": "desk"}
SHARES = {
    "instrument_type": "cash_equity",
    "quantity": 500,
    "desk": "Equities",
    "currency": "USD",
    "underlying": "EQ:AAA",
}


def address(**changes: Any) -> str:
    given = {"changes": json.dumps(changes)} if changes else {}
    return f"what-if?{urlencode({**BOOK, **given})}"


def api(tab: Tab, question: str = "what-if", **asked: Any) -> dict[str, Any]:
    status, answer = ask(f"{tab.site}api/v1/{question}", {"as_of": str(MONDAY), "by": ["desk"], **asked})
    assert status == 200, answer
    return answer  # type: ignore[no-any-return]


def changes_of(tab: Tab) -> dict[str, Any]:
    return json.loads(parse_qs(tab.shown())["changes"][0])  # type: ignore[no-any-return]


def assert_is_the_answer(tab: Tab, answer: dict[str, Any]) -> None:
    panel = tab.page.get_by_role("tabpanel")
    together = {r["figure"]: r for r in table_of(panel, "All together")}
    for name in ("var_0.99", "es_0.99", "base_value"):
        row = together[name.replace("_", " ")]
        assert_shows(row["before"], answer["total"][f"{name}_before"])
        assert_shows(row["after"], answer["total"][f"{name}_after"])
    for row, expected in zip(table_of(panel, "By desk"), answer["rows"], strict=True):
        assert row["desk"] == expected["desk"]
        assert_shows(row["var 0.99 incremental"], expected["var_0.99_incremental"])
    for row, expected in zip(table_of(panel, "Each change alone"), answer["items"], strict=True):
        assert row["what"] == expected["what"]
        assert_shows(row["es 0.99 standalone"], expected["es_0.99_standalone"])


@pytest.mark.slow
def test_a_trade_is_typed_by_keyboard_and_what_is_wrong_is_said_in_its_cell(tab: Tab) -> None:
    page = tab.open("what-if")
    assert tab.shown() == f"what-if?{urlencode(BOOK)}"
    expect(page.get_by_text("Add, remove or scale something")).to_be_visible()
    page.get_by_label("instrument type").select_option("cash_equity")
    page.get_by_role("button", name="Add a trade").press("Enter")
    page.get_by_label("quantity of trade 1").fill("many")
    page.get_by_label("underlying of trade 1").fill("EQ:AAA")
    page.get_by_label("desk of trade 1").fill("Equities")
    page.get_by_role("button", name="Try the changes").press("Enter")
    tab.settled()
    for column in ("quantity", "currency"):
        cell = page.get_by_label(f"{column} of trade 1")
        expect(cell).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#{cell.get_attribute('aria-describedby')}")).to_contain_text("expected")
    expect(page.get_by_label("quantity of trade 1")).to_be_focused()
    assert tab.inaccessible() == []
    tab.picture("what-if-faults")
    page.keyboard.type("500")
    page.get_by_label("quantity of trade 1").fill("500")
    page.get_by_label("currency of trade 1").fill("USD")
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    assert changes_of(tab)["add"] == [SHARES]
    assert_is_the_answer(tab, api(tab, add=[SHARES]))
    expect(page.locator(".coverage.partial")).to_have_count(2)
    assert page.locator(".chart svg").count() == 1
    assert tab.inaccessible() == []
    before = page.get_by_role("tabpanel").inner_text()
    page.reload()
    tab.settled()
    assert page.get_by_role("tabpanel").inner_text() == before
    expect(page.get_by_label("underlying of trade 1")).to_have_value("EQ:AAA")
    page.get_by_role("button", name="remove trade 1").click()
    expect(page.get_by_label("underlying of trade 1")).to_have_count(0)
    tab.picture("what-if")


def test_trades_are_pasted_from_a_spreadsheet_and_read_from_a_file(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("what-if")
    page.get_by_text("Paste from a spreadsheet, or upload a file").click()
    page.get_by_label("cells with a line of column names").fill("instrument_type\tquantity")
    page.get_by_role("button", name="Put them into the table").click()
    expect(page.get_by_text("below it a line a trade")).to_be_visible()
    page.get_by_label("cells with a line of column names").fill(
        "instrument_type\tquantity\tcurrency\tunderlying\tdesk\ncash_equity\t500\tUSD\tEQ:AAA\tEquities\n"
    )
    page.get_by_role("button", name="Put them into the table").click()
    file = tmp_path / "trades.csv"
    file.write_text(
        "positions_date,trade,instrument_type,quantity,currency,underlying,desk,attribute.idea\n"
        '2020-01-01,H1,cash_equity,-20,EUR,EQ:BBB,"Options","one, ""two"""\n'
    )
    page.get_by_label("or a CSV file").set_input_files(file)
    expect(page.get_by_label("trade of trade 2")).to_have_value("H1")
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    second = {
        "trade": "H1",
        "instrument_type": "cash_equity",
        "quantity": -20,
        "currency": "EUR",
        "underlying": "EQ:BBB",
        "desk": "Options",
        "attribute.idea": 'one, "two"',
    }
    assert changes_of(tab)["add"] == [SHARES, second]
    assert_is_the_answer(tab, api(tab, add=[SHARES, second]))


def test_a_column_and_a_type_that_are_not_known_are_said_where_they_stand(tab: Tab) -> None:
    page = tab.open(address(add=[{**SHARES, "strik": 5}, {"instrument_type": "cash_equty", "quantity": 1}]))
    cell = page.get_by_label("strik of trade 1")
    expect(page.locator(f"#{cell.get_attribute('aria-describedby')}")).to_contain_text("Nearest valid: strike")
    page = tab.open(address(add=[SHARES, {"instrument_type": "cash_equty", "quantity": 1}]))
    cell = page.get_by_label("instrument_type of trade 2")
    expect(page.locator(f"#{cell.get_attribute('aria-describedby')}")).to_contain_text("Nearest valid: cash_equity")


def test_removals_and_scalings_with_what_is_wrong_at_the_line(tab: Tab) -> None:
    page = tab.open("what-if")
    page.get_by_role("button", name="Add: remove").click()
    page.get_by_label("remove 1", exact=True).fill("desk=Optins")
    page.get_by_role("button", name="Add: scale").click()
    page.get_by_label("scale 1", exact=True).fill("desk=Equities*half")
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    expect(page.locator("#scale-0-fault")).to_contain_text("expected FILTER*FACTOR")
    page.get_by_label("scale 1", exact=True).fill("desk=Equities*0.5")
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    expect(page.locator("#remove-0-fault")).to_contain_text("Nearest valid: Options")
    expect(page.get_by_label("where", exact=True)).not_to_have_attribute("aria-invalid", "true")
    page.get_by_label("remove 1", exact=True).fill("desk=Options")
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    assert_is_the_answer(tab, api(tab, remove=["desk=Options"], scale=["desk=Equities*0.5"]))
    page.go_back()
    tab.settled()
    expect(page.get_by_label("remove 1", exact=True)).to_have_value("desk=Optins")


def test_what_is_tried_is_saved_as_a_branch_asked_about_and_deleted(tab: Tab) -> None:
    page = tab.open(address(scale=["desk=Options*0.5"]))
    page.get_by_label("branch name").fill("half of it")
    page.get_by_role("button", name="Save as a branch").click()
    expect(page.get_by_label("branch name")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#branch-name-fault")).to_contain_text("letters, digits")
    page.get_by_label("branch name").fill("half")
    page.get_by_label("note").fill("half of the options")
    page.get_by_role("button", name="Save as a branch").click()
    expect(page.get_by_text("Saved as half, version 1.")).to_be_visible(timeout=60_000)
    assert tab.inaccessible() == []
    page.get_by_role("link", name="against its book").click()
    tab.settled()
    assert tab.shown().startswith(f"compare?from={MONDAY}&to={MONDAY}&to_branch=half")
    _, compared = ask(f"{tab.site}api/v1/compare?from={MONDAY}&to={MONDAY}&to_branch=half")
    together = {r["figure"]: r for r in table_of(page.get_by_role("tabpanel"), "All together")}
    assert_shows(together["var 0.99"]["to"], compared["total"]["var_0.99_to"])
    page = tab.open(f"what-if?{urlencode({**BOOK, 'tab': 'branches'})}")
    row = page.locator("tr", has_text="half of the options")
    row.get_by_role("button", name="Open its changes").click()
    tab.settled()
    expect(page.get_by_label("scale 1", exact=True)).to_have_value("desk=Options*0.5")
    page = tab.open(f"what-if?{urlencode({**BOOK, 'tab': 'branches'})}")
    assert tab.inaccessible() == []
    row.get_by_role("button", name="Delete").click()
    row.get_by_role("button", name="Delete half?").click()
    expect(row).to_have_count(0, timeout=60_000)
    assert [b["name"] for b in ask(f"{tab.site}api/v1/branches")[1]["rows"]] == []


@pytest.mark.slow
def test_a_limit_hedge_is_tried_as_a_what_if(tab: Tab) -> None:
    page = tab.open(f"what-if?{urlencode({**BOOK, 'tab': 'hedge', 'where': 'desk=Options'})}")
    expect(page.get_by_text("Give the limit and what may be done to reach it.")).to_be_visible()
    var = ask(f"{tab.site}api/v1/var?as_of={MONDAY}&where=desk=Options&measures=es&levels=0.975")[1]["total"]
    limit = round(var["es_0.975"] / 2, 2)
    page.get_by_label("where of candidate 1").fill("desk=Options")
    page.get_by_label("cost of candidate 1").fill("-1")
    page.get_by_label("limit", exact=True).fill(str(limit))
    page.get_by_role("button", name="Find the cheapest hedge").click()
    tab.settled()
    expect(page.get_by_label("cost of candidate 1")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("cost of candidate 1").fill("1")
    page.get_by_role("button", name="Find the cheapest hedge").click()
    tab.settled()
    moves = [{"where": "desk=Options", "cost": 1}]
    answer = api(tab, "limit-hedge", by=[], where=["desk=Options"], limit=limit, moves=moves)
    expect(page.get_by_text(f"{answer['status']}: es 0.975")).to_be_visible()
    action = table_of(page.get_by_role("tabpanel"), "What to do")[0]
    assert_shows(action["quantity"], answer["actions"][0]["quantity"])
    assert tab.inaccessible() == []
    tab.picture("what-if-hedge")
    page.get_by_role("button", name="Try them as a what-if").click()
    tab.settled()
    assert changes_of(tab)["scale"] == answer["changes"]["scale"]
    assert page.get_by_label("scale 1", exact=True).input_value().startswith("desk=Options;desk=Options*0.")
    tried = api(tab, **answer["changes"], where=["desk=Options"])
    assert_is_the_answer(tab, tried)


@pytest.mark.slow
def test_what_is_typed_outlives_a_reload_and_many_trades_are_kept_in_the_tab(tab: Tab) -> None:
    page = tab.open("what-if")
    page.get_by_role("button", name="Add: scale").click()
    page.get_by_label("scale 1", exact=True).fill("desk=Opt")
    page.reload()
    tab.settled()
    expect(page.get_by_label("scale 1", exact=True)).to_have_value("desk=Opt")
    expect(page.get_by_text("What was typed here and not tried is back.")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    tab.settled()
    expect(page.get_by_label("scale 1", exact=True)).to_have_count(0)
    lines = "\n".join(f"cash_equity\t{n}\tUSD\tEQ:AAA\tEquities" for n in range(1, 61))
    page.get_by_text("Paste from a spreadsheet, or upload a file").click()
    page.get_by_label("cells with a line of column names").fill(
        f"instrument_type\tquantity\tcurrency\tunderlying\tdesk\n{lines}"
    )
    page.get_by_role("button", name="Put them into the table").click()
    page.get_by_role("button", name="Try the changes").click()
    tab.settled()
    assert parse_qs(tab.shown())["changes"][0].startswith("kept:")
    expect(page.get_by_text("too long for an address: the link opens them in this tab alone")).to_be_visible()
    added = [{**SHARES, "quantity": n} for n in range(1, 61)]
    assert_is_the_answer(tab, api(tab, add=added))
    page.goto(f"{tab.site}app/what-if?as_of={MONDAY}&changes=%7Bbroken")
    tab.settled()
    expect(page.get_by_text("The changes of this address cannot be read here")).to_be_visible()
