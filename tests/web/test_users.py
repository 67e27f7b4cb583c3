"""The pages where users sign in: each role on every page, what a role may not do, and writes from a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from browser_tab import Tab
from playwright.sync_api import Page, expect
from server import ask, serving
from small_lake import MONDAY
from test_every_page import pages_of
from users import EVERYBODY, with_users

VAR = f"ask?question=var&as_of={MONDAY}&by=desk"


@pytest.fixture(scope="module")
def tokens_and_site(
    valued_lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Mapping[str, str], str]]:
    lake = Path(shutil.copytree(valued_lake, tmp_path_factory.mktemp("users") / "lake"))
    _, tokens = with_users(lake)
    with serving(lake, web_only=True, settings={"VARLAKE_LOG_LEVEL": "ERROR"}) as (_, url):
        yield tokens, url


@pytest.fixture
def site(tokens_and_site: tuple[Mapping[str, str], str]) -> str:
    return tokens_and_site[1]


@pytest.fixture
def tokens(tokens_and_site: tuple[Mapping[str, str], str]) -> Mapping[str, str]:
    return tokens_and_site[0]


def signed_in(tab: Tab, tokens: Mapping[str, str], name: str, address: str = "start") -> Page:
    """The page of an address, to which the sign-in leads."""
    page = tab.page
    page.goto(f"{tab.site}app/{address}")
    page.get_by_label("Personal access token").fill(tokens[name])
    page.get_by_role("button", name="Sign in").click()
    tab.settled()
    expect(page.locator(".who summary")).to_have_text(name)
    return page


@pytest.mark.parametrize(
    "name", [pytest.param(u.name, marks=[] if u.name == "tom" else [pytest.mark.slow]) for u in EVERYBODY]
)
def test_every_page_is_there_for_every_role(tab: Tab, tokens: Mapping[str, str], name: str) -> None:
    signed_in(tab, tokens, name)
    for address in [*pages_of(tab), *(f"data?tab={t}" for t in ("market", "jobs", "proposals", "audit", "health"))]:
        page = tab.open(address)
        assert page.locator("main").inner_text().count("\n") > 0, address
        assert tab.wrong == [], address


def test_what_a_role_may_not_do_is_told_in_its_panel_alone(tab: Tab, tokens: Mapping[str, str]) -> None:
    page = signed_in(tab, tokens, "tom", "data?tab=audit")
    assert "read the audit trail takes the right 'admin'" in page.get_by_role("region", name="Acts").inner_text()
    assert page.get_by_role("button", name="Verify every entry").is_visible()
    tab.open("capital")
    page.get_by_role("region", name="VaR 99% and ES 97.5%, 1 day").locator(".said").wait_for()
    tab.settled()
    assert "Leave out scale_to_days" in page.get_by_role("region", name="VaR 99%, 10 days").inner_text()


def test_a_session_writes_and_is_left_with_all_that_the_tab_has_kept(tab: Tab, tokens: Mapping[str, str]) -> None:
    page = signed_in(tab, tokens, "tom", VAR)
    page.locator(".tools summary", has_text="Views").click()
    page.get_by_role("button", name="Save this view …").click()
    page.get_by_role("dialog").get_by_label("name").fill("Mine")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("Mine is saved")
    assert page.evaluate("() => sessionStorage.length") > 0
    page.locator(".who summary").click()
    tab.picture("signed-in")
    assert tab.inaccessible() == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Personal access token").wait_for()
    assert page.evaluate("() => sessionStorage.length") == 0
    page.goto(f"{tab.site}app/{VAR}")
    page.get_by_label("Personal access token").wait_for()


def test_a_session_that_was_ended_keeps_what_is_typed_and_goes_on(
    tab: Tab, tokens: Mapping[str, str], site: str
) -> None:
    page = signed_in(tab, tokens, "rita", VAR)
    by = page.locator(".question-form [name='by']")
    by.fill("book")
    for session in ask(f"{site}api/v1/sessions", token=tokens["rita"])[1]["rows"]:
        ask(f"{site}api/v1/sessions/{session['session_id']}", method="DELETE", token=tokens["rita"])
    page.get_by_role("button", name="Ask", exact=True).click()
    with page.context.expect_page() as opened:
        page.get_by_role("dialog", name="Sign in").get_by_role("link", name="Sign in").click()
    opened.value.get_by_label("Personal access token").fill(tokens["rita"])
    opened.value.get_by_role("button", name="Sign in").click()
    opened.value.wait_for_selector("main h1")
    opened.value.close()
    if (go_on := page.get_by_role("button", name="Go on")).is_visible():
        go_on.click()
    expect(page.locator("th", has_text="book")).to_be_visible()
    expect(by).to_have_value("book")


def test_what_one_proposes_another_approves(tab: Tab, tokens: Mapping[str, str], site: str) -> None:
    asked = {"scenario_set": "historical-30", "reason": "the set of the desk"}
    status, job = ask(f"{site}api/v1/standards", asked, token=tokens["rita"])
    assert (status, job["state"]) == (202, "proposed")
    page = signed_in(tab, tokens, "ada", "data?tab=proposals")
    page.get_by_role("link", name=job["job_id"]).click()
    proposal = page.get_by_role("region", name="proposal", exact=True)
    proposal.get_by_text("proposed by rita").wait_for()
    proposal.locator("summary", has_text="approve").click()
    tab.picture("proposal")
    assert tab.inaccessible() == []
    reason = proposal.get_by_label("reason").first
    reason.fill("the desk agreed")
    stale = {"type": "urn:varlake:problem:not-fresh", "title": "Sign in again", "status": 401, "detail": "long ago"}
    page.route(
        "**/approve",
        lambda route: route.fulfill(status=401, json=stale, content_type="application/problem+json"),
        times=1,
    )
    proposal.get_by_role("button", name="approve").click()
    asked = page.get_by_role("dialog", name="Sign in")
    assert "gives rights" in asked.inner_text()
    assert (asked.get_by_role("link", name="Sign in").get_attribute("href") or "").endswith("/sign-in?again=true")
    assert tab.inaccessible() == []
    expect(reason).to_have_value("the desk agreed")
    asked.get_by_role("button", name="Go on").click()
    tab.wrong.clear()  # the console tells of the 401
    expect(proposal.locator("summary", has_text="approve")).to_have_count(0)
    assert ask(f"{site}api/v1/jobs/{job['job_id']}", token=tokens["ada"])[1]["state"] != "proposed"
    tab.open("data?tab=audit")
    expect(page.get_by_role("region", name="Acts, the newest first", exact=True).first).to_contain_text("approve")
    page.get_by_role("button", name="Verify every entry").click()
    page.get_by_role("region", name="trail").locator("dl").wait_for()
