"""The question `intraday`: of the orders and levels that the lake has, replayed from its receipt, and for each his part of the book."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from live_days import DAY, contracts, order
from small_lake import MONDAY, build_lake, no_spark, request

from aggregation import questions
from aggregation.book.entitlement import Entitlement
from aggregation.limits.landing import ingest_var_limits
from aggregation.opened.opened_lake import VectorCache
from aggregation.replay import replay
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.schemas import ORDERS
from lake.tables import Lake
from valuation.sets.requests import run_valuation


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("intraday") / "lake")
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)
    return made


def bring(lake: Lake, *rows: dict[str, object]) -> None:
    with Committer(lake, "test") as committer:
        committer.put("orders", pa.Table.from_pylist([{**r, "file": "f"} for r in rows], schema=ORDERS.schema))


def test_the_question_follows_the_lake_and_replays(lake: Lake) -> None:
    share = contracts(lake)["cash_equity USD"]
    query = questions.read("intraday", {"as_of": str(DAY), "by": ["desk"]})
    session = reading(lake)
    before = questions.ask(session, "intraday", query)
    assert before.watermark["orders"] == 0
    bring(lake, order("A", 1, share, "100"), order("B", 1, share, "5", desk="Options"))
    after = questions.ask(session, "intraday", query)
    assert after.watermark["orders"] == 2
    assert after.watermark["orders_until"] == dt.datetime(2020, 3, 18, 14, tzinfo=dt.UTC)
    assert after.total["var_0.99"] != before.total["var_0.99"]
    for answer in (before, after):
        assert replay(lake, answer.receipt).verdict == "same bits"


def test_who_sees_a_desk_has_the_live_figures_of_that_desk(lake: Lake) -> None:
    whole = questions.ask(reading(lake), "intraday", questions.read("intraday", {"as_of": str(DAY), "by": ["desk"]}))
    session = Session(lake, VectorCache(lake), entitlement=Entitlement(granted={"desk": ("Options",)}))
    part = questions.ask(session, "intraday", questions.read("intraday", {"as_of": str(DAY), "by": ["desk"]}))
    assert len(part.rows) == 1
    assert part.watermark["orders"] == 1
    assert part.rows.to_pylist() == [r for r in whole.rows.to_pylist() if r["desk"] == "Options"]


def test_limits_are_shown_as_whoever_asks_may_see_them(lake: Lake, tmp_path: Path) -> None:
    head = "limit,effective_from,effective_to,node,measure,level,horizon_days,amount,currency,warning\n"
    nodes = {"FIRM": "", "OPT": "desk=Options", "EQ": "desk=Equities"}
    lines = "".join(f"{name},2020-01-01,,{node},var,0.9,,1e9,USD,\n" for name, node in nodes.items())
    (tmp_path / "limits.csv").write_text(head + lines)
    with Committer(lake, "test") as committer:
        ingest_var_limits(committer, tmp_path / "limits.csv")
    query = questions.read("intraday", {"as_of": str(DAY)})

    def shown(**granted: Any) -> dict[str, float]:
        entitlement = Entitlement(granted={"desk": ("Options",)}, **granted) if granted else None
        answer = questions.ask(Session(lake, VectorCache(lake), entitlement=entitlement), "intraday", query)
        assert replay(lake, answer.receipt).verdict == "same bits"
        return {r["limit"]: r["used"] for r in answer.limits.to_pylist()}

    everything = shown()
    assert everything.keys() == {"FIRM", "OPT", "EQ"}
    assert shown(firm_totals=False) == {"OPT": everything["OPT"]}
    assert shown(firm_totals=True) == {n: everything[n] for n in ("FIRM", "OPT")}
    assert everything["FIRM"] > 0
    without = questions.read("intraday", {"as_of": str(DAY), "limits": False})
    assert questions.ask(reading(lake), "intraday", without).limits is None
