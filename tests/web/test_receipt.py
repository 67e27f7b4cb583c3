"""The page Receipt: from an answer to its receipt, the same bits again, what has changed since, and what is no receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_tab import Tab
from server import ask
from small_lake import BOOK, FRIDAY, MONDAY, SHARE_A, book_csv

QUESTION = f"as_of={MONDAY}&by=desk&measures=var&measures=es"
RECEIPT = "footer.said a[data-receipt]"


def answer(site: str, question: str) -> Any:
    status, found = ask(f"{site}api/v1/{question}")
    assert status == 200, found
    return found


def opened(tab: Tab, address: str) -> str:
    """The receipt of the answer at an address, by its link; its digest."""
    page = tab.open(address)
    digest = page.locator(RECEIPT).first.get_attribute("data-receipt")
    assert digest is not None
    page.locator(RECEIPT).first.click()
    page.get_by_role("heading", level=2).filter(has_text=digest).wait_for()
    tab.settled()
    return digest


def replayed(tab: Tab, button: str) -> str:
    tab.page.get_by_role("button", name=button, exact=True).click()
    tab.page.get_by_role("region", name="replay").get_by_role("heading").wait_for()
    text: str = tab.page.get_by_role("region", name="replay").inner_text()
    return text


def test_an_answer_leads_to_its_receipt_its_inputs_and_the_same_bits(tab: Tab, site: str) -> None:
    found = answer(site, f"var?{QUESTION}")["receipt"]
    digest = opened(tab, f"ask?question=var&{QUESTION}")
    assert digest == found["receipt_digest"]
    text = tab.page.locator("article.receipt").inner_text()
    for name in ("valuation_set_id", "market_data_digest", "scenario_set_name", "positions_date"):
        assert str(found[name]) in text, name
    assert replayed(tab, "Replay").startswith("Replay: same bits")
    assert replayed(tab, "Replay now").startswith("Replay now: nothing has changed")
    tab.page.reload()
    tab.settled()
    assert digest in tab.page.locator("article.receipt").inner_text()
    tab.page.get_by_role("link", name="Ask it again").click()
    tab.page.locator(f'{RECEIPT}[data-receipt="{digest}"]').wait_for()
    tab.picture("receipt")


@pytest.mark.parametrize(
    "address",
    [
        # its question holds 5.0, which a browser that writes JSON anew makes 5: another receipt
        f"time?tab=backtest&from={FRIDAY}&to={MONDAY}&calendar=books&simulations=0&levels=0.9",
        *(
            pytest.param(address, marks=pytest.mark.slow)
            for address in (
                f"ask?question=pnl&as_of={MONDAY}",
                f"ask?question=var&as_of={MONDAY}&where=desk=Options&measures=exceedance&thresholds=5",
                f"ask?question=explain&from={FRIDAY}&to={MONDAY}&to_positions_date={FRIDAY}",
            )
        ),
    ],
)
def test_every_kind_of_answer_replays_to_the_same_bits_and_can_be_asked_again(tab: Tab, address: str) -> None:
    digest = opened(tab, address)
    assert replayed(tab, "Replay").startswith("Replay: same bits")
    again = tab.page.get_by_role("link", name="Ask it again").get_attribute("href")
    assert again is not None
    _, _, parameters = again.partition("?")
    named = dict(p.split("=", 1) for p in parameters.split("&"))
    _, found = ask(f"{tab.site}api/v1/{named['question']}?{parameters.split('&', 1)[1]}")
    assert found["receipt"]["receipt_digest"] == digest


def test_a_receipt_is_pasted_or_read_from_a_file_and_one_that_was_changed_is_told(
    tab: Tab, site: str, tmp_path: Path
) -> None:
    _, raw = ask(f"{site}api/v1/backtest?from={FRIDAY}&to={MONDAY}&simulations=0&levels=0.9")
    kept = tmp_path / "answer.json"
    kept.write_text(json.dumps(raw))
    page = tab.open("receipt")
    page.get_by_label("or a file").set_input_files(kept)
    page.locator("article.receipt").wait_for()
    assert replayed(tab, "Replay").startswith("Replay: same bits")
    raw["receipt"]["question"]["window"] = 100
    page = tab.open("receipt")
    page.get_by_label("An answer or its receipt, as JSON").fill(json.dumps(raw["receipt"]))
    page.get_by_role("button", name="Open").click()
    page.locator("article.receipt").wait_for()
    text = replayed(tab, "Replay")
    assert text.startswith(("Replay: altered", "Replay: other bits")), text


def test_what_is_no_receipt_is_told_and_stays_in_the_field(tab: Tab) -> None:
    page = tab.open("receipt?digest=" + "0" * 32)
    assert "was not shown in this tab" in page.locator("main").inner_text()
    page = tab.open("receipt")
    field = page.get_by_label("An answer or its receipt, as JSON")
    for text, told in (
        ("{", "This is no JSON"),
        ('{"rows": []}', "kind, question, table_versions, receipt_digest not found"),
    ):
        field.fill(text)
        page.get_by_role("button", name="Open").click()
        assert told in page.locator("#receipt-fault").inner_text()
        assert field.input_value() == text
        assert page.evaluate("() => document.activeElement?.id") == "receipt-text"


@pytest.mark.slow
def test_what_was_restated_since_is_told(own: Tab, tmp_path: Path) -> None:
    """A quantity is corrected after the answer was given."""
    opened(own, f"ask?question=var&as_of={MONDAY}&by=desk")
    corrected = tmp_path / "book.csv"
    corrected.write_text(book_csv(book=[("Equities", 1500.0, SHARE_A), *BOOK[1:]]))
    page = own.page
    held = page.url
    own.open("data?tab=ingest&kind=positions")
    page.get_by_label("Files", exact=True).set_input_files(corrected)
    page.get_by_role("button", name="Bring in").click()
    page.get_by_role("heading", name="Brought in").wait_for(timeout=60_000)
    page.goto(held)
    own.settled()
    assert "figures or texts have changed" in replayed(own, "Replay now")
    restated = page.get_by_role("region", name="Trades restated since").inner_text()
    assert "T00000-0" in restated
    assert replayed(own, "Replay").startswith("Replay: same bits")


@pytest.mark.slow
def test_the_page_is_accessible(tab: Tab) -> None:
    opened(tab, f"ask?question=var&{QUESTION}")
    replayed(tab, "Replay")
    assert tab.inaccessible() == []
