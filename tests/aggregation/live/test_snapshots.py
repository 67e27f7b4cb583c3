"""Snapshots of a live day: a batch valuation of the same inputs, made by itself, has the same bits; and the day opens as it did."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from live_days import DAY, contracts, instant, level, order
from small_lake import MONDAY, build_lake, no_spark, request

from aggregation import questions
from aggregation.limits.landing import ingest_var_limits
from aggregation.live.follow import FollowedDay, follow
from aggregation.live.live_book import LiveBook
from aggregation.live.live_risk import LiveQuery, LiveRisk, answer_live
from aggregation.live.opening import LiveDay, open_day
from aggregation.live.snapshot import list_snapshots, take_snapshot
from aggregation.opened.opened_lake import VectorCache
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.session import reading
from aggregation.types import RiskQuery, RiskResult
from lake.committer import Committer
from lake.errors import Conflict, NotReady
from lake.schemas import MARKET_DATA, ORDERS, POSITIONS, TABLES
from lake.tables import Lake
from scenarios.requests import ScenarioRequest
from valuation.books.orders import NettingRequest, net_orders
from valuation.sets.requests import ValuationRequest, run_valuation

BY_DESK = LiveQuery(as_of=DAY, by=("desk",), measures=("var", "es"), levels=("0.9", "0.99"))
LEVELS = [level("EQ:AAA", 90.25, 1), level("FX:EURUSD", 1.2, 2), level("YC:USD:5Y", 0.0123, 3)]


@pytest.fixture(scope="module")
def valued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = build_lake(tmp_path_factory.mktemp("snapshots") / "lake", copies=2)
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)
        share = contracts(lake)["cash_equity USD"]
        rows = [
            order("A", 1, share, "0.1"),
            order("B", 1, share, "40", desk="New", side="sell"),
            order("C", 1, share, "7"),
        ]
        rows.append(order("C", 2, share, None, event="cancel"))
        committer.put("orders", pa.Table.from_pylist([{**r, "file": "f"} for r in rows], schema=ORDERS.schema))
    return lake.path


@pytest.fixture
def lake(valued: Path, tmp_path: Path) -> Lake:
    shutil.copytree(valued, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def followed(lake: Lake, levels: list[dict[str, object]] = LEVELS) -> FollowedDay:
    """The day from the orders in the lake, and levels beside it."""
    day = FollowedDay(LiveBook(open_day(VectorCache(lake), LiveDay(as_of=DAY))))
    day.catch_up(lake)
    day.live.apply_levels(levels)
    return day


def same(live: LiveRisk, stored: RiskResult) -> None:
    for name in stored.rows.column_names:
        assert live.rows[name].to_pylist() == stored.rows[name].to_pylist(), name
    for name in live.total.keys() & stored.total.keys():
        assert live.total[name] == stored.total[name], name


def asked(scenario_set: str) -> RiskQuery:
    return RiskQuery(as_of=DAY, by=("desk",), measures=("var", "es"), levels=("0.9", "0.99"), scenario_set=scenario_set)


def test_a_snapshot_is_a_batch_valuation_of_the_same_inputs(lake: Lake, valued: Path, tmp_path: Path) -> None:
    live = followed(lake).live
    answer = answer_live(live, BY_DESK)
    with Committer(lake, "test") as committer:
        taken = take_snapshot(committer, live, actor="ann")
    same(answer, run_query(lake, asked(taken.scenario_set)))

    # the other way: levels and positions brought into another lake by hand, and valued by the recipe
    shutil.copytree(valued, tmp_path / "batch")
    batch = Lake(tmp_path / "batch")
    with Committer(batch, "test") as committer:
        stored = batch.read("market_data")
        more = [
            {
                "as_of_date": DAY,
                "risk_factor_id": x["risk_factor_id"],
                "value_received": x["level"],
                "value_used": x["level"],
                "status": "observed",
                "rule": "",
                "source": "test",
            }
            for x in LEVELS
        ]
        committer.put(
            "market_data",
            pa.concat_tables([stored, pa.Table.from_pylist(more, schema=MARKET_DATA.schema).cast(stored.schema)]),
            replace=True,
        )
        book = batch.read("positions", among={"positions_date": [MONDAY]}).to_pylist(maps_as_pydicts="strict")
        share = contracts(batch)["cash_equity USD"]
        for trade, desk, quantity in (("net-1", "Equities", 0.1), ("net-2", "New", -40.0)):
            row = order(trade, 1, share, "1", desk=desk)
            book.append({**{n: row.get(n) for n in POSITIONS.schema.names}, "trade": trade, "quantity": quantity})
        rows = pa.Table.from_pylist([{**r, "positions_date": DAY} for r in book], schema=POSITIONS.schema)
        committer.put("positions", rows)
        source = live.opening.source.scenario_set_id
        recipe = ScenarioRequest(method="rebased", parameters={"scenario_set": source}, name="by-hand")
        run_valuation(committer, ValuationRequest(as_of=DAY, scenarios=recipe), spark=no_spark)
    same(answer, run_query(batch, asked("by-hand")))


def test_a_day_with_snapshots_opens_as_it_did_and_each_of_them_replays(lake: Lake) -> None:
    day = followed(lake)
    share = contracts(lake)["cash_equity USD"]
    with Committer(lake, "test") as committer:
        take_snapshot(committer, day.live, actor="ann")
        rows = [{**order("D", 1, share, "12"), "file": "g"}]
        committer.put("orders", pa.Table.from_pylist(rows, schema=ORDERS.schema))
        assert day.catch_up(lake) == {"orders": 1, "intraday_levels": 0}
        later = level("EQ:AAA", 95.5, 60)
        day.live.apply_levels([later])
        take_snapshot(committer, day.live, actor="ann")
    one, two = list_snapshots(lake, DAY)
    assert (one.number, two.number, one.orders, two.orders, one.author) == (1, 2, 4, 5, "ann")
    # after a restart, with positions and market data of the day in the lake
    again = followed(lake, [*LEVELS, later])
    assert again.live.opening.positions_date == MONDAY
    assert answer_live(again.live, BY_DESK).to_dict()["rows"] == answer_live(day.live, BY_DESK).to_dict()["rows"]

    session = reading(lake)
    figures = []
    for taken in (one, two):
        query = questions.read(
            "var", {**asked(taken.scenario_set).model_dump(exclude_none=True), "as_known": taken.known}
        )
        answer = questions.ask(session, "var", query)
        figures.append(answer.total["var_0.99"])
        assert answer.total["positions"] == 8 + 2
        assert replay(lake, answer.receipt).verdict == "same bits"
    assert figures[0] != figures[1]
    points = {"as_of": DAY, "scenario_set": one.scenario_set}
    ends = {"from": {**points, "as_known": one.known}, "to": {**points, "as_known": two.known}}
    change = questions.ask(session, "compare", questions.read("compare", ends))
    assert [change.total["var_0.99_from"], change.total["var_0.99_to"]] == figures
    assert [r["trade"][:5] for r in change.restated.positions.to_pylist()] == ["live:"]


def test_orders_of_a_snapshot_are_netted_once(lake: Lake) -> None:
    """Netting the orders of the day takes the place of what the snapshot made of them."""
    with Committer(lake, "test") as committer:
        take_snapshot(committer, followed(lake).live, actor="ann")
        before = _of_orders(lake)
        netted = net_orders(committer, NettingRequest(as_of=instant(3600), positions_date=DAY))
    assert (netted.lines, netted.removed) == (2, 2)
    assert _of_orders(lake) == before


def _of_orders(lake: Lake) -> list[tuple[str, float]]:
    """Desk and quantity of the positions of the day that orders make."""
    rows = lake.read("positions", among={"positions_date": [DAY]}).to_pylist()
    return sorted((r["desk"], r["quantity"]) for r in rows if r["trade"].startswith(("live:", "net:")))


def test_the_next_day_opens_on_the_book_of_a_snapshot(lake: Lake) -> None:
    """The same contract is bought again, by the same desk."""
    with Committer(lake, "test") as committer:
        take_snapshot(committer, followed(lake).live, actor="ann")
    after = LiveBook(open_day(VectorCache(lake), LiveDay(as_of=DAY + dt.timedelta(1))))
    assert after.opening.positions_date == DAY
    held = after.whole_book()[0].n_positions
    more = order("E", 1, contracts(lake)["cash_equity USD"], "5", day=after.day)
    after.apply_orders([more])
    assert after.whole_book()[0].n_positions == held + 1


LIMITS = """limit,effective_from,effective_to,node,measure,level,horizon_days,amount,currency,warning
A,2020-01-01,,desk=Options,var,0.9,,1e9,USD,0.8
B,2020-01-01,,,es,0.9,,1,EUR,
C,2020-01-01,,"desk=New,Nobody",var,0.9,,1e9,USD,0.8
D,2020-01-01,,desk=Nobody,var,0.9,,5,USD,
E,2020-01-01,,desk=Equities,var,0.9,,1e9,XAG,
F,2020-01-01,,no_such_dimension=x,var,0.9,,1e9,USD,
FH,2020-01-01,,desk=Equities,var,0.9,4,1e9,USD,
G,2020-01-01,,desk=Equities,loss,,,1e9,USD,
"""


def test_the_use_of_limits_is_that_of_a_snapshot_of_the_instant(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "limits.csv").write_text(LIMITS)
    levels = pa.Table.from_pylist([{**r, "date": DAY} for r in LEVELS], schema=TABLES["intraday_levels"].schema)
    with Committer(lake, "test") as committer:
        ingest_var_limits(committer, tmp_path / "limits.csv")
        committer.put("intraday_levels", levels)
    session = reading(lake)
    day = {"as_of": str(DAY)}
    live = questions.ask(session, "intraday", questions.read("intraday", day))
    now = {r["limit"]: r for r in live.limits.to_pylist()}
    # one view of a node has figures of more than one estimator
    other = {**day, "estimator": "hf7"}
    smooth = questions.ask(session, "intraday", questions.read("intraday", other))
    assert replay(lake, live.receipt).verdict == "same bits"
    with Committer(lake, "test") as committer:
        taken = take_snapshot(committer, follow(session.cache, LiveDay(as_of=DAY)).live)
    for asked_for, told in ((day, live), (other, smooth)):
        point = {**asked_for, "scenario_set": taken.scenario_set}
        stored = questions.ask(reading(lake), "limits", questions.read("limits", point))
        expected = stored.rows.select(told.limits.column_names).to_pylist()
        assert told.limits.to_pylist()[:-1] == expected[:-1]
    assert [now[n]["status"] for n in ("A", "B", "C", "D", "E", "F", "FH", "G")] == [
        "ok",
        "breach",
        "ok",
        "ok",
        *["not computed"] * 4,
    ]
    assert now["C"]["used"] > 0
    assert "states no one horizon" in now["FH"]["reason"]
    assert "not over" in now["G"]["reason"]
    # what the page says of trades not yet done: asked of the snapshot, they start from the use that the live day had
    share = {"instrument_type": "cash_equity", "terms": {"underlying": "EQ:AAA", "currency": "USD"}}
    trade = {**share, "quantity": 10.0, "desk": "Options"}
    point = {**day, "scenario_set": taken.scenario_set, "add": [trade]}
    tried = questions.ask(reading(lake), "pre-trade", questions.read("pre-trade", point))
    before = {r["limit"]: r["used_before"] for r in tried.limits.to_pylist()}
    assert before == {n: now[n].get("used") for n in ("A", "B", "E", "F")}
    assert smooth.limits["used"].to_pylist()[0] != now["A"]["used"]


def test_a_snapshot_cut_short_leaves_the_day_as_it_opened(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    day = followed(lake)
    before = answer_live(day.live, BY_DESK).to_dict()
    with Committer(lake, "test") as committer, monkeypatch.context() as patch:
        patch.setattr("aggregation.live.snapshot._value", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_snapshot(committer, day.live)
    assert list_snapshots(lake, DAY) == []
    assert DAY in lake.read("positions")["positions_date"].to_pylist()
    again = answer_live(followed(lake).live, BY_DESK).to_dict()
    assert again["rows"] == before["rows"]
    assert again["causes"] == before["causes"]


def test_market_data_changed_beside_the_day_is_told(lake: Lake) -> None:
    day = followed(lake)
    with Committer(lake, "test") as committer:
        stored = lake.read("market_data")
        row = {
            "as_of_date": DAY,
            "risk_factor_id": "EQ:BBB",
            "value_received": 1.0,
            "value_used": 1.0,
            "status": "observed",
            "rule": "",
            "source": "test",
        }
        more = pa.Table.from_pylist([row], schema=MARKET_DATA.schema).cast(stored.schema)
        committer.put("market_data", pa.concat_tables([stored, more]), replace=True)
        with pytest.raises(Conflict, match=r"was changed beside the live day"):
            take_snapshot(committer, day.live)
        assert DAY not in lake.read("positions")["positions_date"].to_pylist()


def test_before_the_first_level_there_is_nothing_to_store(lake: Lake) -> None:
    day = followed(lake, [])
    with Committer(lake, "test") as committer, pytest.raises(NotReady, match=r"No level of 2020-03-18 has come yet"):
        take_snapshot(committer, day.live)
    assert DAY not in lake.read("positions")["positions_date"].to_pylist()


def test_a_followed_day_is_kept_and_goes_back_for_a_replay(lake: Lake) -> None:
    cache = VectorCache(lake)
    day = follow(cache, LiveDay(as_of=DAY))
    day.catch_up(lake)
    assert follow(cache, LiveDay(as_of=DAY)) is day
    before = cache.of(lake.at({"orders": -1}))
    earlier = follow(before, LiveDay(as_of=DAY))
    assert earlier is not day
    assert earlier.catch_up(before.lake) == {"orders": 0, "intraday_levels": 0}
