"""Every question of CVA on paths that are drawn, through the lake: planned, valued, asked, moved, changed and explained."""

import math
import shutil

import pytest
from cva_lake import COUNTERPARTIES, build_cva_lake
from small_lake import FRIDAY, MONDAY, OPTION

from aggregation import questions
from aggregation.regulatory import sa_cva_market
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import NotValued
from lake.landing.reference import ingest_counterparties
from lake.tables import Lake

PATHS = {"grid": ["3M", "6M", "1Y"], "paths": 64, "path_window": 50, "look_back": False, "collateral": False}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = build_cva_lake(tmp_path_factory.mktemp("cva") / "lake")
    with Committer(lake, "test") as committer:
        session = reading(lake).writing(committer)
        for name, more in (("cva", {}), ("cva-explain", {"from": str(FRIDAY)})):
            asked = questions.read(name, {"as_of": str(MONDAY), **PATHS, "trades": "all", **more})
            questions.value(session, name, asked)
    return lake


def ask(lake, name, **more):
    return questions.ask(
        reading(lake), name, questions.read(name, {"as_of": str(MONDAY), **PATHS, "trades": "all", **more})
    )


def test_what_is_not_valued_is_told(lake):
    with pytest.raises(NotValued, match="along these paths"):
        ask(lake, "cva", seed=7)


def test_cva_is_asked_twice_with_the_same_bits(lake):
    one, two = (ask(lake, "cva", by=["counterparty"]) for _ in range(2))
    assert one.rows.equals(two.rows)
    assert one.receipt["answer_digest"] == two.receipt["answer_digest"]
    assert one.total["cva"] > 0.0


def test_a_stress_is_revalued_on_paths_of_its_own(lake):
    """AAA half as high leaves less to lose than its first-order change says of an option; credit alone is as with fixed exposures."""
    stress = "equity -30%; credit +100bp"
    fixed, full, slope = (
        ask(lake, "cva-scenarios", scenario=stress, exposures=way) for way in ("fixed", "revalued", "sensitivities")
    )
    (a,), (b,), (c,) = (x.scenarios.to_pylist() for x in (fixed, full, slope))
    assert [b["credit"], c["credit"]] == pytest.approx([a["credit"]] * 2)
    assert (a["market"], b["market"] != 0.0) == (0.0, True)
    assert b["change"] == pytest.approx(b["credit"] + b["market"] + b["both"], rel=1e-12)
    assert math.copysign(1, b["market"]) == math.copysign(1, c["market"])
    assert abs(c["market"] - b["market"]) < abs(b["market"])


def test_the_first_order_change_is_that_of_a_small_stress(lake):
    full, slope = (
        ask(lake, "cva-scenarios", scenario="equity[name=EQ:AAA] -0.1%", exposures=way)
        for way in ("revalued", "sensitivities")
    )
    assert full.scenarios["market"][0].as_py() == pytest.approx(slope.scenarios["market"][0].as_py(), rel=0.05)


@pytest.mark.parametrize("scenario", ["equity[name=EQ:AAA] -0.1%", "historical-30"])
def test_a_receipt_of_scenarios_replays(lake, scenario):
    """Of a stress in words, which is in no table, and of a stored set, which is an input."""
    found = ask(lake, "cva-scenarios", scenario=scenario, exposures="fixed")
    done = replay(lake, found.receipt)
    assert done.verdict == "same bits", (done.why, done.inputs)
    assert (f"scenario set {scenario}" in {i.input for i in done.inputs}) == (scenario == "historical-30")


def test_own_sensitivities_make_capital_that_adds_up(lake):
    found = ask(lake, "sa-cva", by=["desk"])
    parts = [*found.rows["capital"].to_pylist(), *found.factors["capital_hedges"].to_pylist()]
    assert math.fsum(parts) == found.total["capital"] > 0.0
    classes = {(r["risk_class"], r["kind"]): r["capital"] for r in found.classes.to_pylist()}
    assert {("counterparty_spread", "delta"), ("equity", "delta"), ("equity", "vega")} <= classes.keys()
    assert math.fsum(classes.values()) == pytest.approx(found.total["capital"])
    alone = ask(lake, "sa-cva", market=False)
    assert alone.total["capital"] == pytest.approx(classes["counterparty_spread", "delta"], rel=1e-9)
    assert alone.total["status"] == "partial"


def test_a_group_without_cva_has_no_capital(lake):
    """Without a credit curve of counterparty-1 its netting sets have no CVA, which is not zero."""
    whole = ask(lake, "sa-cva", by=["counterparty"]).rows.to_pylist()
    assert "invalid" not in {r["status"] for r in whole}
    named = COUNTERPARTIES.replace(",,C1,", ",,,")
    file = lake.path.parent / "nameless.csv"
    file.write_text(named.replace("2019-01-01", str(MONDAY)))
    other = Lake.open(shutil.copytree(lake.path, lake.path.parent / "nameless"))
    with Committer(other, "test") as committer:
        ingest_counterparties(committer, file)
    found = ask(other, "sa-cva", by=["counterparty"])
    one, two = found.rows.to_pylist()
    assert {k: one[k] for k in ("counterparty", "status", "reason")} == {
        k: whole[0][k] for k in ("counterparty", "status", "reason")
    }
    assert (two["status"], two["capital"]) == ("invalid", None)
    assert "counterparty-1 has no credit curve" in two["reason"]
    assert one["capital"] == found.total["capital"]
    alone = ask(other, "sa-cva", by=["counterparty"], where=["counterparty=counterparty-1"])
    assert (alone.total["status"], alone.total["capital"], alone.total["rwa"]) == ("invalid", None, None)


def test_own_sensitivities_are_kept_on_disk(lake, monkeypatch):
    first = ask(lake, "sa-cva", by=["desk"])

    def refuse(*_):
        raise AssertionError("valued again")

    monkeypatch.setattr(sa_cva_market, "Movable", refuse)
    again = ask(lake, "sa-cva", by=["counterparty"])  # of other groups, from the same sensitivities
    assert again.total == first.total
    assert again.factors.equals(first.factors)
    with pytest.raises(AssertionError, match="valued again"):
        ask(lake, "sa-cva", where=["counterparty=counterparty-0"])


def test_a_new_contract_is_valued_on_the_paths(lake):
    """A contract that is not in the book, added and compared with the same trade on a contract that is: AAA's call at another strike."""
    trade = {"trade": "NEW", "quantity": 100, "counterparty": "counterparty-0", "legal_entity": "legal_entity-0"}
    near = ask(lake, "cva-what-if", add=[{**trade, **OPTION, "strike": "100.0001"}])
    same = ask(lake, "cva-what-if", add=[{**trade, **OPTION}])
    (a,), (b,) = near.rows.to_pylist(), same.rows.to_pylist()
    assert a["cva_difference"] == pytest.approx(b["cva_difference"], rel=1e-3)
    assert a["cva_difference"] > 0.0
    assert a["cva_difference_se"] > 0.0


def test_two_days_compared_add_up(lake):
    found = ask(lake, "cva-explain", **{"from": str(FRIDAY)}, by=["netting_set"])
    causes = ("ageing", "market", "credit_spreads", "agreements", "trades")
    for row in [*found.rows.to_pylist(), found.total]:
        if row["change"] is not None:
            assert math.fsum(row[c] for c in causes) == row["change"]
            assert row["change"] == pytest.approx(row["cva_to"] - row["cva_from"], rel=1e-9, abs=1e-9)
    assert math.fsum(r["change"] for r in found.rows.to_pylist()) == found.total["change"]
    assert found.total["cva_to"] == pytest.approx(ask(lake, "cva").total["cva"], rel=1e-9)
    assert found.total["trades"] != 0.0  # the Options desk holds twice as much on Monday
