"""What takes too much is refused by its price, stopped in time or sent away for a while; light questions go on beside it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, base
from test_api_errors import problem

from aggregation import price as price_module
from aggregation import questions
from aggregation.backtest import backtest
from aggregation.book.entitlement import Entitlement
from aggregation.opened.inputs import book_of_scope
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS
from aggregation.reduce import selection
from aggregation.risk import query, sampling_error
from aggregation.risk.table import TableQuery, run_table
from aggregation.session import Session, reading
from aggregation.types import Filter, Scope
from lake.errors import BadInput
from lake.progress import Allowance, Stopped, allowance, allowed
from lake.tables import Lake
from lake.workers import each
from scenarios.types import FactorIndex
from service.api import limits
from service.api.app import create_app
from service.config import Settings
from service.encoding import to_json
from valuation import costs
from valuation.batch import value_batch
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract

VAR = f"/api/v1/var?as_of={MONDAY}&by=trade"


def client_of(lake: Path, **settings: Any) -> FlaskClient:
    client: FlaskClient = create_app(Settings(lake=lake, **settings)).test_client()
    return client


def test_a_question_beyond_the_time_of_a_request_is_refused_by_its_price(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(valued_lake)
    assert client.get(VAR).status_code == 200
    monkeypatch.setattr(query, "SECONDS_A_RANK", 1.0)  # as a million times as many groups would have it
    monkeypatch.setattr(query, "by_rows", None)  # nothing is measured
    body = problem(client.get(VAR), 422)
    assert (body["type"], "core-seconds" in body["detail"]) == ("urn:varlake:problem:too-much", True)


def test_of_heavy_questions_so_many_are_answered_at_once_and_light_ones_beside_them(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(valued_lake, heavy_at_once=1, request_seconds=1e9)
    measured, go_on, by_rows = threading.Event(), threading.Event(), query.by_rows

    def slowly(*given: Any) -> Any:
        if allowance().heavy:
            measured.set()
            go_on.wait(60)
        return by_rows(*given)

    monkeypatch.setattr(sampling_error, "SECONDS_A_FIGURE", 1.0)
    monkeypatch.setattr(query, "by_rows", slowly)
    heavy = f"{VAR}&interval=0.95&measures=es"
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(client.get(heavy).status_code))
    first.start()
    assert measured.wait(60)
    answer = client_of_same(client).get(heavy)
    assert problem(answer, 429)["type"] == "urn:varlake:problem:places-taken"
    assert int(answer.headers["Retry-After"]) > 0
    assert client_of_same(client).get(VAR).status_code == 200
    go_on.set()
    first.join()
    assert statuses == [200]
    assert client.get(heavy).status_code == 200  # the place was given back


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_a_price_by_which_it_is_refused_before_it_reads_a_vector(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(limits, "usable_cores", lambda: 1e-9)  # no question is so light
    monkeypatch.setattr(VectorCache, "vectors", None)
    body = problem(client_of(valued_lake).post(f"/api/v1/{name}", json=base(name)), 422)
    assert body["type"] == "urn:varlake:problem:too-much"


def test_the_plan_tells_the_price_of_the_answer_which_grows_with_what_is_asked(valued_lake: Path) -> None:
    def price(more: str, name: str = "var") -> Any:
        return client_of(valued_lake).get(f"/api/v1/{name}/plan?{more}").get_json()["answer_core_seconds"]

    whole, interval = price(f"as_of={MONDAY}"), price(f"as_of={MONDAY}&by=trade&interval=0.95&measures=skewness")
    assert 0 < whole < interval
    days = f"from={FRIDAY}&to={MONDAY}&calendar=books&measures=var"
    assert price(days, "series") == pytest.approx(2 * whole, rel=0.01)
    assert price(f"as_of={MONDAY}&market_date={FRIDAY}") is None  # not valued yet


def test_a_group_a_position_is_counted_without_the_book(valued_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = reading(Lake(valued_lake))
    asked = TableQuery(as_of=MONDAY, by=("desk", "trade"))
    opened = price_module.size_of(session, asked.model_copy(update={"where": (Filter.parse("trade~*"),)}))
    monkeypatch.setattr(price_module, "book_of_scope", None)
    told = price_module.size_of(session, asked)
    assert (told.positions, told.groups, told.scenarios) == (opened.positions, opened.groups, opened.scenarios)


def test_groups_by_trade_are_what_the_filters_leave(valued_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = reading(Lake(valued_lake))
    asked = TableQuery(as_of=MONDAY, by=("trade",), where=(Filter.parse("desk=Options"),))
    rows = run_table(session.lake, asked).rows
    monkeypatch.setattr(price_module, "grouped", None)  # to number them takes longest
    assert price_module.size_of(session, asked).groups == rows.num_rows == 2
    with pytest.raises(BadInput, match="desk"):
        price_module.size_of(session, asked.model_copy(update={"by": ("trade", "dsk")}))


SCOPES: list[dict[str, Any]] = [
    {},
    {"by": ["desk"]},
    {"by": ["desk", "currency"], "where": ["instrument_type=equity_option"]},
    {"by": ["trade", "desk"]},
    {"by": ["trade"], "where": ["desk=Options"]},
    {"by": ["book"], "where": ["trade~*"], "positions_date": FRIDAY},
    {"by": ["desk"], "where": ["currency=USD"], "market_date": FRIDAY},
]


@pytest.mark.parametrize("granted", [None, {"desk": ["Options"]}], ids=["all", "a part"])
def test_before_the_book_is_opened_a_price_counts_what_the_book_has(
    valued_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granted: Any
) -> None:
    entitlement = None if granted is None else Entitlement(granted=granted)
    scopes = [Scope.model_validate({"as_of": MONDAY, **more}) for more in SCOPES]

    def session() -> Session:
        lake = Lake(valued_lake)
        return Session(lake, VectorCache(lake, tmp_path), entitlement=entitlement)

    def sizes() -> list[tuple[int, ...]]:
        found = [price_module.size_of(session(), scope, scenarios=30) for scope in scopes]
        return [(s.positions, s.held, s.groups, s.of.contracts) for s in found]

    with monkeypatch.context() as unopened:
        unopened.setattr(price_module, "book_of_scope", None)
        counted = sizes()
    for scope in scopes:
        book_of_scope(session().cache, session().lake.snapshot(), scope, MONDAY)
    with monkeypatch.context() as opened:
        opened.setattr(price_module, "unopened_book", None)
        opened.setattr(price_module, "contracts_held", None)
        assert counted == sizes()
    assert len({groups for _, _, groups, _ in counted}) > 1


def test_a_question_beyond_its_price_is_refused_without_opening_its_book(
    valued_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = shutil.copytree(valued_lake, tmp_path / "lake")
    shutil.rmtree(lake / "_varlake" / "cache", ignore_errors=True)
    monkeypatch.setattr(limits, "usable_cores", lambda: 1e-9)
    monkeypatch.setattr(VectorCache, "_own_book", None)
    body = problem(client_of(lake).get(f"{VAR}&where=desk=Options&interval=0.95"), 422)
    assert body["type"] == "urn:varlake:problem:too-much"


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_price_is_another_once_the_book_is_opened(name: str, valued_lake: Path, tmp_path: Path) -> None:
    def price() -> float | None:
        query = questions.settled(session(), questions.read(name, base(name)))
        return questions.price(session(), name, query)

    def session() -> Session:
        return reading(lake := Lake(valued_lake), VectorCache(lake, tmp_path))

    before = price()
    for day in (FRIDAY, MONDAY):
        session().cache.book(session().lake.snapshot(), day)
    assert price() == before


def client_of_same(client: FlaskClient) -> FlaskClient:
    """Another client of the same application."""
    other: FlaskClient = client.application.test_client()
    return other


def test_a_question_is_stopped_when_its_time_is_over_and_when_its_client_has_gone(valued_lake: Path) -> None:
    assert (
        problem(client_of(valued_lake, request_seconds=1e-6).get(VAR), 503)["type"] == "urn:varlake:problem:out-of-time"
    )
    gone = {"waitress.client_disconnected": lambda: True}
    assert "client has gone" in problem(client_of(valued_lake).get(VAR, environ_overrides=gone), 499)["detail"]


def test_a_replay_that_is_stopped_says_nothing_of_its_receipt(valued_lake: Path) -> None:
    receipt = client_of(valued_lake).get(VAR).get_json()["receipt"]
    answer = client_of(valued_lake, request_seconds=1e-6).post("/api/v1/replay", json={"receipt": receipt})
    problem(answer, 503)


def test_an_answer_larger_than_one_is_sent_is_refused(valued_lake: Path) -> None:
    body = problem(client_of(valued_lake, answer_mib=0.001).get(VAR), 413)
    assert "VARLAKE_ANSWER_MIB" in body["detail"]
    assert client_of(valued_lake).get(VAR).status_code == 200


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("var", "&by=trade&interval=0.95"),
        ("var", "&by=trade&subtotals=true"),
        ("contributions", "&by=trade"),
        ("pnl", "&by=trade"),
        ("pivot", "&rows=trade&columns=desk"),
        ("drill", ""),
    ],
)
def test_an_answer_too_large_is_refused_before_it_is_worked_on(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: str
) -> None:
    monkeypatch.setattr(selection, "group_pnl", None)  # nothing is added up
    body = problem(client_of(valued_lake, answer_mib=1e-4).get(f"/api/v1/{name}?as_of={MONDAY}{more}"), 413)
    assert "VARLAKE_ANSWER_MIB" in body["detail"]


def test_of_a_limited_answer_the_rows_shown_count_and_of_a_replay_none(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rows(Allowance):
        def __init__(self) -> None:
            self.shown: list[int] = []

        def show(self, rows: int, columns: Sequence[str]) -> None:
            self.shown.append(rows)

    with allowed(rows := Rows()):
        for more in ({}, {"limit": 2}):
            run_table(Lake(valued_lake), TableQuery(as_of=MONDAY, by=("trade",), **more))
    assert rows.shown == [4, 2, 1]  # the last is that of the others
    receipt = client_of(valued_lake).get(VAR).get_json()["receipt"]
    client = client_of(valued_lake)
    monkeypatch.setattr(limits, "expected_bytes", lambda *_: 1 << 60)
    problem(client.get(VAR), 413)
    answer = client.post("/api/v1/replay", json={"receipt": receipt})
    assert answer.status_code == 200, answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("backtest", f"from={FRIDAY}&to={MONDAY}&calendar=books"),
        ("roll-forward", f"as_of={MONDAY}&horizons=1D"),
        ("pnl-explain", f"from={MONDAY}&to={MONDAY}"),
    ],
)
def test_what_is_valued_while_somebody_waits_has_a_price(
    valued_lake: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: str
) -> None:
    monkeypatch.setattr(costs, "_SHIPPED", {})
    monkeypatch.setattr(costs, "_OTHER", (1e9, 1e9))
    monkeypatch.setattr(costs, "FILE", "none.jsonl")  # what other tests of this lake have measured
    body = problem(client_of(valued_lake).get(f"/api/v1/{name}?{more}"), 422)
    assert body["type"] == "urn:varlake:problem:too-much"


def test_a_backtest_that_is_stopped_is_no_day_without_pnl(valued_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise limits.OutOfTime("over")

    monkeypatch.setattr(backtest, "group_by", stopped)
    problem(client_of(valued_lake).get(f"/api/v1/backtest?from={FRIDAY}&to={MONDAY}&calendar=books"), 503)


def test_work_within_work_heeds_too_and_waits_for_no_thread_of_its_own() -> None:
    class Counted(Allowance):
        heavy = True
        heeded = 0

        def heed(self) -> None:
            self.heeded += 1

    counted = Counted()
    with allowed(counted):
        sums = each(lambda i: sum(each(lambda j: i * j, range(10), 2)), range(10), 2)
    assert (sums, counted.heeded) == ([45 * i for i in range(10)], 110)


def test_pricing_stops_between_two_types() -> None:
    class Nothing(Allowance):
        def heed(self) -> None:
            raise Stopped("enough")

    contract = Contract("c", "cash_equity", "{}")
    with allowed(Nothing()), pytest.raises(Stopped):
        value_batch([contract], ScenarioMarket(MONDAY, FactorIndex(()), np.zeros(0), np.zeros((0, 1))))


def test_work_stops_between_two_items_and_what_is_heavy_has_threads_of_its_own() -> None:
    class Two(Allowance):
        heavy = True

        def __init__(self) -> None:
            self.left = 2

        def heed(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Stopped("enough")

    names: list[str] = []
    with allowed(Two()), pytest.raises(Stopped):
        each(lambda _: names.append(threading.current_thread().name), range(1000), 1)
    assert len(names) == 2
    assert all(name.startswith("heavy") for name in names)
    assert each(lambda i: i, range(3), 2) == [0, 1, 2]


def test_a_long_list_is_the_same_json_as_a_short_one() -> None:
    rows = [{"a": i, "b": "é\n"} for i in range(2500)]
    assert to_json({"rows": rows, "note": None}) == '{"rows":[' + ",".join(map(to_json, rows)) + '],"note":null}'


def test_an_allowance_gives_back_its_place_once() -> None:
    places = threading.BoundedSemaphore(1)
    one = limits.RequestAllowance(Settings(), places, lambda: False, lambda _: None)
    one.spend(limits.LIGHT_CORE_SECONDS * 2)
    one.end()
    one.end()
    assert places.acquire(blocking=False)
