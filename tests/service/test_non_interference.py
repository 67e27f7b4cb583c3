"""Non-interference: what other desks hold changes no byte that a trader receives, and what the trader holds does."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from interference import (
    ADDED,
    COLLEAGUE,
    FORBIDDEN,
    FORMATS,
    LISTS,
    OF_ACCOUNT,
    PAGES,
    TRADER,
    Asked,
    Case,
    build,
    cases,
    example,
    placed,
    positions,
    put_work,
    run_jobs,
    said,
    signed_in,
    value_examples,
    widget,
)
from small_lake import FRIDAY, MONDAY, ON_PATHS, OPTION, SHOCK, no_spark, request

from aggregation.book.entitlement import Entitlement
from aggregation.questions import QUESTIONS
from lake.committer import Committer
from lake.errors import NotFound
from lake.schemas import DIMENSION_COLUMNS
from service.access.principal import LOCAL
from service.api.access import NEEDED
from service.choices import inputs_of
from service.jobs import JobTable
from valuation.books.positions import ingest_positions
from valuation.sets.requests import run_valuation
from valuation.sets.store import list_valuation_sets

CASES = int(os.environ.get("VARLAKE_CASES", "400"))
A_LAKE = 1000  # cases of one pair of lakes


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, tried: list[str]) -> Asked:
    return valued(tmp_path_factory.mktemp("mine") / "lake", 1, tried)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, tried: list[str]) -> Asked:
    """The same trader's positions, beside others'."""
    return valued(tmp_path_factory.mktemp("other") / "lake", 2, tried)


def valued(folder: Path, seed: int, names: Iterable[str] = QUESTIONS, own: float = 1.0) -> Asked:
    lake = build(folder, seed, own)
    value_examples(lake, names=names)
    return Asked.of(lake, put_work(lake, seed))


def differences(one: Any, two: Any, at: str = "") -> list[str]:
    """Where two things that were received differ, in words."""
    if type(one) is type(two) and isinstance(one, dict):
        keys = dict.fromkeys((*one, *two))
        return [d for k in keys for d in differences(one.get(k), two.get(k), f"{at}/{k}")]
    if type(one) is type(two) and isinstance(one, list | tuple) and len(one) == len(two):
        return [d for i, pair in enumerate(zip(one, two, strict=True)) for d in differences(*pair, f"{at}/{i}")]
    return [] if one == two else [f"{at}: {one!s:.200} | {two!s:.200}"]


def interfering(one: Asked, two: Asked, asked: list[Case]) -> dict[str, list[str]]:
    """The cases in which the two differ."""
    found = {}
    for case in asked:
        if different := differences(case.ask(one), case.ask(two, one)):
            found[str(case)] = different[:5]
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_tells_of_what_others_hold(name: str, mine: Asked, other: Asked) -> None:
    asked = [Case(f"/{name}", example(name)), Case(f"/{name}/plan", example(name))]
    expected = 403 if name in ON_PATHS else 200
    assert [c.ask(mine)[0] for c in asked] == [expected, expected]
    assert interfering(mine, other, asked) == {}


@pytest.mark.parametrize("name", [n for n in QUESTIONS if inputs_of(n) is not None])
def test_no_widget_tells_of_what_others_hold(name: str, mine: Asked, other: Asked) -> None:
    asked = [Case(widget(name)), Case(widget(name, "/basis"))]
    expected = 403 if name in (*ON_PATHS, "sa-cva") else 200  # whose address gives no sensitivities
    if name == "reverse-stress":
        expected = 422  # no address holds the law that suits this short history
    assert [c.ask(mine)[0] for c in asked] == [expected, expected]
    assert interfering(mine, other, asked) == {}


def test_no_list_tells_of_what_others_hold(mine: Asked, other: Asked) -> None:
    asked = [Case(path, accept=kind) for path in LISTS for kind in FORMATS]
    assert interfering(mine, other, asked) == {}
    told = Case("/proposals").ask(mine)[2]["rows"], Case("/views").ask(mine)[2]["rows"]
    assert [len(rows) for rows in told] == [1, 1]
    unanswered = {p for p in LISTS if Case(p, accept="*/*").ask(mine)[0] != 200}
    of_others = {p for p in LISTS if any(w in p for w in ("THEIR", "bob:", "all-", "X1-1"))}
    no_book = {"/positions?date=2020-03-12", "/dimensions/of-date?as_of=2020-03-12"}
    assert unanswered == of_others | no_book | {"/scenario-sets/historical-30/export"}  # which is of bespoke scenarios


def test_no_account_tells_of_others(mine: Asked, other: Asked) -> None:
    heard = []
    for asked in (mine, other):
        asks = signed_in(asked.lake)
        heard.append({path: said(asks.get(placed(path)), asked.lake) for path in (*OF_ACCOUNT, *FORBIDDEN)})
    assert differences(*heard) == []
    refused = {path for path, answer in heard[0].items() if answer[0] == 403}
    assert refused == {*FORBIDDEN, "/tokens?user=bob", "/sessions?user=bob"}
    assert len(heard[0]["/tokens"][2]["rows"]) == 1


def test_everything_that_may_be_got_is_asked(mine: Asked) -> None:
    """A new route stands in a list of `interference`; those of the questions are made from QUESTIONS, as the tests of them are."""
    rules = mine.client.application.url_map
    at = rules.bind("localhost")
    paths = [*LISTS, *OF_ACCOUNT, *FORBIDDEN, widget("var"), widget("var", "/basis")]
    asked = {at.match(urlsplit(placed(p)).path)[0] for p in paths}
    told = {r.endpoint for r in rules.iter_rules() if "GET" in (r.methods or ()) and r.endpoint[:10] != "questions."}
    open_to_all = {e for e in told if e.rpartition(".")[2] in (*NEEDED["nothing"], *PAGES)}
    assert asked == told - open_to_all


def test_nothing_received_tells_of_what_others_hold(mine: Asked, other: Asked) -> None:
    assert interfering(mine, other, list(itertools.islice(cases(1), 60))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(-(-CASES // A_LAKE)))
def test_many_pairs_of_lakes(seed: int, mine: Asked, tmp_path: Path) -> None:
    """VARLAKE_CASES requests, by default 400."""
    two = valued(tmp_path / "lake", 3 + seed)
    n = min(A_LAKE, CASES - seed * A_LAKE)
    assert interfering(mine, two, list(itertools.islice(cases(100 + seed), n))) == {}


def test_no_job_upload_or_replay_tells_of_what_others_hold(tmp_path: Path) -> None:
    """What is submitted, done and told afterwards, with answers that are replayed when others have gone on."""
    pair = [Asked.of(build(tmp_path / str(seed), seed)) for seed in (1, 2)]
    heard = [list(worked(asked, pair[0])) for asked in pair]
    different = differences(*heard)
    assert different == []
    kinds = [(j["kind"], j["state"]) for j in heard[0][-1][2]["rows"]]
    assert len(kinds) == 7
    assert kinds.count(("ingest", "done")) == 1  # files of another kind are refused
    assert {k for k, state in kinds if state == "failed"} == {"branch"}  # of the name of another's
    released = [r for r in heard[0] if r[2].get("verdict")]
    assert [r[2]["verdict"] for r in released] == ["same bits", "same bits"]


def worked(asked: Asked, ids: Asked) -> Iterator[Any]:
    """Everything that is received."""
    var = {"as_of": str(MONDAY), "by": ["desk", "book"]}
    first = asked.client.post("/api/v1/var", json={"as_of": str(MONDAY), "positions_date": str(FRIDAY)})
    yield said(first, asked.lake)
    for path, body in (
        ("/valuations/plan", {"as_of": str(MONDAY), "scenarios": {"parameters": {"scenarios": 20}}}),
        ("/valuations", {"as_of": str(MONDAY), "scenarios": {"parameters": {"scenarios": 20}}}),
        ("/var/value", {**var, "positions_date": str(FRIDAY), "market_date": str(FRIDAY), "as_of": str(FRIDAY)}),
        ("/what-if/value", {**var, "add": [ADDED]}),
        ("/stress/value", {"as_of": str(MONDAY), "scenario": SHOCK, "by": ["desk"]}),
        ("/branches", {"name": "ann:more", "as_of": str(MONDAY), "add": [ADDED]}),
        ("/branches", {"name": "ann:more", "as_of": str(MONDAY), "add": [{**ADDED, "quantity": 4.0}]}),
        ("/branches", {"name": "more", "as_of": str(MONDAY), "add": [ADDED]}),
        ("/positions/netted", {"as_of": "2020-03-16T20:00:00Z"}),
    ):
        yield said(asked.client.post(f"/api/v1{path}", json=body), asked.lake)
    lines = positions(5, MONDAY, 7.0).splitlines()
    sent = "\n".join([lines[0], *(row for row in lines[1:] if ",O1," in row or ",X" in row)])
    yield said(uploaded(asked, "positions?dry_run=true", sent), asked.lake)
    yield said(uploaded(asked, "positions", sent), asked.lake)
    yield said(uploaded(asked, "actual-pnl", f"date,pnl,currency,desk\n{MONDAY},1,USD,Options\n"), asked.lake)
    yield said(asked.client.get("/api/v1/jobs?limit=2"), asked.lake)
    run_jobs(asked.lake)
    for path in ("/branches", "/valuation-sets", f"/positions?date={MONDAY}", "/positions/history?trade=O1"):
        yield Case(path).ask(asked, ids)
    yield Case("/var", var).ask(asked, ids)
    yield Case("/var", {"as_of": str(MONDAY), "branch": "ann:more", "by": ["trade"]}).ask(asked, ids)
    yield said(asked.client.post("/api/v1/replay", json=first.get_json()), asked.lake)
    yield said(asked.client.post("/api/v1/replay", json={"receipt": first.get_json()["receipt"]}), asked.lake)
    yield said(asked.client.post("/api/v1/replay/now", json=first.get_json()), asked.lake)
    page = asked.client.get("/api/v1/jobs?limit=2").get_json()
    yield said(asked.client.get(f"/api/v1/jobs?limit=2&cursor={page['next_cursor']}"), asked.lake)
    yield said(asked.client.get("/api/v1/jobs"), asked.lake)


@pytest.mark.slow
def test_what_a_trader_newly_holds_does_not_show_what_others_held(tmp_path: Path) -> None:
    """A contract is valued for whoever comes to hold it from the next valuation on, whether another desk had it valued before or not."""
    pair = [Asked.of(build(tmp_path / str(seed), seed)) for seed in (1, 2)]
    held_by_others = pair[0]
    put_trade(held_by_others, "X9999", "Equities")
    value_everything(held_by_others)
    asked = [Case(p) for p in ("/valuation-sets", "/valuation-sets/OWN-SET", "/valuation-sets/OWN-SET/failures")]
    asked += [Case("/var", {"as_of": str(MONDAY), "by": ["trade"]}), Case("/var/plan", {"as_of": str(MONDAY)})]
    lacking = []
    for act in (lambda one: put_trade(one, "O5", "Options"), value_everything, value_everything):
        for one in pair:
            act(one)
        heard = [[case.ask(one, held_by_others) for case in asked] for one in pair]
        assert differences(*heard) == []
        lacking.append(heard[0][-1][2]["valuations"][0]["plan"]["missing"])
    assert lacking == [1, 0, 0]


@pytest.mark.slow
def test_a_sealed_set_that_is_asked_for_again_is_kept_once_a_book(tmp_path: Path) -> None:
    """What is kept of later requests grows with the books that were asked for, and not with how often."""
    one = Asked.of(build(tmp_path / "lake", 1))
    seen = []
    for act in (
        value_everything,
        value_everything,
        lambda one: put_trade(one, "O5", "Options", OPTION),
        value_everything,
    ):
        act(one)
        seals = [s for s in list_valuation_sets(one.lake) if s.valuation_date == MONDAY]
        seen.append(sum(len(s.requests()) - 1 for s in seals))
        value_everything(one)
    assert seen[0] == seen[1] == seen[2] == seen[3] - 1


def put_trade(asked: Asked, trade: str, desk: str, terms: Mapping[str, str] | None = None) -> None:
    """Another trade on Monday, by default in a contract of its own."""
    terms = terms or {**OPTION, "strike": "85"}
    dimensions = {d: f"{d}-0" for d in DIMENSION_COLUMNS}
    row = {"positions_date": str(MONDAY), "quantity": "3", **dimensions, "desk": desk, "trade": trade, **terms}
    file = asked.lake.path.parent / "trade.csv"
    file.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with Committer(asked.lake, "test") as committer:
        assert ingest_positions(committer, file).rejected == 0


def value_everything(asked: Asked) -> None:
    """The book of Monday, as the nightly run of somebody who sees everything has it valued."""
    with Committer(asked.lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]


def uploaded(asked: Asked, path: str, text: str) -> Any:
    return asked.client.post(f"/api/v1/{path}", data=text.encode(), content_type="text/csv")


def test_jobs_are_told_to_those_whose_they_are(tmp_path: Path) -> None:
    table = JobTable(tmp_path / "jobs.sqlite")
    for who in (COLLEAGUE, TRADER, LOCAL, TRADER):
        table.submit("valuation", {"as_of": str(MONDAY), "n": len(table.newest())}, who)
    mine = table.newest(asks=TRADER)
    assert [(j.actor.name, j.number) for j in mine] == [("ann", 2), ("ann", 1)]
    assert table.newest(limit=1, before=2, asks=TRADER) == mine[1:]
    assert [j.actor.name for j in table.newest(asks=LOCAL)] == ["ann", "local", "ann", "bob"]
    narrowed = TRADER.model_copy(update={"entitlement": Entitlement(granted={"book": ("own-book",)})})
    assert table.newest(asks=narrowed) == []
    for who in (COLLEAGUE, narrowed):
        with pytest.raises(NotFound, match=f"There is no job '{mine[0].job_id}'"):
            table.request_cancel(mine[0].job_id, who)
    assert table.request_cancel(mine[0].job_id, TRADER).state == "cancelled"


def test_what_the_trader_holds_is_told(mine: Asked, tmp_path: Path, tried: list[str]) -> None:
    """The comparison can fail: with another quantity of one position of the trader's, every question about the book differs.

    Values along paths are refused, and some questions are about no position.
    """
    amended = valued(tmp_path / "lake", 1, tried, own=3.0)
    alike = {n for n in tried if not interfering(mine, amended, [Case(f"/{n}", example(n))])}
    assert alike == {"backtest-counts", "rfet", "sa-cva", "exposure-limits", *ON_PATHS} & set(tried)
