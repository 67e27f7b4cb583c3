"""Exposure on paths that a lake stores: valued by the question itself, drilled into, changed, and the same bits again."""

import pytest
from small_lake import MONDAY, no_spark

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake

ASKED = {"as_of": MONDAY, "grid": ["1M", "6M", "1Y"], "paths": 64, "path_window": 60}


@pytest.fixture(scope="module")
def valued(valued_lake, tmp_path_factory):
    import shutil

    lake = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("exposure") / "lake"))
    query = questions.read("exposure", ASKED)
    with pytest.raises(NotValued, match="6 dates on 64 paths"):
        questions.ask(reading(lake), "exposure", query)
    assert not questions.plan(reading(lake), "exposure", query).ready
    with Committer(lake, "test") as committer:
        questions.value(Session(lake, VectorCache(lake), committer, spark=no_spark), "exposure", query)
    assert questions.plan(reading(lake), "exposure", query).ready
    return lake


def ask(lake, name="exposure", **more):
    return questions.ask(reading(lake), name, questions.read(name, {**ASKED, "trades": "all", **more}))


def test_the_same_question_has_the_same_bits_and_todays_value_is_that_of_the_book(valued):
    one, two = ask(valued, by=["counterparty"]), ask(valued, by=["counterparty"])
    assert one.receipt["answer_digest"] == two.receipt["answer_digest"]
    assert one.receipt["paths"]["path_set_id"] == two.receipt["paths"]["path_set_id"]
    today = [r for r in one.rows.to_pylist() if r["date"] == MONDAY]
    by_value = questions.ask(
        reading(valued), "var", questions.read("var", {"as_of": MONDAY, "by": ["counterparty"]})
    ).rows.to_pylist()
    assert [r["value"] for r in today] == pytest.approx([r["base_value"] for r in by_value], rel=1e-9)


def test_the_trades_behind_a_point_add_up_to_it(valued):
    profile = ask(valued, where=["counterparty=counterparty-0"])
    peak = profile.total["peak_date_0.95"]
    found = ask(valued, "exposure-drill", where=["counterparty=counterparty-0"])
    (row,) = [r for r in profile.rows.to_pylist() if r["date"] == found.date]
    assert found.date == peak or row["pfe_0.95"] == max(r["pfe_0.95"] for r in profile.rows.to_pylist()[1:])
    assert found.pfe == row["pfe_0.95"]
    assert found.ee == row["ee"]
    rows = found.rows.to_pylist()
    assert sum(r["contribution"] for r in rows) == pytest.approx(found.pfe, rel=1e-9)
    assert {r["kind"] for r in rows} == {"trade", "collateral"}
    worst = found.worst.to_pylist()
    assert len(worst) == 10
    assert worst[0]["exposure"] == max(w["exposure"] for w in worst) >= found.pfe
    assert worst[3]["path"] == found.path  # the fourth greatest of 64 is at 95%
    market = found.market.to_pylist()
    assert market
    assert all(m["level"] != m["mean"] for m in market if m["deviations"])


def test_a_point_that_is_none_says_which_there_are(valued):
    with pytest.raises(BadInput, match=r"2020-04-17 is no date of this profile; expected one of 2020-04-16"):
        ask(valued, "exposure-drill", date="2020-04-17")
    with pytest.raises(BadInput, match="leave by out"):
        ask(valued, "exposure-drill", by=["counterparty"])


def test_a_scaled_and_a_new_trade(valued):
    twice = ask(valued, "exposure-what-if", by=["counterparty"], scale=["*2"], collateral=False)
    rows = twice.rows.to_pylist()
    for r in rows:
        assert r["ee_after"] == 2 * r["ee_before"]
        assert r["ee_difference"] == r["ee_before"]
    before = ask(valued, by=["counterparty"], collateral=False)
    assert [r["ee_before"] for r in rows] == before.rows["ee"].to_pylist()
    # a contract that the lake does not know is valued on the same paths: its opposite takes its exposure away again
    trade = {
        "instrument_type": "equity_option",
        "terms": {
            "currency": "USD",
            "underlying": "EQ:AAA",
            "strike": 90,
            "expiry": "2020-12-18",
            "option_type": "call",
            "discount_curve": "USD",
            "volatility": "IV:AAA",
        },
        "quantity": 1000,
        "counterparty": "counterparty-1",
        "legal_entity": "legal_entity-1",
    }
    new = ask(valued, "exposure-what-if", by=["counterparty"], add=[trade], collateral=False)
    assert new.receipt["contracts_valued_here"] == 1
    changed = {r["counterparty"]: r for r in new.summary.to_pylist()}
    assert changed["counterparty-0"]["epe_difference"] == 0.0
    assert changed["counterparty-1"]["positions_after"] == changed["counterparty-1"]["positions_before"] + 1
    for r in new.rows.to_pylist():  # a call that is held is worth more than nothing until it has expired
        mine = r["counterparty"] == "counterparty-1" and str(r["date"]) < "2020-12-18"
        assert (r["value_difference"] > 0.0) == mine
    gone = ask(
        valued,
        "exposure-what-if",
        by=["counterparty"],
        add=[{**trade, "trade": "one"}, {**trade, "trade": "two", "quantity": -1000}],
        collateral=False,
    )
    assert all(r["ee_difference"] == pytest.approx(0.0, abs=1e-6) for r in gone.rows.to_pylist())
    alone = ask(valued, "exposure-what-if", add=[{**trade, "counterparty": "stranger"}], collateral=False)
    assert any("without an agreement" in n and "stranger" in n for n in alone.notes)
