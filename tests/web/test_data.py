"""The page Data: what the lake holds, files brought in, market values decided on, jobs followed and cancelled, health."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from pathlib import Path
from typing import Any

import pytest
from browser_tab import Tab
from server import ask
from small_lake import BOOK, MONDAY, book_csv

from service.ingests import INGESTS


def listed(site: str, path: str) -> list[dict[str, Any]]:
    status, found = ask(f"{site}api/v1/{path}")
    assert status == 200, found
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_what_the_lake_holds_is_what_the_api_says(tab: Tab, site: str) -> None:
    page = tab.open("data")

    def panel(name: str) -> str:
        text: str = page.get_by_role("region", name=name, exact=True).inner_text()
        return text

    for row in listed(site, "positions/dates"):
        assert row["positions_date"] in panel("Books")
    for row in listed(site, "market-data/ranges"):
        assert {row["source"], row["first"], row["last"], f"{row['values']:,}"} <= set(
            re.split(r"\s+", panel("Market data"))
        )
    for row in listed(site, "valuation-sets"):
        assert row["valuation_set_id"][:12] in panel("Valuation sets")
    for row in listed(site, "scenario-sets"):
        assert row["name"] in panel("Scenario sets")
    assert "There are no branches." in panel("Branches")
    assert tab.inaccessible() == []
    tab.picture("data")


def test_contracts_without_a_value_are_a_press_away(tab: Tab, site: str) -> None:
    found = next(s for s in listed(site, "valuation-sets") if s["failed"])
    page = tab.open("data")
    page.locator(f'a[href*="failures={found["valuation_set_id"]}"]').click()
    page.wait_for_url("**failures=**")
    tab.settled()
    text = page.get_by_role(
        "region", name=f"Contracts without a value in valuation set {found['valuation_set_id'][:12]}"
    ).inner_text()
    for row in listed(site, f"valuation-sets/{found['valuation_set_id']}/failures"):
        assert row["message"] in text


def test_every_kind_of_file_has_a_form_with_all_its_options(tab: Tab, site: str) -> None:
    kinds = listed(site, "ingests")
    assert [k["name"] for k in kinds] == list(INGESTS)
    page = tab.open("data?tab=ingest")
    for kind in kinds:
        page.get_by_label("What the files hold").select_option(kind["name"])
        page.wait_for_url(f"**kind={kind['name']}*")
        page.get_by_text(kind["meaning"]).wait_for()
        fields = page.locator(".question-form [name]").evaluate_all("all => all.map(f => f.name)")
        assert sorted(fields) == sorted(o["name"] for o in kind["options"]), kind["name"]
        assert page.get_by_role("button", name="Suggest how to read it").count() == kind["suggested"]
    assert tab.inaccessible() == []


def test_a_file_is_tried_then_brought_in_by_a_job_and_its_rejects_are_saved(own: Tab, tmp_path: Path) -> None:
    page = own.open("data?tab=ingest")
    page.get_by_role("button", name="Try (dry run)").click()
    assert page.locator("#ingest-files-fault").inner_text() == "Choose a file first."
    book = tmp_path / "book.csv"
    book.write_text(book_csv(book=[*BOOK, ("Equities", "many", BOOK[0][2])]).replace(str(MONDAY), "2020-03-17"))  # type: ignore[list-item]
    page.get_by_label("Files", exact=True).set_input_files(book)
    before = listed(own.site, "positions/dates")
    page.get_by_role("button", name="Try (dry run)").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Dry run: nothing is stored").wait_for()
    assert listed(own.site, "positions/dates") == before
    with page.expect_download() as saving:
        page.get_by_role("link", name=re.compile("rejected as CSV")).click()
    rejected = list(csv.DictReader(io.StringIO(Path(saving.value.path()).read_text())))
    assert {r["column"] for r in rejected} == {"quantity"}
    assert {r["value"] for r in rejected} == {"many"}
    page.get_by_role("button", name="Bring in").click()
    page.get_by_role("heading", name="Brought in").wait_for(timeout=60_000)
    assert "2020-03-17" in {d["positions_date"] for d in listed(own.site, "positions/dates")}
    page.reload()  # the address names the job
    page.get_by_role("heading", name="Brought in").wait_for()
    own.picture("data-ingest")


@pytest.mark.slow
def test_a_file_with_columns_of_its_own_is_read_by_the_suggestion(own: Tab, tmp_path: Path) -> None:
    strange = tmp_path / "strange.csv"
    strange.write_text(
        "Trade ID,Desk,Qty,Instrument type,Currency,Underlying,Date\nX1,Equities,10,cash_equity,USD,EQ:AAA,2020-03-18\n"
    )
    page = own.open("data?tab=ingest&kind=positions")
    page.get_by_label("Files", exact=True).set_input_files(strange)
    page.get_by_role("button", name="Suggest how to read it").click()
    toml = page.get_by_label("Read so")
    assert "[columns]" in toml.input_value()
    page.get_by_role("button", name="Bring in").click()
    page.get_by_role("heading", name="Brought in").wait_for(timeout=60_000)
    assert "2020-03-18" in {d["positions_date"] for d in listed(own.site, "positions/dates")}


def test_a_file_that_is_refused_says_why_and_the_form_keeps_what_was_typed(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("data?tab=ingest&kind=covariance")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    page.get_by_label("Files", exact=True).set_input_files(wrong)
    page.get_by_label("matrix").fill("mine")
    page.get_by_role("button", name="Try (dry run)").click()
    page.locator(".problem").wait_for()
    assert page.locator('[aria-invalid="true"]').count() >= 1
    assert page.get_by_label("matrix").input_value() == "mine"


@pytest.mark.slow
def test_a_job_is_followed_and_cancelled(idle: Tab) -> None:
    """Without an engine the job waits, until it is cancelled."""
    page = idle.open("data?tab=jobs")
    assert "There are no such jobs." in page.locator("main").inner_text()
    _, job = ask(f"{idle.site}api/v1/valuations", {"as_of": str(MONDAY)})
    page.locator(f"#cancel-{job['job_id']}").wait_for()  # without a reload
    page.locator(f"#job-{job['job_id']}").click()
    detail = page.get_by_role("region", name="job", exact=True)
    detail.get_by_text(job["job_id"]).wait_for()
    page.locator(f"#cancel-{job['job_id']}").first.focus()
    page.keyboard.press("Enter")
    detail.get_by_text("cancelled").first.wait_for()
    assert ask(f"{idle.site}api/v1/jobs/{job['job_id']}")[1]["state"] == "cancelled"
    page.get_by_label("state", exact=True).select_option("done")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("There are no such jobs.").wait_for()
    page = idle.open("data?tab=health")
    assert "no engine" in page.get_by_role("region", name="Service").inner_text()
    assert idle.inaccessible() == []


def test_a_suspicious_market_value_is_held_by_a_check_and_released_with_author_and_reason(
    own: Tab, bad_day: dt.date
) -> None:
    page = own.open("data?tab=market")
    check = page.get_by_role("region", name="check", exact=True)
    check.get_by_label("hold").check()
    check.get_by_role("button", name="Check").click()
    page.get_by_role("link", name=f"{bad_day} EQ:AAA").click(timeout=60_000)
    act = page.get_by_role("region", name="act", exact=True)
    act.get_by_role("heading", name=f"Decide on EQ:AAA of {bad_day}").wait_for()
    act.get_by_label("act", exact=True).select_option("release")
    act.get_by_role("button", name="Do it").click()
    act.locator('[aria-invalid="true"]').first.wait_for()  # no reason, no author
    act.get_by_label("reason").fill("seen at the exchange")
    act.get_by_label("author").fill("Ada")
    act.get_by_role("button", name="Do it").click()
    page.get_by_role("region", name="Values held").get_by_text("Ada").wait_for(timeout=60_000)
    (issue,) = listed(own.site, "market/issues?state=released")
    assert (issue["author"], issue["reason"]) == ("Ada", "seen at the exchange")
    assert own.inaccessible() == []
    own.picture("data-market")
